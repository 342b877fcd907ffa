"""Linear maps and conditioning of the normal part of a mixture, on NumPy or JAX arrays.

Factors are made by QR of rows of L, never by a Cholesky factorization of a product: Sigma is not
squared, and rows that are already triangular are kept.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from nvmix.backends.types import GIGParameters, NormalParameters
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.linalg import inverse_lower, rows_times
from nvmix.foundation.typing import FloatArray


class GivenColumns(NamedTuple):
    """What n rows of k columns say of Y and of the m others, X1.

    Y given row i is GIG(p, a, b[i]), and X1 given Y and row i is N(mu[i] + gamma Y, L L' Y).
    """

    p: float
    a: Any  # a number
    b: FloatArray  # (n,)
    mu: FloatArray  # (n, m)
    gamma: FloatArray  # (m,)
    L: FloatArray  # (m, m)

    def thetas(self) -> Iterator[GIGParameters]:
        """(p, a, b) of each row: numbers, or JAX arrays."""
        values = (self.a, *self.b) if on_jax(self.a, self.b) else (float(self.a), *self.b.tolist())
        a, *bs = values
        return ((self.p, a, b) for b in bs)


def others_of(columns: Iterable[int], d: int) -> list[int]:
    """The other ones of d columns, in their order."""
    chosen = set(columns)
    return [i for i in range(d) if i not in chosen]


def triangular(M: FloatArray) -> FloatArray:
    """Lower-triangular L (k, k) with L L' = M M' and no negative diagonal; M is (k, d), k <= d."""
    xp, k = namespace(M), len(M)
    if k == 1:
        return xp.sqrt(xp.square(M).sum(axis=1, keepdims=True))  # type: ignore[no-any-return]
    # Rows that are triangular already, such as the first of a factor, keep their bits.
    is_triangular = xp is np and not np.triu(M, 1).any()
    L = M[:, :k] if is_triangular else xp.tril(xp.linalg.qr(M.T)[1].T)
    return L * xp.where(xp.diag(L) < 0.0, -1.0, 1.0)  # type: ignore[no-any-return]


def mapped(normal: NormalParameters, A: FloatArray, b: FloatArray) -> NormalParameters:
    """Normal part of A X + b, with A (k, d) of rank k."""
    return NormalParameters(A @ normal.mu + b, A @ normal.gamma, triangular(A @ normal.L))


def selected(normal: NormalParameters, columns: Any) -> NormalParameters:
    """Normal part of these columns, in this order."""
    mu, gamma, L = normal
    columns = np.asarray(columns)
    return NormalParameters(mu[columns], gamma[columns], triangular(L[columns]))


def given_columns(
    normal: NormalParameters, theta: GIGParameters, columns: Any, x: FloatArray
) -> GivenColumns:
    """The law of Y and of the other columns given rows x (n, k) of these columns.

    With these columns first, L = [[L2, 0], [L12, L1]] and w = L2^-1 (x - mu2), g = L2^-1 gamma2:
    GIG(p - k/2, a + g'g, b + w'w), location mu1 + L12 w, skewness gamma1 - L12 g, factor L1.
    """
    (p, a, b), d, k = theta, normal.mu.size, len(columns)
    others = others_of(columns, d)
    mu, gamma, L = selected(normal, [*columns, *others])
    xp = namespace(mu, gamma, L, x)
    if xp is np:
        inverse, product = inverse_lower(L[:k, :k]), rows_times
    else:
        inverse, product = xp.linalg.inv(L[:k, :k]), lambda X, A: X @ A.T
    w, g = product(x - mu[:k], inverse), inverse @ gamma[:k]
    location = mu[k:] + product(w, L[k:, :k])
    skewness = gamma[k:] - L[k:, :k] @ g
    return GivenColumns(
        p - 0.5 * k, a + g @ g, b + xp.square(w).sum(axis=1), location, skewness, L[k:, k:]
    )
