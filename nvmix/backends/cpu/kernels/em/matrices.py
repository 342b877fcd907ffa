"""Products and factors of small matrices in plain loops, which start no threads as LAPACK may."""

import math

from nvmix.backends.cpu.jit import outlined_device
from nvmix.foundation.typing import FloatArray


@outlined_device
def copy(x: FloatArray, out: FloatArray) -> None:
    """out = x, for vectors. numba's own `out[:] = x` compiles a message about their shapes."""
    for i in range(x.size):
        out[i] = x[i]


@outlined_device
def multiply(A: FloatArray, B: FloatArray, out: FloatArray) -> None:
    """out = A B."""
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            out[i, j] = 0.0
        for k in range(A.shape[1]):
            factor = A[i, k]
            if factor != 0.0:
                for j in range(B.shape[1]):
                    out[i, j] += factor * B[k, j]


@outlined_device
def apply(A: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """out = A x."""
    for i in range(A.shape[0]):
        total = 0.0
        for j in range(A.shape[1]):
            total += A[i, j] * x[j]
        out[i] = total


@outlined_device
def multiply_transposed(A: FloatArray, B: FloatArray, out: FloatArray) -> None:
    """out = A B'."""
    for i in range(A.shape[0]):
        for j in range(B.shape[0]):
            total = 0.0
            for k in range(A.shape[1]):
                total += A[i, k] * B[j, k]
            out[i, j] = total


@outlined_device
def cholesky(A: FloatArray, L: FloatArray) -> bool:
    """Fill L with the Cholesky factor of A, of which the lower triangle is read.

    False if A is not positive definite.
    """
    d = A.shape[0]
    for j in range(d):
        pivot = A[j, j]
        for k in range(j):
            pivot -= L[j, k] * L[j, k]
        if not 0.0 < pivot < math.inf:
            return False
        L[j, j] = math.sqrt(pivot)
        for i in range(j + 1, d):
            total = A[i, j]
            for k in range(j):
                total -= L[i, k] * L[j, k]
            L[i, j] = total / L[j, j]
            L[j, i] = 0.0
    return True


@outlined_device
def invert_lower(L: FloatArray, inverse: FloatArray) -> None:
    """inverse = L^-1 of a lower-triangular L."""
    d = L.shape[0]
    for j in range(d):
        for i in range(j):
            inverse[i, j] = 0.0
        inverse[j, j] = 1.0 / L[j, j]
        for i in range(j + 1, d):
            total = 0.0
            for k in range(j, i):
                total -= L[i, k] * inverse[k, j]
            inverse[i, j] = total / L[i, i]


@outlined_device
def solve_factored(L: FloatArray, b: FloatArray) -> None:
    """b = (L L')^-1 b."""
    for i in range(b.size):
        for j in range(i):
            b[i] -= L[i, j] * b[j]
        b[i] /= L[i, i]
    for i in range(b.size - 1, -1, -1):
        for j in range(i + 1, b.size):
            b[i] -= L[j, i] * b[j]
        b[i] /= L[i, i]
