"""The EM loop as one JAX program, so that data stay on the device until the fit has ended.

Each turn takes the same steps as the loop of the CPU backend, in the same order: E-step, accept,
propose, M-step, parameter change. But there are no branches, so that each fit of a batch under
`vmap` does its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends.jax.em import acceleration
from nvmix.backends.jax.em.acceleration import Frame, History
from nvmix.backends.jax.em.e_step import Rows, e_step, inverse_lower, whitened
from nvmix.backends.jax.em.m_step import RUNNING, Held, Model, m_step, parameter_change
from nvmix.backends.jax.gig.moments import moments_and_covariance
from nvmix.backends.jax.gig.series import moments_along
from nvmix.backends.jax.gig.solve import GAMMA, INVERSE_GAMMA
from nvmix.backends.status import Status, settled
from nvmix.backends.tolerances import (
    DOMINANT,
    FALL,
    N_ITERATIONS_BELOW_TOL,
    NEAR,
    NEGLIGIBLE,
    NO_GAIN,
    ROUNDING,
)
from nvmix.backends.types import FitTrace, NormalParameters
from nvmix.foundation.statistics import SufficientStatistics


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["held", "by_likelihood", "max_iter", "tol"],
    meta_fields=["method", "rule", "acceleration", "blocks", "capacity"],
)
@dataclass(frozen=True)
class LoopOptions:
    """`EMOptions` for rows in a number of blocks; the first four members may be traced.

    Histories have room for `capacity` iterations, at least max_iter.
    """

    held: Held
    by_likelihood: Any
    max_iter: Any
    tol: Any
    method: str
    rule: Callable[..., SufficientStatistics] | None
    acceleration: str
    blocks: int
    capacity: int


class Candidate(NamedTuple):
    """The model of an M-step, not yet accepted, and its `parameter_change` from the accepted one.

    failure is RUNNING, or the `Status` of an M-step that has no result, where model is the accepted
    one.
    """

    model: Model
    change: Any
    predicted_gain: Any
    failure: Any


class Counters(NamedTuple):
    """Numbers that the convergence test and the limit of iterations use.

    value is the mean log-likelihood of the last accepted model, gain that over the model before.
    n_plain counts plain steps in a row, n_below_tol iterations in a row whose predicted gain is
    below tol.
    """

    value: Any
    gain: Any
    n_plain: Any
    n_below_tol: Any
    n_iter: Any
    n_passes: Any


class State(NamedTuple):
    """A fit between two turns of the loop; last is the last accepted model, status may be RUNNING.

    eta is what the rule has made of all statistics so far, () where there is no rule.
    """

    last: Model
    candidate: Candidate
    counters: Counters
    history: History | None
    eta: Any
    log_likelihoods: Any
    changes: Any
    status: Any

    @property
    def extrapolated(self) -> Any:
        """Whether the candidate is of extrapolated statistics."""
        return jnp.array(False) if self.history is None else self.history.extrapolated


def _select(condition: Any, yes: Any, no: Any) -> Any:
    """One of two pytrees of equal structure."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), yes, no)


def _e_step(options: LoopOptions, rows: Rows, model: Model) -> SufficientStatistics:
    """The statistics of all rows at a model, but for those that may be infinite and are not used.

    E[Y | x] is infinite under a law with heavy tails, which a symmetric M-step can fit all the
    same; E[1/Y | x] at b = 0 is where mu is held at a row of the data.
    """
    held = options.held
    statistics = e_step(rows, model.normal, model.theta, model.moments[0], options.blocks)
    if held.ignores_y:
        statistics = replace(statistics, y=jnp.zeros_like(statistics.y))
    if held.mu is not None:
        inv_y = jnp.where(statistics.inv_y < jnp.inf, statistics.inv_y, 0.0)
        statistics = replace(statistics, inv_y=inv_y)
    return statistics


def _aitken(gain: Any, previous: Any, size: Any) -> Any:
    """What a geometric series still gains after its last two terms; inf where they do not fall.

    A gain that may be rounding of a number of this size leaves none.
    """
    falling = (gain < previous) & (previous < jnp.inf)
    left = jnp.where(falling, gain * gain / (previous - gain), jnp.inf)
    return jnp.where(gain <= NO_GAIN * size, 0.0, left)


