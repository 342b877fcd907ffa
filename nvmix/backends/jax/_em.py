"""The EM loop as one JAX program: data stays on the device, one transfer ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends._protocol import Course, Ending, Fixed, Gaussian, GIGStatus, Plan
from nvmix.backends._tolerances import DOMINANT, NEGLIGIBLE
from nvmix.backends.jax._gig import gig_moments
from nvmix.backends.jax._m_step import (
    Model,
    in_gauge,
    is_law,
    log_det,
    normal_block,
    parameter_change,
)
from nvmix.backends.jax._rows import Rows, all_finite, e_step, inverse_lower, whitened
from nvmix.backends.jax._series import moments_along
from nvmix.backends.jax._solve import law_fit

if TYPE_CHECKING:
    from nvmix._statistics import SufficientStatistics

_RUNNING: Final = -1


class State(NamedTuple):
    """A fit under way: its last two models, its last statistics, how it stands, its histories."""

    model: Model
    previous: Model
    eta: Any
    ending: Any
    steps: Any
    log_likelihoods: Any
    changes: Any


def _select(condition: Any, yes: Any, no: Any) -> Any:
    """One of two equal structures."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), yes, no)


def _combined(plan: Plan, state: State, batch: SufficientStatistics) -> Any:
    """The statistics that the rule makes of a batch and of those before, if there are any."""
    if plan.rule is None:
        return batch
    later = plan.rule(state.eta, batch, state.steps)
    return _select(state.steps == 0, plan.rule(None, batch, 0), later)


def _proposal(
    plan: Plan, model: Model, eta: SufficientStatistics, log_det_start: Any
) -> tuple[Model, Any]:
    """The next model, and the ending where there is none."""
    block, exists = normal_block(eta)
    expectations = jnp.stack([eta.log_y, eta.inv_y, eta.y]) / eta.weight
    theta, law, status = law_fit(expectations, model.theta, plan.fixed, plan.method)
    new, has_gauge = in_gauge(Model(block, theta, law), plan.gauge, log_det_start)
    proper = is_law(theta) & is_law(new.theta) & all_finite(new.block)
    ending = jnp.where(proper, _RUNNING, Ending.DEGENERATE)
    ending = jnp.where(has_gauge, ending, Ending.NO_GAUGE)
    ending = jnp.where(status > GIGStatus.INVERSE_GAMMA, Ending.DEGENERATE, ending)
    ending = jnp.where(status == GIGStatus.NOT_CONVERGED, Ending.NO_SOLUTION, ending)
    return new, jnp.where(exists, ending, Ending.DEGENERATE)


def _rest(fixed: Fixed, theta: Any) -> Any:
    """The ending where the parameters have settled: on a boundary, or inside."""
    _, a, b = theta
    at_boundary = ((a == 0.0) & (fixed.a is None)) | ((b == 0.0) & (fixed.b is None))
    return jnp.where(at_boundary, Ending.BOUNDARY, Ending.CONVERGED)


def _iteration(plan: Plan, rows: Rows, blocks: int, log_det_start: Any, state: State) -> State:
    """One E-step and one M-step."""
    model, steps = state.model, state.steps
    batch = e_step(rows, model.block, model.theta, model.law[0], blocks)
    log_likelihood = batch.log_likelihood / batch.weight
    eta = _combined(plan, state, batch)
    new, ending = _proposal(plan, model, eta, log_det_start)
    change = parameter_change(model, new)
    ending = jnp.where((ending == _RUNNING) & jnp.isnan(change), Ending.DEGENERATE, ending)
    infinite = jnp.where(log_likelihood == jnp.inf, Ending.UNBOUNDED, Ending.NON_FINITE)
    ending = jnp.where(jnp.isfinite(log_likelihood), ending, infinite)
    advances = ending == _RUNNING
    limit = jnp.where(steps + 1 >= plan.max_iter, Ending.MAX_ITER, _RUNNING)
    at_end = jnp.where(change < plan.tol, _rest(plan.fixed, new.theta), limit)

    def noted(history: Any, value: Any) -> Any:
        return history.at[steps].set(jnp.where(advances, value, jnp.nan))

    return State(
        _select(advances, new, model),
        _select(advances, model, state.previous),
        _select(advances, eta, state.eta) if plan.rule else (),
        jnp.where(advances, at_end, ending).astype(jnp.int32),
        steps + advances.astype(jnp.int32),
        noted(state.log_likelihoods, log_likelihood),
        noted(state.changes, change),
    )


def rows_rule(rows: Rows, block: Gaussian, theta: Any) -> Any:
    """Whether b is negligible and the rows nearest to mu carry half of all E[1/Y]."""
    p, a, b = theta
    w, counted = whitened(rows.values, block), rows.weights > 0.0
    q = jnp.sum(w * w, axis=1)
    mean = jnp.sum(rows.weights * q) / jnp.sum(rows.weights)
    g = inverse_lower(block.L) @ block.gamma
    inv_y = moments_along(p - 0.5 * block.mu.size, a + g @ g, b + q)[2]
    inv_y = jnp.where(counted, rows.weights * inv_y, 0.0)
    near = counted & (q <= 4.0 * jnp.min(jnp.where(counted, q, jnp.inf)))
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
    order = last.model.theta[0] - 0.5 * last.model.block.mu.size
    at_rest = (last.ending == Ending.CONVERGED) | (last.ending == Ending.BOUNDARY)
    pole = jnp.where(at_rest, Ending.CUSP, last.ending)
    pole = jnp.where(last.ending == Ending.DEGENERATE, Ending.SINGULAR, pole)
    pole = jnp.where(order <= 0.0, Ending.UNBOUNDED, pole)
    met = (order < 1.0) & rows_rule(rows, last.model.block, last.model.theta)
    return course(last._replace(ending=jnp.where(met, pole, last.ending)))


def course(last: State) -> Course:
    """The course of a fit that has run; a model that the likelihood ran off to is not returned."""
    unsafe = (last.ending == Ending.NON_FINITE) | (last.ending == Ending.UNBOUNDED)
    block, theta, _ = _select(unsafe, last.previous, last.model)
    return Course(block, theta, last.log_likelihoods, last.changes, last.steps, last.ending)


def run(rows: Rows, block: Gaussian, theta: Any, plan: Plan, blocks: int, capacity: int) -> State:
    """Fit by EM; histories have room for `capacity` iterations, at least plan.max_iter."""
    log_det_start = log_det(block)
    law = jnp.stack(gig_moments(*theta))
    start, _ = in_gauge(Model(block, theta, law), plan.gauge, log_det_start)
    nothing = jnp.full(capacity, jnp.nan, theta.dtype)
    eta = ()
    if plan.rule:
        shapes = jax.eval_shape(lambda: e_step(rows, block, theta, law[0], blocks))
        eta = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), shapes)
    state = State(start, start, eta, jnp.int32(_RUNNING), jnp.int32(0), nothing, nothing)
    return jax.lax.while_loop(
        lambda state: state.ending == _RUNNING,
        lambda state: _iteration(plan, rows, blocks, log_det_start, state),
        state,
    )
