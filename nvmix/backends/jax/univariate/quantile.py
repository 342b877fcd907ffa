"""Quantiles of a mixture of one column on JAX arrays, and their derivatives.

As in `nvmix/backends/cpu/kernels/univariate/quantile.py`, T of x = centre + scale sinh T is found
by Newton's method within a bracket. Derivatives follow from those of the tail.
"""

from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp

from nvmix.backends.jax.em import e_step
from nvmix.backends.jax.gig.moments import mode_terms
from nvmix.backends.jax.univariate.tail import log_slopes, log_tail
from nvmix.backends.types import NormalParameters

_MOST: Final = 100


def _frame(law: Any) -> tuple[Any, Any]:
    """(centre, scale)."""
    mu, gamma, sigma, p, a, b = law
    r, _, log_mode = mode_terms(p, a, b)
    m = jnp.exp(log_mode)
    size = sigma * jnp.sqrt(m) + jnp.abs(gamma) * m / jnp.sqrt(1.0 + r)
    tiny = jnp.finfo(size.dtype).tiny ** 0.6
    return jnp.where(b > 0.0, mu + gamma * m, mu), jnp.where(b > 0.0, size, size * tiny)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def quantile(q: Any, law: Any, upper: bool) -> Any:
    """x with P(X <= x) = q, or P(X > x) = q, at (n,) probabilities; nan outside [0, 1]."""
    inside = (q > 0.0) & (q < 1.0)
    share = jnp.where(inside, q, 0.5)
    is_lower = (share <= 0.5) != upper
    goal = jnp.where(share <= 0.5, jnp.log(share), jnp.log1p(-share))
    sign = jnp.where(is_lower, 1.0, -1.0)
    centre, scale = _frame(law)
    normal = NormalParameters(law[0][None], law[1][None], law[2][None, None])
    eps = jnp.finfo(q.dtype).eps
    farthest = 2.0 * jnp.log(jnp.finfo(q.dtype).max) * jnp.ones_like(q)

    def body(state: Any) -> Any:
        turn, T, low, high, last, _ = state
        x = centre + scale * jnp.sinh(T)
        values = jnp.where(is_lower, log_tail(x, law, False), log_tail(x, law, True))
        excess = sign * (values - goal)
        high = jnp.where(excess >= 0.0, T, high)
        low = jnp.where(excess <= 0.0, T, low)
        log_density = e_step.log_prob(
            jnp.where(jnp.isfinite(x), x, centre)[:, None], normal, jnp.stack(law[3:])
        )
        slope = jnp.exp(log_density - values) * scale * jnp.cosh(T)
        step = -excess / slope
        proposal = T + step
        good = (low <= proposal) & (proposal <= high) & (jnp.abs(step) < 0.7 * last)
        # Far out the difference of two logs is rounding, and its exponential may overflow.
        good &= slope < jnp.inf
        step = jnp.where(good, step, 0.5 * (low + high) - T)
        last = jnp.where(good, jnp.abs(step), jnp.inf)
        moving = jnp.abs(step) > 8.0 * eps * (1.0 + jnp.abs(T))
        return turn + 1, T + step, low, high, last, jnp.any(moving)

    start = (
        *(0, jnp.zeros_like(q), -farthest, farthest),
        *(jnp.full_like(q, jnp.inf), jnp.array(True)),
    )
    T = jax.lax.while_loop(lambda s: s[5] & (s[0] < _MOST), body, start)[1]
    x = centre + scale * jnp.sinh(T)
    at_end = jnp.where((q == 0.0) != upper, -jnp.inf, jnp.inf)
    ends = jnp.where((q == 0.0) | (q == 1.0), at_end, jnp.nan)
    return jnp.where(inside, x, ends)


@quantile.defjvp
def _quantile_jvp(upper: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    q, law = primals
    dq, d_law = tangents
    x = quantile(q, law, upper)
    by_x, *by_law = log_slopes(log_tail(x, law, upper), x, law, upper)
    safe = jnp.where(by_x != 0.0, by_x, 1.0)
    moved = dq / jnp.where(q > 0.0, q, 1.0) - sum(s * d for s, d in zip(by_law, d_law, strict=True))
    return x, jnp.where(by_x != 0.0, moved / safe, 0.0)
