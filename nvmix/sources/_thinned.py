"""Rows to make a starting model from: all of few, evenly spaced ones of many."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nvmix._observations import Data, finite_rows, most_rows, spacing, starting_sample
from nvmix.sources._cluster import Cluster

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.sources._protocol import Chunk, Source


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
    """Validated rows of a source to make a starting model from, evenly spaced.

    The stride is the least power of 2 that leaves few enough, so that chunks do not matter.

    Parameters
    ----------
    source : Source
        The rows; one pass is made.

    Returns
    -------
    Data
        All rows, or at least half as many as there may be.

    Raises
    ------
    ValueError
        If there are no more rows than columns, or columns are constant or collinear.
    """
    rows = _of_cluster(source) if isinstance(source, Cluster) else _in_order(source)
    return Data(starting_sample(rows, source.missing).values, source.columns)


def _in_order(source: Source) -> FloatArray:
    """Rows as they come: some of those at hand go when there are too many."""
    stride, kept = 1, np.empty((0, 1))
    with closing(source.chunks()) as chunks:
        for chunk in chunks:
            m, d = chunk.values.shape
            stride, before = spacing(chunk.first + m, most_rows(d)), stride
            kept, rows = kept[:: stride // before], _Every(stride, source.missing)(chunk)
            kept = rows if chunk.first == 0 else np.concatenate([kept, rows])
    return kept


def _of_cluster(source: Cluster) -> FloatArray:
    """Rows that workers choose, as there are known to be so many."""
    stride = spacing(source.n_rows, most_rows(source.d or 1))
    return source.fold(_Every(stride, source.missing), _one_after_the_other)


def _one_after_the_other(left: FloatArray, right: FloatArray) -> FloatArray:
    """Rows of both."""
    return np.concatenate([left, right])
