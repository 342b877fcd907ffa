"""Linear algebra of small matrices and of tall ones.

LAPACK is called directly, and triangular systems are solved by inverses: scipy's wrappers and
triangular solvers wake a pool of threads for a 3 x 3 matrix, which costs milliseconds on a busy
machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

from nvmix.foundation.arrays import on_jax, with_auto_axes
from nvmix.foundation.typing import FloatArray

# Doubles in a block of rows.
_BLOCK: Final = 1 << 15


def inverse_lower(L: FloatArray) -> FloatArray:
    """Inverse of a lower-triangular matrix with zeros above a positive diagonal, C-ordered."""
    inverse, _ = dtrtri(L, lower=1)
    return np.ascontiguousarray(inverse)


def factor(A: FloatArray) -> FloatArray | None:
    """Lower Cholesky factor of a symmetric matrix, or None where it is not positive definite."""
    L, info = dpotrf(A, lower=1)
    return np.ascontiguousarray(L) if info == 0 else None


class Standardized(NamedTuple):
    """Columns of X as (x - mean) / size, size the largest deviation, and their covariance."""

    mean: FloatArray
    size: FloatArray
    covariance: FloatArray


def row_blocks(X: FloatArray) -> Iterator[FloatArray]:
    """Columns (d, m) of consecutive rows that fit in cache, copied: sums along them are quick."""
    step = max(1, _BLOCK // X.shape[1])
    for first in range(0, len(X), step):
        yield np.ascontiguousarray(X[first : first + step].T)


def standardized(X: FloatArray) -> Standardized:
    """Means, sizes and the covariance of the columns in units of their sizes; no copy of X.

    Units and shifts leave the covariance as it is, and nothing overflows or underflows. A JAX array
    is worked on where it is.
    """
    if on_jax(X):
        return _standardized_on_device()(X)
    sums = [(x.sum(axis=1), x.max(axis=1), x.min(axis=1)) for x in row_blocks(X)]
    totals, largest, least = map(np.array, zip(*sums, strict=True))
    mean = totals.sum(axis=0) / len(X)
    size = np.maximum(largest.max(axis=0) - mean, mean - least.min(axis=0))
    size[size == 0.0] = 1.0
    total, products = np.zeros_like(mean), np.zeros((mean.size, mean.size))
    for x in row_blocks(X):
        z = (x - mean[:, None]) / size[:, None]
        total += z.sum(axis=1)
        products += z @ z.T
    total /= len(X)
    return Standardized(mean + size * total, size, products / len(X) - np.outer(total, total))


@cache
def _standardized_on_device() -> Callable[[Any], Standardized]:
    """`standardized` for a JAX array, in float64."""
    jax = sys.modules["jax"]

    def compute(X: Any) -> Standardized:
        xp = jax.numpy
        X = X.astype(float)
        mean = X.mean(axis=0)
        size = xp.abs(X - mean).max(axis=0)
        size = xp.where(size == 0.0, 1.0, size)
        z = (X - mean) / size
        rest = z.mean(axis=0)
        products = xp.matmul(z.T, z, precision="highest")
        return Standardized(mean + size * rest, size, products / len(X) - xp.outer(rest, rest))

    jitted = jax.jit(compute)

    def on_host(X: Any) -> Standardized:
        with jax.enable_x64(True):  # noqa: FBT003
            X = jax.device_put(X, with_auto_axes(X.sharding))
            return Standardized(*jax.device_get(jitted(X)))

    return on_host
