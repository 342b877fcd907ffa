"""Extrapolation of a fixed-point iteration u -> g(u), u the statistics that the M-step inverts.

Statistics add with weights that sum to 1, so that what is extrapolated depends neither on the
units and axes of the data nor on the family.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.matrices import cholesky
from nvmix.backends.tolerances import CAUTIOUS, DAMPED, FIRST_STRIDE, MEMORY, STRIDES, UNDAMPED
from nvmix.backends.types import ACCELERATIONS
from nvmix.foundation.typing import FloatArray

_NONE: Final = ACCELERATIONS.index("none")
_SQUAREM: Final = ACCELERATIONS.index("squarem")


class History(NamedTuple):
    """What is kept of the iterations so far.

    Attributes
    ----------
    metric : (k,) array
        Factor that gives each statistic its weight in norms.
    residual, image : (k,) array
        g(u) - u and g(u) of the last iteration.
    residuals, images : (MEMORY, k) array
        Differences of these between consecutive iterations, in a ring.
    state : (5,) array
        Iterations seen, damping, whether the last step was extrapolated, the longest stride, and
        iterations left to go by strides.
    """

    metric: FloatArray
    residual: FloatArray
    image: FloatArray
    residuals: FloatArray
    images: FloatArray
    state: FloatArray


@device
def new_history(metric: FloatArray) -> History:
    """Return an empty history."""
    k = metric.size
    rings = np.zeros((MEMORY, k)), np.zeros((MEMORY, k))
    state = np.array([0.0, UNDAMPED, 0.0, FIRST_STRIDE, 0.0])
    return History(metric, np.zeros(k), np.zeros(k), rings[0], rings[1], state)


@device
def reject(history: History) -> None:
    """Note that the extrapolation just proposed lowered the likelihood, or has no model."""
    history.state[1] = max(100.0 * history.state[1], DAMPED)
    history.state[2] = 0.0
    history.state[3] = max(history.state[3] / STRIDES, FIRST_STRIDE)
    history.state[4] = CAUTIOUS


@device
def _dot(x: FloatArray, y: FloatArray, metric: FloatArray) -> float:
    """Inner product of x and y after scaling by the metric."""
    total = 0.0
    for i in range(x.size):
        total += metric[i] * metric[i] * x[i] * y[i]
    return total


@device
def _combination(history: History, m: int, damping: float, c: FloatArray) -> bool:
    """Fill c with the least-squares coefficients of the residual in its differences."""
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
        A[i, i] += damping
    if not cholesky(A, L):
        return False
    for i in range(m):
        for j in range(i):
            b[i] -= L[i, j] * b[j]
        b[i] /= L[i, i]
    for i in range(m - 1, -1, -1):
        for j in range(i + 1, m):
            b[i] -= L[j, i] * b[j]
        b[i] /= L[i, i]
    for i in range(m):
        c[i] = b[i] / size[i]
    return True


@device
def _anderson(history: History, m: int, proposal: FloatArray) -> bool:
    """g - sum of c_i (g_i+1 - g_i), which makes the linear model of g - u least."""
    c = np.empty(m)
    if not _combination(history, m, history.state[1], c):
        return False
    for k in range(proposal.size):
        proposal[k] = history.image[k]
        for i in range(m):
            proposal[k] -= c[i] * history.images[i, k]
    return True


@device
def _squarem(history: History, last: int, proposal: FloatArray) -> bool:
    """u0 + 2 t r + t^2 v of two plain steps r and r + v from u0, t = |r| / |v| or the longest."""
    v = history.residuals[last]
    curvature = _dot(v, v, history.metric)
    square = 0.0
    for k in range(v.size):
        square += (history.metric[k] * (history.residual[k] - v[k])) ** 2
    if not square > curvature > 0.0:
        return False
    t = math.sqrt(square / curvature)
    if t > history.state[3]:
        t = history.state[3]
        history.state[3] *= STRIDES
    for k in range(proposal.size):
        r = history.residual[k] - v[k]
        start = history.image[k] - history.residual[k] - r
        proposal[k] = start + 2.0 * t * r + t * t * v[k]
    return True


@device
def propose(
    history: History, method: int, u: FloatArray, image: FloatArray, proposal: FloatArray
) -> bool:
    """Fill proposal with where to go from u -> image; whether that is more than the image.

    Of the start, the first image, there is no u.
    """
    seen, extrapolated, done = int(history.state[0]), history.state[2] > 0.0, False
    if method != _NONE:
        for k in range(u.size if seen > 0 else 0):
            residual = image[k] - u[k]
            if seen > 1:
                history.residuals[(seen - 2) % MEMORY, k] = residual - history.residual[k]
                history.images[(seen - 2) % MEMORY, k] = image[k] - history.image[k]
            history.residual[k] = residual
        for k in range(u.size):
            history.image[k] = image[k]
        history.state[0] = seen + 1.0
        history.state[1] = max(UNDAMPED, 0.1 * history.state[1])
        by_strides = method == _SQUAREM or history.state[4] > 0.0
        if seen > 1 and by_strides:
            done = not extrapolated and _squarem(history, (seen - 2) % MEMORY, proposal)
            history.state[4] -= 1.0
        elif seen > 1:
            done = _anderson(history, min(seen - 1, MEMORY), proposal)
    for k in range(0 if done else u.size):
        proposal[k] = image[k]
    history.state[2] = 1.0 if done else 0.0
    return done
