"""The EM loop over complete rows in memory, as one compiled call.

It takes the steps of `nvmix.fitting.engine.loop` in the same order.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.acceleration import new_history, propose, reject
from nvmix.backends.cpu.kernels.em.e_step import SCALARS, Model, add_rows
from nvmix.backends.cpu.kernels.em.m_step import (
    Frame,
    SubordinatorKind,
    m_step,
    parameter_change,
    to_frame,
)
from nvmix.backends.cpu.kernels.em.matrices import invert_lower
from nvmix.backends.cpu.kernels.gig.moments import gig_moments
from nvmix.backends.cpu.kernels.gig.table import clear
from nvmix.backends.status import Status
from nvmix.backends.tolerances import FALL, N_BELOW_TOL, NO_GAIN, ROUNDING
from nvmix.backends.types import CRITERIA, GIGStatus
from nvmix.foundation.typing import FloatArray

_CONVERGED: Final = int(Status.CONVERGED)
_MAX_ITER: Final = int(Status.MAX_ITER)
_DEGENERATE: Final = int(Status.DEGENERATE)
_NON_FINITE: Final = int(Status.NON_FINITE)
_UNBOUNDED: Final = int(Status.UNBOUNDED)
_NO_SOLUTION: Final = int(Status.NO_SOLUTION)
# The status of a fit that goes on.
_RUNNING: Final = -1
_SOLVED: Final = int(GIGStatus.INTERIOR)
_NO_SUBORDINATOR: Final = int(GIGStatus.DEGENERATE)
_NOT_CONVERGED: Final = int(GIGStatus.NOT_CONVERGED)
_LIKELIHOOD: Final = CRITERIA.index("likelihood")

# Places in the counters of a fit: mean log-likelihood of the last accepted model, its gain over the
# model before, plain steps in a row, and iterations in a row whose predicted gain is below tol.
_VALUE, _GAIN, _N_PLAIN, _N_BELOW_TOL = range(4)


class LoopOptions(NamedTuple):
    """`EMOptions` as numbers, and s = e^E[log Y] and the variances of (log Y, 1/Y, Y) at the start.

    mu is empty where it is free; acceleration and criterion are places in `ACCELERATIONS` and
    `CRITERIA`. s and variances are for the frame and the metric of extrapolation.
    """

    subordinator: SubordinatorKind
    mu: FloatArray
    symmetric: bool
    s: float
    variances: tuple[float, float, float]
    acceleration: int
    criterion: int
    max_iter: int
    tol: float


@device
def _copy(source: Model, target: Model) -> None:
    """Copy a model into another's arrays."""
    d = source.mu.size
    for i in range(3):
        target.theta[i] = source.theta[i]
    for i in range(d):
        target.mu[i], target.gamma[i] = source.mu[i], source.gamma[i]
        for j in range(d):
            target.L[i, j] = source.L[i, j]


@device
def _e_step(
    X: FloatArray, weights: FloatArray, model: Model, log_norm: float, table: FloatArray,
    sums: FloatArray, scatter: FloatArray,
) -> float:  # fmt: skip
    """Fill sums and scatter by `add_rows`, and return the mean log-likelihood."""
    inverse = np.empty(model.L.shape)
    invert_lower(model.L, inverse)
    sums[:] = 0.0
    scatter[:] = 0.0
    add_rows(X, weights, model, inverse, log_norm, table, sums, scatter)
    value: float = sums[1] / sums[0]
    return value


@device
def _metric_of(variances: tuple[float, float, float], s: float, d: int) -> FloatArray:
    """(k,) factors of the statistics in norms: 1 / standard deviation for those of Y, else 1.

    The statistics of X are in units of the frame, those of Y have their own.
    """
    metric = np.ones(3 + 2 * d + d * d)
    for i, scale in enumerate((1.0, s, 1.0 / s)):
        if 0.0 < variances[i] < math.inf:
            metric[i] = 1.0 / (math.sqrt(variances[i]) * scale)
    return metric


@device
def _aitken(gain: float, previous: float, size: float) -> float:
    """What a geometric series still gains after its last two terms; inf where they do not fall.

    A gain that may be rounding of a number of this size leaves none.
    """
    if gain <= NO_GAIN * size:
        return 0.0
    return gain * gain / (previous - gain) if gain < previous < math.inf else math.inf


