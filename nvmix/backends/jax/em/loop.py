"""The EM loop as one JAX program, so that data stay on the device until the fit has ended.

Each turn takes the same steps as the loop of the CPU backend, in the same order: E-step, accept,
propose, M-step, arrival. But there are no branches, so that each fit of a batch under `vmap` does
its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends.jax.em import acceleration
from nvmix.backends.jax.em.acceleration import Frame
from nvmix.backends.jax.em.e_step import e_step
from nvmix.backends.jax.em.m_step import RUNNING, Held, Model, m_step, parameter_change
from nvmix.backends.jax.em.rows import Rows, rows_dominate
from nvmix.backends.jax.gig.moments import moments_and_covariance
from nvmix.backends.jax.gig.solve import GAMMA, INVERSE_GAMMA
from nvmix.backends.status import Status, settled
from nvmix.backends.tolerances import (
    FALL,
    MOST_UNCONFIRMED,
    N_ITERATIONS_BELOW_TOL,
    NO_GAIN,
    ROUNDING,
)
from nvmix.backends.types import UNCONFIRMED, FitTrace, NormalParameters
from nvmix.foundation.statistics import SufficientStatistics


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["held", "by_likelihood", "ends_unconfirmed", "max_iter", "tol", "left"],
    meta_fields=["method", "rule", "acceleration", "blocks", "capacity"],
)
@dataclass(frozen=True)
class LoopOptions:
    """`EMOptions` for rows in a number of blocks; the first six members may be traced.

    Histories have room for `capacity` iterations; a loop that has filled them stops, RUNNING.
    """

    held: Held
    by_likelihood: Any
    ends_unconfirmed: Any
    max_iter: Any
    tol: Any
    left: Any
    method: str
    rule: Callable[..., SufficientStatistics] | None
    acceleration: str
    blocks: int
    capacity: int


class Candidate(NamedTuple):
    """The model of an M-step, not yet accepted, or, if there is none, the last accepted one.

    predicted_gain is that of its step from the accepted model. residual and residual_gain are the
    parameter change and the predicted gain of EM's own step from there, which may be shorter.
    """

    model: Model
    predicted_gain: Any
    residual: Any
    residual_gain: Any


class Counters(NamedTuple):
    """Numbers that the convergence test and the limit of iterations use.

    value is the mean log-likelihood of the last accepted model, gain that over the model before.
    n_plain counts plain steps in a row, n_below_tol iterations in a row whose predicted gain is
    below tol, n_unconfirmed those that met the criterion but were not confirmed. arriving is
    whether the fit has converged but for a last step or the confirmation.
    """

    value: Any
    gain: Any
    n_plain: Any
    n_below_tol: Any
    n_unconfirmed: Any
    n_iter: Any
    n_passes: Any
    arriving: Any


class State(NamedTuple):
    """A fit between two turns of the loop; last is the last accepted model, status may be RUNNING.

    history, a `History`, is None where there is a rule; eta is what the rule has made of all
    statistics so far, () where there is none.
    """

    last: Model
    candidate: Candidate
    counters: Counters
    history: Any
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
    """The statistics of all rows at a model.

    E[1/Y | x] is infinite where mu is held at a row of the data and b = 0; the M-step does not use
    it there.
    """
    statistics = e_step(rows, model.normal, model.theta, model.moments[0], options.blocks)
    inv_y = jnp.where(statistics.inv_y < jnp.inf, statistics.inv_y, 0.0)
    return replace(statistics, inv_y=inv_y)


def _aitken(gain: Any, previous: Any, size: Any) -> Any:
    """What a geometric series still gains after its last two terms; inf where they do not fall.

    A gain that may be rounding of a number of this size leaves none.
    """
    falling = (gain < previous) & (previous < jnp.inf)
    left = jnp.where(falling, gain * gain / (previous - gain), jnp.inf)
    return jnp.where(gain <= NO_GAIN * size, 0.0, left)


def _updated(options: LoopOptions, state: State, value: Any) -> Counters:
    """The counters after the candidate is accepted, with its mean log-likelihood.

    The start, which is the candidate before the first pass, is no iteration. By likelihood, the fit
    is arriving after `N_ITERATIONS_BELOW_TOL` iterations in a row whose predicted gain is below
    tol. An extrapolated step predicts its gain by its size (`parameter_change`). Gains of plain
    steps fall geometrically, so that two in a row predict what is left by Aitken's extrapolation;
    the first of them predicts nothing, and leaves the count as it is.
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
    enough = n_below_tol >= N_ITERATIONS_BELOW_TOL
    return counters._replace(
        value=value,
        gain=gain,
        n_plain=n_plain,
        n_below_tol=n_below_tol,
        n_iter=counters.n_iter + one,
        arriving=jnp.where(options.by_likelihood, enough, counters.arriving),
    )


