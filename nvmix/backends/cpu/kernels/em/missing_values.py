"""The E-step over rows with missing values.

Rows are grouped by pattern: which m of the d columns have values. Put those columns first, and let
C be the Cholesky factor of Sigma in that order. The whitened coordinates u = C^-1 (x - mu) of a row
begin with those of its m values alone, which give the posterior of Y. Given Y, the other d - m are
Y g + sqrt(Y) N(0, I) with g = C^-1 gamma, whatever the values: their expectations follow from those
of Y. An orthogonal Q turns u into the frame w = L^-1 (x - mu) of all rows.
"""

from typing import NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.careful_rows import add_careful_rows
from nvmix.backends.cpu.kernels.em.e_step import SCALARS, Model
from nvmix.backends.cpu.kernels.em.matrices import (
    apply,
    cholesky,
    invert_lower,
    multiply,
    multiply_transposed,
)
from nvmix.foundation.typing import FloatArray, IntArray


class Patterns(NamedTuple):
    """Rows sorted by pattern, without the missing values."""

    values: FloatArray  # (k,): those of the first row, then those of the next
    weights: FloatArray  # (n,) of the rows in that order; empty where all are 1
    columns: IntArray  # (patterns, d): the columns with values, then the missing ones
    n_present: IntArray  # (patterns,) numbers of columns with values
    n_rows: IntArray  # (patterns,) numbers of rows


@device
def _permuted(columns: IntArray, model: Model) -> tuple[Model, FloatArray]:
    """The model of the columns in that order, and the inverse of its Cholesky factor."""
    d = columns.size
    mu, gamma, rows = model.mu[columns], model.gamma[columns], model.L[columns]
    sigma, L, inverse = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    multiply_transposed(rows, rows, sigma)
    cholesky(sigma, L)
    invert_lower(L, inverse)
    return Model(mu, gamma, L, model.theta), inverse


@device
def _marginal(m: int, model: Model, inverse: FloatArray) -> tuple[Model, FloatArray]:
    """The marginal model of the first m columns, and the inverse of its Cholesky factor."""
    mu, gamma, L = model.mu[:m].copy(), model.gamma[:m].copy(), model.L[:m, :m].copy()
    return Model(mu, gamma, L, model.theta), inverse[:m, :m].copy()


@device
def _rotation(columns: IntArray, model: Model, inverse: FloatArray) -> FloatArray:
    """Orthogonal Q = L^-1 P' C with w = Q u; inverse is L^-1, C the L of the permuted model."""
    d = columns.size
    rows, Q = np.empty((d, d)), np.empty((d, d))
    for i in range(d):
        for j in range(d):
            rows[columns[i], j] = model.L[i, j]
    multiply(inverse, rows, Q)
    return Q


@device
def _completed(
    partial: FloatArray, inner: FloatArray, g: FloatArray, u: FloatArray, scatter: FloatArray
) -> None:
    """Fill the sums of (u, u / Y), (d, 2), and of u u' / Y from those of the first m coordinates.

    A missing coordinate is g_i Y plus noise of variance Y, so that its sum is g_i times that of Y,
    its sum over Y is g_i times the weight, and the noise adds the weight to its square over Y.
    Where g_i is 0, that of Y may be infinite.
    """
    d, m = g.size, len(inner)
    n, y = partial[0], partial[4]
    for i in range(d):
        gy = g[i] * y if g[i] != 0.0 else 0.0
        u[i, 0] = partial[SCALARS + i] if i < m else gy
        u[i, 1] = partial[SCALARS + m + i] if i < m else g[i] * n
        for j in range(i + 1):
            if i < m:
                scatter[i, j] = inner[i, j]
            elif j < m:
                scatter[i, j] = g[i] * partial[SCALARS + j]
            else:
                scatter[i, j] = gy * g[j] + (n if i == j else 0.0)
            scatter[j, i] = scatter[i, j]


@device
def _add_rotated(
    partial: FloatArray, inner: FloatArray, g: FloatArray, Q: FloatArray, sums: FloatArray,
    scatter: FloatArray,
) -> None:  # fmt: skip
    """Add sums over the rows of a pattern in the frame Q u, from those of their m values."""
    d = g.size
    u, full, half, w = np.empty((d, 2)), np.empty((d, d)), np.empty((d, d)), np.empty((d, 2))
    _completed(partial, inner, g, u, full)
    multiply(Q, u, w)
    multiply(Q, full, half)
    multiply_transposed(half, Q, full)
    for i in range(SCALARS):
        sums[i] += partial[i]
    for i in range(d):
        sums[SCALARS + i] += w[i, 0]
        sums[SCALARS + d + i] += w[i, 1]
        for j in range(d):
            scatter[i, j] += full[i, j]


@device
def add_patterns(
    patterns: Patterns, model: Model, log_norm: float, tables: FloatArray, sums: FloatArray,
    scatter: FloatArray,
) -> None:  # fmt: skip
    """`add_careful_rows` over rows with missing values.

    tables has one for each number of values that a row has, m, for the posterior order p - m/2
    depends on that. log_norm is lnZ(p, a, b).
    """
    d = model.mu.size
    inverse, g = np.empty((d, d)), np.empty(d)
    invert_lower(model.L, inverse)
    first, row = 0, 0
    for k in range(patterns.n_rows.size):
        n, m, columns = patterns.n_rows[k], patterns.n_present[k], patterns.columns[k]
        permuted, permuted_inverse = _permuted(columns, model)
        apply(permuted_inverse, permuted.gamma, g)
        marginal, marginal_inverse = _marginal(m, permuted, permuted_inverse)
        partial, inner = np.zeros(SCALARS + 2 * m), np.zeros((m, m))
        X = patterns.values[first : first + n * m].reshape(n, m)
        weights = patterns.weights[row : row + n] if patterns.weights.size > 0 else patterns.weights
        add_careful_rows(
            X, weights, marginal, marginal_inverse, log_norm, tables[m - 1], partial, inner
        )
        _add_rotated(partial, inner, g, _rotation(columns, permuted, inverse), sums, scatter)
        first += n * m
        row += n
