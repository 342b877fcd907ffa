"""The log-density of GIG(p, a, b) on JAX arrays, without differences of large numbers.

`nvmix/backends/cpu/kernels/gig/density.py` has the formula. Derivatives are those of the plain sum.
"""

from typing import Any, Final

import jax
import jax.numpy as jnp

from nvmix.backends.jax.compensated import exact_sum, less_product
from nvmix.backends.jax.derivatives import with_value
from nvmix.backends.jax.gig.moments import log_integral, log_norm, vanishing

# |delta| below which log(1 + delta) - delta is a series, and the number of its terms.
_NEAR: Final = 0.25
_TERMS: Final = 10


def gig_log_density(y: Any, theta: Any) -> Any:
    """Log-densities at y > 0 of any shape; theta = (p, a, b) are scalars."""
    p, a, b = theta
    log_norm_y = log_norm(p, a, b)
    plain = (p - 1.0) * jnp.log(y) - 0.5 * (a * y + b / y) - log_norm_y
    return with_value(plain, log_density_value(*jax.lax.stop_gradient((y, p, a, b, log_norm_y))))


def log_density_value(y: Any, p: Any, a: Any, b: Any, log_norm_y: Any) -> Any:
    """`gig_log_density` without derivatives; theta may have the shape of y."""
    v, positive, log_y = jnp.abs(p), p >= 0.0, jnp.log(y)
    r = jnp.hypot(p, jnp.sqrt(a) * jnp.sqrt(b))
    linear, quotient = a * y, b / y
    inside = (linear < jnp.inf) & (quotient < jnp.inf)
    quotient_low = less_product(jnp.broadcast_to(b, y.shape), 0.0, quotient, y) / y
    larger, low = exact_sum(2.0 * p, quotient)
    excess = -less_product(larger, low + quotient_low, a, y)
    second = jnp.where(positive, quotient, linear)
    delta = jnp.where(positive, excess, -excess) / (v + r + second)
    first = jnp.where(positive, linear, quotient)
    rate, side = jnp.where(positive, a, b), jnp.where(positive, log_y, -log_y)
    # The quotient y / m may be subnormal.
    ratio = first / (v + r)
    normal = ratio > 10.0 * jnp.finfo(y.dtype).tiny
    logs = jnp.log(jnp.where(rate > 0.0, rate, 1.0)) + side - jnp.log(v + r)
    log_ratio = jnp.where(normal, jnp.log(jnp.where(normal, ratio, 1.0)), logs)
    # At p = 0 the logarithm may be infinite.
    plain = r - 0.5 * (first + second) + jnp.where(v > 0.0, v * log_ratio, 0.0)
    near = jnp.abs(delta) < _NEAR
    delta = jnp.where(near, delta, 0.0)
    value = v * _log_minus_linear(delta) - 0.5 * second * delta * delta
    value = jnp.where(near, value, plain)
    top, bottom = jnp.where(positive, p + r, b), jnp.where(positive, a, r - p)
    peak = p * (jnp.log(top) - jnp.log(bottom)) - r
    log_rest = log_integral(p, r, jnp.log(r), vanishing(a * b), log_norm_y - peak)
    return jnp.where(inside, value - log_y - log_rest, -jnp.inf)


def _log_minus_linear(delta: Any) -> Any:
    """log(1 + delta) - delta for small delta, by t = delta / (2 + delta) and 2 artanh t."""
    t, series = delta / (2.0 + delta), jnp.zeros_like(delta)
    for k in range(_TERMS, 0, -1):
        series = series * t * t + 1.0 / (2.0 * k + 1.0)
    return t * (2.0 * t * t * series - delta)
