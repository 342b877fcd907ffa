"""Starts with mu at an edge of the data, gamma pointing inwards and little noise along it.

EM from there finds ends at which Sigma is nearly singular along gamma, of which there may be many.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from nvmix.backends.types import Fixed, GIGParameters, NormalParameters
from nvmix.fitting.starts.laws import law_with
from nvmix.foundation.linalg import factor, inverse_lower, standardized
from nvmix.foundation.typing import FloatArray

# Whitened values are clipped here, that outliers do not set the directions.
_CLIPPED: Final = 10.0
# Of the whitened rows: Sigma across gamma, the share of it that is left along gamma, and how far
# mu is beyond the outermost row.
_NOISE: Final = 0.5
_ALONG: Final = 0.02
_BEYOND: Final = 0.05
# Var[Y] of the starts, with E[Y] = 1.
_VARIANCE: Final = 1.0


def edge_starts(X: FloatArray, fixed: Fixed) -> Iterator[tuple[NormalParameters, GIGParameters]]:
    """Yield parameters of starts for rows X (n, d), of a family that fixes these of (p, a, b).

    mu is outermost along the skewness, or has the least or largest value of a column. There is none
    where the covariance is singular.
    """
    mean, size, covariance = standardized(np.asfortranarray(X))
    correlation = factor(covariance)
    if correlation is None:
        return
    L = size[:, None] * correlation
    W = np.clip((X - mean) @ inverse_lower(L).T, -_CLIPPED, _CLIPPED)
    R = W - W.mean(axis=0)
    skewness = np.square(R).sum(axis=1) @ R
    center, identity, law = np.median(W, axis=0), np.eye(len(mean)), law_with(fixed, _VARIANCE)
    # A column of X is the product of W with a row of L.
    for direction in filter(np.any, (*L, *-L, skewness)):
        u = direction / np.linalg.norm(direction)
        along = W @ u
        inwards = (np.median(along) - along.min() + _BEYOND) * u
        noise = np.linalg.cholesky(_NOISE * (identity - (1.0 - _ALONG) * np.outer(u, u)))
        normal = NormalParameters(mean + L @ (center - inwards), L @ inwards, L @ noise)
        yield normal, law
