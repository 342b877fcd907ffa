"""The EM loop as one JAX program: data stays on the device, one transfer ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends.jax.em.acceleration import (
    Frame,
    History,
    frame_of,
    means_of,
    new_history,
    propose,
    reject,
    statistics_of,
)
from nvmix.backends.jax.em.e_step import Rows, e_step, inverse_lower, whitened
from nvmix.backends.jax.em.m_step import RUNNING, Model, m_step, parameter_change
from nvmix.backends.jax.gig.moments import law_and_covariance
from nvmix.backends.jax.gig.series import moments_along
from nvmix.backends.status import Status
from nvmix.backends.tolerances import (
    DOMINANT,
    FALL,
    N_BELOW_TOL,
    NEAR,
    NEGLIGIBLE,
    NO_GAIN,
    ROUNDING,
)
from nvmix.backends.types import FitTrace, Fixed, NormalParameters
from nvmix.foundation.statistics import SufficientStatistics


class Task(NamedTuple):
    """A `EMOptions` for rows in so many blocks; the last three may be traced."""

    fixed: Fixed
    method: str
    rule: Callable[..., SufficientStatistics] | None
    acceleration: str
    blocks: int
    by_likelihood: Any
    max_iter: Any
    tol: Any


class Step(NamedTuple):
    """A step not yet accepted: its model, size and predicted gain, and how the M-step failed."""

    model: Model
    change: Any
    predicted_gain: Any
    failure: Any


class Pace(NamedTuple):
    """How far a fit has come.

    Attributes
    ----------
    log_likelihood, gain : () array
        Mean log-likelihood of the last model accepted, and what that gained.
    plain, n_below_tol : () array
        Plain steps in a row, and iterations in a row that foretell a gain below tol.
    steps, passes : () array
        Iterations, and passes over the data.
    """

    log_likelihood: Any
    gain: Any
    plain: Any
    n_below_tol: Any
    steps: Any
    passes: Any


class State(NamedTuple):
    """A fit under way: the last model accepted, a step from it, and what makes the next one."""

    last: Model
    step: Step
    pace: Pace
    history: History | None
    eta: Any
    log_likelihoods: Any
    changes: Any
    status: Any

    @property
    def extrapolated(self) -> Any:
        """Whether the step is not EM's own."""
        return jnp.array(False) if self.history is None else self.history.extrapolated


def _select(condition: Any, yes: Any, no: Any) -> Any:
    """One of two equal structures."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), yes, no)


def _combined(task: Task, before: Any, batch: SufficientStatistics, steps: Any) -> Any:
    """The statistics that the rule makes of a batch and of those before, if there are any."""
    if task.rule is None:
        return batch
    return _select(steps == 0, task.rule(None, batch, 0), task.rule(before, batch, steps))


def _next_statistics(
    task: Task,
    frame: Frame | None,
    history: History | None,
    eta: SufficientStatistics,
    rejected: Any,
) -> tuple[SufficientStatistics, History | None]:
    """What the M-step is to invert: extrapolated from eta, or EM's own where that was rejected."""
    if frame is None or history is None:
        return eta, None
    onward = propose(history, means_of(eta, frame), frame.metric, task.acceleration)
    history = _select(rejected, reject(history), onward)
    return statistics_of(history.used, frame), history


def _step(task: Task, eta: SufficientStatistics, last: Model) -> Step:
    """The step from a model to the maximiser for eta; none where there is no such law."""
    new, failure = m_step(eta, last.theta, task.fixed, task.method)
    change, predicted_gain = parameter_change(last, new)
    failure = jnp.where((failure == RUNNING) & jnp.isnan(change), Status.DEGENERATE, failure)
    model = _select(failure == RUNNING, new, last)
    return Step(model, change, predicted_gain, failure.astype(jnp.int32))


def _left(gain: Any, previous: Any, size: Any) -> Any:
    """What a geometric series still gains after two of its terms (Aitken)."""
    known = (gain < previous) & (previous < jnp.inf)
    left = jnp.where(known, gain * gain / (previous - gain), jnp.inf)
    return jnp.where(gain <= NO_GAIN * size, 0.0, left)


def _at_rest(fixed: Fixed, theta: Any) -> Any:
    """The status where the parameters have settled: on a boundary, or inside."""
    _, a, b = theta
    status = jnp.int32(Status.CONVERGED)
    if fixed.a is None:
        status = jnp.where(a == 0.0, Status.SKEW_T_LIMIT, status)
    if fixed.b is None:
        status = jnp.where(b == 0.0, Status.VARIANCE_GAMMA_LIMIT, status)
    return status


def _accepted(task: Task, state: State, log_likelihood: Any) -> Pace:
    """How far the fit has come once its step is accepted; the start is one that led nowhere."""
    pace = state.pace
    counted = (pace.passes > 0).astype(jnp.int32)
    gain = log_likelihood - pace.log_likelihood
    plain = jnp.where(state.extrapolated, 0, pace.plain + counted)
    left = _left(gain, pace.gain, jnp.abs(log_likelihood))
    left = jnp.where(state.extrapolated, state.step.predicted_gain, left)
    n_below_tol = jnp.where(left < task.tol, pace.n_below_tol + 1, 0)
    foretold = state.extrapolated | (plain > 1)
    return Pace(
        log_likelihood,
        gain,
        plain,
        jnp.where(foretold, n_below_tol, pace.n_below_tol),
        pace.steps + counted,
        pace.passes,
    )


