"""Quantiles of a mixture of one column on JAX arrays, and their derivatives.

As in `nvmix/backends/cpu/kernels/univariate/quantile.py`, T of x = centre + scale sinh T is found
by Newton's method within a bracket. Derivatives follow from those of the tail.
"""

from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp

from nvmix.backends.jax.gig.moments import mode_terms
from nvmix.backends.jax.univariate.tail import log_slopes, log_tails

_MOST: Final = 100
# A step of T after which the next one is rounding, and the relative difference of the log of a tail
# from its goal that such a step makes up.
_LAST: Final = 1e-8
_CLOSE: Final = 1e-5


def _frame(law: Any) -> tuple[Any, Any, Any]:
    """(centre, scale), and the T of a deviation from the centre of the size of the law."""
    mu, gamma, sigma, p, a, b = law
    r, _, log_mode = mode_terms(p, a, b)
    m = jnp.exp(log_mode)
    size = sigma * jnp.sqrt(m) + jnp.abs(gamma) * m / jnp.sqrt(1.0 + r)
    tiny = jnp.finfo(size.dtype).tiny ** 0.6
    ratio = jnp.where(b > 0.0, 1.0, tiny)
    return jnp.where(b > 0.0, mu + gamma * m, mu), size * ratio, jnp.arcsinh(1.0 / ratio)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def quantile(q: Any, law: Any, upper: bool) -> Any:
    """x with P(X <= x) = q, or P(X > x) = q, at (n,) probabilities; nan outside [0, 1]."""
    inside = (q > 0.0) & (q < 1.0)
    share = jnp.where(inside, q, 0.5)
    is_lower = (share <= 0.5) != upper
    goal = jnp.where(share <= 0.5, jnp.log(share), jnp.log1p(-share))
    sign = jnp.where(is_lower, 1.0, -1.0)
    centre, scale, T_size = _frame(law)
    eps = jnp.finfo(q.dtype).eps
    farthest = 2.0 * jnp.log(jnp.finfo(q.dtype).max) * jnp.ones_like(q)

    def body(state: Any) -> Any:
        turn, T, low, high, last, moving, result = state
        x = centre + scale * jnp.sinh(T)
        lower, upper = log_tails(x, law)
        values, hazard = (jnp.where(is_lower, *z) for z in zip(lower, upper, strict=True))
        excess = sign * (values - goal)
        high = jnp.where(excess >= 0.0, T, high)
        low = jnp.where(excess <= 0.0, T, low)
        near = scale * jnp.cosh(T)
        slope = hazard * near
        step, least = -excess / slope, 8.0 * eps * (1.0 + jnp.abs(T))
        proposal = T + step
        good = (low <= proposal) & (proposal <= high) & (jnp.abs(step) < 0.7 * last)
        good &= slope < jnp.inf
        # Where a step is short though the tail is another one, the slope is rounding.
        good &= (jnp.abs(step) > least) | (jnp.abs(excess) <= _CLOSE * (1.0 + jnp.abs(goal)))
        step = jnp.where(good, step, 0.5 * (low + high) - T)
        # Not far out at once, where tails take long, at all points.
        most = T_size + 2.0 + 2.0 * jnp.maximum(jnp.abs(T) - T_size, 0.0)
        step = jnp.clip(step, -most - T, most - T)
        last = jnp.where(good, jnp.abs(step), jnp.inf)
        # A point that has arrived stays: the next step is rounding, which may be no smaller.
        # A short step leaves x without the rounding of T.
        is_short = (jnp.abs(step) <= _LAST) & (near < jnp.inf)
        next_x = jnp.where(is_short, x + step * near, centre + scale * jnp.sinh(T + step))
        T, result = jnp.where(moving, T + step, T), jnp.where(moving, next_x, result)
        moving &= jnp.abs(step) > least
        return turn + 1, T, low, high, last, moving, result

    # Where b = 0, T = 0 is mu, and may be a pole.
    first = jnp.where(law[-1] > 0.0, 0.0, -sign * T_size)
    start = (
        *(0, first, -farthest, farthest),
        *(jnp.full_like(q, jnp.inf), jnp.isfinite(q), jnp.full_like(q, jnp.nan)),
    )
    x = jax.lax.while_loop(lambda s: jnp.any(s[5]) & (s[0] < _MOST), body, start)[6]
    at_end = jnp.where((q == 0.0) != upper, -jnp.inf, jnp.inf)
    ends = jnp.where((q == 0.0) | (q == 1.0), at_end, jnp.nan)
    return jnp.where(inside, x, ends)


@quantile.defjvp
def _quantile_jvp(upper: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    q, law = primals
    dq, d_law = tangents
    x = quantile(q, law, upper)
    by_x, *by_law = log_slopes(jnp.log(q), x, law, upper)
    safe = jnp.where(by_x != 0.0, by_x, 1.0)
    moved = dq / jnp.where(q > 0.0, q, 1.0) - sum(s * d for s, d in zip(by_law, d_law, strict=True))
    return x, jnp.where(by_x != 0.0, moved / safe, 0.0)
