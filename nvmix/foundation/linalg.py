"""Linear algebra of small matrices, and moments of the columns of tall ones.

Triangular systems are solved with inverses: scipy's wrappers and triangular solvers wake a pool of
threads even for a 3 x 3 matrix, which costs milliseconds on a busy machine. scipy.linalg takes a
fifth of a second to load, which is left to models that need it.
"""

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple, cast

import numpy as np
import scipy

from nvmix.foundation.arrays import on_jax, with_auto_axes
from nvmix.foundation.typing import FloatArray

# Number of columns up to which Python inverts a factor, as fast as LAPACK is called.
_FEW: Final = 6
# Doubles in a block of rows: 256 KiB, so that a block and its products stay in a core's cache.
_BLOCK: Final = 1 << 15
# Multiplications of a product that OpenBLAS does in the calling thread.
_ONE_THREAD: Final = 1 << 18


def inverse_lower(L: FloatArray) -> FloatArray:
    """C-ordered inverse of a lower-triangular (d, d) matrix with a positive diagonal."""
    d = len(L)
    if d > _FEW:
        inverse, _ = scipy.linalg.lapack.dtrtri(L, lower=1)
        return np.ascontiguousarray(inverse)
    # Row i of L times the inverse is row i of the identity.
    rows: list[list[float]] = []
    for i, row in enumerate(L.tolist()):
        # A diagonal that underflowed has no inverse.
        pivot = row[i] or np.nan
        sums = [sum(row[k] * rows[k][j] for k in range(j, i)) for j in range(i)]
        rows.append([*(-x / pivot for x in sums), 1.0 / pivot, *[0.0] * (d - i - 1)])
    return np.array(rows)


def factor(A: FloatArray) -> FloatArray | None:
    """Lower Cholesky factor of a symmetric matrix, or None if it is not positive definite."""
    try:
        return cast("FloatArray", np.linalg.cholesky(A))
    except np.linalg.LinAlgError:
        return None


def rows_times(X: FloatArray, A: FloatArray) -> FloatArray:
    """X A' of rows X (n, k) and a small matrix A (m, k), in blocks that wake no other threads."""
    m, k = A.shape
    product = np.empty((len(X), m))
    step = max(1, _ONE_THREAD // max(1, m * k))
    for first in range(0, len(X), step):
        rows = slice(first, first + step)
        np.matmul(X[rows], A.T, out=product[rows])
    return product


class Standardized(NamedTuple):
    """Means (d,) and largest deviations (d,) of columns; covariance (d, d) of (x - mean) / size."""

    mean: FloatArray
    size: FloatArray
    covariance: FloatArray


def row_blocks(X: FloatArray) -> Iterator[FloatArray]:
    """Transposed copies (d, m) of consecutive rows of X, which fit in cache: fast to sum."""
    step = max(1, _BLOCK // X.shape[1])
    for first in range(0, len(X), step):
        yield np.ascontiguousarray(X[first : first + step].T)


def standardized(X: FloatArray) -> Standardized:
    """Means, sizes and standardized covariance of the columns of an (n, d) array; no copy of X.

    The covariance does not depend on the columns' units and shifts, and cannot overflow or
    underflow. Moments of a JAX array are computed in float64 on its device, and returned to the
    host.
    """
    if on_jax(X):
        jax: Any = sys.modules["jax"]
        with jax.enable_x64(True):  # noqa: FBT003
            X = jax.device_put(X, with_auto_axes(X.sharding))  # type: ignore[attr-defined]
            return Standardized(*jax.device_get(_jitted()(X)))
    sums = [(x.sum(axis=1), x.max(axis=1), x.min(axis=1)) for x in row_blocks(X)]
    totals, largest, least = map(np.array, zip(*sums, strict=True))
    mean = totals.sum(axis=0) / len(X)
    size = np.maximum(largest.max(axis=0) - mean, mean - least.min(axis=0))
    size[size == 0.0] = 1.0
    # A second pass about the mean avoids cancellation; `total` corrects the mean's rounding.
    total, products = np.zeros_like(mean), np.zeros((mean.size, mean.size))
    for x in row_blocks(X):
        z = (x - mean[:, None]) / size[:, None]
        total += z.sum(axis=1)
        products += z @ z.T
    total /= len(X)
    return Standardized(mean + size * total, size, products / len(X) - np.outer(total, total))


def bounded(X: FloatArray) -> Standardized:
    """`standardized`, with weights that fall as the square of a row's distance from the medians.

    So a few rows far away, as of data with very heavy tails, are not all that counts. The weighted
    covariance of X (n, d) is singular just where that of the rows is.
    """
    centre = np.median(X, axis=0)
    size = np.median(np.abs(X - centre), axis=0)
    size = np.where(size > 0.0, size, np.abs(X - centre).max(axis=0))
    size[size == 0.0] = 1.0
    z = (X - centre) / size
    weights = 1.0 / (1.0 + np.square(z).sum(axis=1))
    mean = weights @ z / weights.sum()
    z -= mean
    return Standardized(centre + size * mean, size, (weights * z.T) @ z / weights.sum())


@cache
def _jitted() -> Any:
    """`standardized` as a jitted function of a float64 JAX array."""
    jax = sys.modules["jax"]
    xp = jax.numpy

    def compute(X: Any) -> Standardized:
        X = X.astype(float)
        mean = X.mean(axis=0)
        size = xp.abs(X - mean).max(axis=0)
        size = xp.where(size == 0.0, 1.0, size)
        z = (X - mean) / size
        rest = z.mean(axis=0)
        products = xp.matmul(z.T, z, precision="highest")
        return Standardized(mean + size * rest, size, products / len(X) - xp.outer(rest, rest))

    return jax.jit(compute)
