"""The Gaussian limit of the families, where no mixture is likelier than the normal law."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nvmix.backends.types import Ending, Gaussian
from nvmix.foundation.linalg import factor
from nvmix.foundation.pairwise_sum import add_each

if TYPE_CHECKING:
    from nvmix.backends.types import Course, Fixed
    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.fitting.engine.constraints import Holding
    from nvmix.foundation.typing import FloatArray
    from nvmix.sources.source import Chunk, Source

# Var[Y] / E[Y]^2 below which a fit may be on its way to the limit, and that of the model that
# stands for it: its likelihood is that of the limit to about 1e-7 in relative terms.
_NARROW: Final = 0.05
_LIMIT: Final = 1e-7
# Rounding of a mean log-likelihood times the spread of Y.
_DIGITS: Final = 1e-14


def gaussian_limit(
    fitted: NormalMixture,
    course: Course,
    ending: Ending,
    source: Source,
    held: Holding,
) -> tuple[NormalMixture, Course] | None:
    """The family's member next to the normal law, where a fit with narrow Y falls short of it.

    Parameters
    ----------
    fitted : NormalMixture
        The fitted model.
    course : Course
        How it was fitted.
    ending : Ending
        How that ended.
    source : Source
        The observations.
    held : Holding
        What the fit held.

    Returns
    -------
    (NormalMixture, Course) or None
        With the likelihood of the normal law; None where the fit is likelier, or values are
        missing.
    """
    _, inv_y, y = fitted.subordinator.gig_expectations
    spread = min(y * inv_y - 1.0, fitted.subordinator.var() / (y * y))
    stopped = ending in (Ending.MAX_ITER, Ending.NO_SOLUTION, Ending.UNBOUNDED, Ending.NON_FINITE)
    if not spread < _NARROW or stopped:
        return None
    block = _normal(source, held)
    if block is None:
        return None
    d = fitted.d
    value = -0.5 * d * (1.0 + math.log(2.0 * math.pi)) - float(np.log(np.diag(block.L)).sum())
    if not value > course.log_likelihood - _DIGITS / max(spread, _DIGITS):
        return None
    model = fitted.at(block, _narrow_law(held.fixed))
    return model, course._replace(log_likelihood=value, block=block)


def _normal(source: Source, held: Holding) -> Gaussian | None:
    """Fitted normal law, as the normal block of a mixture with Y = 1."""
    mu, symmetric = held.restriction.mu, held.restriction.symmetric
    weight, total = source.fold(_total, add_each)
    centre = mu if mu is not None and symmetric else total / weight
    products = source.fold(_Scatter(centre), operator.add)
    if np.isnan(products).any():
        return None
    L = factor(products / weight)
    if L is None:
        return None
    location = centre if mu is None else mu
    return Gaussian(location.copy(), centre - location, L)


def _total(chunk: Chunk) -> tuple[Any, ...]:
    """Weight and weighted sum of the rows of a chunk."""
    X = np.asarray(chunk.values, np.float64)
    if chunk.weights is None:
        return float(len(X)), X.sum(axis=0)
    return float(chunk.weights.sum()), chunk.weights @ X


@dataclass(frozen=True)
class _Scatter:
    """Weighted products of the deviations of the rows of a chunk."""

    centre: FloatArray

    def __call__(self, chunk: Chunk) -> FloatArray:
        """(d, d) sums."""
        X = np.asarray(chunk.values, np.float64)
        deviations = X - self.centre
        weighted = deviations if chunk.weights is None else deviations * chunk.weights[:, None]
        products: FloatArray = weighted.T @ deviations
        return products


def _narrow_law(fixed: Fixed) -> tuple[float, float, float]:
    """(p, a, b) of a law of Y of mean 1, nearly."""
    size = 1.0 / _LIMIT
    if fixed.b == 0.0:
        return size, 2.0 * size, 0.0
    if fixed.a == 0.0:
        return -size, 0.0, 2.0 * size
    return -0.5 if fixed.p is None else fixed.p, size, size
