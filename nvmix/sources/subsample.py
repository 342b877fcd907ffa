"""Rows to make a starting model from: all of few, evenly spaced ones of many."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nvmix.sources.dask_cluster import Cluster
from nvmix.sources.observations import Data, finite_rows, most_rows, spacing, starting_sample

if TYPE_CHECKING:
    from nvmix.foundation.typing import FloatArray
    from nvmix.sources.source import Chunk, Source


@dataclass(frozen=True)
class _Every:
    """Rows of a chunk whose numbers are multiples of k, copied."""

    k: int
    missing: str

    def __call__(self, chunk: Chunk) -> FloatArray:
        """Those rows; ValueError if there is one among all that cannot be."""
        finite_rows(chunk.values, self.missing, chunk.first, chunk.number)
        rows: FloatArray = chunk.values[-chunk.first % self.k :: self.k].copy()
        return rows


def thinned(source: Source) -> Data:
    """Validated rows of a source to make a starting model from, evenly spaced.

    The spacing is the least power of 2 that leaves few enough, so that chunks do not matter.

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
    k, rows = _of_cluster(source) if isinstance(source, Cluster) else _in_order(source)
    try:
        return Data(starting_sample(rows, source.missing).values, source.columns)
    except ValueError as error:
        if k == 1:
            raise
        msg = (
            f"{error}, in one in every {k} rows, of which a start is made: where other rows tell "
            "more, start from a model of from_classical"
        )
        raise ValueError(msg) from error


def _in_order(source: Source) -> tuple[int, FloatArray]:
    """Spacing and rows, as they come: some of those at hand go when there are too many."""
    k, kept = 1, [np.empty((0, 1))]
    with closing(source.chunks()) as chunks:
        for chunk in chunks:
            m, d = chunk.values.shape
            k, before = spacing(chunk.first + m, most_rows(d)), k
            if chunk.first == 0:
                kept = []
            elif k != before:
                kept = [np.concatenate(kept)[:: k // before].copy()]
            kept.append(_Every(k, source.missing)(chunk))
    return k, np.concatenate(kept)


def _of_cluster(source: Cluster) -> tuple[int, FloatArray]:
    """Spacing and rows, which workers choose, as there are known to be so many."""
    k = spacing(source.n_rows, most_rows(source.d))
    return k, source.fold(_Every(k, source.missing), _one_after_the_other)


def _one_after_the_other(left: FloatArray, right: FloatArray) -> FloatArray:
    """Rows of both."""
    return np.concatenate([left, right])
