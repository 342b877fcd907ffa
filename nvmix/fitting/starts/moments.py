"""Moments and random subsets of the data, from which starting models are made."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from nvmix.foundation.linalg import bounded, factor, inverse_lower, row_blocks, standardized
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import generator

# Bounds of Var[Y] in a start: with heavy tails the sample kurtosis is erratic, and EM would be slow
# from more extreme values.
_LEAST_VARIANCE: Final = 0.05
_MOST_VARIANCE: Final = 2.0
# Largest share of the covariance that comes from skewness in a start.
_MOST_SKEWNESS: Final = 0.5
# Values up to which a copy of all costs less than copies of blocks.
_FEW: Final = 1 << 15
# Share of a column's variance that those before may leave: less is rounding.
_COLLINEAR: Final = 1e-13
# Rows of a random subset: this share of all, but at least so many times d + 1.
_SHARE: Final = 0.05
_LEAST_ROWS: Final = 20


class MomentMatch(NamedTuple):
    """mu, gamma, Cholesky factor of Sigma, and Var[Y] of a mixture with E[Y] = 1."""

    mu: FloatArray
    gamma: FloatArray
    cholesky: FloatArray
    variance: float
    flat: bool  # whether the kurtosis asks for less than the least Var[Y]


def match_moments(X: FloatArray) -> MomentMatch:
    r"""Method of moments for X (n, d) of full rank, to first order in the skewness.

    For whitened rows w, E[Y] = 1 and Var[Y] = c, :math:`E\lVert w\rVert^4 = d(d+2)(1+c)` and
    :math:`E[\lVert w\rVert^2 w] = (d+2)\, c\, \gamma` (K. V. Mardia, Biometrika 57 (1970),
    519-530). c is limited to [0.05, 2], and c gamma' gamma to 1/2, half of a unit variance.
    """
    d = X.shape[1]
    # The blocks of few rows, columns first, are then no copies.
    X = np.asfortranarray(X) if X.size <= _FEW else X
    mean, size, covariance = standardized(X)
    L = factor(covariance)
    if L is None or (np.square(np.diag(L)) <= _COLLINEAR * np.diag(covariance)).any():
        return _match_bounded(X)
    inverse = inverse_lower(L) / size
    fourth, third = 0.0, np.zeros(d)
    for x in row_blocks(X):
        w = inverse @ (x - mean[:, None])
        squares = np.square(w).sum(axis=0)
        fourth += float(np.square(squares).sum())
        third += (w * squares).sum(axis=1)
    kurtosis = fourth / len(X)
    excess = kurtosis / (d * (d + 2)) - 1.0
    c = min(max(excess, _LEAST_VARIANCE), _MOST_VARIANCE)
    gamma = third / (len(X) * (d + 2) * c)
    gamma *= min(1.0, np.sqrt(_MOST_SKEWNESS / c) / max(float(np.linalg.norm(gamma)), 1e-300))
    scale = size[:, None] * L
    inner = np.linalg.cholesky(np.eye(d) - c * np.outer(gamma, gamma))
    shift = scale @ gamma
    return MomentMatch(mean - shift, shift, scale @ inner, c, excess < _LEAST_VARIANCE)


def _match_bounded(X: FloatArray) -> MomentMatch:
    """Mean and covariance in which rows far away count less, and the most variable Y."""
    mean, size, covariance = bounded(X)
    L = size[:, None] * np.linalg.cholesky(covariance)
    return MomentMatch(mean, np.zeros(mean.size), L, _MOST_VARIANCE, flat=False)


def random_subsets(X: FloatArray, count: int, seed: Any) -> Iterator[FloatArray]:
    """Yield `count` random subsets (m, d) of the rows X (n, d), m = max(20 (d + 1), n / 20)."""
    rng, (n, d) = generator(seed), X.shape
    size = min(n, max(_LEAST_ROWS * (d + 1), int(_SHARE * n)))
    for _ in range(count):
        yield X[rng.choice(n, size, replace=False)]
