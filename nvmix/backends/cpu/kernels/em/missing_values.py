"""The E-step over rows with missing values.

Rows are grouped by the columns that they have. In the rotated frame u of a group, whose first
coordinates are those columns' own whitened ones, what is missing is Y g + sqrt(Y) N(0, I): its
expectations are those of Y.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.e_step import SCALARS, Model, add_rows
from nvmix.backends.cpu.kernels.em.matrices import (
    apply,
    cholesky,
    invert_lower,
    multiply,
    multiply_transposed,
)
from nvmix.foundation.typing import FloatArray, IntArray


class Patterns(NamedTuple):
    """Rows by pattern of missing values, of each row the columns it has, one after the other.

    Attributes
    ----------
    values : (k,) array
        Rows of the first pattern, then those of the next.
    weights : (n,) array
        Weights of the rows in that order; empty where all are 1.
    columns : (patterns, d) array
        Columns of each pattern: those its rows have, then those they miss.
    observed, rows : (patterns,) array
        How many columns each pattern's rows have, and how many rows it has.
    """

    values: FloatArray
    weights: FloatArray
    columns: IntArray
    observed: IntArray
    rows: IntArray


@device
def _permuted(columns: IntArray, model: Model) -> tuple[Model, FloatArray]:
    """The model of the columns in that order, and its L^-1."""
    d = columns.size
    mu, gamma = np.empty(d), np.empty(d)
    rows, sigma, L, inverse = (
        np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    )  # fmt: skip
    for i in range(d):
        mu[i], gamma[i] = model.mu[columns[i]], model.gamma[columns[i]]
        for j in range(d):
            rows[i, j] = model.L[columns[i], j]
    multiply_transposed(rows, rows, sigma)
    cholesky(sigma, L)
    invert_lower(L, inverse)
    return Model(mu, gamma, L, model.theta), inverse


@device
def _first(m: int, model: Model, inverse: FloatArray) -> tuple[Model, FloatArray]:
    """The model of the first m columns, and its L^-1."""
    mu, gamma = np.empty(m), np.empty(m)
    L, own = np.zeros((m, m)), np.zeros((m, m))
    for i in range(m):
        mu[i], gamma[i] = model.mu[i], model.gamma[i]
        for j in range(i + 1):
            L[i, j], own[i, j] = model.L[i, j], inverse[i, j]
    return Model(mu, gamma, L, model.theta), own


@device
def _rotation(columns: IntArray, model: Model, inverse: FloatArray) -> FloatArray:
    """Orthogonal Q = L^-1 P' C, of which L^-1 and the permuted model with its C are given."""
    d = columns.size
    rows, Q = np.empty((d, d)), np.empty((d, d))
    for i in range(d):
        for j in range(d):
            rows[columns[i], j] = model.L[i, j]
    multiply(inverse, rows, Q)
    return Q


@device
def _completed(
    own: FloatArray, inner: FloatArray, g: FloatArray, u: FloatArray, scatter: FloatArray
) -> None:
    """Fill (u, u / Y) and u u' / Y from those of the first m; the rest are Y g and noise."""
    d, m = g.size, len(inner)
    n, y = own[0], own[4]
    for i in range(d):
        u[i, 0] = own[SCALARS + i] if i < m else g[i] * y
        u[i, 1] = own[SCALARS + m + i] if i < m else g[i] * n
        for j in range(i + 1):
            if i < m:
                scatter[i, j] = inner[i, j]
            elif j < m:
                scatter[i, j] = g[i] * own[SCALARS + j]
            else:
                scatter[i, j] = g[i] * g[j] * y + (n if i == j else 0.0)
            scatter[j, i] = scatter[i, j]


@device
def _add_rotated(
    own: FloatArray, inner: FloatArray, g: FloatArray, Q: FloatArray, sums: FloatArray,
    scatter: FloatArray,
) -> None:  # fmt: skip
    """Add the sums over rows that have the first few columns, in the frame that Q rotates u to."""
    d = g.size
    u, full, half, w = np.empty((d, 2)), np.empty((d, d)), np.empty((d, d)), np.empty((d, 2))
    _completed(own, inner, g, u, full)
    multiply(Q, u, w)
    multiply(Q, full, half)
    multiply_transposed(half, Q, full)
    for i in range(SCALARS):
        sums[i] += own[i]
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
    """`add_rows` over rows with missing values; a table for each number of columns a row has."""
    d = model.mu.size
    inverse, g = np.empty((d, d)), np.empty(d)
    invert_lower(model.L, inverse)
    first, row = 0, 0
    for k in range(patterns.rows.size):
        n, m, columns = patterns.rows[k], patterns.observed[k], patterns.columns[k]
        permuted, permuted_inverse = _permuted(columns, model)
        apply(permuted_inverse, permuted.gamma, g)
        observed, observed_inverse = _first(m, permuted, permuted_inverse)
        own, inner = np.zeros(SCALARS + 2 * m), np.zeros((m, m))
        X = patterns.values[first : first + n * m].reshape(n, m)
        weights = patterns.weights[row : row + n] if patterns.weights.size > 0 else patterns.weights
        add_rows(X, weights, observed, observed_inverse, log_norm, tables[m - 1], own, inner)
        _add_rotated(own, inner, g, _rotation(columns, permuted, inverse), sums, scatter)
        first += n * m
        row += n
