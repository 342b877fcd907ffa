"""Whether columns of rows that are read in passes are constant or collinear."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from nvmix.foundation.linalg import Standardized
from nvmix.foundation.pairwise_sum import add_each
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray
from nvmix.sources.columns import columns_vary
from nvmix.sources.observations import finite_rows
from nvmix.sources.source import Chunk, Source

# A column whose variance is below this share of its mean square, or of which other columns leave
# less than this share, is suspect: two passes of their own then decide.
_SUSPECT = 1e-8


def check_sample(source: Source, statistics: SufficientStatistics) -> None:
    """Raise ValueError if no law can be estimated from the rows, whose first E-step is done.

    There must be more rows than columns, and no constant or collinear column. The statistics of
    the E-step nearly always show that columns vary, without another pass.
    """
    d = statistics.d
    if not statistics.weight > 0.0:
        msg = f"weights must not all be 0, got a sum of {statistics.weight}"
        raise ValueError(msg)
    plain = source.missing == "raise" and statistics.weight > d
    if plain and not _suspect(statistics):
        return
    n, found = _standardized(source)
    if n <= d:
        msg = f"X must have more rows than columns to be fitted, got shape ({n:.0f}, {d})"
        raise ValueError(msg)
    columns_vary(source.columns or tuple(str(j) for j in range(d)), found)


def _suspect(statistics: SufficientStatistics) -> bool:
    """Whether columns may be constant or collinear, by their covariance weighted with E[1/Y]."""
    mean = statistics.x_inv_y / statistics.inv_y
    covariance = statistics.xx_inv_y / statistics.inv_y - np.outer(mean, mean)
    deviation = np.sqrt(np.abs(np.diag(covariance)))
    if not np.isfinite(covariance).all():
        return False
    if (np.square(deviation) <= _SUSPECT * np.square(mean)).any():
        return True
    return bool(np.linalg.eigvalsh(covariance / np.outer(deviation, deviation))[0] < _SUSPECT)


def _standardized(source: Source) -> tuple[float, Standardized]:
    """Number of rows, and means, sizes and covariance; missing values count as the mean."""
    total, size, least, count = source.reduce(partial(_extent, source.missing), _merged_extents)
    if not count.all():
        msg = f"X must not have columns of missing values only, got column {int(count.argmin())}"
        raise ValueError(msg)
    mean = total / count
    size = np.maximum(size - mean, mean - least)
    size[size == 0.0] = 1.0
    rest, products = source.reduce(partial(_products, mean, size), add_each)
    n = float(count.max())
    rest = rest / n
    return n, Standardized(mean + size * rest, size, products / n - np.outer(rest, rest))


def _extent(missing: str, chunk: Chunk) -> tuple[FloatArray, ...]:
    """Sum, largest, least and number of the values in each column; ValueError of invalid rows."""
    finite_rows(chunk.values, missing, chunk.first, chunk.number)
    X = np.asarray(chunk.values, np.float64)
    known = np.isfinite(X)
    least = np.where(known, X, np.inf).min(axis=0)
    largest = np.where(known, X, -np.inf).max(axis=0)
    return np.where(known, X, 0.0).sum(axis=0), largest, least, known.sum(axis=0).astype(float)


def _merged_extents(
    left: tuple[FloatArray, ...], right: tuple[FloatArray, ...]
) -> tuple[FloatArray, ...]:
    """Extent of the rows of both."""
    return (
        left[0] + right[0],
        np.maximum(left[1], right[1]),
        np.minimum(left[2], right[2]),
        left[3] + right[3],
    )


def _products(mean: FloatArray, size: FloatArray, chunk: Chunk) -> tuple[Any, ...]:
    """Sums of z and z z' over the rows of a chunk, z = (x - mean) / size."""
    z = np.nan_to_num((np.asarray(chunk.values, np.float64) - mean) / size)
    return z.sum(axis=0), z.T @ z
