"""Log-densities of rows on JAX arrays, without differences of large numbers.

The formulas are those of `nvmix/backends/cpu/kernels/em/density.py`: lnZ is a peak p log m - r plus
a smooth rest, and the sum of g . w and of both peaks' r is a quotient. Derivatives are those of the
plain sum, whose terms have formulas of their own.
"""

from typing import Any, Final

import jax
import jax.numpy as jnp

from nvmix.backends.jax.compensated import exact_sum, less_product
from nvmix.backends.jax.gig.moments import LARGE, log_integral, vanishing
from nvmix.backends.types import NormalParameters

# sin^2 of the angle between w and g from which |g|^2 |w|^2 - (g . w)^2 keeps 13 digits.
_WIDE: Final = 0.01
# Corrections of the part of w that is orthogonal to g.
_CORRECTIONS: Final = 2


# Power of the largest number up to which rows are as they are in derivatives and plain sums.
_LONGEST: Final = 0.4


@jax.custom_jvp
def within_range(X: Any) -> Any:
    """Rows shortened to a length at which squares do not overflow, with derivatives as if not."""
    longest = jnp.finfo(X.dtype).max ** _LONGEST
    size = jnp.max(jnp.abs(X), axis=1, keepdims=True)
    # Multiplied twice: the quotient may be subnormal.
    root = jnp.sqrt(longest / jnp.maximum(size, longest))
    return X * root * root


@within_range.defjvp
def _within_range_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The tangent as it is."""
    return within_range(primals[0]), tangents[0]


def beyond_plain(X: Any, theta: Any, d: int, A: Any, B: Any) -> Any:
    """(n,) whether the plain sum of a row's terms would lose digits; A B is of its posterior."""
    far = jnp.max(jnp.abs(X), axis=1) > jnp.finfo(X.dtype).max ** _LONGEST
    return far | cancels(theta, d, A, B)


def cancels(theta: Any, d: int, A: Any, B: Any) -> Any:
    """Whether the plain sum has terms so large that their differences lose digits."""
    p, a, b = theta
    r, order = jnp.hypot(p, jnp.sqrt(a) * jnp.sqrt(b)), p - 0.5 * d
    return ~(LARGE * LARGE - order * order >= A * B) | ~(r <= LARGE)


