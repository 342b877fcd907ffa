"""Maximise k . tau - A(k) over GIG laws of T with E[T] = E[1/T] = m, by safeguarded Newton steps.

As m -> 1, T tends to 1 and log T, T and 1/T become linearly dependent. So the statistics are
(t, e^t - 1 - t, e^-t - 1 + t), t = log T, of the orders of t, t^2 and t^2, with natural parameters
k = (p - a/2 + b/2, -a/2, -b/2) and expectations tau. The objective is concave; A is the log-norm.

Where m is large, E[T] and E[1/T] vary over decades, and log E[T] and log E[1/T] are nearly linear
in log a and log b: the equations, and the steps, are then taken in logarithms. Where m is moderate,
a step that would nearly reach a = 0 or b = 0 is damped, for the quadratic model knows nothing of
the boundary. A step is halved until the objective rises enough.
"""

from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends.jax.bessel.quadrature import basis, cumulants
from nvmix.backends.jax.gig.moments import mode_terms
from nvmix.backends.tolerances import ROUNDED

# Newton steps, halved ones included, that are tried.
_MAX_NEWTON: Final = 400
# Share of a step at which halving ends, and the step is taken whether it ascends or not.
_SMALLEST: Final = 1e-12
# Lower bound of pivots of a covariance of unit diagonal: smaller ones are rounding.
_PIVOT: Final = 1e-15
# m above which steps to the boundary are damped (they always are at a fixed p), and above which
# equations and steps are in logarithms.
_BROAD: Final = 1.05
_WIDE: Final = 2.0
# Product a b below which the boundary is reached.
_VANISHED: Final = 1e-280


# When a solve is done, in each precision, by its decrement, the squared length of a Newton step in
# standard deviations of the statistics. One below the first number is small enough; so is one below
# the second that no longer falls. The third is the largest relative error of E[T] and E[1/T]
# allowed. Below the last, full steps converge, while differences of the objective are rounding.
_TOLERANCES: Final = {
    "float64": (1e-26, 1e-14, 1e-10, 1e-8),
    "float32": (1e-12, 1e-8, 1e-4, 1e-4),
}


class Point(NamedTuple):
    """(p, a, b), the objective there, its gradient g (3,) and minus its Hessian h (3, 3) by k."""

    theta: Any
    value: Any
    g: Any
    h: Any


class _Search(NamedTuple):
    """State of the loop of `newton`: the best point, the share of its Newton step to try next.

    last is the squared decrement of the last step taken, residual the worst relative error of E[T]
    and E[1/T], inf after a failure. trials counts starts and steps tried.
    """

    point: Point
    size: Any
    last: Any
    residual: Any
    done: Any
    trials: Any


def evaluated(theta: Any, tau: Any) -> Point:
    """k . tau - A(k), without the cancellation between lnZ and (a + b) / 2, tau - E and Cov."""
    p, a, b = theta
    _, alpha, mode = mode_terms(p, a, b)
    log_integral, sizes, (mean, covariance) = cumulants(alpha, p, 2)
    mean, covariance = sizes * mean, sizes[:, None] * covariance * sizes[None]
    e, zero, one = jnp.exp(mode), jnp.zeros_like(mode), jnp.ones_like(mode)
    # The statistics at t = mode + u are an affine image of the same statistics at u.
    image = jnp.array([[one, zero, zero], [e - 1.0, e, zero], [1.0 - 1.0 / e, zero, 1.0 / e]])
    off = tau - jnp.stack(basis(mode))
    k = jnp.stack([p - 0.5 * (a - b), -0.5 * a, -0.5 * b])
    return Point(
        theta, jnp.sum(k * off) - log_integral, off - image @ mean, image @ covariance @ image.T
    )


def _solve(h: Any, g: Any) -> tuple[Any, Any]:
    """h^-1 g and g' h^-1 g by Cholesky of h scaled to unit diagonal, pivots at least `_PIVOT`."""
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
    """Newton step in (p, a, b) and its squared decrement.

    With fixed, p does not move. With damped, the curvature is raised where a or b would shrink.
    """
    off = jnp.stack([g[1] + g[0], g[2] - g[0]])
    # Newton's method for log E[T] and log E[1/T], nearly linear in log a and log b.
    expected = m - off
    off = jnp.where(m > _WIDE, expected * jnp.log(m / expected), off)
    if damped:
        # In log a and log b the objective has this much more curvature, where its gradient would
        # shrink them: the step stops short of the boundary.
        curvature = 2.0 * jnp.maximum(off, 0.0) / theta[1:]
        h = h + jnp.diag(jnp.concatenate([jnp.zeros_like(off[:1]), curvature]))
    if fixed:
        # dp = 0 is dk1 = dk2 - dk3: two free directions, along dk2 and dk3.
        free = jnp.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]], h.dtype)
        h = free @ h @ free.T + jnp.diag(jnp.array([1.0, 0.0, 0.0], h.dtype))
        x, decrement = _solve(h, jnp.concatenate([jnp.zeros_like(off[:1]), off]))
        return jnp.stack([0.0 * x[0], -2.0 * x[1], -2.0 * x[2]]), decrement
    x, decrement = _solve(h, jnp.stack([g[0], off[0] - g[0], off[1] + g[0]]))
    return jnp.stack([x[0] - x[1] + x[2], -2.0 * x[1], -2.0 * x[2]]), decrement


