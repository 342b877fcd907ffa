"""The EM loop, cut at its E-step: everything between two E-steps stands here, once.

One compiled function, `advance`, has two drivers. Given rows, it does the E-step itself, and runs a
whole fit. Without rows it does the other steps, and leaves the E-step to a caller in Python
(`nvmix.fitting.engine.loop`) that has threads, sources, missing values or another backend.
"""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import compact_device, device
from nvmix.backends.cpu.kernels.em.acceleration import (
    be_cautious,
    extrapolate,
    is_extrapolated,
    reject,
    slowest_rate,
    take_image,
)
from nvmix.backends.cpu.kernels.em.change import parameter_change
from nvmix.backends.cpu.kernels.em.e_step import Model, add_rows
from nvmix.backends.cpu.kernels.em.m_step import (
    fit_subordinator,
    from_frame,
    is_proper,
    normal_parameters,
    to_frame,
)
from nvmix.backends.cpu.kernels.em.matrices import cholesky, copy, invert_lower
from nvmix.backends.cpu.kernels.em.state import (
    ARRIVING,
    CHANGE,
    GAIN,
    N_BELOW_TOL,
    N_ITER,
    N_PASSES,
    N_PLAIN,
    N_UNCONFIRMED,
    ORDER,
    PREDICTED_GAIN,
    RATE,
    REPEATED,
    RESIDUAL,
    RESIDUAL_GAIN,
    SOLUTION,
    VALUE,
    FitState,
    LoopOptions,
)
from nvmix.backends.cpu.kernels.gig.moments import gig_moments
from nvmix.backends.cpu.kernels.gig.table import clear
from nvmix.backends.status import Status
from nvmix.backends.tolerances import (
    BROAD,
    FALL,
    MOST_UNCONFIRMED,
    N_ITERATIONS_BELOW_TOL,
    NO_GAIN,
    ROUNDING,
    TRUST,
)
from nvmix.backends.types import (
    ACCEPT,
    CARELESS,
    CRITERIA,
    E_STEP,
    FINISH,
    PROPOSE,
    REPEAT,
    RUNNING,
    SOLVE,
    UNCONFIRMED,
    GIGStatus,
)
from nvmix.foundation.typing import FloatArray

_CONVERGED: Final = int(Status.CONVERGED)
_MAX_ITER: Final = int(Status.MAX_ITER)
_DEGENERATE: Final = int(Status.DEGENERATE)
_NON_FINITE: Final = int(Status.NON_FINITE)
_UNBOUNDED: Final = int(Status.UNBOUNDED)
_NO_SOLUTION: Final = int(Status.NO_SOLUTION)
_NO_SUBORDINATOR: Final = int(GIGStatus.DEGENERATE)
_NOT_CONVERGED: Final = int(GIGStatus.NOT_CONVERGED)
_LIKELIHOOD: Final = CRITERIA.index("likelihood")


@compact_device
def _copy(source: Model, target: Model) -> None:
    """Copy a model into another's arrays."""
    copy(source.theta, target.theta)
    copy(source.mu, target.mu)
    copy(source.gamma, target.gamma)
    for i in range(len(source.L)):
        copy(source.L[i], target.L[i])


@device
def _e_step(X: FloatArray, weights: FloatArray, table: FloatArray, state: FitState) -> int:
    """Fill sums and scatter by the rows, at the candidate; CARELESS where digits may be lost."""
    model = state.candidate
    if model.theta[0] != state.numbers[ORDER]:
        clear(table)
        state.numbers[ORDER] = model.theta[0]
    inverse = np.empty(model.L.shape)
    invert_lower(model.L, inverse)
    state.sums[:] = 0.0
    state.scatter[:] = 0.0
    log_norm = state.moments[0, 0]
    sums, scatter = state.sums, state.scatter
    keeps_digits = add_rows(X, weights, model, inverse, log_norm, table, sums, scatter)
    return RUNNING if keeps_digits else CARELESS


@compact_device
def _aitken(gain: float, previous: float, size: float) -> float:
    """What a geometric series still gains after its last two terms; inf where they do not fall.

    A gain that may be rounding of a number of this size leaves none.
    """
    if gain <= NO_GAIN * size:
        return 0.0
    return gain * gain / (previous - gain) if gain < previous < math.inf else math.inf


