"""The EM loop as one JAX program: data stays on the device, one transfer ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends.jax.em.acceleration import (
    Frame,
    Trail,
    frame_of,
    means_of,
    new_trail,
    propose,
    reject,
    statistics_of,
)
from nvmix.backends.jax.em.e_step import Rows, e_step, inverse_lower, whitened
from nvmix.backends.jax.em.m_step import RUNNING, Model, displacement, m_step
from nvmix.backends.jax.gig.moments import law_and_covariance
from nvmix.backends.jax.gig.series import moments_along
from nvmix.backends.tolerances import DOMINANT, FALL, NEAR, NEGLIGIBLE, NO_GAIN, QUIET, ROUNDING
from nvmix.backends.types import Course, Ending, Fixed, Gaussian

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvmix.foundation.statistics import SufficientStatistics


class Task(NamedTuple):
    """A `Plan` for rows in so many blocks; the last three may be traced."""

    fixed: Fixed
    method: str
    rule: Callable[..., SufficientStatistics] | None
    acceleration: str
    blocks: int
    by_likelihood: Any
    max_iter: Any
    tol: Any


class Step(NamedTuple):
    """A step not yet accepted: where it leads, its size, its worth, and how the M-step failed."""

    model: Model
    change: Any
    worth: Any
    failure: Any


class Pace(NamedTuple):
    """How far a fit has come.

    Attributes
    ----------
    log_likelihood, gain : () array
        Mean log-likelihood of the last model accepted, and what that gained.
    plain, quiet : () array
        Plain steps in a row, and iterations in a row that foretell a gain below tol.
    steps, passes : () array
        Iterations, and passes over the data.
    """

    log_likelihood: Any
    gain: Any
    plain: Any
    quiet: Any
    steps: Any
    passes: Any


class State(NamedTuple):
    """A fit under way: the last model accepted, a step from it, and what makes the next one."""

    last: Model
    step: Step
    pace: Pace
    trail: Trail | None
    eta: Any
    log_likelihoods: Any
    changes: Any
    ending: Any

    @property
    def extrapolated(self) -> Any:
        """Whether the step is not EM's own."""
        return jnp.array(False) if self.trail is None else self.trail.extrapolated


def _select(condition: Any, yes: Any, no: Any) -> Any:
    """One of two equal structures."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), yes, no)


def _combined(task: Task, before: Any, batch: SufficientStatistics, steps: Any) -> Any:
    """The statistics that the rule makes of a batch and of those before, if there are any."""
    if task.rule is None:
        return batch
    return _select(steps == 0, task.rule(None, batch, 0), task.rule(before, batch, steps))


def _next_statistics(
    task: Task, frame: Frame | None, trail: Trail | None, eta: SufficientStatistics, rejected: Any
) -> tuple[SufficientStatistics, Trail | None]:
    """What the M-step is to invert: extrapolated from eta, or EM's own where that was rejected."""
    if frame is None or trail is None:
        return eta, None
    onward = propose(trail, means_of(eta, frame), frame.metric, task.acceleration)
    trail = _select(rejected, reject(trail), onward)
    return statistics_of(trail.used, frame), trail


def _step(task: Task, eta: SufficientStatistics, last: Model) -> Step:
    """The step from a model to the maximiser for eta; none where there is no such law."""
    new, failure = m_step(eta, last.theta, task.fixed, task.method)
    change, worth = displacement(last, new)
    failure = jnp.where((failure == RUNNING) & jnp.isnan(change), Ending.DEGENERATE, failure)
    model = _select(failure == RUNNING, new, last)
    return Step(model, change, worth, failure.astype(jnp.int32))


def _left(gain: Any, previous: Any, size: Any) -> Any:
    """What a geometric series still gains after two of its terms (Aitken)."""
    known = (gain < previous) & (previous < jnp.inf)
    left = jnp.where(known, gain * gain / (previous - gain), jnp.inf)
    return jnp.where(gain <= NO_GAIN * size, 0.0, left)


def _at_rest(fixed: Fixed, theta: Any) -> Any:
    """The ending where the parameters have settled: on a boundary, or inside."""
    _, a, b = theta
    ending = jnp.int32(Ending.CONVERGED)
    if fixed.a is None:
        ending = jnp.where(a == 0.0, Ending.SKEW_T_LIMIT, ending)
    if fixed.b is None:
        ending = jnp.where(b == 0.0, Ending.VARIANCE_GAMMA_LIMIT, ending)
    return ending


def _accepted(task: Task, state: State, log_likelihood: Any) -> Pace:
    """How far the fit has come once its step is accepted; the start is one that led nowhere."""
    pace = state.pace
    counted = (pace.passes > 0).astype(jnp.int32)
    gain = log_likelihood - pace.log_likelihood
    plain = jnp.where(state.extrapolated, 0, pace.plain + counted)
    left = _left(gain, pace.gain, jnp.abs(log_likelihood))
    left = jnp.where(state.extrapolated, state.step.worth, left)
    quiet = jnp.where(left < task.tol, pace.quiet + 1, 0)
    foretold = state.extrapolated | (plain > 1)
    return Pace(
        log_likelihood,
        gain,
        plain,
        jnp.where(foretold, quiet, pace.quiet),
        pace.steps + counted,
        pace.passes,
    )


def _arrived(task: Task, step: Step, pace: Pace) -> Any:
    """The ending, if the step just accepted is the last."""
    rest = jnp.where(task.by_likelihood, pace.quiet >= QUIET, step.change < task.tol)
    limit = jnp.where(pace.steps >= task.max_iter, Ending.MAX_ITER, RUNNING)
    return jnp.where(rest, _at_rest(task.fixed, step.model.theta), limit)