def _accept(
    options: LoopOptions, state: State, statistics: SufficientStatistics
) -> tuple[State, Any]:
    """The state after the candidate is accepted or rejected, and whether it was rejected.

    The E-step decides because it has to be done anyway: its log-likelihood shows whether the
    candidate is better, and if so its statistics make the next M-step. An extrapolated candidate is
    rejected if its likelihood is lower than that of the last accepted model by more than rounding.
    A plain one cannot be rejected, and ends the fit if it lowers the likelihood by more than EM
    can. By parameters, the fit has converged with the step that follows its arrival.
    """
    candidate, counters, best = state.candidate, state.counters, state.counters.value
    value = statistics.log_likelihood / statistics.weight
    rejected = state.extrapolated & ~(value >= best - ROUNDING * jnp.abs(best))
    fell = value < best - FALL * jnp.abs(best) if options.rule is None else jnp.array(False)
    accepted = ~rejected & ~fell & jnp.isfinite(value)
    small = candidate.predicted_gain < options.tol
    unchanged = counters._replace(n_below_tol=jnp.where(small, counters.n_below_tol, 0))
    later = _select(accepted, _updated(options, state, value), unchanged)
    stops = (later.n_iter >= options.max_iter) & ~later.arriving
    status = jnp.where(stops, Status.MAX_ITER, RUNNING)
    arrived = later.arriving & ~jnp.asarray(options.by_likelihood)
    status = jnp.where(arrived, Status.CONVERGED, status)
    infinite = jnp.where(value == jnp.inf, Status.UNBOUNDED, Status.NON_FINITE)
    failed = jnp.where(jnp.isfinite(value), Status.DEGENERATE, infinite)
    status = jnp.where(rejected, RUNNING, jnp.where(accepted, status, failed))
    is_iteration = later.n_iter > counters.n_iter

    def with_entry(history: Any, entry: Any) -> Any:
        return history.at[counters.n_iter].set(jnp.where(is_iteration, entry, jnp.nan))

    state = state._replace(
        last=_select(accepted, candidate.model, state.last),
        counters=later._replace(n_passes=counters.n_passes + 1),
        log_likelihoods=with_entry(state.log_likelihoods, best),
        changes=with_entry(state.changes, candidate.residual),
        status=status.astype(jnp.int32),
    )
    return state, rejected


def _propose(
    options: LoopOptions,
    frame: Frame,
    state: State,
    statistics: SufficientStatistics,
    rejected: Any,
) -> State:
    """The state with the statistics that the next M-step is to invert.

    They are what the rule makes of those of the E-step, or extrapolated within the trust region, or
    after a rejection those of the last accepted model.
    """
    if options.rule is not None:
        rule, n_iter = options.rule, state.counters.n_iter
        eta = _select(n_iter == 0, rule(None, statistics, 0), rule(state.eta, statistics, n_iter))
        return state._replace(eta=eta)
    image = acceleration.means_of(statistics, frame)
    proposed = acceleration.propose(state.history, image, frame, options.held, options.acceleration)
    history = _select(rejected, acceleration.reject(state.history), proposed)
    return state._replace(history=history)


def _step(options: LoopOptions, last: Model, eta: SufficientStatistics) -> tuple[Candidate, Any]:
    """The candidate of a plain M-step, and RUNNING, or a `Status` if there is none."""
    model, failure = m_step(eta, last.theta, options.held, options.method)
    change, gain = parameter_change(last, model, eta.y / eta.weight)
    failure = jnp.where((failure == RUNNING) & jnp.isnan(change), Status.DEGENERATE, failure)
    model = _select(failure == RUNNING, model, last)
    return Candidate(model, gain, change, gain), failure.astype(jnp.int32)


def _m_step(options: LoopOptions, frame: Frame, state: State) -> State:
    """The state with the next candidate, or with the status of an M-step that has no result.

    Beside an extrapolated step there is EM's own, which tells the residual, and takes the place of
    one that is no proper model.
    """
    history, counters = state.history, state.counters
    if history is None:
        candidate, failure = _step(options, state.last, state.eta)
    elif options.acceleration == "none":
        eta = acceleration.statistics_of(history.image, frame)
        candidate, failure = _step(options, state.last, eta)
    else:
        # One after the other: as a loop they compile once, and keep the branches of the solve.
        both = jax.lax.map(
            lambda u: _step(options, state.last, acceleration.statistics_of(u, frame)),
            jnp.stack([history.used, history.image]),
        )
        (proposed, improper), (plain, failure) = (
            jax.tree.map(lambda x, i=i: x[i], both) for i in range(2)
        )
        improper = history.extrapolated & (improper != RUNNING)
        history = _select(improper, acceleration.reject(history), history)
        counters = counters._replace(n_below_tol=jnp.where(improper, 0, counters.n_below_tol))
        measured = proposed._replace(residual=plain.residual, residual_gain=plain.residual_gain)
        proposed = _select(failure == RUNNING, measured, proposed)
        candidate = _select(history.extrapolated, proposed, plain)
        failure = jnp.where(history.extrapolated, RUNNING, failure)
    status = jnp.where(state.status == RUNNING, failure, state.status)
    return state._replace(candidate=candidate, counters=counters, history=history, status=status)


