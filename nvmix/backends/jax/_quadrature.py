"""Expectations under a GIG law by the trapezoidal rule in log Y, on JAX arrays.

With Y = y0 e^u and y0 the mode, u has the density
w(u) = exp(-alpha (cosh u - 1) - v (e^u - 1 - u)) for p >= 0, mirrored for p < 0, v = |p|,
r = sqrt(p^2 + a b) and alpha = r - v. Every lane takes its own step; the loop runs until the
last lane's terms are negligible.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

# h^-2 = 20 + 2.2 r keeps the discretisation error below 1e-16 for every p and a b.
_BASE = 20.0
_GROWTH = 0.11
# Terms below e^-40 of the largest, weights e^u and e^2u included, are left out.
_CUT = -40.0
_FARTHEST = 1500.0
_SMALL = 0.5


def exp_minus_linear(u: Any) -> Any:
    """e^u - 1 - u without cancellation."""
    series = jnp.ones_like(u)
    for n in range(18, 2, -1):
        series = 1.0 + series * u / n
    small = jnp.abs(u) < _SMALL
    return jnp.where(small, 0.5 * u * u * series, jnp.expm1(u) - u)


def _weighted_sums(alpha: Any, p: Any, integrands: Any, slack: float) -> tuple[Any, Any]:
    """Step h and the sums over u = j h of w times each member of integrands(u, up, down).

    `slack` is the largest multiple of |u| in the logarithms of the integrands.
    """
    v = jnp.abs(p)
    mirrored = p < 0.0
    h = 1.0 / jnp.sqrt(_BASE * (1.0 + _GROWTH * (alpha + v)))

    def term(size: Any, right: bool) -> tuple[Any, Any]:
        up, down = exp_minus_linear(size), exp_minus_linear(-size)
        log_w = -alpha * 0.5 * (up + down) - v * (up if right else down)
        kept = log_w + slack * size > _CUT
        w = jnp.where(kept, jnp.exp(log_w), 0.0)
        # On the left and in the mirror image u = -|u|; the two cancel.
        flip = jnp.logical_xor(mirrored, not right)
        u = jnp.where(flip, -size, size)
        values = integrands(u, jnp.where(flip, down, up), jnp.where(flip, up, down))
        # 0 times an overflowed integrand would be nan.
        return kept, jnp.stack([jnp.where(kept, w * value, 0.0) for value in values])

    def body(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        j, _, sums = state
        size = j * h
        right_kept, right = term(size, True)
        left_kept, left = term(size, False)
        return (
            j + 1,
            jnp.any(right_kept | left_kept) & jnp.any(size < _FARTHEST),
            sums + right + left,
        )

    zero = jnp.zeros_like(alpha + p)
    start = jnp.stack([value + zero for value in integrands(zero, zero, zero)])
    _, _, sums = jax.lax.while_loop(lambda state: state[1], body, (1, True, start))
    return h, sums


def means(alpha: Any, p: Any) -> tuple[Any, Any, Any, Any]:
    """Log of the integral of w, and the means of e^u - 1, e^-u - 1 and u; error 4e-15 relative."""
    h, (s0, up, down, u) = _weighted_sums(
        alpha, p, lambda u, up, down: (jnp.ones_like(u), up + u, down - u, u), 1.0
    )
    return jnp.log(s0 * h), up / s0, down / s0, u / s0


def covariances(alpha: Any, p: Any) -> tuple[Any, Any]:
    """Means (3, ...) and covariances (3, 3, ...) of (u, e^u - 1 - u, e^-u - 1 + u)."""

    def integrands(u: Any, up: Any, down: Any) -> tuple[Any, ...]:
        products = (u * u, u * up, u * down, up * up, up * down, down * down)
        return (jnp.ones_like(u), u, up, down, *products)

    _, sums = _weighted_sums(alpha, p, integrands, 2.0)
    mean = sums[1:4] / sums[0]
    # Every statistic is of the order of its own spread, so raw second moments keep their digits.
    second = sums[4:] / sums[0]
    full = second[jnp.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])]
    return mean, full - mean[:, None] * mean[None, :]
