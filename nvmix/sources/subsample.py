"""Every k-th row of a source, to make a starting model from."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import numpy as np

from nvmix.foundation.typing import FloatArray
from nvmix.sources.dask_cluster import ClusterSource
from nvmix.sources.observations import finite_rows, most_rows, spacing, starting_sample
from nvmix.sources.source import ArraySource, Chunk, Source


def subsample(source: Source) -> ArraySource:
    """Validated rows to make a starting model from: all of few, every k-th of many; one pass.

    k is the least power of 2 that leaves few enough, so that the answer does not depend on where
    chunks begin. ValueError if there are no more rows than columns, or columns are constant or
    collinear.
    """
    k, rows = _of_cluster(source) if isinstance(source, ClusterSource) else _in_order(source)
    try:
        return starting_sample(rows, source.missing)._replace(columns=source.columns)
    except ValueError as error:
        if k == 1:
            raise
        msg = (
            f"{error}, in one in every {k} rows, of which a start is made: where other rows tell "
            "more, start from a model of from_classical"
        )
        raise ValueError(msg) from error


def _every(k: int, missing: str, chunk: Chunk) -> FloatArray:
    """Copy of the rows whose numbers are multiples of k; ValueError if any row is invalid."""
    finite_rows(chunk.values, missing, chunk.first, chunk.number)
    rows: FloatArray = chunk.values[-chunk.first % k :: k].copy()
    return rows


def _in_order(source: Source) -> tuple[int, FloatArray]:
    """k and the rows, as chunks come: when rows are too many k doubles and half of them go."""
    k, kept = 1, [np.empty((0, 1))]
    with closing(source.chunks()) as chunks:
        for chunk in chunks:
            m, d = chunk.values.shape
            k, before = spacing(chunk.first + m, most_rows(d)), k
            if chunk.first == 0:
                kept = []
            elif k != before:
                kept = [np.concatenate(kept)[:: k // before].copy()]
            kept.append(_every(k, source.missing, chunk))
    return k, np.concatenate(kept)


def _of_cluster(source: ClusterSource) -> tuple[int, FloatArray]:
    """k and the rows, which workers choose, as the number of rows is known before."""
    k = spacing(source.n_rows, most_rows(source.d))
    return k, source.reduce(partial(_every, k, source.missing), _concatenated)


def _concatenated(left: FloatArray, right: FloatArray) -> FloatArray:
    """Rows of both."""
    return np.concatenate([left, right])
