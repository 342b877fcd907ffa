"""Maximise k . tau - A(k) over the GIG laws of T, E[T] = E[1/T] = m, by safeguarded Newton steps.

tau are the expectations of (t, e^t - 1 - t, e^-t - 1 + t), t = log T, whose natural parameters are
k = (p - a/2 + b/2, -a/2, -b/2); the objective is concave.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends._tolerances import ROUNDED
from nvmix.backends.jax._gig import mode_terms
from nvmix.backends.jax._quadrature import basis, cumulants, means

_MAX_NEWTON: Final = 300
_MAX_HALVINGS: Final = 40
# Smallest pivot of a unit-diagonal covariance that is not rounding.
_PIVOT: Final = 1e-15
# sqrt(E[Y] E[1/Y]) beyond which steps to the boundary are damped, and on logarithms.
_BROAD: Final = 1.05
_WIDE: Final = 2.0
# Product of a and b that counts as having reached the boundary.
_VANISHED: Final = 1e-280


class Tolerances(NamedTuple):
    """When a solve is finished, in one precision.

    Attributes
    ----------
    decrement : float
        Squared Newton decrement, in standard deviations of the statistics, of a finished solve.
    stalled : float
        One below which a decrement that stopped falling is at the rounding of its statistics.
    residual : float
        Largest relative error of E[Y] and E[1/Y].
    quadratic : float
        Decrement below which full steps converge and the objective only shows rounding.
    """

    decrement: float
    stalled: float
    residual: float
    quadratic: float


_TOLERANCES: Final = {
    "float64": Tolerances(1e-26, 1e-14, 1e-10, 1e-8),
    "float32": Tolerances(1e-12, 1e-8, 1e-4, 1e-4),
}


class _Search(NamedTuple):
    """A Newton iteration under way."""

    theta: Any
    value: Any
    decrement: Any
    residual: Any
    done: Any
    steps: Any


def statistics_basis(t: Any) -> Any:
    """(t, e^t - 1 - t, e^-t - 1 + t)."""
    return jnp.stack(basis(t))


def natural(theta: Any) -> Any:
    """k = (p - a/2 + b/2, -a/2, -b/2)."""
    p, a, b = theta
    return jnp.stack([p - 0.5 * (a - b), -0.5 * a, -0.5 * b])


def objective(theta: Any, tau: Any) -> Any:
    """k . tau - A(k), free of the cancellation between lnZ and (a + b) / 2."""
    _, alpha, mode = mode_terms(*theta)
    k = natural(theta)
    return jnp.sum(k * (tau - statistics_basis(mode))) - means(alpha, theta[0])[0]


def derivatives(theta: Any, tau: Any) -> tuple[Any, Any]:
    """Gradient tau - E and Hessian Cov of A(k)."""
    p, a, b = theta
    _, alpha, mode = mode_terms(p, a, b)
    sizes, (mean, covariance) = cumulants(alpha, p, 2)
    mean, covariance = sizes * mean, sizes[:, None] * covariance * sizes[None]
    e, zero, one = jnp.exp(mode), jnp.zeros_like(mode), jnp.ones_like(mode)
    # The statistics at t = mode + u are an affine image of the same statistics at u.
    image = jnp.array([[one, zero, zero], [e - 1.0, e, zero], [1.0 - 1.0 / e, zero, 1.0 / e]])
    return tau - (statistics_basis(mode) + image @ mean), image @ covariance @ image.T


def _solve(h: Any, g: Any) -> tuple[Any, Any]:
    """h^-1 g and g' h^-1 g of order 3 by Cholesky at unit diagonal, pivots never below rounding."""
    d = jnp.sqrt(jnp.diag(h))
    u, y = h / jnp.outer(d, d), g / d
    l22 = jnp.sqrt(jnp.maximum(1.0 - u[1, 0] ** 2, _PIVOT))
    l32 = (u[2, 1] - u[2, 0] * u[1, 0]) / l22
    l33 = jnp.sqrt(jnp.maximum(1.0 - u[2, 0] ** 2 - l32**2, _PIVOT))
    y2 = (y[1] - u[1, 0] * y[0]) / l22
    y3 = (y[2] - u[2, 0] * y[0] - l32 * y2) / l33
    x3 = y3 / l33
    x2 = (y2 - l32 * x3) / l22
    x1 = y[0] - u[1, 0] * x2 - u[2, 0] * x3
    return jnp.stack([x1, x2, x3]) / d, y[0] ** 2 + y2**2 + y3**2