def _turn(task: Task, rows: Rows, frame: Frame | None, state: State) -> State:
    """The E-step of a step, which accepts or rejects it, and the M-step of the next one."""
    model, _, _, failure = state.step
    batch = e_step(rows, model.block, model.theta, model.law[0], task.blocks)
    proper = failure == RUNNING
    value = jnp.where(proper, batch.log_likelihood / batch.weight, jnp.nan)
    best = state.pace.log_likelihood
    rejected = state.extrapolated & ~(value >= best - ROUNDING * jnp.abs(best))
    fell = value < best - FALL * jnp.abs(best) if task.rule is None else jnp.array(False)
    accepted = ~rejected & ~fell & jnp.isfinite(value)
    pace = _select(accepted, _accepted(task, state, value), state.pace._replace(quiet=0))
    infinite = jnp.where(value == jnp.inf, Ending.UNBOUNDED, Ending.NON_FINITE)
    ending = jnp.where(proper, jnp.where(fell, Ending.DEGENERATE, infinite), failure)
    ending = jnp.where(accepted, _arrived(task, state.step, pace), ending)
    last = _select(accepted, model, state.last)
    eta = _combined(task, state.eta, batch, pace.steps)
    used, trail = _next_statistics(task, frame, state.trail, eta, rejected)
    counted = pace.steps > state.pace.steps

    def noted(history: Any, entry: Any) -> Any:
        return history.at[state.pace.steps].set(jnp.where(counted, entry, jnp.nan))

    return State(
        last,
        _step(task, used, last),
        pace._replace(passes=pace.passes + proper.astype(jnp.int32)),
        trail,
        eta if task.rule else (),
        noted(state.log_likelihoods, best),
        noted(state.changes, state.step.change),
        jnp.where(rejected, RUNNING, ending).astype(jnp.int32),
    )


def rows_rule(rows: Rows, block: Gaussian, theta: Any) -> Any:
    """Whether b is negligible and the rows nearest to mu carry half of all E[1/Y]."""
    p, a, b = theta
    w, counted = whitened(rows.values, block), rows.weights > 0.0
    q = jnp.sum(w * w, axis=1)
    mean = jnp.sum(jnp.where(counted, rows.weights * q, 0.0)) / jnp.sum(rows.weights)
    g = inverse_lower(block.L) @ block.gamma
    inv_y = moments_along(p - 0.5 * block.mu.size, a + g @ g, b + q)[2]
    inv_y = jnp.where(counted, rows.weights * inv_y, 0.0)
    nearest = jnp.min(jnp.where(counted, q, jnp.inf))
    near = counted & (q <= jnp.minimum(4.0 * nearest, NEAR * mean))
    total = jnp.sum(inv_y)
    shared = (jnp.sum(jnp.where(near, inv_y, 0.0)) < DOMINANT * total) & (total < jnp.inf)
    return (b <= NEGLIGIBLE * mean) & ~shared


def may_be_at_pole(model: Model) -> Any:
    """Whether `judged` has to look at the rows: b is small beside E[Y] and the order is."""
    p, _, b = model.theta
    d = model.block.mu.size
    return (p - 0.5 * d < 1.0) & ~(b > 100.0 * NEGLIGIBLE * d * model.law[3])


def judged(rows: Rows, last: State) -> Course:
    """The course of a fit that has run, its ending seen in the light of rows that mu may have met.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.
    """
    block, theta, _ = last.last
    order = theta[0] - 0.5 * block.mu.size
    pole = jnp.where(last.ending <= Ending.CUSP, Ending.CUSP, last.ending)
    pole = jnp.where(last.ending == Ending.DEGENERATE, Ending.SINGULAR, pole)
    pole = jnp.where(order <= 0.0, Ending.UNBOUNDED, pole)
    met = (order < 1.0) & rows_rule(rows, block, theta)
    return course(last._replace(ending=jnp.where(met, pole, last.ending)))


def course(last: State) -> Course:
    """The course of a fit that has run."""
    (block, theta, _), pace = last.last, last.pace
    histories = last.log_likelihoods, last.changes
    counts = pace.steps, pace.passes
    return Course(block, theta, *histories, *counts, pace.log_likelihood, last.ending)


def run(rows: Rows, block: Gaussian, theta: Any, task: Task, capacity: int) -> State:
    """Fit by EM; histories have room for `capacity` iterations, at least task.max_iter."""
    law, covariance = law_and_covariance(*theta)
    start = Model(block, theta, law)
    plain = task.acceleration == "none"
    frame = None if plain else frame_of(block, jnp.exp(law[1]), covariance)
    nothing, zero = jnp.full(capacity, jnp.nan, theta.dtype), jnp.int32(0)
    far = jnp.full_like(theta[0], jnp.inf)
    eta = ()
    if task.rule:
        shapes = jax.eval_shape(lambda: e_step(rows, block, theta, start.law[0], task.blocks))
        eta = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), shapes)
    state = State(
        last=start,
        step=Step(start, far, far, jnp.int32(RUNNING)),
        pace=Pace(-far, far, zero, zero, zero, zero),
        trail=None if frame is None else new_trail(frame),
        eta=eta,
        log_likelihoods=nothing,
        changes=nothing,
        ending=jnp.int32(RUNNING),
    )
    return jax.lax.while_loop(
        lambda state: state.ending == RUNNING,
        lambda state: _turn(task, rows, frame, state),
        state,
    )
