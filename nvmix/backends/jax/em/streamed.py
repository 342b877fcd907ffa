"""The sums of an E-step over many rows of an accelerator, in few kernels.

There a product of matrices with few columns, or a kernel that writes an array as large as the rows,
takes longer than the arithmetic. So the coordinates w of few columns are columns, which the
compiler makes in one kernel, moments come from a table of series (`gig.series`), and all sums of
products are one reduction.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from nvmix.backends.jax.em.density import cancels
from nvmix.backends.jax.em.rows import Rows, inverse_lower, posterior, products, whitened
from nvmix.backends.jax.gig.moments import vanishing
from nvmix.backends.jax.gig.series import WIDEST, table
from nvmix.backends.types import NormalParameters

# Rows from which the table costs less than it saves.
MANY: Final = 1 << 16
# Most columns of which products are sums of their own: compilers make one kernel of 75 sums, and
# refuse a hundred. A product of matrices takes more.
_MOST_COLUMNS: Final = 10


def _columns(X: Any, normal: NormalParameters) -> list[Any]:
    """Columns of w = L^-1 (x - mu)."""
    inverse = inverse_lower(normal.L)
    x = [X[:, k] - mu for k, mu in enumerate(normal.mu)]
    return [sum(inverse[k, j] * x[j] for j in range(k + 1)) for k in range(len(x))]


def _coordinates(X: Any, normal: NormalParameters, g: Any) -> tuple[Any, Any, Any]:
    """w, as columns if they are few, with (n,) |w|^2 and w . g."""
    if X.shape[1] > _MOST_COLUMNS:
        w = whitened(X, normal)
        return w, jnp.sum(w * w, axis=1), jnp.sum(w * g, axis=1)
    columns = _columns(X, normal)
    return columns, sum(x * x for x in columns), sum(x * y for x, y in zip(columns, g, strict=True))


def _summed(terms: Sequence[Any]) -> tuple[Any, ...]:
    """The sums of (n,) arrays by one reduction."""
    zeros = (np.zeros((), terms[0].dtype),) * len(terms)
    sums: tuple[Any, ...] = jax.lax.reduce(
        tuple(terms), zeros, lambda u, v: tuple(x + y for x, y in zip(u, v, strict=True)), (0,)
    )
    return sums


def _products(w: Any, weights: Any, by_inv_y: Any) -> tuple[Any, Any, Any]:
    """`products` of rows, or of columns in a list."""
    if not isinstance(w, list):
        return products(w, weights, by_inv_y)
    d = len(w)
    k, j = np.tril_indices(d)
    scaled = [by_inv_y * x for x in w]
    squares = [scaled[m] * w[i] for m, i in zip(k.tolist(), j.tolist(), strict=True)]
    sums = jnp.stack(_summed([*(weights * x for x in w), *scaled, *squares]))
    of_squares = sums[2 * d :]
    square = jnp.zeros((d, d), sums.dtype).at[k, j].set(of_squares).at[j, k].set(of_squares)
    return sums[:d], sums[d : 2 * d], square


def streamed_sums(
    rows: Rows, normal: NormalParameters, theta: Any, log_norm_y: Any, otherwise: Callable[..., Any]
) -> Any:
    """The sums of an E-step, by the function otherwise where a row is at a limit or out of range.

    These are rows for which the posterior is a gamma law or the density loses digits as a plain
    sum, and samples in which log s spans more than `WIDEST`.
    """
    X, weights = rows
    law = posterior(normal, theta, log_norm_y)
    w, squares, w_g = _coordinates(X, normal, law.g)
    # Barriers keep the compiler from computing again what it would have to read.
    w, s, w_g = jax.lax.optimization_barrier((w, law.b + squares, w_g))
    low, high = jnp.min(s), jnp.max(s)
    span = jnp.log(low), jnp.log(high)
    beyond = vanishing(law.a * low) | ~(span[1] - span[0] <= WIDEST)

    def streamed() -> Any:
        log_z, log_y, inv_y, y = table(law.p, law.a, *span).moments(s)
        terms = (law.constant + w_g + log_z, log_y, inv_y, y)
        log_density, log_y, by_inv_y, y = jax.lax.optimization_barrier(
            tuple(weights * x for x in terms)
        )
        scalars = _summed((weights, log_density, log_y, by_inv_y, y))
        return (*scalars, *_products(w, weights, by_inv_y))

    return jax.lax.cond(
        beyond | cancels(theta, X.shape[1], law.a, high),
        lambda: otherwise(rows, normal, theta, log_norm_y),
        streamed,
    )
