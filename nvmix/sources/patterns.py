"""Rows with missing values, by pattern: which columns have values."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from nvmix.foundation.typing import FloatArray, IntArray


def patterns_of(X: FloatArray) -> Iterator[tuple[IntArray, Any]]:
    """For each pattern of nan in X (n, d): the columns with values, and the rows that have it.

    Rows are an array of their numbers, or the slice of all, so that complete data are not copied.
    """
    present = ~np.isnan(X)
    if present.all():
        yield np.arange(X.shape[1]), slice(None)
        return
    codes = np.packbits(present, axis=1)
    keys = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.shape[1]))).ravel()
    _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(kind, kind="stable"), np.cumsum(np.bincount(kind))[:-1])
    for row, same in zip(first, rows, strict=True):
        yield np.flatnonzero(present[row]), same


def values_of(X: FloatArray, columns: IntArray, rows: Any) -> FloatArray:
    """Values of rows of a pattern; those of complete data are not copied."""
    values: FloatArray = X[rows] if columns.size == X.shape[1] else X[np.ix_(rows, columns)]
    return values