def _updated(options: LoopOptions, state: State, value: Any) -> Counters:
    """The counters after the candidate is accepted, with its mean log-likelihood.

    The start, which is the candidate before the first pass, is no iteration.
    """
    counters, candidate, extrapolated = state.counters, state.candidate, state.extrapolated
    one = (counters.n_passes > 0).astype(jnp.int32)
    gain = value - counters.value
    n_plain = jnp.where(extrapolated, 0, counters.n_plain + one)
    left = _aitken(gain, counters.gain, jnp.abs(value))
    left = jnp.where(extrapolated, candidate.predicted_gain, left)
    n_below_tol = jnp.where(left < options.tol, counters.n_below_tol + 1, 0)
    predicts = extrapolated | (n_plain > 1)
    n_below_tol = jnp.where(predicts, n_below_tol, counters.n_below_tol)
    return Counters(value, gain, n_plain, n_below_tol, counters.n_iter + one, counters.n_passes)


def _status_of_accepted(options: LoopOptions, candidate: Candidate, counters: Counters) -> Any:
    """The status after an accepted candidate: converged inside or on a boundary, or running.

    The counters are those after it. By parameters, the fit has converged when the parameter change
    is below tol. By likelihood, it has after `N_ITERATIONS_BELOW_TOL` iterations in a row whose
    predicted gain is below tol. An extrapolated step predicts its gain by its size
    (`parameter_change`). Gains of plain steps fall geometrically, so that two in a row predict what
    is left by Aitken's extrapolation; the first of them predicts nothing, and leaves the count as
    it is.
    """
    by_likelihood = counters.n_below_tol >= N_ITERATIONS_BELOW_TOL
    arrived = jnp.where(options.by_likelihood, by_likelihood, candidate.change < options.tol)
    _, a, b = candidate.model.theta
    kind, converged = options.held.subordinator.kind, jnp.int32(Status.CONVERGED)
    if kind != INVERSE_GAMMA:
        converged = jnp.where(a == 0.0, Status.SKEW_T_LIMIT, converged)
    if kind != GAMMA:
        converged = jnp.where(b == 0.0, Status.VARIANCE_GAMMA_LIMIT, converged)
    running = jnp.where(counters.n_iter >= options.max_iter, Status.MAX_ITER, RUNNING)
    return jnp.where(arrived, converged, running)


def _accept(
    options: LoopOptions, state: State, statistics: SufficientStatistics
) -> tuple[State, Any]:
    """The state after the candidate is accepted or rejected, and whether it was rejected.

    statistics are those of the E-step at the candidate, whose log-likelihood decides. An
    extrapolated candidate is rejected if its likelihood is lower than that of the last accepted
    model by more than rounding, or if it is no model at all. A plain one cannot be rejected, and
    ends the fit where it is improper, or lowers the likelihood by more than EM can.
    """
    model, change, _, failure = state.candidate
    proper, best = failure == RUNNING, state.counters.value
    value = jnp.where(proper, statistics.log_likelihood / statistics.weight, jnp.nan)
    rejected = state.extrapolated & ~(value >= best - ROUNDING * jnp.abs(best))
    fell = value < best - FALL * jnp.abs(best) if options.rule is None else jnp.array(False)
    accepted = ~rejected & ~fell & jnp.isfinite(value)
    unchanged = state.counters._replace(n_below_tol=0)
    counters = _select(accepted, _updated(options, state, value), unchanged)
    infinite = jnp.where(value == jnp.inf, Status.UNBOUNDED, Status.NON_FINITE)
    status = jnp.where(proper, jnp.where(fell, Status.DEGENERATE, infinite), failure)
    status_of_accepted = _status_of_accepted(options, state.candidate, counters)
    status = jnp.where(accepted, status_of_accepted, status)
    is_iteration = counters.n_iter > state.counters.n_iter

    def with_entry(history: Any, entry: Any) -> Any:
        return history.at[state.counters.n_iter].set(jnp.where(is_iteration, entry, jnp.nan))

    state = state._replace(
        last=_select(accepted, model, state.last),
        counters=counters._replace(n_passes=counters.n_passes + proper.astype(jnp.int32)),
        log_likelihoods=with_entry(state.log_likelihoods, best),
        changes=with_entry(state.changes, change),
        status=jnp.where(rejected, RUNNING, status).astype(jnp.int32),
    )
    return state, rejected


def _propose(
    options: LoopOptions,
    frame: Frame | None,
    state: State,
    statistics: SufficientStatistics,
    rejected: Any,
) -> tuple[State, SufficientStatistics]:
    """The state and the statistics that the next M-step is to invert.

    They are what the rule makes of those of the E-step, or extrapolated within the trust region, or
    after a rejection those of the last accepted model.
    """
    if options.rule is not None:
        n_iter = state.counters.n_iter
        later = options.rule(state.eta, statistics, n_iter)
        eta = _select(n_iter == 0, options.rule(None, statistics, 0), later)
        return state._replace(eta=eta), eta
    if frame is None or state.history is None:
        return state, statistics
    image = acceleration.means_of(statistics, frame)
    proposed = acceleration.propose(state.history, image, frame, options.held, options.acceleration)
    history = _select(rejected, acceleration.reject(state.history), proposed)
    return state._replace(history=history), acceleration.statistics_of(history.used, frame)


