"""Observations as the loops take them: groups of rows that one thread each works on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nvmix.backends.cpu._patterns import Patterns
from nvmix.backends.cpu._threads import groups_of

if TYPE_CHECKING:
    from nvmix._typing import FloatArray, IntArray

_NO_WEIGHTS = np.empty(0)


class Placed(NamedTuple):
    """Observations (n, d), their weights, empty where all are 1, and fixed groups of rows.

    Of complete observations a group is a slice; else it is the rows by pattern.
    """

    X: FloatArray
    weights: FloatArray
    groups: list[slice]
    patterns: list[Patterns]

    @property
    def whole(self) -> bool:
        """Whether one thread works on all rows, of which none has missing values."""
        return len(self.groups) == 1 and not self.patterns

    def weights_of(self, group: slice) -> FloatArray:
        """Weights of the rows of a group."""
        return self.weights[group] if self.weights.size else self.weights


def canonical(x: FloatArray) -> FloatArray:
    """The one array type the loops are compiled for: float64, C-ordered, writeable."""
    return np.require(x, np.float64, ["C", "W"])


def placed(X: FloatArray, weights: FloatArray | None) -> Placed:
    """Observations in fixed groups; complete ones are not copied."""
    X = canonical(X)
    omega = _NO_WEIGHTS if weights is None else canonical(weights)
    # One sum tells, without an array of flags.
    missing = np.isnan(X.sum()) and bool(np.isnan(X).any())
    return Placed(X, omega, groups_of(X.shape), _by_pattern(X, omega) if missing else [])


def _by_pattern(X: FloatArray, weights: FloatArray) -> list[Patterns]:
    """Rows sorted by which columns they have; small patterns share a group."""
    present = ~np.isnan(X)
    bits = np.packbits(present, axis=1)
    # One number a row where its bits fit, as sorting numbers is quick.
    codes = np.zeros((len(X), -(-bits.shape[1] // 8) * 8), np.uint8)
    codes[:, : bits.shape[1]] = bits
    keys = codes.view(np.uint64)
    order = np.lexsort(keys.T)
    ends = np.flatnonzero((keys[order[1:]] != keys[order[:-1]]).any(axis=1)) + 1
    share, pieces, groups = len(X) / len(groups_of(X.shape)), [], []
    for rows in np.split(order, ends):
        for part in groups_of((len(rows), X.shape[1])):
            pieces.append(_piece(X, weights, present[rows[0]], rows[part]))
            if sum(int(piece.rows[0]) for piece in pieces) >= share:
                groups.append(_joined(pieces))
                pieces = []
    return [*groups, _joined(pieces)] if pieces else groups


def _piece(X: FloatArray, weights: FloatArray, pattern: FloatArray, rows: IntArray) -> Patterns:
    """Rows of one pattern."""
    has = np.flatnonzero(pattern)
    return Patterns(
        X[np.ix_(rows, has)].ravel(),
        weights[rows] if weights.size else weights,
        np.concatenate([has, np.flatnonzero(pattern == 0)])[None, :],
        np.array([has.size]),
        np.array([rows.size]),
    )


def _joined(pieces: list[Patterns]) -> Patterns:
    """Several patterns as one group."""
    return Patterns(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))
