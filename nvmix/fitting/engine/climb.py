"""From a start to a maximum: EM, and Newton's method where EM is slow or its end is not clear."""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from nvmix.backends.status import Status
from nvmix.backends.tolerances import LEAST_LEFT
from nvmix.backends.types import UNCONFIRMED, EMOptions, FitTrace, NormalParameters
from nvmix.foundation.linalg import inverse_lower
from nvmix.inference.newton import has_maximum, is_tame, meets_rows, newton_ascent
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.source import ArraySource, Source

# Iterations of EM after which Newton's method takes over, and the most steps of that.
_EM_ITERATIONS: Final = 100
_MOST_STEPS: Final = 100
# A step costs so much for a row, in squares of the number of parameters; the most that is spent,
# about half a second; and the largest number of parameters.
_COST_OF_ROW: Final = 200
_MOST_COST: Final = 1e8
_MOST_PARAMETERS: Final = 400
# A later end than after so many iterations of EM is confirmed by Newton's method where a step of
# that costs at most so much.
_CONFIRMED: Final = ((12, 1e5), (25, 1e6))
# Iterations that EM leaves to Newton's method where the likelihood may have cusps.
_LAST_STEPS: Final = 40
# What becomes of tol where Newton's method does not confirm an end next to cusps.
_TIGHTER: Final = 1e-2
# How EM may have stopped where Newton's method goes on: on its way, or with no step left to it.
_GOING: Final = (UNCONFIRMED, Status.MAX_ITER)
_STUCK: Final = (Status.DEGENERATE, Status.NO_SOLUTION)
_OPEN: Final = (*_GOING, *_STUCK)
# Share of what an end may leave that Newton's method leaves, which converges quadratically.
_SHARE: Final = 0.01
# Factor by which Sigma is made narrower along gamma, to see whether EM ends higher from there in
# so many iterations.
_NARROWER: Final = 0.1
_FROM_NARROWER: Final = 40

# Iterations of EM from a model by options.
EM: TypeAlias = Callable[[Mixture, EMOptions], FitTrace]


def climb(
    em: EM,
    em_later: EM,
    start: Mixture,
    source: Source,
    options: EMOptions,
    *,
    always_confirmed: bool = False,
) -> FitTrace:
    """Fit from a start by the EM loop `em` and, where it can, Newton's method.

    EM goes first, for it is cheap and sure far from the maximum. If it has not confirmed its end
    after some iterations, Newton's method goes on, then EM, and both in turn. Where the likelihood
    may have cusps EM goes on for longer, for a step of Newton's method may pass over one. An end of
    few rows that took EM many iterations, or any number, is confirmed by Newton's method, too.
    """
    if not (isinstance(source, ArraySource) and _newton_applies(start, source, options)):
        return em(start, options)
    most = options.max_iter
    trace = em(start, options._replace(max_iter=min(most, _EM_ITERATIONS), ends_unconfirmed=True))
    is_smooth = is_tame(_end(trace, start), options.constraints)
    cost = _cost(start, source, options)
    least = min((n for n, limit in _CONFIRMED if cost <= limit), default=math.inf)
    least = 0 if always_confirmed and least < math.inf else least

    def finished(trace: FitTrace) -> FitTrace:
        if trace.status == Status.CONVERGED and trace.n_iter > least:
            return _confirmed(trace, start, source, options)
        if trace.status in _OPEN and trace.n_iter < most:
            return _by_newton(trace, start, source, options)
        return trace

    def later(trace: FitTrace, until: int, tol: float = options.tol) -> FitTrace:
        rest = options._replace(max_iter=until - trace.n_iter, tol=tol)
        return _joined(trace, em_later(_end(trace, start), rest))

    is_finished = is_smooth or trace.status == Status.CONVERGED
    if is_finished:
        trace = finished(trace)
    if trace.status in _GOING and trace.n_iter < most - _LAST_STEPS:
        # EM that had converged next to cusps was wrong by its own criterion.
        was_wrong = is_finished and not is_smooth
        trace = later(trace, most - _LAST_STEPS, options.tol * (_TIGHTER if was_wrong else 1.0))
        is_finished = is_smooth and trace.status not in _GOING
    if not is_finished:
        trace = finished(trace)
    return later(trace, most) if trace.status in _GOING and trace.n_iter < most else trace