@device
def _has_converged(
    counters: FloatArray,
    value: float,
    change: float,
    predicted_gain: float,
    extrapolated: bool,
    options: LoopOptions,
) -> bool:
    """Update the counters after an accepted step, and return whether the fit has converged.

    By parameters, it has when the parameter change is below tol. By likelihood, it has after
    `N_BELOW_TOL` iterations in a row whose predicted gain is below tol. An extrapolated step
    predicts its gain by its size (`parameter_change`). Gains of plain steps fall geometrically, so
    that two in a row predict what is left by Aitken's extrapolation; the first of them predicts
    nothing, and leaves the count as it is.
    """
    previous, counters[_GAIN] = counters[_GAIN], value - counters[_VALUE]
    counters[_VALUE] = value
    counters[_N_PLAIN] = 0.0 if extrapolated else counters[_N_PLAIN] + 1.0
    if extrapolated or counters[_N_PLAIN] > 1.0:
        aitken = _aitken(counters[_GAIN], previous, abs(value))
        left = predicted_gain if extrapolated else aitken
        counters[_N_BELOW_TOL] = counters[_N_BELOW_TOL] + 1.0 if left < options.tol else 0.0
    if options.criterion == _LIKELIHOOD:
        enough: bool = counters[_N_BELOW_TOL] >= N_BELOW_TOL
        return enough
    return change < options.tol


@device
def _status_of(proper: bool, solution: int, value: float, accepted: float) -> int:
    """The status after a candidate that is not rejected: the fit goes on if it is proper and good.

    Its mean log-likelihood has to be finite, and as high as the last accepted one: EM never lowers
    the likelihood but by rounding, and a fall by more says that rounding dominates the M-step.
    """
    if not proper:
        return _NO_SOLUTION if solution == _NOT_CONVERGED else _DEGENERATE
    if not math.isfinite(value):
        return _UNBOUNDED if value == math.inf else _NON_FINITE
    return _DEGENERATE if value < accepted - FALL * abs(accepted) else _RUNNING


@device
def fit(
    X: FloatArray, weights: FloatArray, model: Model, options: LoopOptions, table: FloatArray,
    histories: FloatArray,
) -> tuple[float, int, int, int]:  # fmt: skip
    """Fit the model in place; mean log-likelihood, iterations, passes and `Status`.

    A turn of the loop starts from a candidate, the model of the last M-step (at first the start).
    It does the E-step of it, accepts or rejects it, and does the M-step of the next candidate.
    The E-step decides because it has to be done anyway: its log-likelihood shows whether the
    candidate is better, and if so its statistics make the next M-step. An extrapolated candidate
    is rejected if its likelihood is lower than that of the last accepted model by more than
    rounding, or if it is no model at all. Then the M-step repeats from the statistics of the last
    accepted model, without extrapolation; such a plain step cannot be rejected, and ends the fit
    where it is improper. So a rejection costs one pass. Row 0 of histories gets the mean
    log-likelihood before each iteration, row 1 its parameter change.
    """
    d = model.mu.size
    sums, scatter = np.empty(SCALARS + 2 * d), np.empty((d, d))
    image, means = np.empty(3 + 2 * d + d * d), np.empty(3 + 2 * d + d * d)
    last = Model(model.mu.copy(), model.gamma.copy(), model.L.copy(), model.theta.copy())
    inverse = np.empty((d, d))
    invert_lower(model.L, inverse)
    frame = Frame(last.mu.copy(), last.L.copy(), inverse, options.s)
    history = new_history(_metric_of(options.variances, options.s, d))
    counters = np.array([-math.inf, math.inf, 0.0, 0.0])
    new_moments = moments = (0.0, 0.0, 0.0, 0.0)
    change, predicted_gain, order = math.inf, math.inf, model.theta[0]
    n_iter, n_passes, solution, extrapolated = 0, 0, _SOLVED, False
    while True:
        proper, value, accepted = solution < _NO_SUBORDINATOR, math.nan, counters[_VALUE]
        if proper:
            new_moments = gig_moments(model.theta[0], model.theta[1], model.theta[2])
        if n_passes > 0 and proper:
            change, predicted_gain = parameter_change(last, moments, model, new_moments)
            proper = not math.isnan(change)
        if proper:
            if model.theta[0] != order:
                clear(table)
                order = model.theta[0]
            value = _e_step(X, weights, model, new_moments[0], table, sums, scatter)
            n_passes += 1
        if extrapolated and not value >= accepted - ROUNDING * abs(accepted):
            reject(history)
            extrapolated, counters[_N_BELOW_TOL] = False, 0.0
            means = image.copy()
            _copy(last, model)
        else:
            status = _status_of(proper, solution, value, accepted)
            if status != _RUNNING:
                _copy(last, model)
                return accepted, n_iter, n_passes, status
            if n_passes == 1:
                counters[_VALUE] = value
            else:
                histories[1, n_iter] = change
                n_iter += 1
                if _has_converged(counters, value, change, predicted_gain, extrapolated, options):
                    return value, n_iter, n_passes, _CONVERGED
                if n_iter == options.max_iter:
                    return value, n_iter, n_passes, _MAX_ITER
            histories[0, n_iter] = value
            _copy(model, last)
            moments = new_moments
            to_frame(sums, scatter, model, frame, image)
            extrapolated = propose(history, options.acceleration, means, image, means)
        solution = m_step(means, frame, options.mu, options.symmetric, options.subordinator, model)
