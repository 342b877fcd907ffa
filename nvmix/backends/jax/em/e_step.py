"""Log-densities of rows, and the E-step: sums over rows, a block of them at a time.

With w = L^-1 (x - mu), g = L^-1 gamma and q = |w|^2, Y | x ~ GIG(p - d/2, a + |g|^2, b + q). Only q
differs between rows, so that moments come from series in b + q (`gig.series`). The density is that
of `em.density`.
"""

from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from nvmix.backends.jax.derivatives import with_value
from nvmix.backends.jax.em.density import beyond_plain, log_densities, within_range
from nvmix.backends.jax.gig.moments import log_norm
from nvmix.backends.jax.gig.series import log_norm_along, moments_along
from nvmix.backends.types import NormalParameters
from nvmix.foundation.statistics import SufficientStatistics

# Weighted sums in the order of `SufficientStatistics`, in the frame of mu and L.
Sums: TypeAlias = tuple[Any, Any, Any, Any, Any, Any, Any, Any]


class Rows(NamedTuple):
    """Observations (n, d) and their weights (n,), which are 0 on rows of padding."""

    values: Any
    weights: Any


def inverse_lower(L: Any) -> Any:
    """Inverse of a lower-triangular matrix."""
    return solve_triangular(L, jnp.eye(len(L), dtype=L.dtype), lower=True)


def all_finite(tree: Any) -> Any:
    """Whether every number is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))


def _product(A: Any, B: Any) -> Any:
    """A B in full precision on every device."""
    return jnp.matmul(A, B, precision="highest")


def whitened(X: Any, normal: NormalParameters) -> Any:
    """Rows w = L^-1 (x - mu)."""
    return _product(X - normal.mu, inverse_lower(normal.L).T)


def _posterior(X: Any, normal: NormalParameters, theta: Any, log_norm_y: Any) -> tuple[Any, ...]:
    """w, the posterior's p, a and (n,) b, and log f less the posterior's lnZ."""
    d = normal.mu.size
    w = whitened(X, normal)
    g = solve_triangular(normal.L, normal.gamma, lower=True)
    p, a, b = theta
    constant = -0.5 * d * jnp.log(2.0 * jnp.pi) - jnp.sum(jnp.log(jnp.diag(normal.L))) - log_norm_y
    return w, p - 0.5 * d, a + g @ g, b + jnp.sum(w * w, axis=1), constant + _product(w, g)


def _log_density(
    X: Any, normal: NormalParameters, theta: Any, log_norm_y: Any, posterior: tuple[Any, ...],
    log_z: Any,
) -> Any:  # fmt: skip
    """(n,) log f: the plain sum of its terms if these are small in all rows; its derivatives."""
    _, _, A, B, rest = posterior
    plain = rest + log_z
    held = jax.lax.stop_gradient((X, normal, theta, log_norm_y, log_z, plain, A, B))
    X, normal, theta, log_norm_y, log_z, value, A, B = held
    large = beyond_plain(X, theta, normal.mu.size, A, B)

    def careful() -> Any:
        inverse = inverse_lower(normal.L)
        found = log_densities(X, normal, inverse, theta, log_norm_y, log_z)
        return jnp.where(large, found, value)

    return with_value(plain, jax.lax.cond(jnp.any(large), careful, lambda: value))


def log_prob(X: Any, normal: NormalParameters, theta: Any) -> Any:
    """(n,) log-densities."""
    log_norm_y = log_norm(*theta)
    posterior = _posterior(within_range(X), normal, theta, log_norm_y)
    _, p, a, s, _ = posterior
    return _log_density(X, normal, theta, log_norm_y, posterior, log_norm_along(p, a, s))


def _block_sums(rows: Rows, normal: NormalParameters, theta: Any, log_norm_y: Any) -> Sums:
    """Sums over the rows of one block."""
    X, weights = rows
    posterior = _posterior(X, normal, theta, log_norm_y)
    w, p, a, s, _ = posterior
    log_z, log_y, inv_y, y = moments_along(p, a, s)
    log_density = _log_density(X, normal, theta, log_norm_y, posterior, log_z)
    # Rows whose squares overflow are no data, which nan says.
    log_density = jnp.where(s < jnp.inf, log_density, jnp.nan)

    def weighted(x: Any) -> Any:
        # A row of weight 0 adds nothing, even if its moments are infinite.
        return jnp.where(weights > 0.0, weights * x, 0.0)

    by_inv_y = weighted(inv_y)
    # E[1/Y] is infinite at mu alone, where its products with w = 0 are 0.
    finite = jnp.where(by_inv_y < jnp.inf, by_inv_y, 0.0)
    # One product, so that a device reads w once.
    factors = jnp.column_stack((weights, finite, finite[:, None] * w))
    x, x_inv_y, xx_inv_y = jnp.split(_product(factors.T, w), (1, 2))
    return (
        jnp.sum(weights),
        jnp.sum(weighted(log_density)),
        jnp.sum(weighted(log_y)),
        jnp.sum(by_inv_y),
        jnp.sum(weighted(y)),
        x[0],
        x_inv_y[0],
        xx_inv_y,
    )


def e_step(
    rows: Rows, normal: NormalParameters, theta: Any, log_norm_y: Any, blocks: int
) -> SufficientStatistics:
    """Posterior expectations summed over the rows, one of so many equal blocks after the other.

    log_norm_y is lnZ(p, a, b).
    """
    block_sums = partial(_block_sums, normal=normal, theta=theta, log_norm_y=log_norm_y)
    if blocks == 1:
        return SufficientStatistics(*block_sums(rows), origin=normal.mu, scale=normal.L)
    cut = jax.tree.map(lambda x: x.reshape(blocks, -1, *x.shape[1:]), rows)
    shapes = jax.eval_shape(block_sums, jax.tree.map(lambda x: x[0], cut))
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(total: Sums, block: Rows) -> tuple[Sums, None]:
        return jax.tree.map(jnp.add, total, block_sums(block)), None

    sums: Sums = jax.lax.scan(add, zero, cut)[0]
    return SufficientStatistics(*sums, origin=normal.mu, scale=normal.L)
