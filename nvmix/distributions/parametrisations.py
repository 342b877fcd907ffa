"""Parameters of R's ghyp and of scipy.stats as those of X | Y ~ N(mu + gamma Y, Sigma Y)."""

import math
from typing import Any, Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters
from nvmix.foundation.validation import nonnegative, positive
from nvmix.mixture.subordinators import POINT_MASS

# Relative difference of alpha_bar and sqrt(chi psi) that is rounding.
_ROUNDING: Final = 1e-8


def theta_of_ghyp(
    p: float, alpha_bar: float | None, chi: float | None, psi: float | None
) -> GIGParameters:
    """(p, a, b) from ghyp's shape, or from chi = b and psi = a."""
    if (chi is None) != (psi is None) or (alpha_bar is None and chi is None):
        msg = f"ghyp takes alpha_bar, or chi and psi, got {alpha_bar=}, {chi=}, {psi=}"
        raise TypeError(msg)
    if chi is not None and psi is not None:
        a, b = nonnegative("psi", psi), nonnegative("chi", chi)
        root = math.sqrt(a) * math.sqrt(b)
        if alpha_bar is not None and abs(root - alpha_bar) > _ROUNDING * root:
            msg = f"alpha_bar must be sqrt(chi psi) = {root} beside chi and psi, got {alpha_bar}"
            raise ValueError(msg)
        return p, a, b
    root = nonnegative("alpha_bar", alpha_bar)
    if root > 0.0:
        ratio = float(get_backend().log_bessel(np.array([p]), np.array([root]))[1][0])
        return p, root * ratio, root / ratio
    if -1.0 <= p <= 0.0:
        msg = f"alpha_bar = 0 needs lambda_ > 0 or lambda_ < -1, where E[Y] = 1, got {p}"
        raise ValueError(msg)
    return (p, 2.0 * p, 0.0) if p > 0.0 else (p, 0.0, -2.0 * (p + 1.0))


def law_of_scipy(frozen: Any) -> tuple[Any, Any, Any, GIGParameters]:
    """mu, gamma, Sigma and (p, a, b) of a frozen distribution of scipy.stats."""
    name = type(frozen).__name__
    if name == "multivariate_normal_frozen":
        mu, sigma, theta = frozen.mean, frozen.cov, POINT_MASS
        return mu, np.zeros_like(mu), sigma, theta
    if name == "multivariate_t_frozen":
        return frozen.loc, np.zeros_like(frozen.loc), frozen.shape, _theta_of_t(frozen.df)
    name = getattr(getattr(frozen, "dist", None), "name", name)
    if name not in {"norminvgauss", "genhyperbolic", "t", "norm"}:
        msg = (
            "frozen must be a frozen norminvgauss, genhyperbolic, t, multivariate_t, norm or "
            f"multivariate_normal of scipy.stats, got {name}"
        )
        raise TypeError(msg)
    shapes, mu, s = frozen.dist._parse_args(*frozen.args, **frozen.kwds)  # noqa: SLF001
    s = positive("scale", s)
    if name == "norm":
        return mu, 0.0, s**2, POINT_MASS
    if name == "t":
        return mu, 0.0, s**2, _theta_of_t(float(shapes[0]))
    p, alpha, beta = (-0.5, *shapes) if name == "norminvgauss" else shapes
    # In units of s, which leave a and b exact at the limits.
    theta = float(p), float((alpha - beta) * (alpha + beta)), 1.0
    return mu, float(beta) * s, s**2, theta


def _theta_of_t(df: float) -> GIGParameters:
    """(p, a, b) of the inverse gamma law of Student's t; of Y = 1 for infinite df."""
    return POINT_MASS if df == math.inf else (-0.5 * df, 0.0, df)
