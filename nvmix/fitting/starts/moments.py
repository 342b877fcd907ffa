"""What starting models are made from: moments of the data, and random parts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nvmix.foundation.linalg import inverse_lower, row_blocks, standardized
from nvmix.foundation.validation import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nvmix.foundation.typing import FloatArray

# Sample kurtosis is erratic under heavy tails; starts stay among shapes that EM leaves quickly.
_LEAST_MIXING: Final = 0.05
_MOST_MIXING: Final = 2.0


# Share of the rows that a random start is fitted to, and rows for each column and one at least.
_SHARE: Final = 0.05
_LEAST_ROWS: Final = 20

# The share of the covariance that skewness may claim in a start.
_MOST_SKEWNESS: Final = 0.5


class SampleMoments(NamedTuple):
    """Location, skewness, scale and Var[Y] of the mixture with E[Y] = 1 of given moments."""

    mu: FloatArray
    gamma: FloatArray
    cholesky: FloatArray
    mixing: float


def match_moments(X: FloatArray) -> SampleMoments:
    r"""Method of moments in whitened coordinates w, to first order in the skewness.

    With E[Y] = 1, Var[Y] = c and Cov[w] = I, :math:`E\lVert w\rVert^4 = d(d+2)(1+c)` and
    :math:`E[\lVert w\rVert^2 w] = (d+2)\, c\, \gamma`.

    Parameters
    ----------
    X : (n, d) array
        Observations of full rank.

    Returns
    -------
    SampleMoments
        With c kept within (0.05, 2) and c gamma' gamma at most half of a unit variance.

    References
    ----------
    K. V. Mardia, Measures of multivariate skewness and kurtosis with applications, Biometrika 57
    (1970), 519-530.
    """
    d = X.shape[1]
    mean, size, covariance = standardized(X)
    L = np.asarray(np.linalg.cholesky(covariance), np.float64)
    inverse = inverse_lower(L) / size
    fourth, third = 0.0, np.zeros(d)
    for x in row_blocks(X):
        w = inverse @ (x - mean[:, None])
        squares = np.square(w).sum(axis=0)
        fourth += float(np.square(squares).sum())
        third += (w * squares).sum(axis=1)
    kurtosis = fourth / len(X)
    c = float(np.clip(kurtosis / (d * (d + 2)) - 1.0, _LEAST_MIXING, _MOST_MIXING))
    gamma = third / (len(X) * (d + 2) * c)
    gamma *= min(1.0, np.sqrt(_MOST_SKEWNESS / c) / max(float(np.linalg.norm(gamma)), 1e-300))
    scale = size[:, None] * L
    inner = np.linalg.cholesky(np.eye(d) - c * np.outer(gamma, gamma))
    shift = scale @ gamma
    return SampleMoments(mean - shift, shift, scale @ inner, c)


def random_parts(X: FloatArray, count: int, seed: Any) -> Iterator[FloatArray]:
    """Yield random subsets of the rows, small enough to be apart from one another.

    Parameters
    ----------
    X : (n, d) array
        Observations.
    count : int
        How many subsets.
    seed : int, numpy.random.Generator or None
        Source of randomness.

    Yields
    ------
    (m, d) array
        A twentieth of the rows, or 20 for each column and one where that is more.
    """
    rng, (n, d) = generator(seed), X.shape
    size = min(n, max(_LEAST_ROWS * (d + 1), int(_SHARE * n)))
    for _ in range(count):
        yield X[rng.choice(n, size, replace=False)]
