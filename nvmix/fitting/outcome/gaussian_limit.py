"""Detection of fits that approach the normal distribution, the limit Var[Y] -> 0 of each family."""

from __future__ import annotations

import math
import operator
from functools import partial
from typing import Any, Final

import numpy as np

from nvmix.backends.status import Status
from nvmix.backends.types import Constraints, FitTrace, Fixed, NormalParameters
from nvmix.foundation.linalg import factor
from nvmix.foundation.pairwise_sum import add_each
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.source import Chunk, Source

# A fit with Var[Y] / E[Y]^2 below this may approach the limit.
_NARROW: Final = 0.05
# Var[Y] / E[Y]^2 of the model that represents the limit; its likelihood differs by about 1e-7.
_LIMIT: Final = 1e-7
# Rounding of a mean log-likelihood, times the relative variance of Y.
_DIGITS: Final = 1e-14
# Statuses of fits that have not reached a limit.
_STOPPED: Final = (Status.MAX_ITER, Status.NO_SOLUTION, Status.UNBOUNDED, Status.NON_FINITE)


def gaussian_limit(
    fitted: Mixture, trace: FitTrace, status: Status, source: Source, constraints: Constraints
) -> tuple[Mixture, FitTrace] | None:
    """A model of the family next to the normal distribution, if the fit approaches that.

    The trace then has the likelihood of the fitted normal distribution. None where Var[Y] is
    not small, the fit is likelier than that or has not converged, or values are missing.
    """
    _, inv_y, y = fitted.subordinator.gig_expectations
    variance = min(y * inv_y - 1.0, fitted.subordinator.var() / (y * y))
    if not variance < _NARROW or status in _STOPPED:
        return None
    normal = _normal_fit(source, constraints)
    if normal is None:
        return None
    d = fitted.d
    value = -0.5 * d * (1.0 + math.log(2.0 * math.pi)) - float(np.log(np.diag(normal.L)).sum())
    if not value > trace.log_likelihood - _DIGITS / max(variance, _DIGITS):
        return None
    model = fitted.at(normal, _narrow_gig(constraints.fixed))
    return model, trace._replace(log_likelihood=value, normal=normal)


def _normal_fit(source: Source, constraints: Constraints) -> NormalParameters | None:
    """Normal distribution fitted under constraints, as a mixture with Y = 1; None if singular."""
    mu = constraints.mu
    weight, total = source.reduce(_total, add_each)
    centre = mu if mu is not None and constraints.symmetric else total / weight
    products = source.reduce(partial(_scatter, centre), operator.add)
    if np.isnan(products).any():
        return None
    L = factor(products / weight)
    if L is None:
        return None
    location = centre if mu is None else mu
    return NormalParameters(location.copy(), centre - location, L)


def _total(chunk: Chunk) -> tuple[Any, ...]:
    """Sum of weights, and weighted sum (d,) of the rows, of a chunk."""
    X = np.asarray(chunk.values, np.float64)
    if chunk.weights is None:
        return float(len(X)), X.sum(axis=0)
    return float(chunk.weights.sum()), chunk.weights @ X


def _scatter(centre: FloatArray, chunk: Chunk) -> FloatArray:
    """(d, d) weighted sum of products of the deviations of the rows of a chunk."""
    deviations = np.asarray(chunk.values, np.float64) - centre
    weighted = deviations if chunk.weights is None else deviations * chunk.weights[:, None]
    products: FloatArray = weighted.T @ deviations
    return products


def _narrow_gig(fixed: Fixed) -> tuple[float, float, float]:
    """(p, a, b) of a subordinator with mean nearly 1 and variance nearly 1e-7."""
    size = 1.0 / _LIMIT
    if fixed.b == 0.0:
        return size, 2.0 * size, 0.0
    if fixed.a == 0.0:
        return -size, 0.0, 2.0 * size
    return -0.5 if fixed.p is None else fixed.p, size, size
