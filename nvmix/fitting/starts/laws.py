"""Laws of Y in starting models, of any family: by a variance, or by sizes of Y in the rows."""

from typing import Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import Fixed, GIGParameters, GIGStatus
from nvmix.foundation.typing import FloatArray

# Least excess of the shape -p of an inverse gamma law over 1 - d/2, at which E[Y | x] is infinite.
_LEAST_EXCESS: Final = 0.1


def special_cases(d: int) -> tuple[Fixed, ...]:
    """What the special cases of the generalized hyperbolic law of d columns fix."""
    return Fixed(p=-0.5), Fixed(a=0.0), Fixed(p=0.5 * (d + 1)), Fixed(b=0.0)


def law_with(fixed: Fixed, variance: float) -> GIGParameters:
    """(p, a, b) with E[Y] = 1 and Var[Y] near `variance`, of the family that fixes these."""
    if fixed.b == 0.0:
        return 1.0 / variance, 2.0 / variance, 0.0
    if fixed.a == 0.0:
        alpha = 2.0 + 1.0 / variance
        return -alpha, 0.0, 2.0 * (alpha - 1.0)
    if fixed.p is None or fixed.p == -0.5:
        return -0.5, 1.0 / variance, 1.0 / variance
    # E[Y] E[1/Y] - 1 is at most 1 / (|p| - 1), at b = 0 or a = 0; start well below that.
    size = abs(fixed.p)
    excess = min(variance, 0.5 / (size - 1.0)) if size > 1.0 else variance
    return get_backend().gig_fit((np.nan, 1.0 + excess, 1.0), Fixed(p=fixed.p), "newton", None)[0]


def law_of_sizes(fixed: Fixed, distances: FloatArray, d: int) -> GIGParameters | None:
    """(p, a, b) fitted to Y = (q + 1) / (d + 1) of rows (n,) at squared distances q; None if not.

    That is near the posterior mean of Y. Where Y is as variable as in heavy tails, so is the law.
    """
    y = (distances + 1.0) / (d + 1.0)
    eta = float(np.log(y).mean()), float((1.0 / y).mean()), float(y.mean())
    p = -0.5 if fixed == Fixed() else fixed.p
    theta, status = get_backend().gig_fit(eta, fixed._replace(p=p), "newton", None)
    if status > GIGStatus.INVERSE_GAMMA or not np.isfinite(theta).all():
        return None
    if fixed.a == 0.0 and -theta[0] < 1.0 - 0.5 * d + _LEAST_EXCESS:
        alpha = 1.0 - 0.5 * d + _LEAST_EXCESS
        return -alpha, 0.0, 2.0 * alpha / eta[1]
    return theta