@compact_device
def _has_converged(state: FitState, value: float, options: LoopOptions) -> bool:
    """Update the numbers after an accepted step, and return whether the fit has converged.

    By parameters, it has when the last step was that of a fit that was arriving. By likelihood, it
    has after `N_ITERATIONS_BELOW_TOL` iterations in a row whose predicted gain is below tol. An
    extrapolated step predicts its gain by its size (`parameter_change`). Gains of plain steps fall
    geometrically, so that two in a row predict what is left by Aitken's extrapolation; the first of
    them predicts nothing, and leaves the count as it is.
    """
    numbers, extrapolated = state.numbers, is_extrapolated(state.history)
    previous, numbers[GAIN] = numbers[GAIN], value - numbers[VALUE]
    numbers[N_PLAIN] = 0.0 if extrapolated else numbers[N_PLAIN] + 1.0
    if extrapolated or numbers[N_PLAIN] > 1.0:
        aitken = _aitken(numbers[GAIN], previous, abs(value))
        left = numbers[PREDICTED_GAIN] if extrapolated else aitken
        numbers[N_BELOW_TOL] = numbers[N_BELOW_TOL] + 1.0 if left < options.tol else 0.0
    if options.criterion == _LIKELIHOOD:
        enough: bool = numbers[N_BELOW_TOL] >= N_ITERATIONS_BELOW_TOL
        return enough
    arriving: bool = numbers[ARRIVING] > 0.0
    return arriving


@compact_device
def _reject(state: FitState, options: LoopOptions) -> None:
    """Have EM's own step take the place of the candidate.

    The count of iterations below tol goes on where the candidate's step was as small.
    """
    reject(state.history)
    state.numbers[REPEATED] = 1.0
    if not state.numbers[PREDICTED_GAIN] < options.tol:
        state.numbers[N_BELOW_TOL] = 0.0


@compact_device
def _accept(state: FitState, options: LoopOptions) -> int:
    """Accept or reject the candidate by its E-step, and return the status of the fit.

    The E-step decides because it has to be done anyway: its log-likelihood shows whether the
    candidate is better, and if so its statistics make the next M-step. An extrapolated candidate is
    rejected if its likelihood is lower than that of the last accepted model by more than rounding.
    Then EM's own step from the statistics of that model follows, which cannot be rejected. So a
    rejection costs one pass. EM never lowers the likelihood but by rounding, and a fall by more
    says that rounding dominates the M-step.
    """
    numbers = state.numbers
    value, accepted = state.sums[1] / state.sums[0], numbers[VALUE]
    numbers[N_PASSES] += 1.0
    if is_extrapolated(state.history) and not value >= accepted - ROUNDING * abs(accepted):
        _reject(state, options)
        return RUNNING
    if not math.isfinite(value):
        return _UNBOUNDED if value == math.inf else _NON_FINITE
    if value < accepted - FALL * abs(accepted) and options.is_em:
        return _DEGENERATE
    status, n = RUNNING, int(numbers[N_ITER])
    if accepted > -math.inf:
        n += 1
        converged = _has_converged(state, value, options)
        if converged and options.is_em and options.criterion == _LIKELIHOOD:
            numbers[ARRIVING] = 1.0
        elif converged:
            status = _CONVERGED
        if n == options.max_iter and not converged:
            status = _MAX_ITER
    numbers[VALUE], numbers[N_ITER], numbers[REPEATED] = value, n, 0.0
    state.log_likelihoods[n] = value
    _copy(state.candidate, state.last)
    copy(state.moments[0], state.moments[1])
    return status


@compact_device
def _is_within(sigma: FloatArray, log_y: float, plain: FloatArray, plain_log_y: float) -> bool:
    """Whether Sigma is nowhere narrower than EM's own by more than the factor `TRUST`.

    In no direction may the standard deviation in units of e^(E[log Y] / 2) be smaller than that:
    Sigma e^E[log Y] - (EM's) / TRUST^2 is positive definite.
    """
    d = len(sigma)
    difference, L = np.empty((d, d)), np.empty((d, d))
    factor = math.exp(log_y - plain_log_y)
    for i in range(d):
        for j in range(i + 1):
            difference[i, j] = factor * sigma[i, j] - plain[i, j] / (TRUST * TRUST)
    return cholesky(difference, L)