def may_go_on(em: EM, trace: FitTrace, start: Mixture, source: Source, options: EMOptions) -> bool:
    """Whether the end of a fit may be on the way to a Sigma that is singular along gamma.

    It is not next to a maximum to second order; where the derivatives are not known, as with
    missing values, nor if EM from a narrower Sigma ends no higher.
    """
    if not isinstance(source, ArraySource) or options.rule is not None:
        return True
    left, model = max(options.left, LEAST_LEFT), _end(trace, start)
    if _newton_applies(start, source, options):
        return not has_maximum(model, source.values, source.weights, options.constraints, left)
    narrow = model.at(_narrowed(model.normal), model.subordinator.gig)
    ended = em(narrow, options._replace(max_iter=_FROM_NARROWER))
    return not ended.log_likelihood <= trace.log_likelihood + left


def _narrowed(normal: NormalParameters) -> NormalParameters:
    """The same with Sigma narrower along gamma."""
    g = inverse_lower(normal.L) @ normal.gamma
    across = np.eye(g.size) - (1.0 - _NARROWER) * np.outer(g, g) / (g @ g)
    return normal._replace(L=normal.L @ np.linalg.cholesky(across))


def _end(trace: FitTrace, start: Mixture) -> Mixture:
    """The model at the end of a trace."""
    return start.at(trace.normal, trace.gig)


def _confirmed(
    trace: FitTrace, start: Mixture, source: ArraySource, options: EMOptions
) -> FitTrace:
    """A trace of EM that has converged slowly, or what Newton's method makes of it if that gains.

    On a ridge that grows ever flatter EM's rate is overestimated, and more left than predicted.
    Next to cusps Newton's steps may be too short to gain; then EM goes on.
    """
    checked = _by_newton(trace._replace(status=UNCONFIRMED), start, source, options)
    if checked.log_likelihood > trace.log_likelihood + options.left:
        return checked
    has_cusps = not is_tame(_end(trace, start), options.constraints)
    is_open = has_cusps and checked.status != Status.CONVERGED
    status = UNCONFIRMED if is_open else trace.status
    return trace._replace(n_passes=checked.n_passes, status=status)


def _cost(model: Mixture, source: ArraySource, options: EMOptions) -> float:
    """Cost of a step of Newton's method."""
    k = _n_parameters(model, options)
    return len(source.values) * (k * k + _COST_OF_ROW)


def _n_parameters(model: Mixture, options: EMOptions) -> int:
    """Number of parameters of a model without those of Y that are held.

    So a special case of a family counts as the family of that name does.
    """
    free, left = (fixed.count(None) for fixed in (model.fixed, options.constraints.fixed))
    return model.n_parameters - free + left


def _newton_applies(model: Mixture, source: ArraySource, options: EMOptions) -> bool:
    """Whether steps are EM's own, p has no bound, and rows are few, complete and in memory."""
    rule = options.rule is not None or options.conditional
    if rule or options.constraints.least_p > -math.inf:
        return False
    is_large = _n_parameters(model, options) > _MOST_PARAMETERS
    if is_large or _cost(model, source, options) > _MOST_COST:
        return False
    return source.missing != "em"


def _by_newton(
    trace: FitTrace, start: Mixture, source: ArraySource, options: EMOptions
) -> FitTrace:
    """The trace of EM, continued by Newton's method.

    It is CONVERGED where the likelihood has a maximum to second order, and its predicted distance
    is small; else it keeps EM's status, or has MAX_ITER where that was unconfirmed. At a cusp or
    pole it is as EM left it.
    """
    model, constraints = _end(trace, start), options.constraints
    status = Status.MAX_ITER if trace.status == UNCONFIRMED else trace.status
    is_smooth = is_tame(model, constraints)
    if not is_smooth and meets_rows(model, source.values):
        return trace._replace(status=status)
    left = max(_SHARE * options.left, LEAST_LEFT)
    steps = min(options.max_iter - trace.n_iter, _MOST_STEPS)
    near_cusps = not is_smooth or trace.status in _STUCK
    ascent = newton_ascent(
        model, source.values, source.weights, constraints, steps, left, near_cusps=near_cusps
    )
    ended = FitTrace(
        ascent.model.normal,
        np.array(ascent.model.subordinator.gig),
        np.array(ascent.log_likelihoods),
        np.array(ascent.changes),
        len(ascent.changes),
        ascent.n_passes,
        ascent.log_likelihood,
        Status.CONVERGED if ascent.left <= left else status,
    )
    return _joined(trace, ended)


def _joined(first: FitTrace, then: FitTrace) -> FitTrace:
    """The trace of a fit and of another one that has started from its end."""
    values = np.concatenate([first.log_likelihoods[: first.n_iter], then.log_likelihoods])
    changes = np.concatenate([first.changes[: first.n_iter], then.changes])
    return then._replace(
        log_likelihoods=values,
        changes=changes,
        n_iter=first.n_iter + then.n_iter,
        n_passes=first.n_passes + then.n_passes,
    )
