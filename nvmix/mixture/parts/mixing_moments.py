"""Moments of Y ~ GIG(p, a, b) beyond the second: raw ones, and cumulants that do not cancel.

By s_j, where E[Y^(j+1)] = (1 + s_j) E[Y] E[Y^j], the third cumulant divided by E[Y]^3 is
s_2 - 2 s_1 + s_1 s_2. It loses digits as the squared coefficient of variation falls, about 1 / r
with r = sqrt(p^2 + a b), so for large r it is a series in 1 / r, as is the fourth.
"""

import math
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters
from nvmix.foundation.typing import FloatArray

# From this r on, _TERMS of the series leave less than the unit roundoff.
_LARGE: Final = 40.0
_TERMS: Final = 20


class Cumulants(NamedTuple):
    """Cumulants of order 2, 3 and 4 of Y / E[Y]; inf where they do not exist."""

    second: float
    third: float
    fourth: float


def raw_moments(theta: GIGParameters, n: int) -> FloatArray:
    """E[Y^j] for j = 0, ..., n: products of means of GIG(p + j, a, b)."""
    p, a, b = theta
    if a == math.inf:
        # Y is constant.
        return np.ones(n + 1)
    orders = p + np.arange(float(n))
    _, _, _, means = get_backend().gig_moments(orders, np.full(n, a), np.full(n, b))
    with np.errstate(over="ignore"):
        return np.concatenate([[1.0], np.cumprod(means)])


def cumulants(theta: GIGParameters) -> Cumulants:
    """Cumulants of Y / E[Y], nan where E[Y] is infinite. Error 3e-13 relative."""
    p, a, b = theta
    if b == 0.0:
        return Cumulants(1.0 / p, 2.0 / p**2, 6.0 / p**3)
    if a == 0.0:
        return _of_inverse_gamma(-p)
    r = math.hypot(p, math.sqrt(a) * math.sqrt(b))
    if r < _LARGE:
        return _of_ratios(theta)
    powers = r ** -np.arange(_TERMS + 1.0)
    mean, *others = (powers @ np.polynomial.polynomial.polyval(p / r, c) for c in _series())
    second, third, fourth = (float(k / mean**j) for j, k in enumerate(others, start=2))
    return Cumulants(second, third, fourth)


def _of_inverse_gamma(alpha: float) -> Cumulants:
    """Cumulants of Y / E[Y] for an inverse gamma law."""
    if not alpha > 1.0:
        return Cumulants(math.nan, math.nan, math.nan)
    second = 1.0 / (alpha - 2.0) if alpha > 2.0 else math.inf
    third = 4.0 * second / (alpha - 3.0) if alpha > 3.0 else math.inf
    last = second * second / (alpha - 3.0) if alpha > 4.0 else math.inf
    fourth = 6.0 * (5.0 * alpha - 11.0) * last / (alpha - 4.0) if alpha > 4.0 else math.inf
    return Cumulants(second, third, fourth)


def _of_ratios(theta: GIGParameters) -> Cumulants:
    """Cumulants of Y / E[Y] from variances and means of GIG(p + j, a, b).

    E[Y^(j+1)] / E[Y^j] grows from one j to the next by their quotient, so nothing is differenced.
    """
    (p, a, b), backend = theta, get_backend()
    size = backend.gig_law(theta)[3]
    laws = p + np.arange(3.0), np.full(3, a * size), np.full(3, b / size)
    means, variances = backend.gig_moments(*laws)[3], backend.gig_covariances(*laws)[:, 2, 2]
    growth = variances / means
    d1, d2, d3 = growth.tolist()
    s1, s2, s3 = np.cumsum(growth).tolist()
    with np.errstate(over="ignore"):
        third = (d2 - d1) + s1 * s2
        fourth = (d1 - 2.0 * d2 + d3) + s3 * (s1 + s2) - 3.0 * s1 * (s1 + s2) + s1 * s2 * s3
    return Cumulants(d1, third, fourth)


@cache
def _series() -> tuple[Any, ...]:
    """Coefficients of the mean and cumulants by powers of t = p / r (rows) and 1 / r (columns).

    With y = (p + r) / a, E[Y] is y sum c_n(t) / r^n, and the derivative D by -a / 2, which leads
    from a cumulant to the next, maps y^j q(t) / r^n to
    y^(j+1) ((j + n (1 - t)) q + t (1 - t) q') / r^(n+1). The c_n follow from
    a D m = 2 (p + 1) m + b - a m^2, a consequence of a E[Y^2] = 2 (p + 1) E[Y] + b.
    """
    P = np.polynomial.Polynomial
    t = P([0.0, 1.0])

    def derivative(j: int, n: int, q: Any) -> Any:
        return (j + n * (1.0 - t)) * q + t * (1.0 - t) * q.deriv()

    mean = [P([1.0])]
    for n in range(1, _TERMS + 1):
        products = sum((mean[i] * mean[n - i] for i in range(1, n)), P([0.0]))
        rest = products + derivative(1, n - 1, mean[-1])
        mean.append(mean[-1] - 0.5 * (1.0 + t) * rest)
    orders = [mean]
    for j in (1, 2, 3):
        last = orders[-1]
        orders.append([P([0.0])] + [derivative(j, n, last[n]) for n in range(_TERMS)])
    size = max(q.coef.size for order in orders for q in order)
    return tuple(
        np.array([np.pad(q.coef, (0, size - q.coef.size)) for q in order]).T for order in orders
    )