@compact_device
def _propose(state: FitState, options: LoopOptions) -> None:
    """Extrapolate the statistics, and fill the candidate's mu, gamma and L.

    An extrapolated step is one from which EM itself would go on to the same place: else its
    likelihood may be higher and yet it leads elsewhere, next to a singular Sigma. So EM's own step
    takes its place where it is improper or not within the region of `_is_within`, and the next ones
    go by SQUAREM, which is surer far from the maximum.
    """
    d, means, history, held = state.frame.origin.size, state.means, state.history, options.held
    candidate, numbers, sigma = state.candidate, state.numbers, np.empty((d, d))
    if numbers[REPEATED] > 0.0:
        take_image(history, means)
    else:
        image = np.empty(means.size)
        to_frame(state.sums, state.scatter, candidate, state.frame, image)
        extrapolate(history, options.acceleration, means, image, means)
        numbers[RESIDUAL] = math.nan
    copy(state.last.theta, candidate.theta)
    broad = math.inf if is_extrapolated(history) else BROAD
    proper = normal_parameters(means, held, state.frame, broad, candidate, sigma)
    if is_extrapolated(history):
        plain_sigma = np.empty((d, d))
        plain = Model(np.empty(d), np.empty(d), np.empty((d, d)), np.empty(3))
        copy(state.last.theta, plain.theta)
        exists = normal_parameters(history.image, held, state.frame, BROAD, plain, plain_sigma)
        log_y, plain_log_y = means[0], history.image[0]
        if exists and not (proper and _is_within(sigma, log_y, plain_sigma, plain_log_y)):
            be_cautious(history)
            take_image(history, means)
            _copy(plain, candidate)
            proper = True
        elif exists:
            from_frame(state.frame, held, plain)
            _measure_residual(state, plain, options)
    from_frame(state.frame, held, candidate)
    numbers[SOLUTION] = 0.0 if proper else float(_NO_SUBORDINATOR)


@compact_device
def _fit_law(means: FloatArray, theta: FloatArray, options: LoopOptions) -> int:
    """Replace theta by the law of Y with the means, by a solve that starts from it; `GIGStatus`."""
    start = (theta[0], theta[1], theta[2])
    p, a, b, solution = fit_subordinator(means[0], means[1], means[2], options.subordinator, start)
    theta[0], theta[1], theta[2] = p, a, b
    return solution


@compact_device
def _measure_residual(state: FitState, plain: Model, options: LoopOptions) -> None:
    """Parameter change and predicted gain of EM's own step, whose law of Y is solved for."""
    if _fit_law(state.history.image, plain.theta, options) >= _NO_SUBORDINATOR:
        return
    moments = np.empty(4)
    p, a, b = plain.theta[0], plain.theta[1], plain.theta[2]
    moments[0], moments[1], moments[2], moments[3] = gig_moments(p, a, b)
    y = state.history.image[2]
    change, gain = parameter_change(state.last, state.moments[1], plain, moments, y)
    state.numbers[RESIDUAL], state.numbers[RESIDUAL_GAIN] = change, gain


@compact_device
def _solve(state: FitState, options: LoopOptions) -> None:
    """Fill the candidate's law of Y, by a solve that starts from that of the last model."""
    if state.numbers[SOLUTION] < _NO_SUBORDINATOR:
        solution = _fit_law(state.means, state.candidate.theta, options)
        state.numbers[SOLUTION] = float(solution)


@compact_device
def _is_at_maximum(state: FitState, options: LoopOptions) -> bool:
    """Whether EM's own step confirms that the last model is at a maximum: little gain is left.

    EM's step from a model at a distance e from the maximum, along an eigenvector of its map, covers
    a share of e. Of the gain that is left it predicts the same share, whose least value the history
    tells.
    """
    left = state.numbers[RESIDUAL_GAIN] / state.numbers[RATE]
    return bool(left <= options.left)


