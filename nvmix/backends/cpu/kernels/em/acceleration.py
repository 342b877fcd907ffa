"""Extrapolation of the EM iteration u <- g(u), u the statistics that the M-step inverts.

g(u), the image of u, are the statistics of the E-step at the model that the M-step makes of u. They
are combined with weights that sum to 1, so that what is extrapolated depends neither on the units
and axes of the data nor on the family.

R. Varadhan and C. Roland, Simple and globally convergent methods for accelerating the convergence
of any EM algorithm, Scandinavian Journal of Statistics 35 (2008), 335-353, for SQUAREM. N. C.
Henderson and R. Varadhan, Damped Anderson acceleration with restarts and monotonicity control for
accelerating EM and EM-like algorithms, Journal of Computational and Graphical Statistics 28 (2019),
834-846.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import outlined_device
from nvmix.backends.cpu.kernels.em.matrices import cholesky, copy, solve_factored
from nvmix.backends.tolerances import (
    CAUTIOUS,
    DAMPED,
    FIRST_STRIDE,
    FORGETTING,
    MEMORY,
    STRIDES,
    UNDAMPED,
    UNKNOWN_RATE,
)
from nvmix.backends.types import ACCELERATIONS
from nvmix.foundation.typing import FloatArray

_NONE: Final = ACCELERATIONS.index("none")
_SQUAREM: Final = ACCELERATIONS.index("squarem")
# Places in the state of a history: images so far, the ridge of Anderson's least squares, whether
# the last proposal was extrapolated, the longest stride of SQUAREM, and how many more iterations of
# Anderson's method go by SQUAREM; and the slowest rate.
_N_IMAGES, _DAMPING, _EXTRAPOLATED, _LONGEST, _CAUTIOUS, _RATE = range(6)


class History(NamedTuple):
    """Residuals g(u) - u and images g(u), (k,), of the iterations so far.

    residual and image are the last ones; residuals and images, (MEMORY, k), are the differences
    between consecutive ones, the newest of which overwrites the oldest. metric are the factors that
    give each statistic its weight in norms; state are the numbers named above.
    """

    metric: FloatArray
    residual: FloatArray
    image: FloatArray
    residuals: FloatArray
    images: FloatArray
    state: FloatArray


def new_history(metric: FloatArray) -> History:
    """Return an empty history."""
    k = metric.size
    residuals, images = np.zeros((MEMORY, k)), np.zeros((MEMORY, k))
    state = np.array([0.0, UNDAMPED, 0.0, FIRST_STRIDE, 0.0, 1.0])
    return History(metric, np.zeros(k), np.zeros(k), residuals, images, state)


@outlined_device
def is_extrapolated(history: History) -> bool:
    """Whether the last proposal was extrapolated."""
    extrapolated: bool = history.state[_EXTRAPOLATED] > 0.0
    return extrapolated


@outlined_device
def take_image(history: History, proposal: FloatArray) -> None:
    """Put the last image, EM's own step, in the place of the last proposal."""
    history.state[_EXTRAPOLATED] = 0.0
    copy(history.image, proposal)


@outlined_device
def be_cautious(history: History) -> None:
    """Have the next `CAUTIOUS` iterations go by SQUAREM."""
    history.state[_CAUTIOUS] = CAUTIOUS


@outlined_device
def reject(history: History) -> None:
    """Damp what follows a proposal that lowered the likelihood, or of which there is no model.

    Anderson's least squares gets a larger ridge, SQUAREM a shorter longest stride, and the next
    `CAUTIOUS` iterations go by SQUAREM. The caller goes on by plain EM from the last image.
    """
    history.state[_DAMPING] = max(100.0 * history.state[_DAMPING], DAMPED)
    history.state[_EXTRAPOLATED] = 0.0
    history.state[_LONGEST] = max(history.state[_LONGEST] / STRIDES, FIRST_STRIDE)
    history.state[_CAUTIOUS] = CAUTIOUS


@outlined_device
def _dot(x: FloatArray, y: FloatArray, metric: FloatArray) -> float:
    """Inner product of x and y after scaling by the metric."""
    total = 0.0
    for i in range(x.size):
        total += metric[i] * metric[i] * x[i] * y[i]
    return total


