"""Risk measures that are homogeneous in the weights, of one standard loss and of many.

Such a measure of a portfolio is r(w) = -m + s R(delta), in the notation of `standard_loss`. Here
R(delta) = delta * mixing + normal, where mixing is the derivative R'(delta). So

    dr / dw_i = -mu_i - gamma_i * mixing + (Sigma w)_i / s * normal,

and contributions w_i dr / dw_i sum to r, whatever the rounding of the two parts.
"""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebval

from nvmix.foundation.typing import FloatArray
from nvmix.mixture.subordinator import Subordinator
from nvmix.risk.standard_loss import StandardLoss, standard_loss

# Nodes of a polynomial in delta, and its largest error in units of the function.
_POWERS: Final = 24
_ERROR: Final = 1e-12
_ANGLES: Final = np.pi * (np.arange(_POWERS) + 0.5) / _POWERS
_NODES: Final = np.cos(_ANGLES)
_TO_CHEBYSHEV: Final = np.cos(np.outer(np.arange(_POWERS), _ANGLES)) * 2.0 / _POWERS
_TO_CHEBYSHEV[0] /= 2.0
# Steps to an expectile, and the last one in units of the rounding of the loss.
_MOST_STEPS: Final = 500
_ROUNDING: Final = 4.0 * np.finfo(np.float64).eps


class Parts(NamedTuple):
    """R(delta) = delta * mixing + normal, numbers or (k,) arrays."""

    mixing: Any
    normal: Any


def value_at_risk(loss: StandardLoss, level: float) -> Parts:
    """Parts of the quantile x: E[Y | U = x] and E[sqrt(Y) Z | U = x]."""
    x = loss.quantile(level)
    if math.isinf(x):
        return Parts(0.0, x)
    mixing = loss.mixing_at(x)
    return Parts(mixing, x - loss.delta * mixing if loss.delta else x)


def expected_shortfall(loss: StandardLoss, level: float) -> Parts:
    """Parts of E[U | U > x] at the quantile x."""
    _, mixing, normal = loss.upper(loss.quantile(level))
    return Parts(mixing / (1.0 - level), normal / (1.0 - level))


def expectile(loss: StandardLoss, level: float) -> Parts:
    """Parts of the expectile e, (1 - level) (e - E U) = (2 level - 1) E[max(U - e, 0)].

    Newton's step from e goes to the value of the parts at e. It is a step up from the mean and
    never beyond the root, as E[max(U - e, 0)] is convex in e.
    """
    if level < 0.5:
        mixing, normal = expectile(loss.mirrored, 1.0 - level)
        return Parts(mixing, -normal)
    mean, size = loss.mean_mixing, math.sqrt(loss.mixing_at(0.0))
    if math.isinf(size):
        # So are the means of losses and of gains.
        return Parts(math.nan, math.nan)
    if level == 0.5 or (math.isinf(mean) and loss.delta != 0.0):
        return Parts(mean, 0.0)
    weight = (2.0 * level - 1.0) / (1.0 - level)
    e = loss.delta * mean if loss.delta else 0.0
    for _ in range(_MOST_STEPS):
        tail = loss.upper(e)
        total = 1.0 + weight * tail.probability
        parts = Parts((mean + weight * tail.mixing) / total, weight * tail.normal / total)
        following = loss.delta * parts.mixing + parts.normal if loss.delta else parts.normal
        if not following - e > _ROUNDING * (abs(e) + size):
            break
        e = following
    return parts


Measure = Callable[[StandardLoss, float], Parts]
MEASURES: Final[dict[str, Measure]] = {
    "var": value_at_risk,
    "es": expected_shortfall,
    "expectile": expectile,
}


def parts_of_many(
    measure: Measure, subordinator: Subordinator, delta: FloatArray, level: float
) -> Parts:
    """Parts (k,) at each delta (k,): by polynomials in delta where those are many and smooth."""

    def values_at(points: FloatArray) -> FloatArray:
        laws = (standard_loss(subordinator, x) for x in points)
        return np.array([measure(law, level) for law in laws]).T

    out = np.empty((2, delta.size))
    groups = [np.arange(delta.size)]
    while groups:
        rows = groups.pop()
        x = delta[rows]
        low, high = x.min(), x.max()
        middle = 0.5 * (low + high)
        if rows.size <= _POWERS or not low < middle < high:
            points, index = np.unique(x, return_inverse=True)
            out[:, rows] = values_at(points)[:, index]
            continue
        nodes = middle + 0.5 * (high - low) * _NODES
        polynomials = _polynomials(nodes, values_at(nodes))
        if polynomials is None:
            groups += [rows[x <= middle], rows[x > middle]]
        else:
            out[:, rows] = chebval((x - middle) / (0.5 * (high - low)), polynomials.T)
    return Parts(*out)


def _polynomials(x: FloatArray, values: FloatArray) -> FloatArray | None:
    """Chebyshev coefficients (2, n) of parts (2, n) at the nodes x; None if they err too much."""
    mixing, _ = values
    # Constant parts, as where one is infinite, need no polynomial.
    constant = (values == values[:, :1]).all(axis=1)
    with np.errstate(invalid="ignore"):
        coefficients: FloatArray = np.where(constant[:, None], 0.0, values) @ _TO_CHEBYSHEV.T
        # U is of this size where Y has the size of the mixing part.
        size = np.array([mixing.min(), (abs(x) * mixing + np.sqrt(mixing)).min()])
        error = abs(coefficients[:, -3:]).max(axis=1)
        good = error <= _ERROR * size
    if not good[~constant].all():
        return None
    coefficients[constant] = 0.0
    coefficients[constant, 0] = values[constant, 0]
    return coefficients