@compact_device
def _arrival(state: FitState, options: LoopOptions) -> int:
    """The status of the fit by EM's own step from the last model, which is recorded.

    By parameters, the fit arrives when the change of that step is below tol, and ends after one
    more step. By likelihood, it has arrived when its gains are below tol. Either has to be
    confirmed by how much is left.
    """
    numbers, n = state.numbers, int(state.numbers[N_ITER])
    numbers[RATE] = slowest_rate(state.history)
    if not is_extrapolated(state.history) or math.isnan(numbers[RESIDUAL]):
        numbers[RESIDUAL], numbers[RESIDUAL_GAIN] = numbers[CHANGE], numbers[PREDICTED_GAIN]
    if n < options.max_iter:
        state.changes[n] = numbers[RESIDUAL]
    by_likelihood = options.criterion == _LIKELIHOOD
    arriving = numbers[ARRIVING] > 0.0 if by_likelihood else numbers[RESIDUAL] < options.tol
    confirmed = arriving and (not options.is_em or _is_at_maximum(state, options))
    numbers[ARRIVING] = 0.0
    if confirmed and by_likelihood:
        return _CONVERGED
    if confirmed:
        numbers[ARRIVING] = 1.0
    elif arriving:
        numbers[N_UNCONFIRMED] += 1.0
        if options.ends_unconfirmed and numbers[N_UNCONFIRMED] > MOST_UNCONFIRMED:
            return UNCONFIRMED
    return _MAX_ITER if n == options.max_iter else RUNNING


@compact_device
def _finish(state: FitState, options: LoopOptions) -> int:
    """The moments and the parameter change of the candidate, and the status of the fit.

    An extrapolated candidate that is no proper model is rejected. It predicts no gain, and the last
    model is judged by the step of EM that follows, as it has not been yet.
    """
    numbers, candidate, moments = state.numbers, state.candidate, state.moments
    proper = numbers[SOLUTION] < _NO_SUBORDINATOR and is_proper(candidate)
    if proper:
        p, a, b = candidate.theta[0], candidate.theta[1], candidate.theta[2]
        moments[0, 0], moments[0, 1], moments[0, 2], moments[0, 3] = gig_moments(p, a, b)
        change, predicted_gain = parameter_change(
            state.last, moments[1], candidate, moments[0], state.means[2]
        )
        numbers[CHANGE], numbers[PREDICTED_GAIN] = change, predicted_gain
        proper = not math.isnan(change)
    if proper:
        is_judged = numbers[REPEATED] > 0.0 and not math.isnan(numbers[RESIDUAL])
        return RUNNING if is_judged else _arrival(state, options)
    if is_extrapolated(state.history):
        numbers[PREDICTED_GAIN], numbers[RESIDUAL] = math.inf, math.nan
        _reject(state, options)
        return REPEAT
    return _NO_SOLUTION if numbers[SOLUTION] == _NOT_CONVERGED else _DEGENERATE


@device
def _has_room(state: FitState, options: LoopOptions) -> bool:
    """Whether the arrays of iterations have room for the next one."""
    room = state.changes.size
    return room == options.max_iter or state.numbers[N_ITER] + 1.0 < room


@device
def advance(
    X: FloatArray, weights: FloatArray, table: FloatArray, state: FitState, options: LoopOptions,
    first: int, last: int,
) -> int:  # fmt: skip
    """Do the steps of iterations from `first` on, until `last` is done or the fit ends; its status.

    X may have no rows if the steps do not include E_STEP. A last of -1 runs the fit to its end, or
    until it is RUNNING before an E-step for which the caller has to make room.
    """
    step = first
    while True:
        status = RUNNING
        if step == E_STEP:
            status = _e_step(X, weights, table, state)
        elif step == ACCEPT:
            status = _accept(state, options)
        elif step == PROPOSE:
            _propose(state, options)
        elif step == SOLVE:
            _solve(state, options)
        else:
            status = _finish(state, options)
        if status == REPEAT and first != FINISH:
            step = PROPOSE
        elif (
            status != RUNNING or step == last or (step == FINISH and not _has_room(state, options))
        ):
            return status
        else:
            step = (step + 1) % (FINISH + 1)
