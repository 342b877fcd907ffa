"""The row loops for many columns: BLAS products over chunks that stay in cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nvmix.backends.cpu import _loops

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import GIGParameters

# Columns from which BLAS outruns the fused loops.
LEAST_COLUMNS: Final = 32
# Doubles in a chunk of rows: about half of a second-level cache.
_CHUNK: Final = 1 << 16


def _whitened_chunks(
    X: FloatArray, mu: FloatArray, inverse: FloatArray
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Slices of rows with their w = L^-1 (x - mu) and |w|^2."""
    step = max(256, _CHUNK // X.shape[1])
    for first in range(0, len(X), step):
        rows = slice(first, first + step)
        w = (X[rows] - mu) @ inverse.T
        yield rows, w, np.einsum("ij,ij->i", w, w)


def log_prob(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    posterior: GIGParameters, log_constant: float, table: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out[i] with log f(x_i); as `_loops.log_prob_loop`."""
    for rows, w, q in _whitened_chunks(X, mu, inverse):
        _loops.log_norm_loop(q, posterior, table, out[rows])
        out[rows] += w @ g + log_constant


def e_step(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    posterior: GIGParameters, log_constant: float, table: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Sums over rows; as `_loops.e_step_loop`."""
    d = X.shape[1]
    scalars, x, x_inv_y, scatter = np.zeros(4), np.zeros(d), np.zeros(d), np.zeros((d, d))
    for _, w, q in _whitened_chunks(X, mu, inverse):
        inv_y = np.empty_like(q)
        scalars += _loops.moments_loop(q, posterior, table, inv_y)
        total = w.sum(axis=0)
        scalars[0] += total @ g + len(q) * log_constant
        x += total
        x_inv_y += inv_y @ w
        scatter += (w * inv_y[:, None]).T @ w
    return scalars, x, x_inv_y, scatter
