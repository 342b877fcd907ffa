"""Rows to make a starting model from: all of them, or evenly spaced ones of a source."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nvmix._validation import Data, finite_rows, starting_sample
from nvmix.sources._cluster import Cluster
from nvmix.sources._readers import rows_of_chunk

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.sources._protocol import Chunk, Source

# The most rows that a start is made from, if these are no more than a chunk.
_MOST: Final = 1 << 17


@dataclass(frozen=True)
class _Every:
    """Rows of a chunk whose numbers are multiples of a stride, copied."""

    stride: int
    missing: str

    def __call__(self, chunk: Chunk) -> FloatArray:
        """Those rows; ValueError if there is one among all that cannot be."""
        finite_rows(chunk.values, self.missing, chunk.first, chunk.number)
        rows: FloatArray = chunk.values[-chunk.first % self.stride :: self.stride].copy()
        return rows


def thinned(source: Source) -> Data:
    """Validated rows of a source, evenly spaced, to make a starting model from.

    The stride is the least power of 2 that leaves few enough, so that chunks do not matter.

    Parameters
    ----------
    source : Source
        The rows; one pass is made.

    Returns
    -------
    Data
        All rows of a short source; else half of the most rows, at least.

    Raises
    ------
    ValueError
        If there are no more rows than columns, or columns are constant or collinear.
    """
    rows = _of_cluster(source) if isinstance(source, Cluster) else _in_order(source)
    return Data(starting_sample(rows, source.missing).values, source.columns)


def _in_order(source: Source) -> FloatArray:
    """Rows as they come: every second of those at hand goes when there are too many."""
    stride, kept = 1, np.empty((0, 1))
    with closing(source.chunks()) as chunks:
        for chunk in chunks:
            m, d = chunk.values.shape
            while chunk.first + m > stride * _most(d):
                stride, kept = 2 * stride, kept[::2]
            rows = _Every(stride, source.missing)(chunk)
            kept = rows if chunk.first == 0 else np.concatenate([kept, rows])
    return kept


def _of_cluster(source: Cluster) -> FloatArray:
    """Rows that workers choose, as there are known to be so many."""
    stride, most = 1, _most(source.d or 1)
    while source.n_rows > stride * most:
        stride *= 2
    return source.fold(_Every(stride, source.missing), _one_after_the_other)


def _one_after_the_other(left: FloatArray, right: FloatArray) -> FloatArray:
    """Rows of both."""
    return np.concatenate([left, right])


def _most(d: int) -> int:
    """Rows of d columns that are few enough."""
    return min(_MOST, rows_of_chunk(d))
