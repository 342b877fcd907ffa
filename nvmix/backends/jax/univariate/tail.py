"""Tails of a mixture of one column on JAX arrays, and their derivatives.

The formulas and the two kinds of nodes are those of
`nvmix/backends/cpu/kernels/univariate/tail.py`. Far terms are summed rather than taken as geometric
series. Derivatives of a tail are expectations: by x the density, by theta = (p, a, b) differences
of the means of log Y, -1 / (2 Y) and -Y / 2 in the tail and of all Y.
"""

from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc

from nvmix.backends.jax.em import e_step
from nvmix.backends.jax.gig.density import log_density_value
from nvmix.backends.jax.gig.moments import gig_moments
from nvmix.backends.types import NormalParameters

_BASE: Final = 17.0
_GROWTH: Final = 0.13
_STEP: Final = 0.125
_RATIO: Final = 2.5
_STEEP: Final = 3.0
# Nodes that each turn adds on each side, terms that are left out, and the most turns.
_COUNT: Final = 32
_NEGLIGIBLE: Final = 1e-18
_MOST: Final = 300
# Terms of the series of log Phi, and the largest |u| whose e^u is computed.
_TERMS: Final = 12
_FARTHEST: Final = 690.0
_NODES: Final = np.arange(1.0, _COUNT + 1.0)


class _Sums(NamedTuple):
    """Log of a tail, and the means of log Y, 1/Y and Y in it."""

    log_tail: Any
    log_y: Any
    inv_y: Any
    y: Any


def _step(r: Any) -> Any:
    return 1.0 / jnp.sqrt(_BASE * (1.0 + _GROWTH * r))


def _tail(x: Any, law: Any, sign: float) -> _Sums:  # noqa: PLR0915
    """The tail of a sign (1 for P(X <= x)) at (n,) finite points."""
    mu, gamma, sigma, p, a, b = law
    w, g = sign * (x - mu) / sigma, sign * gamma / sigma
    root_A, root_B = jnp.hypot(jnp.sqrt(a), g), jnp.hypot(jnp.sqrt(b), w)
    R = jnp.hypot(p, root_A * root_B)
    falling = R - jnp.where(p < 0.0, p, -1.0)
    rising = (p + R) / jnp.where(root_A > 0.0, root_A * root_A, 1.0)
    y = jnp.where(p >= 0.0, rising, root_B * (root_B / falling))
    has_zero = w * g > 0.0
    y_0 = jnp.where(has_zero, w / jnp.where(has_zero, g, 1.0), 1.0)
    linear, quotient = a * y_0, b / y_0
    rise = jnp.sign(w) * (p - 0.5 * (linear - quotient))
    h, wide = (
        _step(R),
        _step(jnp.maximum(jnp.hypot(p, jnp.sqrt(a) * jnp.sqrt(b)), linear + quotient)),
    )
    is_wide = has_zero & (rise <= _STEEP * jnp.sqrt(jnp.where(has_zero, w * g, 0.0)))
    is_wide &= wide > _RATIO * h
    y = jnp.where(is_wide, y_0, y)
    e = jnp.where(is_wide, h / wide, 1.0)
    h = jnp.where(is_wide, wide, h)
    A, B = 0.5 * a * y, 0.5 * b / y
    scale = sigma * jnp.sqrt(y)
    # Nodes of the second kind have Z = 0 at y, whose rounding may be wider than the fall of Phi.
    Z_y = jnp.where(is_wide, 0.0, (sign * (x - mu) - sign * gamma * y) / scale)
    W, G = sign * (x - mu) / scale, sign * gamma / scale * y
    base = jnp.where((Z_y < 0.0) & ~is_wide, -_log_phi(Z_y), 0.0)

    def terms(u: Any, weight: Any) -> tuple[Any, ...]:
        # 0 times an overflowed power would be nan.
        bounded = jnp.clip(u, -_FARTHEST, _FARTHEST).astype(u.dtype)
        half = 0.5 * bounded
        S, C = jnp.sinh(half), jnp.cosh(half)
        near = jnp.abs(u) < 1.0
        t = jnp.where(near, u, 0.0)
        inner = -2.0 * (A + B)[:, None] * S * S - (A - B)[:, None] * _sinh_minus(t)
        inner = inner - (A - B - p)[:, None] * t
        up, down = jnp.expm1(bounded), jnp.expm1(-bounded)
        exponent = jnp.where(near, inner, p * u - A[:, None] * up - B[:, None] * down)
        far = W[:, None] * jnp.exp(-half) - G[:, None] * jnp.exp(half)
        Z = jnp.where(near, Z_y[:, None] * C - (W + G)[:, None] * S, far)
        value = weight * jnp.exp(jnp.minimum(exponent + _log_phi(Z) + base[:, None], 650.0))
        counted = value > 0.0
        return value, *(jnp.where(counted, value * z, 0.0) for z in (u, down, up))

    def nodes(t: Any) -> tuple[Any, Any]:
        """u and du over the step at distance t > 0."""
        s = jnp.where(is_wide[:, None], _STEP * t, 0.0)
        v = e[:, None] * jnp.sinh(jnp.minimum(s, 300.0))
        c = (h / _STEP)[:, None]
        slope = e[:, None] * jnp.cosh(jnp.minimum(s, 300.0)) / jnp.sqrt(1.0 + v * v)
        mapped = is_wide[:, None]
        return (
            jnp.where(mapped, c * jnp.arcsinh(v), h[:, None] * t),
            jnp.where(mapped, slope, 1.0),
        )

    def body(state: Any) -> Any:
        turn, _, sums = state
        u, weight = nodes(turn * _COUNT + jnp.asarray(_NODES, h.dtype))
        sides = [terms(side * u, weight) for side in (1.0, -1.0)]
        added = jnp.stack([sum(z.sum(axis=1) for z in pair) for pair in zip(*sides, strict=True)])
        total = sums + added
        open_ends = [
            (values[:, -1] > _NEGLIGIBLE * total[0]) | (values[:, -1] > values[:, 0])
            for values, *_ in sides
        ]
        return turn + 1.0, jnp.any(open_ends[0] | open_ends[1]), total

    def unfinished(state: Any) -> Any:
        return state[1] & (state[0] < _MOST)

    first = jnp.stack([z[:, 0] for z in terms(jnp.zeros_like(h)[:, None], e[:, None])])
    _, _, sums = jax.lax.while_loop(
        unfinished, body, (jnp.zeros((), h.dtype), jnp.array(True), first)
    )
    total, u, down, up = sums
    shape = jnp.zeros_like(y)
    theta = p + shape, a + shape, b + shape
    log_norm = gig_moments(*theta)[0]
    log_weight = log_density_value(y, *theta, log_norm) + jnp.log(y)
    log_tail = log_weight - base + jnp.log(h * total)
    means = jnp.log(y) + u / total, (1.0 + down / total) / y, (1.0 + up / total) * y
    return _Sums(log_tail, *means)