def _exponent(x: Any, axis: Any = None) -> Any:
    """Least power of 2 by which absolute values are to be divided, so that squares are in range."""
    largest = jnp.max(jnp.abs(x), axis=axis)
    return jnp.maximum(jnp.frexp(largest)[1] - jnp.finfo(x.dtype).maxexp // 5, 0)


def _orthogonal(x: Any, low: Any, gamma: Any, inverse: Any, g: Any, w: Any) -> Any:
    """|w_|^2 for the parts w_ of the rows w = L^-1 (x + low) that are orthogonal to g."""
    square = jnp.where(g @ g > 0.0, g @ g, 1.0)
    for _ in range(_CORRECTIONS):
        t = jnp.matmul(w, g, precision="highest") / square
        x, low = less_product(x, low, t[:, None], gamma), 0.0
        w = jnp.matmul(x, inverse.T, precision="highest")
    t = jnp.matmul(w, g, precision="highest") / square
    return jnp.sum((w - t[:, None] * g) ** 2, axis=1)


def log_densities(
    X: Any, normal: NormalParameters, inverse: Any, theta: Any, log_norm_y: Any, log_z: Any
) -> Any:
    """(n,) log-densities of rows of any size; inverse is L^-1.

    log_norm_y is lnZ(p, a, b), and log_z (n,) is lnZ of the posterior, which counts only where it
    is no large number.
    """
    d = normal.mu.size
    p, a, b = theta
    order, log_2 = p - 0.5 * d, jnp.log(2.0)
    # Rows and L^-1 divided by 2^k: numbers below are in units of that, or of its square.
    k_inverse = _exponent(inverse)
    k_x = _exponent(jnp.maximum(jnp.abs(X), jnp.abs(normal.mu)), axis=1)
    k = k_x + k_inverse
    small = jnp.ldexp(inverse, -k_inverse)
    down = -k_x[:, None]
    x, low = exact_sum(jnp.ldexp(X, down), -jnp.ldexp(normal.mu, down))
    w = jnp.matmul(x, small.T, precision="highest")
    g = jnp.matmul(inverse, normal.gamma, precision="highest")
    gg, q, dot = g @ g, jnp.sum(w * w, axis=1), jnp.matmul(w, g, precision="highest")
    b_k = jnp.ldexp(b, -2 * k)
    A, B = a + gg, b_k + q
    root_ab, root = jnp.sqrt(a) * jnp.sqrt(b), jnp.sqrt(A) * jnp.sqrt(B)
    r = jnp.hypot(p, root_ab)
    excess = p * (p / jnp.where(r > 0.0, r + root_ab, 1.0))
    p_k, order_k, r_k, excess_k, half_k = (
        jnp.ldexp(y, -k) for y in (p, order, r, excess, jnp.asarray(0.5 * d, X.dtype))
    )
    R = jnp.hypot(order_k, root)
    cross = jnp.zeros_like(q)
    if d > 1:
        plain = jnp.maximum(gg * q - dot * dot, 0.0)
        narrow = (dot > 0.0) & (plain < _WIDE * gg * q) & ~(jnp.ldexp(R, k) < LARGE)
        cross = jax.lax.cond(
            jnp.any(narrow),
            lambda: jnp.where(
                narrow,
                gg * _orthogonal(x, low, normal.gamma, small, jnp.ldexp(g, -k_inverse), w),
                plain,
            ),
            lambda: plain,
        )
    difference = jnp.sum((jnp.sqrt(a) * w - jnp.sqrt(b_k)[:, None] * g) ** 2, axis=1)
    rising = dot + r_k > 0.0
    denominator = jnp.where(rising, dot + r_k + R, 1.0)
    # The product of two scaled orders may underflow.
    quotient = (2.0 * excess_k * dot - cross - difference) / denominator
    quotient += half_k / denominator * (p_k + order_k)
    E = jnp.where(rising, quotient, dot + r_k - R)
    rise = dot - E
    # log M and log m, and the log of their quotient.
    at_mode = (order <= 0.0) & (B == 0.0)
    log_B = jnp.log(jnp.where(B > 0.0, B, 1.0))
    log_A, log_up = (
        jnp.log(jnp.where(A > 0.0, A, 1.0)),
        jnp.log(jnp.where(order >= 0.0, order_k + R, 1.0)),
    )
    log_mode = jnp.where(
        order >= 0.0,
        log_up - log_A + k * log_2,
        log_B - jnp.log(jnp.where(order < 0.0, R - order_k, 1.0)) + k * log_2,
    )
    top, bottom = jnp.where(p >= 0.0, p + r, b), jnp.where(p >= 0.0, a, r - p)
    log_mode_y = jnp.log(top) - jnp.log(bottom)
    up = (rise - half_k) / jnp.where(p >= 0.0, p_k + r_k, 1.0)
    fall = (rise + half_k) / jnp.where(p < 0.0, r_k - p_k, 1.0)
    up_near = (order >= 0.0) & (jnp.abs(up) < 1.0)
    fall_near = (p < 0.0) & (q < b_k) & (jnp.abs(fall) < 1.0)
    log_up_ratio = jnp.log1p(jnp.where(up_near, up, 0.0)) - _log_quotient(gg, a)
    log_fall_ratio = jnp.log1p(
        jnp.where(fall_near, q / jnp.where(fall_near, b_k, 1.0), 0.0)
    ) - jnp.log1p(jnp.where(fall_near, fall, 0.0))
    log_growth = jnp.where(
        up_near, log_up_ratio, jnp.where(fall_near, log_fall_ratio, log_mode - log_mode_y)
    )
    rest = log_integral(
        order,
        jnp.ldexp(R, k),
        jnp.log(R) + k * log_2,
        vanishing(A * jnp.ldexp(B, 2 * k)),
        log_z - (order * log_mode - jnp.ldexp(R, k)),
    )
    rest_y = log_integral(p, r, jnp.log(r), vanishing(a * b), log_norm_y - (p * log_mode_y - r))
    constant = -0.5 * d * jnp.log(2.0 * jnp.pi) - jnp.sum(jnp.log(jnp.diag(normal.L)))
    value = (constant - rest_y + jnp.ldexp(E, k)) + (p * log_growth - 0.5 * d * log_mode + rest)
    return jnp.where(at_mode, jnp.inf, value)


def _log_quotient(gg: Any, a: Any) -> Any:
    """log((a + gg) / a) for a > 0."""
    a = jnp.where(a > 0.0, a, 1.0)
    near = gg < a
    return jnp.where(near, jnp.log1p(jnp.where(near, gg / a, 0.0)), jnp.log(a + gg) - jnp.log(a))