def _moved(theta: Any, step: Any, wide: Any) -> Any:
    """Theta + step; a and b move in the logarithm where they would halve, or m is large (wide)."""
    p, ab, dab = theta[:1] + step[:1], theta[1:], step[1:]
    log_moved = ab * jnp.exp(jnp.clip(dab / ab, -5.0, 5.0))
    straight = (dab > -0.5 * ab) & ~wide
    return jnp.concatenate([p, jnp.where(straight, ab + dab, log_moved)])


def _direction(point: Point, m: Any, fixed: bool) -> tuple[Any, Any]:
    """Newton step and its squared decrement, damped where it would nearly reach the boundary."""
    theta, _, g, h = point
    step, decrement = _step(theta, g, h, m, fixed, False)
    far = (m <= _WIDE) & ((m > _BROAD) | fixed)
    overshoots = far & jnp.any(theta[1:] + step[1:] <= 0.1 * theta[1:])
    damped_step, damped_decrement = _step(theta, g, h, m, fixed, True)
    step = jnp.where(overshoots, damped_step, step)
    return step, jnp.where(overshoots, damped_decrement, decrement)


def newton(tau: Any, starts: Any, fixed: bool, steps: int = _MAX_NEWTON) -> tuple[Point, Any]:
    """The best of the starts (k, 3), improved by Newton steps, and whether it is a solution.

    A turn of the loop evaluates one point, so that the objective is compiled once. The first k
    turns try the starts, of which those that are no laws are left out. Each of the other turns, as
    many as `steps`, tries the Newton step from the best point, or half of a step that did not
    ascend.
    """
    m, k = 1.0 + 0.5 * (tau[1] + tau[2]), len(starts)
    small, stalling, allowed, quadratic = _TOLERANCES[str(tau.dtype)]
    valid = jnp.all(starts[:, 1:] > 0.0, axis=1) & jnp.all(jnp.isfinite(starts), axis=1)

    def body(search: _Search) -> _Search:
        at, i = search.point, search.trials
        starting = i < k
        off = jnp.stack([at.g[1] + at.g[0], at.g[2] - at.g[0]])
        residual = jnp.max(jnp.abs(off)) / m
        step, decrement = _direction(at, m, fixed)
        stalled = (decrement <= stalling) & (decrement > 0.25 * search.last)
        finished = ((decrement <= small) | stalled) & (residual <= allowed)
        failed = ~(decrement >= 0.0) | (at.theta[1] * at.theta[2] < _VANISHED)
        moved = _moved(at.theta, search.size * step, m > _WIDE)
        number = jnp.minimum(i, k - 1)
        first = jnp.where(valid[number], starts[number], at.theta)
        trial = evaluated(jnp.where(starting, first, moved), tau)
        ascends = trial.value >= at.value + 1e-4 * search.size * decrement
        free = (decrement <= quadratic) | (search.size < _SMALLEST)
        better = valid[number] & (trial.value > at.value)
        taken = jnp.where(starting, better, (ascends | free) & ~finished & ~failed)
        return _Search(
            jax.tree.map(lambda new, old: jnp.where(taken, new, old), trial, at),
            jnp.where(starting | taken, 1.0, 0.5 * search.size),
            jnp.where(starting | ~taken, search.last, decrement),
            jnp.where(failed, jnp.inf, residual),
            ~starting & (finished | failed),
            i + 1,
        )

    one = jnp.ones_like(m)
    worst = Point(jnp.stack([0.0 * m, one, one]), -jnp.inf * one, jnp.zeros_like(tau), jnp.eye(3))
    worst = jax.tree.map(lambda x: x.astype(tau.dtype), worst)
    infinite = jnp.inf * one
    start = _Search(worst, one, infinite, infinite, jnp.array(False), jnp.int32(0))
    last = jax.lax.while_loop(lambda s: ~s.done & (s.trials < k + steps), body, start)
    tolerance = jnp.where(last.done, allowed, ROUNDED)
    return last.point, last.residual <= tolerance
