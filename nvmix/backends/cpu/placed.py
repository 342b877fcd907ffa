"""Observations as compiled functions take them, in groups of rows that are tasks for threads."""

from typing import NamedTuple

import numpy as np

from nvmix.backends.cpu.kernels.em.missing_values import Patterns
from nvmix.backends.cpu.partition import groups_of
from nvmix.foundation.typing import BoolArray, FloatArray

_NO_WEIGHTS = np.empty(0)


class Placed(NamedTuple):
    """Observations X (n, d), their weights, empty where all are 1, and groups of rows.

    Groups of complete observations are slices. Where values are missing, patterns has the groups.
    """

    X: FloatArray
    weights: FloatArray
    groups: list[slice]
    patterns: list[Patterns]

    @property
    def is_one_group(self) -> bool:
        """Whether one thread works on all rows, and none of them has missing values."""
        return len(self.groups) == 1 and not self.patterns

    def weights_of(self, group: slice) -> FloatArray:
        """Weights of the rows of a group."""
        return self.weights[group] if self.weights.size else self.weights


def canonical(x: FloatArray) -> FloatArray:
    """An array of the one type that functions are compiled for: float64, C-ordered, writeable."""
    x = np.asarray(x, np.float64, order="C")
    # The flag of an array of `np.broadcast_arrays` warns where it is read; its buffer is read-only.
    return x.copy() if x.data.readonly else x


def placed(X: FloatArray, weights: FloatArray | None, missing: bool) -> Placed:
    """Observations in groups, complete ones not copied; with missing, nan is a missing value."""
    X = canonical(X)
    omega = _NO_WEIGHTS if weights is None else canonical(weights)
    incomplete = missing and bool(np.isnan(X).any())
    return Placed(X, omega, groups_of(X.shape), _by_pattern(X, omega) if incomplete else [])


def _by_pattern(X: FloatArray, weights: FloatArray) -> list[Patterns]:
    """Rows sorted by which columns are present, in groups."""
    present = ~np.isnan(X)
    bits = np.packbits(present, axis=1)
    # The bits of a row as numbers, one for 64 columns: sorting numbers is quick.
    codes = np.zeros((len(X), -(-bits.shape[1] // 8) * 8), np.uint8)
    codes[:, : bits.shape[1]] = bits
    order = np.lexsort(codes.view(np.uint64).T)
    X, present = X[order], present[order]
    weights = weights[order] if weights.size else weights
    return [
        _group(X[part], present[part], weights[part] if weights.size else weights)
        for part in groups_of(X.shape)
    ]


def _group(X: FloatArray, present: BoolArray, weights: FloatArray) -> Patterns:
    """Patterns of a group of sorted rows."""
    changes = np.flatnonzero((present[1:] != present[:-1]).any(axis=1)) + 1
    first = np.concatenate([[0], changes])
    kinds = present[first]
    columns = np.argsort(np.logical_not(kinds), axis=1, kind="stable")
    return Patterns(X[present], weights, columns, kinds.sum(axis=1), np.diff([*first, len(X)]))
