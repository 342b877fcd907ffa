"""How far the law of a model is from the rows that it was fitted to, a column at a time."""

import math
from typing import Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.parts.normal_maps import selected
from nvmix.sources.source import ArraySource

# Shares of the rows at whose quantiles distribution functions are compared, and the most rows.
_SHARES: Final = np.arange(1, 20) / 20.0
_MOST_ROWS: Final = 5000


def misfit(model: Mixture, source: ArraySource) -> float:
    """Largest difference of the distribution functions of a model and of rows, over all columns.

    It is Kolmogorov's distance at 19 quantiles, of evenly spaced rows if there are many, at least
    half the share of a value that repeats. nan if the model has no distribution function.
    """
    step = -(-len(source.values) // _MOST_ROWS)
    X = np.asarray(source.values[::step], np.float64)
    weights = None if source.weights is None else source.weights[::step]
    return float(np.max([_of_column(model, j, x, weights) for j, x in enumerate(X.T)]))


def _of_column(model: Mixture, j: int, x: FloatArray, weights: FloatArray | None) -> float:
    """The difference in column j with values x (n,), of which nan is left out."""
    n = np.count_nonzero(~np.isnan(x))
    if weights is None:
        x, upto = np.sort(x)[:n], np.arange(n + 1.0)
    else:
        order = np.argsort(x)[:n]
        x, upto = x[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    if not upto[-1] > 0.0:
        return math.nan
    shares = upto / upto[-1]
    points = x[np.searchsorted(shares[1:], _SHARES)]
    before, after = (shares[np.searchsorted(x, points, side=side)] for side in ("left", "right"))
    normal = selected(model.normal, np.array([j]))
    f = get_backend().tails(points, normal, model.subordinator.gig, upper=False, log=False)
    return float(np.maximum(f - before, after - f).max())