def _arrived(task: Task, step: Step, pace: Pace) -> Any:
    """The status, if the step just accepted is the last."""
    rest = jnp.where(task.by_likelihood, pace.n_below_tol >= N_BELOW_TOL, step.change < task.tol)
    limit = jnp.where(pace.steps >= task.max_iter, Status.MAX_ITER, RUNNING)
    return jnp.where(rest, _at_rest(task.fixed, step.model.theta), limit)


def _turn(task: Task, rows: Rows, frame: Frame | None, state: State) -> State:
    """The E-step of a step, which accepts or rejects it, and the M-step of the next one."""
    model, _, _, failure = state.step
    batch = e_step(rows, model.normal, model.theta, model.law[0], task.blocks)
    proper = failure == RUNNING
    value = jnp.where(proper, batch.log_likelihood / batch.weight, jnp.nan)
    best = state.pace.log_likelihood
    rejected = state.extrapolated & ~(value >= best - ROUNDING * jnp.abs(best))
    fell = value < best - FALL * jnp.abs(best) if task.rule is None else jnp.array(False)
    accepted = ~rejected & ~fell & jnp.isfinite(value)
    pace = _select(accepted, _accepted(task, state, value), state.pace._replace(n_below_tol=0))
    infinite = jnp.where(value == jnp.inf, Status.UNBOUNDED, Status.NON_FINITE)
    status = jnp.where(proper, jnp.where(fell, Status.DEGENERATE, infinite), failure)
    status = jnp.where(accepted, _arrived(task, state.step, pace), status)
    last = _select(accepted, model, state.last)
    eta = _combined(task, state.eta, batch, pace.steps)
    used, history = _next_statistics(task, frame, state.history, eta, rejected)
    counted = pace.steps > state.pace.steps

    def noted(history: Any, entry: Any) -> Any:
        return history.at[state.pace.steps].set(jnp.where(counted, entry, jnp.nan))

    return State(
        last,
        _step(task, used, last),
        pace._replace(passes=pace.passes + proper.astype(jnp.int32)),
        history,
        eta if task.rule else (),
        noted(state.log_likelihoods, best),
        noted(state.changes, state.step.change),
        jnp.where(rejected, RUNNING, status).astype(jnp.int32),
    )


def rows_rule(rows: Rows, normal: NormalParameters, theta: Any) -> Any:
    """Whether b is negligible and the rows nearest to mu carry half of all E[1/Y]."""
    p, a, b = theta
    w, counted = whitened(rows.values, normal), rows.weights > 0.0
    q = jnp.sum(w * w, axis=1)
    mean = jnp.sum(jnp.where(counted, rows.weights * q, 0.0)) / jnp.sum(rows.weights)
    g = inverse_lower(normal.L) @ normal.gamma
    inv_y = moments_along(p - 0.5 * normal.mu.size, a + g @ g, b + q)[2]
    inv_y = jnp.where(counted, rows.weights * inv_y, 0.0)
    nearest = jnp.min(jnp.where(counted, q, jnp.inf))
    near = counted & (q <= jnp.minimum(4.0 * nearest, NEAR * mean))
    total = jnp.sum(inv_y)
    shared = (jnp.sum(jnp.where(near, inv_y, 0.0)) < DOMINANT * total) & (total < jnp.inf)
    return (b <= NEGLIGIBLE * mean) & ~shared


def may_be_at_pole(model: Model) -> Any:
    """Whether `judged` has to look at the rows: b is small beside E[Y] and the order is."""
    p, _, b = model.theta
    d = model.normal.mu.size
    return (p - 0.5 * d < 1.0) & ~(b > 100.0 * NEGLIGIBLE * d * model.law[3])


def judged(rows: Rows, last: State) -> FitTrace:
    """The trace of a fit that has run, its status seen in the light of rows that mu may have met.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.
    """
    normal, theta, _ = last.last
    order = theta[0] - 0.5 * normal.mu.size
    pole = jnp.where(last.status <= Status.CUSP, Status.CUSP, last.status)
    pole = jnp.where(last.status == Status.DEGENERATE, Status.SINGULAR, pole)
    pole = jnp.where(order <= 0.0, Status.UNBOUNDED, pole)
    met = (order < 1.0) & rows_rule(rows, normal, theta)
    return trace_of(last._replace(status=jnp.where(met, pole, last.status)))


def trace_of(last: State) -> FitTrace:
    """The trace of a fit that has run."""
    (normal, theta, _), pace = last.last, last.pace
    histories = last.log_likelihoods, last.changes
    counts = pace.steps, pace.passes
    return FitTrace(normal, theta, *histories, *counts, pace.log_likelihood, last.status)


def run(rows: Rows, normal: NormalParameters, theta: Any, task: Task, capacity: int) -> State:
    """Fit by EM; histories have room for `capacity` iterations, at least task.max_iter."""
    law, covariance = law_and_covariance(*theta)
    start = Model(normal, theta, law)
    plain = task.acceleration == "none"
    frame = None if plain else frame_of(normal, jnp.exp(law[1]), covariance)
    nothing, zero = jnp.full(capacity, jnp.nan, theta.dtype), jnp.int32(0)
    far = jnp.full_like(theta[0], jnp.inf)
    eta = ()
    if task.rule:
        shapes = jax.eval_shape(lambda: e_step(rows, normal, theta, start.law[0], task.blocks))
        eta = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), shapes)
    state = State(
        last=start,
        step=Step(start, far, far, jnp.int32(RUNNING)),
        pace=Pace(-far, far, zero, zero, zero, zero),
        history=None if frame is None else new_history(frame),
        eta=eta,
        log_likelihoods=nothing,
        changes=nothing,
        status=jnp.int32(RUNNING),
    )
    return jax.lax.while_loop(
        lambda state: state.status == RUNNING,
        lambda state: _turn(task, rows, frame, state),
        state,
    )
