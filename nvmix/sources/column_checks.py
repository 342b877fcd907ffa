"""Whether the columns of rows that are passed over vary, each in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix.foundation.linalg import Standardized
from nvmix.foundation.pairwise_sum import add_each
from nvmix.sources.columns import columns_vary
from nvmix.sources.observations import finite_rows

if TYPE_CHECKING:
    from nvmix.foundation.statistics import SufficientStatistics
    from nvmix.foundation.typing import FloatArray
    from nvmix.sources.source import Chunk, Source

# Share of a column's mean square, and of its own spread beyond other columns, below which the
# columns are looked at by passes of their own.
_SUSPECT = 1e-8


def check_sample(source: Source, statistics: SufficientStatistics) -> None:
    """Check that a law can be estimated from rows, of which one E-step is done.

    What it says of the columns tells nearly always, without another pass.

    Parameters
    ----------
    source : Source
        The rows.
    statistics : SufficientStatistics
        Of all of them.

    Raises
    ------
    ValueError
        If there are no more rows than columns, or columns are constant or collinear.
    """
    d = statistics.d
    if not statistics.weight > 0.0:
        msg = f"weights must not all be 0, got a sum of {statistics.weight}"
        raise ValueError(msg)
    plain = source.missing == "raise" and statistics.weight > d
    if plain and not _suspect(statistics):
        return
    n, found = _spread(source)
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


def _spread(source: Source) -> tuple[float, Standardized]:
    """Number of rows, and means, sizes and covariance; missing values count as the mean."""
    total, size, least, count = source.fold(_Extent(source.missing), _added_extents)
    if not count.all():
        msg = f"X must not have columns of missing values only, got column {int(count.argmin())}"
        raise ValueError(msg)
    mean = total / count
    size = np.maximum(size - mean, mean - least)
    size[size == 0.0] = 1.0
    rest, products = source.fold(_Products(mean, size), add_each)
    n = float(count.max())
    rest = rest / n
    return n, Standardized(mean + size * rest, size, products / n - np.outer(rest, rest))


@dataclass(frozen=True)
class _Extent:
    """Sums, largest, least and numbers of the values in each column; ValueError of bad rows."""

    missing: str

    def __call__(self, chunk: Chunk) -> tuple[FloatArray, ...]:
        """Of the rows of a chunk."""
        finite_rows(chunk.values, self.missing, chunk.first, chunk.number)
        X = np.asarray(chunk.values, np.float64)
        known = np.isfinite(X)
        least = np.where(known, X, np.inf).min(axis=0)
        largest = np.where(known, X, -np.inf).max(axis=0)
        return np.where(known, X, 0.0).sum(axis=0), largest, least, known.sum(axis=0).astype(float)


def _added_extents(
    left: tuple[FloatArray, ...], right: tuple[FloatArray, ...]
) -> tuple[FloatArray, ...]:
    """Extent of both."""
    return (
        left[0] + right[0],
        np.maximum(left[1], right[1]),
        np.minimum(left[2], right[2]),
        left[3] + right[3],
    )


@dataclass(frozen=True)
class _Products:
    """Sums of z and z z' of standardized rows z."""

    mean: FloatArray
    size: FloatArray

    def __call__(self, chunk: Chunk) -> tuple[Any, ...]:
        """Of the rows of a chunk."""
        z = np.nan_to_num((np.asarray(chunk.values, np.float64) - self.mean) / self.size)
        return z.sum(axis=0), z.T @ z
