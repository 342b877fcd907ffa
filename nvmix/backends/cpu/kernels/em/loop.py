"""The whole EM loop over one sample, without a word of Python in it."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.acceleration import new_history, propose, reject
from nvmix.backends.cpu.kernels.em.e_step import SCALARS, Model, add_rows
from nvmix.backends.cpu.kernels.em.m_step import (
    Frame,
    Held,
    Law,
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
_DEGENERATE_END: Final = int(Status.DEGENERATE)
_NON_FINITE: Final = int(Status.NON_FINITE)
_UNBOUNDED: Final = int(Status.UNBOUNDED)
_NO_SOLUTION: Final = int(Status.NO_SOLUTION)
# No ending.
_RUNNING: Final = -1
_INTERIOR: Final = int(GIGStatus.INTERIOR)
_DEGENERATE: Final = int(GIGStatus.DEGENERATE)
_NOT_CONVERGED: Final = int(GIGStatus.NOT_CONVERGED)
_LIKELIHOOD: Final = CRITERIA.index("likelihood")


class Task(NamedTuple):
    """`EMOptions` as numbers, with e^E[log Y] and the variances of log Y, 1/Y, Y at the start."""

    law: Law
    held: Held
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
def _new(d: int) -> Model:
    """A model of d columns to be filled."""
    return Model(np.empty(d), np.empty(d), np.empty((d, d)), np.empty(3))


@device
def _e_step(
    X: FloatArray, weights: FloatArray, model: Model, log_norm: float, table: FloatArray,
    sums: FloatArray, scatter: FloatArray,
) -> float:  # fmt: skip
    """Fill the sums; the mean log-likelihood."""
    d = model.mu.size
    inverse = np.empty((d, d))
    invert_lower(model.L, inverse)
    for i in range(sums.size):
        sums[i] = 0.0
    for i in range(d):
        for j in range(d):
            scatter[i, j] = 0.0
    add_rows(X, weights, model, inverse, log_norm, table, sums, scatter)
    value: float = sums[1] / sums[0]
    return value


@device
def _frame_of(model: Model, s: float) -> Frame:
    """The frame in which a model has mu = 0 and L = I, and Y / s for Y."""
    origin = _new(model.mu.size)
    _copy(model, origin)
    inverse = np.empty((model.mu.size, model.mu.size))
    invert_lower(model.L, inverse)
    return Frame(origin.mu, origin.L, inverse, s)


@device
def _metric_of(variances: tuple[float, float, float], s: float, d: int) -> FloatArray:
    """Weights of the statistics: those of Y by their standard deviations, where they have one."""
    metric = np.ones(3 + 2 * d + d * d)
    for i, scale in enumerate((1.0, s, 1.0 / s)):
        if 0.0 < variances[i] < math.inf:
            metric[i] = 1.0 / (math.sqrt(variances[i]) * scale)
    return metric


@device
def _left(gain: float, previous: float, size: float) -> float:
    """What a geometric series still gains after two of its terms (Aitken)."""
    if gain <= NO_GAIN * size:
        return 0.0
    return gain * gain / (previous - gain) if gain < previous < math.inf else math.inf


@device
def _arrives(
    pace: FloatArray,
    value: float,
    change: float,
    predicted_gain: float,
    extrapolated: bool,
    task: Task,
) -> bool:
    """Note the likelihood after a step in pace, and return whether the fit has converged.

    pace is (mean log-likelihood, its last gain, plain steps in a row, iterations in a row whose
    predicted gain is below tol). An extrapolated step predicts by its size, plain steps by Aitken's
    extrapolation of the last two gains, of which the second of two in a row has the first.
    """
    previous, pace[1] = pace[1], value - pace[0]
    pace[0] = value
    pace[2] = 0.0 if extrapolated else pace[2] + 1.0
    if extrapolated or pace[2] > 1.0:
        left = predicted_gain if extrapolated else _left(pace[1], previous, abs(value))
        pace[3] = pace[3] + 1.0 if left < task.tol else 0.0
    return pace[3] >= N_BELOW_TOL if task.criterion == _LIKELIHOOD else change < task.tol


@device
def _end_of(status: int) -> int:
    """The ending where an M-step has no result."""
    return _NO_SOLUTION if status == _NOT_CONVERGED else _DEGENERATE_END


@device
def _end_at(value: float, accepted: float) -> int:
    """The ending where EM's own step leads to a likelihood, or that there is none."""
    if not math.isfinite(value):
        return _UNBOUNDED if value == math.inf else _NON_FINITE
    return _DEGENERATE_END if value < accepted - FALL * abs(accepted) else _RUNNING


@device
def fit(
    X: FloatArray, weights: FloatArray, model: Model, task: Task, table: FloatArray,
    histories: FloatArray,
) -> tuple[float, int, int, int]:  # fmt: skip
    """Fit the model in place; mean log-likelihood, iterations, passes and `Status`.

    An extrapolated step is kept if its own E-step finds the likelihood no lower; else the plain
    step from the same statistics takes its place.
    """
    d = model.mu.size
    sums, scatter = np.empty(SCALARS + 2 * d), np.empty((d, d))
    image, means = np.empty(3 + 2 * d + d * d), np.empty(3 + 2 * d + d * d)
    last, frame = _new(d), _frame_of(model, task.s)
    _copy(model, last)
    history = new_history(_metric_of(task.variances, task.s, d))
    pace = np.array([-math.inf, math.inf, 0.0, 0.0])
    new_law = law = (0.0, 0.0, 0.0, 0.0)
    change, predicted_gain, order = math.inf, math.inf, model.theta[0]
    steps, passes, status, extrapolated = 0, 0, _INTERIOR, False
    while True:
        proper, value = status < _DEGENERATE, math.nan
        if proper:
            new_law = gig_moments(model.theta[0], model.theta[1], model.theta[2])
        if passes > 0 and proper:
            change, predicted_gain = parameter_change(last, law, model, new_law)
            proper = not math.isnan(change)
        if proper:
            if model.theta[0] != order:
                clear(table)
                order = model.theta[0]
            value = _e_step(X, weights, model, new_law[0], table, sums, scatter)
            passes += 1
        if extrapolated and not value >= pace[0] - ROUNDING * abs(pace[0]):
            reject(history)
            extrapolated, pace[3] = False, 0.0
            means = image.copy()
            _copy(last, model)
        else:
            ending = _end_at(value, pace[0]) if proper else _end_of(status)
            if ending != _RUNNING:
                _copy(last, model)
                return pace[0], steps, passes, ending
            if passes == 1:
                pace[0] = value
            else:
                histories[1, steps] = change
                steps += 1
                if _arrives(pace, value, change, predicted_gain, extrapolated, task):
                    return value, steps, passes, _CONVERGED
                if steps == task.max_iter:
                    return value, steps, passes, _MAX_ITER
            histories[0, steps] = value
            _copy(model, last)
            law = new_law
            to_frame(sums, scatter, model, frame, image)
            extrapolated = propose(history, task.acceleration, means, image, means)
        status = m_step(means, frame, task.held, task.law, model)