def _log_phi(Z: Any) -> Any:
    """Log of the normal distribution function, by its asymptotic series far below 0."""
    bound = -14.0 if Z.dtype == jnp.float64 else -6.0
    root = jnp.sqrt(jnp.asarray(2.0, Z.dtype))
    positive = jnp.log1p(-0.5 * erfc(jnp.maximum(Z, 0.0) / root))
    negative = jnp.log(0.5 * erfc(-jnp.clip(Z, bound, 0.0) / root))
    z = jnp.minimum(Z, bound)
    q, series = 1.0 / (z * z), 1.0
    for k in range(2 * _TERMS - 1, 0, -2):
        series = 1.0 - k * q * series
    far = -0.5 * z * z - jnp.log(-z) - 0.5 * jnp.log(2.0 * jnp.pi) + jnp.log(series)
    return jnp.where(Z > 0.0, positive, jnp.where(jnp.less(Z, bound), far, negative))


def _sinh_minus(u: Any) -> Any:
    """sinh u - u for |u| <= 1."""
    x, t = u * u, 1.0
    for n in (272.0, 210.0, 156.0, 110.0, 72.0, 42.0, 20.0):
        t = 1.0 + x / n * t
    return x * u / 6.0 * t


def _both(x: Any, law: Any) -> tuple[_Sums, Any]:
    """The smaller tail, and whether it is P(X <= x)."""
    lower, upper = _tail(x, law, 1.0), _tail(x, law, -1.0)
    is_lower = ~(lower.log_tail > upper.log_tail)
    return _Sums(*(jnp.where(is_lower, s, t) for s, t in zip(lower, upper, strict=True))), is_lower


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def log_tail(x: Any, law: Any, upper: bool) -> Any:
    """Log of P(X <= x), or of P(X > x), at (n,) points; law = (mu, gamma, sigma, p, a, b)."""
    inside = jnp.isfinite(x)
    sums, is_lower = _both(jnp.where(inside, x, law[0]), law)
    small = jnp.minimum(sums.log_tail, -1e-300)
    value = jnp.where(is_lower != upper, small, jnp.log1p(-jnp.exp(small)))
    at_end = jnp.where((x > 0.0) != upper, 0.0, -jnp.inf)
    return jnp.where(inside, value, jnp.where(jnp.isnan(x), jnp.nan, at_end))


@log_tail.defjvp
def _log_tail_jvp(upper: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, law = primals
    dx, d_law = tangents
    value = log_tail(x, law, upper)
    slopes = log_slopes(value, x, law, upper)
    tangent = slopes[0] * dx + sum(s * d for s, d in zip(slopes[1:], d_law, strict=True))
    return value, tangent


def log_slopes(value: Any, x: Any, law: Any, upper: bool) -> tuple[Any, ...]:
    """Derivatives of `log_tail` by x and by each parameter."""
    mu, gamma, sigma, p, a, b = law
    inside = jnp.isfinite(x) & (value > -jnp.inf)
    x = jnp.where(inside, x, mu)
    value = jnp.where(inside, value, 0.0)
    normal = NormalParameters(mu[None], gamma[None], sigma[None, None])
    log_density = e_step.log_prob(x[:, None], normal, jnp.stack([p, a, b]))
    side = -1.0 if upper else 1.0
    by_x = side * jnp.where(inside, jnp.exp(log_density - value), 0.0)
    w, g = (x - mu) / sigma, gamma / sigma
    shape = jnp.zeros_like(x)
    y = gig_moments(p - 0.5 + shape, a + g * g + shape, b + w * w)[3]
    by_gamma = -by_x * y
    by_sigma = -by_x * (x - mu - gamma * y) / sigma
    sums, is_lower = _both(x, law)
    _, log_y, inv_y, mean_y = gig_moments(p, a, b)
    # Of the smaller tail; the derivatives of the other one are the opposite.
    share = jnp.where(is_lower != upper, 1.0, -1.0) * jnp.exp(sums.log_tail - value)
    share = jnp.where(inside, share, 0.0)
    by_theta = (
        share * (sums.log_y - log_y),
        -0.5 * share * (sums.y - mean_y),
        -0.5 * share * (sums.inv_y - inv_y),
    )
    # A mean that is infinite at a limit has no derivative.
    by_theta = tuple(jnp.where(jnp.isfinite(s), s, 0.0) for s in by_theta)
    return (by_x, -by_x, by_gamma, by_sigma, *by_theta)
