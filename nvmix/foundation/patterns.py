"""Rows with missing values, by pattern: which columns have values."""

from collections.abc import Iterator

import numpy as np

from nvmix.foundation.typing import FloatArray, IntArray


def patterns_of(X: FloatArray) -> Iterator[tuple[IntArray, IntArray]]:
    """For each pattern of nan in X (n, d): the columns with values, and the rows that have it."""
    present = ~np.isnan(X)
    if present.all():
        yield np.arange(X.shape[1]), np.arange(len(X))
        return
    codes = np.packbits(present, axis=1)
    keys = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.shape[1]))).ravel()
    _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(kind, kind="stable"), np.cumsum(np.bincount(kind))[:-1])
    for row, same in zip(first, rows, strict=True):
        yield np.flatnonzero(present[row]), same