def _candidate(last: Model, model: Model, failure: Any, moved: tuple[Any, Any]) -> Candidate:
    """The next candidate: the model of an M-step that moved so far, or none if that is no model."""
    change, predicted_gain = moved
    failure = jnp.where((failure == RUNNING) & jnp.isnan(change), Status.DEGENERATE, failure)
    model = _select(failure == RUNNING, model, last)
    return Candidate(model, change, predicted_gain, failure.astype(jnp.int32))


def _turn(options: LoopOptions, rows: Rows, frame: Frame | None, state: State) -> State:
    """The E-step of the candidate, its acceptance or rejection, and the M-step of the next one.

    The E-step decides because it has to be done anyway: its log-likelihood shows whether the
    candidate is better, and if so its statistics make the next M-step. After a rejection the M-step
    repeats from the statistics of the last accepted model, without extrapolation. So a rejection
    costs one pass. Everything is computed in every turn, and `where` selects.
    """
    statistics = _e_step(options, rows, state.candidate.model)
    state, rejected = _accept(options, state, statistics)
    state, eta = _propose(options, frame, state, statistics, rejected)
    model, failure = m_step(eta, state.last.theta, options.held, options.method)
    moved = parameter_change(state.last, model)
    return state._replace(candidate=_candidate(state.last, model, failure, moved))


def _rows_dominate(rows: Rows, normal: NormalParameters, theta: Any) -> Any:
    """Whether rows are at mu: b is negligible, and the nearest rows have half of all E[1/Y]."""
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


def may_be_singular(model: Model) -> Any:
    """Whether rows may be at mu, so that `trace_at_end` is needed: b and the order are small."""
    p, _, b = model.theta
    d = model.normal.mu.size
    return (p - 0.5 * d < 1.0) & ~(b > 100.0 * NEGLIGIBLE * d * model.moments[3])


def trace_at_end(rows: Rows, state: State) -> FitTrace:
    """`trace_of` a fit, with the status of a singularity where rows at mu dominate the fit.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.
    """
    normal, theta, _ = state.last
    order = theta[0] - 0.5 * normal.mu.size
    at_mu = jnp.where(settled(state.status), Status.CUSP, state.status)
    at_mu = jnp.where(state.status == Status.DEGENERATE, Status.SINGULAR, at_mu)
    at_mu = jnp.where(order <= 0.0, Status.UNBOUNDED, at_mu)
    singular = (order < 1.0) & _rows_dominate(rows, normal, theta)
    return trace_of(state._replace(status=jnp.where(singular, at_mu, state.status)))


def trace_of(state: State) -> FitTrace:
    """The trace of a fit that has ended."""
    (normal, theta, _), counters = state.last, state.counters
    histories = state.log_likelihoods, state.changes
    counts = counters.n_iter, counters.n_passes
    return FitTrace(normal, theta, *histories, *counts, counters.value, state.status)


def run(rows: Rows, normal: NormalParameters, theta: Any, options: LoopOptions) -> State:
    """Fit by EM."""
    moments, covariance = moments_and_covariance(*theta)
    start = Model(normal, theta, moments)
    plain = options.acceleration == "none"
    frame = None if plain else acceleration.frame_of(normal, jnp.exp(moments[1]), covariance)
    no_history, zero = jnp.full(options.capacity, jnp.nan, theta.dtype), jnp.int32(0)
    inf = jnp.full_like(theta[0], jnp.inf)
    eta = ()
    if options.rule:
        shapes = jax.eval_shape(lambda: e_step(rows, normal, theta, moments[0], options.blocks))
        eta = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), shapes)
    state = State(
        last=start,
        candidate=Candidate(start, inf, inf, jnp.int32(RUNNING)),
        counters=Counters(-inf, inf, zero, zero, zero, zero),
        history=None if frame is None else acceleration.new_history(frame),
        eta=eta,
        log_likelihoods=no_history,
        changes=no_history,
        status=jnp.int32(RUNNING),
    )
    return jax.lax.while_loop(
        lambda state: state.status == RUNNING,
        lambda state: _turn(options, rows, frame, state),
        state,
    )
