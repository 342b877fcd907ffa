"""Products of small square matrices with blocks of rows, stored as (d, rows) arrays.

Triangular and symmetric halves are left out. Tiles of two rows by four columns of a product are
summed at once: eight fused multiply-adds for every six loads, where a dot product has one for two.
"""

from typing import Final

from nvmix.backends.cpu.jit import reducing_device
from nvmix.foundation.typing import FloatArray

# Rows of a block: few enough that its columns stay in cache, and that its sums round little before
# they are added to the total.
BLOCK: Final = 256


@reducing_device
def _add_tile(w: FloatArray, x: FloatArray, A: FloatArray, i: int, j: int, n: int) -> None:
    """Add A[i : i + 2, j : j + 4] x[j : j + 4] to w[i : i + 2], for n rows of data."""
    a0, a1, a2, a3 = A[i, j], A[i, j + 1], A[i, j + 2], A[i, j + 3]
    b0, b1, b2, b3 = A[i + 1, j], A[i + 1, j + 1], A[i + 1, j + 2], A[i + 1, j + 3]
    for r in range(n):
        x0, x1, x2, x3 = x[j, r], x[j + 1, r], x[j + 2, r], x[j + 3, r]
        w[i, r] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        w[i + 1, r] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3


@reducing_device
def whiten(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    x: FloatArray, w: FloatArray, q: FloatArray, linear: FloatArray,
) -> None:  # fmt: skip
    """Fill w = L^-1 (x - mu), (d, n), q = |w|^2 and linear = g . w for a block X of n rows.

    inverse is L^-1; x (d, n) is room for x - mu.
    """
    n, d = X.shape
    for j in range(d):
        for r in range(n):
            x[j, r] = X[r, j] - mu[j]
    q[:n] = 0.0
    linear[:n] = 0.0
    for i in range(d):
        pair = i - i % 2
        # Columns that the tiles of this pair of rows cover, zeros above the diagonal included.
        tiled = min((pair + 5) // 4, d // 4) * 4 if pair < d - 1 else 0
        if tiled == 0:
            for r in range(n):
                w[i, r] = inverse[i, 0] * x[0, r]
        elif i % 2 == 0:
            w[i : i + 2, :n] = 0.0
            for j in range(0, tiled, 4):
                _add_tile(w, x, inverse, i, j, n)
        for j in range(max(tiled, 1), i + 1):
            for r in range(n):
                w[i, r] += inverse[i, j] * x[j, r]
        for r in range(n):
            q[r] += w[i, r] * w[i, r]
            linear[r] += g[i] * w[i, r]


@reducing_device
def _add_tile_product(
    u: FloatArray, w: FloatArray, i: int, j: int, n: int, scatter: FloatArray
) -> None:
    """Add u[0 : 2] w[j : j + 4]' to scatter[i : i + 2, j : j + 4]."""
    a0, a1, a2, a3, b0, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for r in range(n):
        u0, u1 = u[0, r], u[1, r]
        w0, w1, w2, w3 = w[j, r], w[j + 1, r], w[j + 2, r], w[j + 3, r]
        a0 += u0 * w0
        a1 += u0 * w1
        a2 += u0 * w2
        a3 += u0 * w3
        b0 += u1 * w0
        b1 += u1 * w1
        b2 += u1 * w2
        b3 += u1 * w3
    for k, a, b in ((0, a0, b0), (1, a1, b1), (2, a2, b2), (3, a3, b3)):
        scatter[i, j + k] += a
        scatter[i + 1, j + k] += b


@reducing_device
def add_products(
    w: FloatArray, weights: FloatArray, inv_y: FloatArray, n: int,
    x: FloatArray, x_inv_y: FloatArray, scatter: FloatArray, weighted: FloatArray,
) -> None:  # fmt: skip
    """Add the weighted sums over a block of w, w E[1/Y] and w w' E[1/Y] (lower triangle).

    inv_y are weights times E[1/Y]; weighted (2, n) is room for two rows of w times inv_y.
    """
    d = x.size
    for i in range(d):
        u = weighted[i % 2]
        total, total_inv_y = 0.0, 0.0
        for r in range(n):
            u[r] = w[i, r] * inv_y[r]
            total += w[i, r] * weights[r]
            total_inv_y += u[r]
        x[i] += total
        x_inv_y[i] += total_inv_y
        pair = i - i % 2
        # Columns that the tiles of this pair of rows cover, summed once its second row is weighted.
        tiled = min((pair + 2) // 4, d // 4) * 4 if pair < d - 1 else 0
        if i % 2 == 1:
            for j in range(0, tiled, 4):
                _add_tile_product(weighted, w, i - 1, j, n, scatter)
        for j in range(tiled, i + 1):
            product = 0.0
            for r in range(n):
                product += u[r] * w[j, r]
            scatter[i, j] += product
