"""The densest part of the data: a location and a scale that outliers and other clusters leave."""

from typing import Final, NamedTuple

import numpy as np

from nvmix.foundation.linalg import factor, inverse_lower
from nvmix.foundation.typing import FloatArray

# Shares of a column's values, the shortest interval with which gives location and width. A column
# whose interval has no width, as where values repeat, takes the next share.
_WIDER: Final = (0.75, 0.9, 0.97)
# Times the nearest rows are found anew by the mean and covariance of those before.
_ROUNDS: Final = 2
# Variance that is added to that of the nearest rows, in units of the squared widths: they may be
# few, or repeat.
_RIDGE: Final = 1e-2


class Core(NamedTuple):
    """Mean (d,) of the densest rows, Cholesky factor (d, d) of their covariance, and distances.

    Distances (n,) are those of all rows from the mean, squared, by the covariance.
    """

    mu: FloatArray
    cholesky: FloatArray
    distances: FloatArray


def core_of(X: FloatArray, share: float) -> Core | None:
    """The core of a share of the rows X (n, d); None where no such scale is positive definite.

    It begins at the shortest intervals that hold the share of each column, and twice takes the
    nearest rows by the mean and covariance of those before: two steps towards the minimum
    covariance determinant (P. J. Rousseeuw and K. Van Driessen, Technometrics 41 (1999), 212-223).
    """
    n, d = X.shape
    count = min(max(int(share * n), 2 * (d + 1)), n)
    mu, width = shortest_intervals(X, count)
    for wider in _WIDER:
        if not (width > 0.0).all():
            wide = shortest_intervals(X, max(int(wider * n), count))[1]
            width = np.where(width > 0.0, width, wide)
    width = np.where(width > 0.0, width, X.std(axis=0))
    floor = np.diag(_RIDGE * width * width)
    w = (X - mu) / width
    L: FloatArray | None = np.diag(width)
    for _ in range(_ROUNDS):
        q = np.einsum("ij,ij->i", w, w)
        near = X[np.argpartition(q, count - 1)[:count]]
        mu = near.mean(axis=0)
        z = near - mu
        L = factor(z.T @ z / count + floor)
        if L is None:
            return None
        w = (X - mu) @ inverse_lower(L).T
    return None if L is None else Core(mu, L, np.einsum("ij,ij->i", w, w))


def shortest_intervals(X: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Midpoints (d,) and half widths (d,) of the shortest intervals with `count` values of each."""
    ordered, count = np.sort(X, axis=0), min(max(count, 1), len(X))
    lengths = ordered[count - 1 :] - ordered[: len(X) - count + 1]
    first, columns = lengths.argmin(axis=0), np.arange(X.shape[1])
    low, high = ordered[first, columns], ordered[first + count - 1, columns]
    return 0.5 * (low + high), 0.5 * (high - low)