def _arrival(options: LoopOptions, state: State) -> State:
    """The state after the last accepted model has been judged by EM's own step from there.

    By parameters, the fit arrives when the change of that step is below tol, and ends after one
    more step. By likelihood, it has arrived when its gains are below tol. Either has to be
    confirmed by how much is left.

    EM's step from a model at a distance e from the maximum, along an eigenvector of its map, covers
    a share of e. Of the gain that is left it predicts the same share, whose least value the history
    tells.
    """
    (_, _, residual, gain), counters = state.candidate, state.counters
    arriving = jnp.where(options.by_likelihood, counters.arriving, residual < options.tol)
    confirmed = arriving
    if state.history is not None:
        confirmed &= gain / state.history.rate <= options.left
    open_ended = arriving & ~confirmed
    n_unconfirmed = counters.n_unconfirmed + open_ended
    given_up = open_ended & options.ends_unconfirmed & (n_unconfirmed > MOST_UNCONFIRMED)
    status = jnp.where(counters.n_iter >= options.max_iter, Status.MAX_ITER, RUNNING)
    status = jnp.where(given_up, UNCONFIRMED, status)
    status = jnp.where(confirmed & options.by_likelihood, Status.CONVERGED, status)
    arriving = confirmed & ~jnp.asarray(options.by_likelihood)
    counters = counters._replace(n_unconfirmed=n_unconfirmed, arriving=arriving)
    return state._replace(counters=counters, status=status.astype(jnp.int32))


def _turn(options: LoopOptions, rows: Rows, frame: Frame, state: State) -> State:
    """The E-step of the candidate, its acceptance or rejection, and the M-step of the next one.

    After a rejection the M-step repeats from the statistics of the last accepted model, without
    extrapolation. So a rejection costs one pass. Everything is computed in every turn, and `where`
    selects.
    """
    statistics = _e_step(options, rows, state.candidate.model)
    state, rejected = _accept(options, state, statistics)
    state = _propose(options, frame, state, statistics, rejected)
    state = _m_step(options, frame, state)
    judged = _arrival(options, state)
    goes_on = ~rejected & (state.status == RUNNING)
    counters, status = _select(
        goes_on, (judged.counters, judged.status), (state.counters, state.status)
    )
    return state._replace(counters=counters, status=status)


def _with_limit(options: LoopOptions, state: State) -> State:
    """The state, with the status of a converged fit on a boundary of its family."""
    _, a, b = state.last.theta
    kind, status = options.held.subordinator.kind, state.status
    if kind != INVERSE_GAMMA:
        status = jnp.where((a == 0.0) & settled(status), Status.SKEW_T_LIMIT, status)
    if kind != GAMMA:
        status = jnp.where((b == 0.0) & settled(status), Status.VARIANCE_GAMMA_LIMIT, status)
    return state._replace(status=status.astype(jnp.int32))


def trace_at_end(rows: Rows, state: State) -> FitTrace:
    """`trace_of` a fit, with the status of a singularity where rows at mu dominate the fit.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.
    """
    normal, theta, _ = state.last
    order = theta[0] - 0.5 * normal.mu.size
    at_mu = jnp.where(settled(state.status), Status.CUSP, state.status)
    at_mu = jnp.where(state.status == Status.DEGENERATE, Status.SINGULAR, at_mu)
    at_mu = jnp.where(order <= 0.0, Status.UNBOUNDED, at_mu)
    singular = (order < 1.0) & rows_dominate(rows, normal, theta)
    return trace_of(state._replace(status=jnp.where(singular, at_mu, state.status)))


def trace_of(state: State) -> FitTrace:
    """The trace of a fit that has ended."""
    (normal, theta, _), counters = state.last, state.counters
    histories = state.log_likelihoods, state.changes
    counts = counters.n_iter, counters.n_passes
    return FitTrace(normal, theta, *histories, *counts, counters.value, state.status)


def run(
    rows: Rows, normal: NormalParameters, theta: Any, options: LoopOptions, before: Any = None
) -> State:
    """Fit by EM from a start, going on from a `State` of the same fit before, if it is given."""
    moments, covariance = moments_and_covariance(*theta)
    start = Model(normal, theta, moments)
    variances = None if options.acceleration == "none" else jnp.diag(covariance)
    frame = acceleration.frame_of(normal, jnp.exp(moments[1]), variances, options.held)
    no_history, zero = jnp.full(options.capacity, jnp.nan, theta.dtype), jnp.int32(0)
    inf = jnp.full_like(theta[0], jnp.inf)
    eta = ()
    if options.rule:
        shapes = jax.eval_shape(lambda: e_step(rows, normal, theta, moments[0], options.blocks))
        eta = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), shapes)
    state = State(
        last=start,
        candidate=Candidate(start, inf, inf, inf),
        counters=Counters(-inf, inf, zero, zero, zero, zero, zero, jnp.array(False)),
        history=None if options.rule else acceleration.new_history(frame),
        eta=eta,
        log_likelihoods=no_history,
        changes=no_history,
        status=jnp.int32(RUNNING),
    )
    last = jax.lax.while_loop(
        lambda state: (state.status == RUNNING) & (state.counters.n_iter < options.capacity),
        lambda state: _turn(options, rows, frame, state),
        before or state,
    )
    return _with_limit(options, last)