@outlined_device
def _anderson(history: History, m: int, proposal: FloatArray) -> bool:
    """Fill g - sum of c_i (g_i+1 - g_i), with the c that make the linearised residual least.

    The m differences of residuals are scaled to unit length before the ridge is added, so that
    damping means the same whatever their size. False if they are no basis.
    """
    A, L, b, size = np.empty((m, m)), np.empty((m, m)), np.empty(m), np.empty(m)
    for i in range(m):
        size[i] = math.sqrt(_dot(history.residuals[i], history.residuals[i], history.metric))
        if not 0.0 < size[i] < math.inf:
            return False
    for i in range(m):
        b[i] = _dot(history.residuals[i], history.residual, history.metric) / size[i]
        for j in range(i + 1):
            product = _dot(history.residuals[i], history.residuals[j], history.metric)
            A[i, j] = product / (size[i] * size[j])
        A[i, i] += history.state[_DAMPING]
    if not cholesky(A, L):
        return False
    solve_factored(L, b)
    for i in range(m):
        b[i] /= size[i]
    for k in range(proposal.size):
        proposal[k] = history.image[k]
        for i in range(m):
            proposal[k] -= b[i] * history.images[i, k]
    return True


@outlined_device
def _squarem(history: History, last: int, proposal: FloatArray) -> bool:
    """Fill u + 2 t r + t^2 v of two plain steps r and r + v from u, t = |r| / |v| or the longest.

    last is the place of v among the differences of residuals.
    """
    v = history.residuals[last]
    curvature = _dot(v, v, history.metric)
    square = 0.0
    for k in range(v.size):
        square += (history.metric[k] * (history.residual[k] - v[k])) ** 2
    if not square > curvature > 0.0:
        return False
    t = math.sqrt(square / curvature)
    if t > history.state[_LONGEST]:
        t = history.state[_LONGEST]
        history.state[_LONGEST] *= STRIDES
    for k in range(proposal.size):
        r = history.residual[k] - v[k]
        start = history.image[k] - history.residual[k] - r
        proposal[k] = start + 2.0 * t * r + t * t * v[k]
    return True


@outlined_device
def extrapolate(
    history: History, method: int, u: FloatArray, image: FloatArray, proposal: FloatArray
) -> bool:
    """Fill proposal with the next statistics to invert; whether they are extrapolated.

    u is the last proposal and image is g(u), the statistics of the E-step at its model; u and
    proposal may be one array. The order of things is: store the residual g(u) - u and, from the
    third image on, its difference from the one before; let damping decay by a factor of 10; then
    combine. The first image has no u, for no M-step led to the start, so that a combination, which
    needs two residuals, is possible from the third image on. SQUAREM makes a stride after every
    second plain step. Anderson's method combines up to `MEMORY` differences in every iteration, but
    for `CAUTIOUS` ones after a rejection, which go by SQUAREM. Where there is no combination the
    proposal is the image: a plain step. An infinite statistic, which the M-step does not use, has
    no residual.
    """
    n, extrapolated = int(history.state[_N_IMAGES]), history.state[_EXTRAPOLATED] > 0.0
    combined, last = False, (n - 2) % MEMORY
    for k in range(u.size if n > 0 else 0):
        residual = _difference(image[k], u[k])
        if n > 1:
            history.residuals[last, k] = residual - history.residual[k]
            history.images[last, k] = _difference(image[k], history.image[k])
        history.residual[k] = residual
    copy(image, history.image)
    history.state[_N_IMAGES] = n + 1.0
    history.state[_DAMPING] = max(UNDAMPED, 0.1 * history.state[_DAMPING])
    by_strides = method == _SQUAREM or history.state[_CAUTIOUS] > 0.0
    if n > 1 and method != _NONE and by_strides:
        # A stride needs two plain steps: never two strides in a row.
        combined = not extrapolated and _squarem(history, last, proposal)
        history.state[_CAUTIOUS] -= 1.0
    elif n > 1 and method != _NONE:
        combined = _anderson(history, min(n - 1, MEMORY), proposal)
    for k in range(0 if combined else u.size):
        proposal[k] = image[k]
    history.state[_EXTRAPOLATED] = 1.0 if combined else 0.0
    return combined


@outlined_device
def _difference(x: float, y: float) -> float:
    """x - y, 0 where that is not finite."""
    difference = x - y
    return difference if math.isfinite(difference) else 0.0


@outlined_device
def slowest_rate(history: History) -> float:
    """Estimate of the smallest share of its distance from the maximum that a step of EM covers.

    From where the distance is e, along an eigenvector of EM's map, the residual is a share of e. So
    the differences of residuals and of proposals have ratios between the smallest and the largest
    share, and near the smallest where steps go along the ridge of the likelihood. `UNKNOWN_RATE`
    without any.
    """
    n = min(int(history.state[_N_IMAGES]) - 2, MEMORY)
    rate = min(FORGETTING * history.state[_RATE], 1.0) if n > 0 else UNKNOWN_RATE
    for i in range(n):
        residuals, steps = history.residuals[i], 0.0
        for k in range(residuals.size):
            steps += (history.metric[k] * (history.images[i, k] - residuals[k])) ** 2
        square = _dot(residuals, residuals, history.metric)
        if square < rate * rate * steps:
            rate = math.sqrt(square / steps)
    history.state[_RATE] = rate if n > 0 else 1.0
    return float(rate)
