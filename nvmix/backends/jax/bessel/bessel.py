"""log K_v(z) on JAX arrays, differentiable twice in the order and the argument.

K_v(z) is half the integral of exp(v t - z cosh t) over all t (DLMF 10.32.9), which one sum about
the peak gives at every order and argument: under `vmap` every branch is computed, so that there is
one method. Derivatives are moments of (t, cosh t). docs/about/accuracy.md has the errors.
"""

from typing import Any, Final

import jax
import jax.numpy as jnp
from jax.scipy.special import polygamma

from nvmix.backends.jax.bessel.quadrature import basis, cumulants, means
from nvmix.backends.jax.derivatives import differentiable, times

# The root of t tanh t = 1, where v t = z cosh t; its sinh in three parts, the first of few digits.
_CROSSING: Final = 1.1996786402577337
_SINH: Final = (1.5088795721530914, -1.061477150621215e-08, 4.457972586163642e-18)
_COSH: Final = 1.8101705806989772
# Distance from that root beyond which v t and z cosh t do not cancel.
_NEAR: Final = 0.3
# (exponent, mantissa) bits of a number's upper half, whose products with _SINH[0] are exact.
_HALF: Final = {"float64": (11, 25), "float32": (8, 11)}


def _peak(v: Any, z: Any, r: Any, t: Any) -> Any:
    """v t - z cosh t at t = arcsinh(v / z), v >= 0, r = hypot(v, z), without cancellation."""
    delta = t - _CROSSING
    near = jnp.abs(delta) < _NEAR
    # At the root v t - z cosh t = t (v - z sinh t), summed here in exact parts.
    z1, v1 = jnp.where(near, z, 1.0), jnp.where(near, v, 1.0)
    high = jax.lax.reduce_precision(z1, *_HALF[str(z1.dtype)])
    low = z1 - high
    excess = v1 - high * _SINH[0]
    for rest in (low * _SINH[0], high * _SINH[1], low * _SINH[1] + z1 * _SINH[2]):
        excess = excess - rest
    _, up, down = basis(jnp.where(near, delta, 0.0))
    sinh = _SINH[0] + _SINH[1]
    expanded = t * excess - z1 * 0.5 * ((_COSH + sinh) * up + (_COSH - sinh) * down)
    return jnp.where(near, expanded, v * t - r)


def _lanes(v: Any, z: Any) -> tuple[Any, Any, Any, Any]:
    """Whether 0 < z < inf and v is finite; |v|, z and hypot(v, z), with v = z = 1 elsewhere."""
    inside = (z > 0.0) & (z < jnp.inf) & (jnp.abs(v) < jnp.inf)
    w, z1 = jnp.where(inside, jnp.abs(v), 1.0), jnp.where(inside, z, 1.0)
    return inside, w, z1, jnp.hypot(w, z1)


def log_bessel(v: Any, z: Any) -> tuple[Any, Any]:
    """(log K_v(z), K_{v+1}(z) / K_v(z)) on equal shapes; `log_kv`, `kv_ratio` differentiate."""
    finite = jnp.abs(v) < jnp.inf
    inside, w, z1, r = _lanes(v, z)
    log_integral, up, down, _ = means(z1 * (z1 / (r + w)), w)
    mode = (w + r) / z1
    log_k = _peak(w, z1, r, jnp.log(mode)) + (log_integral - jnp.log(2.0))
    ratio = jnp.where(v < 0.0, (1.0 + down) / mode, (1.0 + up) * mode)
    at_zero = jnp.where((z == 0.0) & finite, jnp.inf, jnp.nan)
    at_infinity = (z == jnp.inf) & finite
    return (
        jnp.where(inside, log_k, jnp.where(at_infinity, -jnp.inf, at_zero)),
        jnp.where(inside, ratio, jnp.where(at_infinity, 1.0, at_zero)),
    )


def log_bessel_derivatives(v: Any, z: Any) -> Any:
    """(4, ...) d/dv, d2/dv2, d2/dvdz and d2/dz2 of log K_v(z), elementwise on equal shapes."""
    finite = jnp.abs(v) < jnp.inf
    inside, w, z1, r = _lanes(v, z)
    _, sizes, (mean, c) = cumulants(z1 * (z1 / (r + w)), w, 2)
    # z cosh t is a constant and the product of these with (u, e^u - 1 - u, e^-u - 1 + u) / sizes.
    cosh = jnp.stack([w, 0.5 * (r + w), 0.5 * z1 * (z1 / (r + w))]) * sizes
    with_t = sizes[0] * jnp.sum(cosh * c[0], axis=0) / z1
    variance = jnp.sum(cosh[:, None] * c * cosh[None], axis=(0, 1)) / z1 / z1
    sign = jnp.sign(v)
    first = jnp.log((w + r) / z1) + sizes[0] * mean[0]
    values = (sign * first, sizes[0] * c[0, 0] * sizes[0], -sign * with_t, variance)
    infinite = jnp.where(v == 0.0, 0.0, sign * jnp.inf)
    trigamma = jnp.where(v == 0.0, jnp.inf, polygamma(1, jnp.where(v == 0.0, 1.0, jnp.abs(v))))
    at_zero = (infinite, trigamma, -infinite, jnp.full_like(infinite, jnp.inf))
    ends = [
        jnp.where(finite & (z == jnp.inf), 0.0, jnp.where(finite & (z == 0.0), limit, jnp.nan))
        for limit in at_zero
    ]
    return jnp.stack([jnp.where(inside, x, end) for x, end in zip(values, ends, strict=True)])


def _total(slopes: Any, tangents: Any) -> Any:
    """Sum of slopes by v and z times the tangents of v and z."""
    return times(slopes[0], tangents[0]) + times(slopes[1], tangents[1])


def _second_slopes(_: Any, v: Any, z: Any) -> Any:
    """Slopes of both `slopes`: the second derivatives of log K_v."""
    _, vv, vz, zz = log_bessel_derivatives(v, z)
    return (vv, vz), (vz, zz)


@differentiable(_total, _second_slopes)
def slopes(v: Any, z: Any) -> tuple[Any, Any]:
    """d/dv and d/dz of log K_v(z), elementwise on equal shapes; differentiable once."""
    by_v = log_bessel_derivatives(v, z)[0]
    ratio = log_bessel(jnp.abs(v), z)[1]
    # DLMF 10.29.2
    inside = (z > 0.0) & (ratio < jnp.inf)
    slope = jnp.abs(v) / jnp.where(inside, z, 1.0) - jnp.where(inside, ratio, 1.0)
    return by_v, jnp.where(ratio == jnp.inf, -jnp.inf, jnp.where(inside, slope, jnp.nan))


@differentiable(_total, lambda _, v, z: slopes(v, z))
def log_kv(v: Any, z: Any) -> Any:
    """log K_v(z), elementwise on equal shapes; differentiable twice."""
    return log_bessel(v, z)[0]


def _ratio_slopes(_: Any, v: Any, z: Any) -> Any:
    """Slopes of `kv_ratio`, by the second derivatives of log K_v."""
    _, _, vz, zz = log_bessel_derivatives(v, z)
    return 1.0 / z - vz, -(v / z / z + zz)


@differentiable(_total, _ratio_slopes)
def kv_ratio(v: Any, z: Any) -> Any:
    """K_{v+1}(z) / K_v(z), elementwise on equal shapes; differentiable once."""
    return log_bessel(v, z)[1]
