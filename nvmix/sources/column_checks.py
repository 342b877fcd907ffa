"""Column checks of a source: the search for constant and collinear columns in passes."""

from functools import partial
from typing import Any

import numpy as np

from nvmix.foundation.linalg import Standardized
from nvmix.foundation.pairwise_sum import add_each
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray
from nvmix.sources.observations import columns_vary, finite_rows
from nvmix.sources.source import Chunk, Source

# If a column's variance is below this fraction of its squared mean, or an eigenvalue of the
# correlation matrix is below it, two more passes check the columns exactly. 1e-8 is far above the
# rounding errors of the statistics, 1e-16 times the squared mean.
_SUSPECT = 1e-8


def check_sample(source: Source, statistics: SufficientStatistics) -> None:
    """Raise ValueError if rows are no more than columns, or columns are constant or collinear.

    The statistics of the first E-step nearly always suffice for this check, without another pass.
    """
    d = statistics.d
    if not statistics.weight > 0.0:
        msg = f"weights must not all be 0, got a sum of {statistics.weight}"
        raise ValueError(msg)
    # With missing values or weights below 1, statistics do not show the number of rows.
    if source.missing == "raise" and statistics.weight > d and not _suspect(statistics):
        return
    n, moments = _standardized(source)
    if n <= d:
        msg = f"X must have more rows than columns to be fitted, got shape ({n:.0f}, {d})"
        raise ValueError(msg)
    columns_vary(source.columns or tuple(str(j) for j in range(d)), moments)


def _suspect(statistics: SufficientStatistics) -> bool:
    """Whether columns may be constant or collinear, by the covariance with weights E[1/Y | x]."""
    mean = statistics.x_inv_y / statistics.inv_y
    covariance = statistics.xx_inv_y / statistics.inv_y - np.outer(mean, mean)
    deviation = np.sqrt(np.abs(np.diag(covariance)))
    if not np.isfinite(covariance).all():
        return False
    if (np.square(deviation) <= _SUSPECT * np.square(mean)).any():
        return True
    return bool(np.linalg.eigvalsh(covariance / np.outer(deviation, deviation))[0] < _SUSPECT)


def _standardized(source: Source) -> tuple[float, Standardized]:
    """Number of rows and `standardized` moments, in two passes; missing values become the mean."""
    total, largest, least, count = source.reduce(partial(_extent, source.missing), _merged_extents)
    if not count.all():
        msg = f"X must not have columns of missing values only, got column {int(count.argmin())}"
        raise ValueError(msg)
    mean = total / count
    size = np.maximum(largest - mean, mean - least)
    size[size == 0.0] = 1.0
    rest, products = source.reduce(partial(_products, mean, size), add_each)
    n = float(count.max())
    rest = rest / n
    return n, Standardized(mean + size * rest, size, products / n - np.outer(rest, rest))


def _extent(missing: str, chunk: Chunk) -> tuple[FloatArray, ...]:
    """Sum, maximum, minimum and number of the known values of each column, each (d,)."""
    finite_rows(chunk.values, missing, chunk.first, chunk.number)
    X = np.asarray(chunk.values, np.float64)
    known = np.isfinite(X)
    least = np.where(known, X, np.inf).min(axis=0)
    largest = np.where(known, X, -np.inf).max(axis=0)
    return np.where(known, X, 0.0).sum(axis=0), largest, least, known.sum(axis=0).astype(float)


def _merged_extents(
    left: tuple[FloatArray, ...], right: tuple[FloatArray, ...]
) -> tuple[FloatArray, ...]:
    """The result of `_extent` for the rows of two chunks together."""
    add = (np.add, np.maximum, np.minimum, np.add)
    return tuple(f(x, y) for f, x, y in zip(add, left, right, strict=True))


def _products(mean: FloatArray, size: FloatArray, chunk: Chunk) -> tuple[Any, ...]:
    """Sums of z (d,) and z z' (d, d) over the rows of a chunk, with z = (x - mean) / size."""
    z = np.nan_to_num((np.asarray(chunk.values, np.float64) - mean) / size)
    return z.sum(axis=0), z.T @ z
