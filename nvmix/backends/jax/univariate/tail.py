"""Tails of a mixture of one column on JAX arrays, and their derivatives.

The formulas and the two kinds of nodes are those of
`nvmix/backends/cpu/kernels/univariate/tail.py`. Far terms are summed rather than taken as geometric
series. Derivatives of a tail are expectations: by x the density, by theta = (p, a, b) differences
of the means of log Y, -1 / (2 Y) and -Y / 2 in the tail and of all Y.
"""

import math
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc

from nvmix.backends.jax.em import e_step
from nvmix.backends.jax.gig.density import log_density_value
from nvmix.backends.jax.gig.moments import gig_moments, mode_terms
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
# Log of a tail from which the other one is tried.
_LARGE: Final = math.log(0.5) + 0.1
_NODES: Final = np.arange(1.0, _COUNT + 1.0)


class _Sums(NamedTuple):
    """Log of a tail, density / tail, and the means of log Y, 1/Y and Y in the tail."""

    log_tail: Any
    hazard: Any
    log_y: Any
    inv_y: Any
    y: Any


def _step(r: Any) -> Any:
    return 1.0 / jnp.sqrt(_BASE * (1.0 + _GROWTH * r))


def _tail(x: Any, law: Any, sign: Any) -> _Sums:  # noqa: PLR0915
    """Tails of signs (n,), 1 for P(X <= x) and -1 for P(X > x), at (n,) finite points."""
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
    base = jnp.where((Z_y < 0.0) & ~is_wide, -_normal_tail(Z_y)[0], 0.0)

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
        log_phi, hazard = _normal_tail(Z)
        value = weight * jnp.exp(jnp.minimum(exponent + log_phi + base[:, None], 650.0))
        counted = value > 0.0
        density = jnp.where(counted, value * hazard * jnp.exp(-half), 0.0)
        return value, density, *(jnp.where(counted, value * z, 0.0) for z in (u, down, up))

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
    total, density, u, down, up = sums
    shape = jnp.zeros_like(y)
    theta = p + shape, a + shape, b + shape
    log_norm = gig_moments(*theta)[0]
    log_weight = log_density_value(y, *theta, log_norm) + jnp.log(y)
    log_tail = log_weight - base + jnp.log(h * total)
    hazard = density / total / scale
    means = jnp.log(y) + u / total, (1.0 + down / total) / y, (1.0 + up / total) * y
    return _Sums(log_tail, hazard, *means)


def _normal_tail(Z: Any) -> tuple[Any, Any]:
    """Log of Phi, by its asymptotic series far below 0, and density / Phi."""
    bound = -14.0 if Z.dtype == jnp.float64 else -6.0
    root = jnp.sqrt(jnp.asarray(2.0, Z.dtype))
    positive = jnp.log1p(-0.5 * erfc(jnp.maximum(Z, 0.0) / root))
    negative = jnp.log(0.5 * erfc(-jnp.clip(Z, bound, 0.0) / root))
    z = jnp.minimum(Z, bound)
    q, series = 1.0 / (z * z), 1.0
    for k in range(2 * _TERMS - 1, 0, -2):
        series = 1.0 - k * q * series
    far = -0.5 * z * z - jnp.log(-z) - 0.5 * jnp.log(2.0 * jnp.pi) + jnp.log(series)
    is_far = jnp.less(Z, bound)
    log_phi = jnp.where(Z > 0.0, positive, jnp.where(is_far, far, negative))
    near = jnp.maximum(Z, bound)
    hazard = jnp.exp(-0.5 * near * near - jnp.where(is_far, 0.0, log_phi))
    return log_phi, jnp.where(is_far, -z / series, hazard / jnp.sqrt(2.0 * jnp.pi))


def _sinh_minus(u: Any) -> Any:
    """sinh u - u for |u| <= 1."""
    x, t = u * u, 1.0
    for n in (272.0, 210.0, 156.0, 110.0, 72.0, 42.0, 20.0):
        t = 1.0 + x / n * t
    return x * u / 6.0 * t


def _small_tail(x: Any, law: Any) -> tuple[_Sums, Any]:
    """The tail that is about 1/2 or less, and whether it is P(X <= x).

    It is the one on the side of x from the mode; where that is more, the other one.
    """
    mu, gamma, _, p, a, b = law
    mode = mu + gamma * jnp.exp(mode_terms(p, a, b)[2])

    # A loop of one turn or two, so that XLA compiles one tail.
    def body(state: Any) -> Any:
        turn, sign, best, best_sign, _ = state
        sums = jnp.stack(_tail(x, law, sign))
        is_less = ~(sums[0] >= best[0])
        best, best_sign = jnp.where(is_less, sums, best), jnp.where(is_less, sign, best_sign)
        is_more = best[0] > _LARGE
        return turn + 1, jnp.where(is_more, -sign, sign), best, best_sign, jnp.any(is_more)

    sign = jnp.where(x < mode, jnp.ones_like(x), -jnp.ones_like(x))
    no_sums = jnp.full((len(_Sums._fields), *x.shape), jnp.inf, x.dtype)
    start = 0, sign, no_sums, sign, jnp.array(True)
    _, _, best, sign, _ = jax.lax.while_loop(lambda s: (s[0] < 2) & s[4], body, start)
    return _Sums(*best), sign > 0.0


def log_tails(x: Any, law: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Log and density / tail of P(X <= x) and of P(X > x), at (n,) points.

    law = (mu, gamma, sigma, p, a, b).
    """
    inside = jnp.isfinite(x)
    sums, is_lower = _small_tail(jnp.where(inside, x, law[0]), law)
    small = jnp.minimum(sums.log_tail, -1e-300)
    large = jnp.log1p(-jnp.exp(small))
    lower, upper = jnp.where(is_lower, small, large), jnp.where(is_lower, large, small)
    full, none = (jnp.where(jnp.isnan(x), x, end) for end in (0.0, -jnp.inf))
    at_ends = jnp.where(x > 0.0, full, none), jnp.where(x > 0.0, none, full)
    lower, upper = (jnp.where(inside, *z) for z in zip((lower, upper), at_ends, strict=True))
    by_lower, by_upper = (sums.hazard * jnp.exp(small - tail) for tail in (lower, upper))
    return (lower, by_lower), (upper, by_upper)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def log_tail(x: Any, law: Any, upper: bool) -> Any:
    """Log of P(X <= x), or of P(X > x), by `log_tails`."""
    return log_tails(x, law)[int(upper)][0]


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
    sums, is_lower = _small_tail(x, law)
    _, log_y, inv_y, mean_y = gig_moments(p, a, b)
    # Of the small tail; the derivatives of the other one are the opposite.
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
