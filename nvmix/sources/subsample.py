"""Subsample of a source: every k-th row, for a starting model."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import numpy as np

from nvmix.foundation.typing import FloatArray
from nvmix.sources.dask_cluster import ClusterSource
from nvmix.sources.observations import finite_rows, most_rows, spacing, starting_sample
from nvmix.sources.source import ArraySource, Chunk, Source


def subsample(source: Source) -> ArraySource:
    """Validated rows for a starting model: every k-th row, read in one pass.

    k is the smallest power of 2 for which there are at most `most_rows`; it is 1 for few rows.
    Powers of 2 make the subsample independent of the chunks: a pass that does not know the number
    of rows doubles k as they come, and drops every second row that it has.
    """
    if isinstance(source, ClusterSource):
        k = spacing(source.n_rows, most_rows(source.d))
        # Only these rows leave the workers.
        rows = source.reduce(partial(_every_kth, k, source.missing), partial(np.append, axis=0))
    else:
        k, rows = _in_order(source)
    try:
        return starting_sample(rows, source.missing)._replace(columns=source.columns)
    except ValueError as error:
        if k == 1:
            raise
        msg = (
            f"{error}, in one in every {k} rows, of which a start is made: if other rows differ, "
            "start from a model of from_classical"
        )
        raise ValueError(msg) from error


def _every_kth(k: int, missing: str, chunk: Chunk) -> FloatArray:
    """Copy of the rows of a chunk whose numbers are multiples of k; all rows are validated."""
    finite_rows(chunk.values, missing, chunk.first, chunk.number)
    rows: FloatArray = chunk.values[-chunk.first % k :: k].copy()
    return rows


def _in_order(source: Source) -> tuple[int, FloatArray]:
    """k and every k-th row; when rows become too many, k doubles and every second row goes."""
    k, parts = 1, [np.empty((0, 1))]
    with closing(source.chunks()) as chunks:
        for chunk in chunks:
            m, d = chunk.values.shape
            k, before = spacing(chunk.first + m, most_rows(d)), k
            if chunk.first == 0:
                parts = []
            elif k != before:
                parts = [np.concatenate(parts)[:: k // before].copy()]
            parts.append(_every_kth(k, source.missing, chunk))
    return k, np.concatenate(parts)