def _step(theta: Any, g: Any, h: Any, m: Any, fixed: bool, damped: bool) -> tuple[Any, Any]:
    """Newton step in (p, a, b), p held when fixed, and its squared decrement."""
    off = jnp.stack([g[1] + g[0], g[2] - g[0]])
    # log E[T] and log E[1/T] are nearly linear in log a and log b, E[T] and E[1/T] are not.
    expected = m - off
    off = jnp.where(m > _WIDE, expected * jnp.log(m / expected), off)
    if damped:
        # Curvature in log a and log b where the gradient shrinks them keeps the step modest.
        curvature = 2.0 * jnp.maximum(off, 0.0) / theta[1:]
        h = h + jnp.diag(jnp.concatenate([jnp.zeros_like(off[:1]), curvature]))
    if fixed:
        # dp = 0 leaves the directions dk2 and dk3 with dk1 = dk2 - dk3.
        free = jnp.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]], h.dtype)
        h = free @ h @ free.T + jnp.diag(jnp.array([1.0, 0.0, 0.0], h.dtype))
        x, decrement = _solve(h, jnp.concatenate([jnp.zeros_like(off[:1]), off]))
        return jnp.stack([0.0 * x[0], -2.0 * x[1], -2.0 * x[2]]), decrement
    x, decrement = _solve(h, jnp.stack([g[0], off[0] - g[0], off[1] + g[0]]))
    return jnp.stack([x[0] - x[1] + x[2], -2.0 * x[1], -2.0 * x[2]]), decrement


def _moved(theta: Any, step: Any, wide: Any) -> Any:
    """Theta + step, a and b moved in the logarithm where they shrink or the law is wide."""
    p, ab, dab = theta[:1] + step[:1], theta[1:], step[1:]
    log_moved = ab * jnp.exp(jnp.clip(dab / ab, -5.0, 5.0))
    straight = (dab > -0.5 * ab) & ~wide
    return jnp.concatenate([p, jnp.where(straight, ab + dab, log_moved)])


def _ascended(search: _Search, step: Any, decrement: Any, tau: Any, wide: Any) -> tuple[Any, Any]:
    """Halve the step until the objective rises enough; the new theta and its objective."""
    quadratic = _TOLERANCES[str(tau.dtype)].quadratic

    def halve(state: tuple[Any, ...]) -> tuple[Any, ...]:
        size, i = state[:2]
        theta = _moved(search.theta, size * step, wide)
        value = objective(theta, tau)
        enough = (value >= search.value + 1e-4 * size * decrement) | (decrement <= quadratic)
        return 0.5 * size, i + 1, theta, value, enough

    def short(state: tuple[Any, ...]) -> Any:
        return ~state[4] & (state[1] < _MAX_HALVINGS)

    start = (jnp.ones_like(decrement), 0, search.theta, search.value, jnp.array(False))
    return jax.lax.while_loop(short, halve, start)[2:4]


def newton(tau: Any, theta: Any, value: Any, fixed: bool) -> tuple[Any, Any]:
    """Theta and whether it solves, from an interior start and its objective."""
    m = 1.0 + 0.5 * (tau[1] + tau[2])
    wide = m > _WIDE
    end = _TOLERANCES[str(tau.dtype)]

    def body(search: _Search) -> _Search:
        theta = search.theta
        g, h = derivatives(theta, tau)
        residual = jnp.maximum(jnp.abs(g[1] + g[0]), jnp.abs(g[2] - g[0])) / m
        step, decrement = _step(theta, g, h, m, fixed, False)
        overshoots = (m > _BROAD) & ~wide & jnp.any(theta[1:] + step[1:] <= 0.1 * theta[1:])
        damped_step, damped_decrement = _step(theta, g, h, m, fixed, True)
        step = jnp.where(overshoots, damped_step, step)
        decrement = jnp.where(overshoots, damped_decrement, decrement)
        stalled = (decrement <= end.stalled) & (decrement > 0.25 * search.decrement)
        finished = ((decrement <= end.decrement) | stalled) & (residual <= end.residual)
        lost = ~(decrement >= 0.0) | (theta[1] * theta[2] < _VANISHED)
        done = finished | lost
        # A finished search takes no further step: a decrement of 0 moves nothing.
        moved, new = _ascended(search, jnp.where(done, 0.0, step), decrement, tau, wide)
        return _Search(
            jnp.where(done, theta, moved),
            jnp.where(done, search.value, new),
            decrement,
            jnp.where(lost, jnp.inf, residual),
            done,
            search.steps + 1,
        )

    infinite = jnp.full_like(value, jnp.inf)
    start = _Search(theta, value, infinite, infinite, jnp.array(False), 0)
    last = jax.lax.while_loop(lambda s: ~s.done & (s.steps < _MAX_NEWTON), body, start)
    return last.theta, last.residual <= jnp.where(last.done, end.residual, ROUNDED)
