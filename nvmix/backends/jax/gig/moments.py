"""Log-norm, expectations and covariance of GIG(p, a, b), limits included, differentiable.

The density is y^(p-1) exp(-(a y + b / y) / 2) / Z(p, a, b). Its statistics (log Y, 1/Y, Y) have
natural parameters (p, -b / 2, -a / 2): by these, expectations are the gradient of lnZ, the
covariance is its Hessian, and third cumulants are its third derivatives. All are sums over
u = log Y - log of the mode (`bessel.quadrature`), or closed forms of gamma laws where a b is 0.
"""

from functools import partial
from typing import Any, Final

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, gammaln, polygamma

from nvmix.backends.jax.bessel.quadrature import cumulants, means
from nvmix.backends.jax.derivatives import differentiable, times

# Products a b below this multiple of the least normal number, at which e^u could overflow, count
# as 0.
_VANISHING: Final = 1e8
# r = sqrt(p^2 + a b) from which five terms of the expansion of large orders leave 1e-14.
LARGE: Final = 512.0


def vanishing(x: Any) -> Any:
    """Whether a product x = a b counts as 0, so that the law is one of the gamma limits."""
    return ~(x >= _VANISHING * jnp.finfo(x.dtype).tiny)


def mode_terms(p: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """r = sqrt(p^2 + a b), r - |p|, and the log of the mode of y^p exp(-(a y + b / y) / 2)."""
    root = jnp.sqrt(a) * jnp.sqrt(b)
    r = jnp.hypot(p, root)
    larger = r + jnp.abs(p)
    log_larger = jnp.log(larger)
    log_mode = jnp.where(p >= 0.0, log_larger - jnp.log(a), jnp.log(b) - log_larger)
    return r, root * (root / larger), log_mode


def limit_moments(p: Any, a: Any, b: Any) -> tuple[Any, ...]:
    """(lnZ, E log Y, E 1/Y, E Y) where a b = 0: a gamma law for p > 0, else its reciprocal.

    lnZ is inf where the law is improper, and so is a mean that does not exist. Improper laws of a
    positive a or b are limits of proper ones, with their mass at 0 or at infinity.
    """
    positive, exists = p > 0.0, p != 0.0
    v = jnp.where(exists, jnp.abs(p), 1.0)
    rate = 0.5 * jnp.where(positive, a, b)
    proper = exists & (rate > 0.0)
    rate = jnp.where(proper, rate, 1.0)
    log_rate, less = jnp.log(rate), jnp.where(v > 1.0, v - 1.0, 1.0)
    log_y = jnp.where(proper, digamma(v) - log_rate, jnp.nan)
    y = jnp.where(proper, v / rate, jnp.nan)
    inverse = jnp.where(proper, jnp.where(v > 1.0, rate / less, jnp.inf), jnp.nan)
    moments = (
        jnp.where(proper, gammaln(v) - v * log_rate, jnp.inf),
        jnp.where(positive, log_y, -log_y),
        jnp.where(positive, inverse, y),
        jnp.where(positive, y, inverse),
    )
    at_zero, at_infinity = ~(p > 0.0) & (a > 0.0) & (b == 0.0), (p >= 0.0) & (a == 0.0) & (b > 0.0)
    valid = (a >= 0.0) & (b >= 0.0)

    def with_limits(moment: Any, zero: float, infinity: float) -> Any:
        moment = jnp.where(at_zero, zero, jnp.where(at_infinity, infinity, moment))
        return jnp.where(valid, moment, jnp.nan)

    limits = ((jnp.inf, jnp.inf), (-jnp.inf, jnp.inf), (jnp.inf, 0.0), (0.0, jnp.inf))
    return tuple(with_limits(x, *pair) for x, pair in zip(moments, limits, strict=True))


def _beyond(t: Any, x: Any, log_r: Any) -> Any:
    """Log of the integral of w for r >= `LARGE` by t = p / r, x = 1 / r; DLMF 10.41.4."""
    t = t * t
    u4 = 349922430.0 - t * (446185740.0 - t * 185910725.0)
    u4 = (4465125.0 - t * (94121676.0 - t * u4)) / 39813120.0
    u3 = (30375.0 - t * (369603.0 - t * (765765.0 - t * 425425.0))) / 414720.0
    u2 = (81.0 - t * (462.0 - t * 385.0)) / 1152.0
    u1 = (3.0 - t * 5.0) / 24.0
    series = jnp.log1p(-x * (u1 - x * (u2 - x * (u3 - x * u4))))
    return 0.5 * jnp.log(2.0 * jnp.pi) - 0.5 * log_r + series


def log_integral(p: Any, r: Any, log_r: Any, limit: Any, difference: Any) -> Any:
    """Log of the integral of w, which is lnZ less its peak p log m - r, elementwise.

    The difference of both is used where it keeps its digits; limit says whether a b counts as 0.
    """
    # Gamma laws, whose lnZ has no digits to lose but those of its peak.
    v = jnp.where(limit & (p != 0.0), jnp.abs(p), 1.0)
    gamma = jnp.where(p == 0.0, jnp.inf, gammaln(v) - v * jnp.log(v) + v)
    beyond = _beyond(p / r, 1.0 / r, log_r)
    return jnp.where(r >= LARGE, beyond, jnp.where(limit, gamma, difference))


def _natural(slopes: Any, tangents: Any) -> Any:
    """Sum of slopes by (p, -b/2, -a/2) times tangents of (p, a, b); infinite slopes count as 0."""
    dp, da, db = tangents
    # An infinite slope, as by b at b = 0, times a tangent of 0 would be nan.
    by_p, by_b, by_a = (jnp.where(jnp.isinf(slope), 0.0, slope) for slope in slopes)
    return times(by_p, dp) - 0.5 * (times(by_b, db) + times(by_a, da))


by_natural: Final = partial(differentiable, _natural)


@by_natural(lambda _, p, a, b: jnp.moveaxis(_statistics_cumulants(p, a, b, 3), 2, 0))
def gig_covariance(p: Any, a: Any, b: Any) -> Any:
    """(3, 3, ...) covariance of (log Y, 1/Y, Y); differentiable once."""
    return _statistics_cumulants(p, a, b, 2)


@by_natural(lambda values, p, a, b: (values[1:], *gig_covariance(p, a, b)))
def gig_moments(p: Any, a: Any, b: Any) -> tuple[Any, ...]:
    """(lnZ, E log Y, E 1/Y, E Y), elementwise; a, b >= 0."""
    p, a, b = jnp.broadcast_arrays(p, a, b)
    limit = vanishing(a * b)
    # In place of limits the quadrature is of GIG(1, 1, 1), and its results are not used.
    p1, a1, b1 = (jnp.where(limit, 1.0, x) for x in (p, a, b))
    r, alpha, log_mode = mode_terms(p1, a1, b1)
    log_integral, up, down, u = means(alpha, p1)
    mode = jnp.exp(log_mode)
    inner = (p1 * log_mode - r + log_integral, log_mode + u, (1.0 + down) / mode, (1.0 + up) * mode)
    return tuple(jnp.where(limit, x, z) for x, z in zip(limit_moments(p, a, b), inner, strict=True))


@by_natural(lambda _, p, a, b: gig_moments(p, a, b)[1:])
def log_norm(p: Any, a: Any, b: Any) -> Any:
    """lnZ on equal shapes, differentiable three times; its derivative needs no covariance."""
    return gig_moments(p, a, b)[0]


def moments_and_covariance(p: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """(4,) moments (lnZ, E log Y, E 1/Y, E Y) and (3, 3) covariance, by one quadrature."""
    limit, moments, covariance = _inside(p, a, b, 2)
    moments = jnp.where(limit, jnp.stack(limit_moments(p, a, b)), moments)
    return moments, jnp.where(limit, _limit_cumulants(p, a, b, 2), covariance)


def _statistics_cumulants(p: Any, a: Any, b: Any, order: int) -> Any:
    """Joint cumulants of order 2 or 3 of (log Y, 1/Y, Y), with as many leading axes of length 3."""
    p, a, b = jnp.broadcast_arrays(p, a, b)
    limit, _, inner = _inside(p, a, b, order)
    return jnp.where(limit, _limit_cumulants(p, a, b, order), inner)


def _inside(p: Any, a: Any, b: Any, order: int) -> tuple[Any, Any, Any]:
    """Whether a b counts as 0, and, where not, the moments with lnZ and the joint cumulants."""
    limit = vanishing(a * b)
    p1, a1, b1 = (jnp.where(limit, 1.0, x) for x in (p, a, b))
    r, alpha, log_mode = mode_terms(p1, a1, b1)
    log_integral, sizes, (mean, *_, inner) = cumulants(alpha, p1, order)
    # Y = y (1 + u + up) and 1/Y = (1 - u + down) / y, up = e^u - 1 - u and down = e^-u - 1 + u.
    y, zero = jnp.exp(log_mode), jnp.zeros_like(log_mode)
    one, up, down = sizes
    image = jnp.array(
        [[one, zero, zero], [-one / y, zero, down / y], [one * y, up * y, zero]], y.dtype
    )
    log_y, inv_y, mean_y = jnp.stack([log_mode, 1.0 / y, y]) + _mapped(image, mean, 0)
    for axis in range(order):
        inner = _mapped(image, inner, axis)
    return limit, jnp.stack([p1 * log_mode - r + log_integral, log_y, inv_y, mean_y]), inner


def _mapped(image: Any, tensor: Any, axis: int) -> Any:
    """The tensor with one axis multiplied by the matrices image (3, 3, ...)."""
    tensor = jnp.moveaxis(tensor, axis, 0)
    axes = (None,) * (tensor.ndim - image.ndim + 1)
    total = sum(image[(slice(None), j, *axes)] * tensor[None, j] for j in range(3))
    return jnp.moveaxis(total, 0, axis)


def _limit_cumulants(p: Any, a: Any, b: Any, order: int) -> Any:
    """`_statistics_cumulants` where a b = 0."""
    of_gamma = _gamma_covariance if order == 2 else _gamma_third
    gamma, mirrored = of_gamma(p, 0.5 * a), of_gamma(-p, 0.5 * b)
    # 1/Y is a gamma variable: Y and 1/Y change places, the logarithm its sign.
    swap = jnp.array([0, 2, 1])
    sign = jnp.array([-1.0, 1.0, 1.0], gamma.dtype)
    for axis in range(order):
        along = (None,) * axis + (slice(None),) + (None,) * (mirrored.ndim - axis - 1)
        mirrored = jnp.take(mirrored, swap, axis=axis) * sign[along]
    return jnp.where(p > 0.0, gamma, mirrored)


def _gamma_covariance(p: Any, rate: Any) -> Any:
    """(3, 3, ...) covariance of (log Y, 1/Y, Y) under Gamma(p, rate); inf where none exists."""
    proper = (p > 0.0) & (rate > 0.0)
    p, rate = jnp.where(proper, p, 1.0), jnp.where(proper, rate, 1.0)
    p1, p2 = jnp.where(p > 1.0, p - 1.0, 1.0), jnp.where(p > 2.0, p - 2.0, 1.0)
    log_inverse = jnp.where(p > 1.0, -rate / p1**2, -jnp.inf)
    inverse_y = jnp.where(p > 1.0, -1.0 / p1, -jnp.inf)
    inverse = jnp.where(p > 2.0, rate**2 / (p1**2 * p2), jnp.inf)
    members = [polygamma(1, p), log_inverse, 1.0 / rate, inverse, inverse_y, p / rate**2]
    c = jnp.stack(members)[np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])]
    return jnp.where(proper, c, jnp.nan)


def _gamma_third(p: Any, rate: Any) -> Any:
    """(3, 3, 3, ...) third cumulants of (log Y, 1/Y, Y) under Gamma(p, rate).

    Those with 1/Y, which no fit at a limit uses, are returned as infinite.
    """
    proper = (p > 0.0) & (rate > 0.0)
    p, rate = jnp.where(proper, p, 1.0), jnp.where(proper, rate, 1.0)
    infinite = jnp.full_like(p, jnp.inf)
    members = [polygamma(2, p), jnp.zeros_like(p), 1.0 / rate**2, 2.0 * p / rate**3, infinite]
    i, j, k = np.indices((3, 3, 3))
    places = np.where((i == 1) | (j == 1) | (k == 1), 4, (i + j + k) // 2)
    return jnp.where(proper, jnp.stack(members)[places], jnp.nan)
