"""Log-densities of rows, and the E-step: sums over rows, a block of them at a time.

With w = L^-1 (x - mu), g = L^-1 gamma and q = |w|^2, Y | x ~ GIG(p - d/2, a + |g|^2, b + q). Only q
differs between rows, so that moments come from series in b + q (`gig.series`). The density is that
of `em.density`.
"""

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from nvmix.backends.jax.derivatives import with_value
from nvmix.backends.jax.em.density import beyond_plain, log_densities, within_range
from nvmix.backends.jax.em.rows import (
    Posterior,
    Rows,
    inverse_lower,
    posterior,
    product,
    products,
    whitened,
)
from nvmix.backends.jax.em.streamed import MANY, streamed_sums
from nvmix.backends.jax.gig.moments import log_norm
from nvmix.backends.jax.gig.series import log_norm_along, moments_along
from nvmix.backends.types import NormalParameters
from nvmix.foundation.statistics import SufficientStatistics

# Weighted sums in the order of `SufficientStatistics`, in the frame of mu and L.
Sums: TypeAlias = tuple[Any, Any, Any, Any, Any, Any, Any, Any]


def all_finite(tree: Any) -> Any:
    """Whether every number is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))


def _log_density(
    X: Any, normal: NormalParameters, theta: Any, log_norm_y: Any, law: Posterior, w: Any, s: Any,
    log_z: Any,
) -> Any:  # fmt: skip
    """(n,) log f: the plain sum of its terms if these are small in all rows; its derivatives."""
    plain = law.constant + product(w, law.g) + log_z
    held = jax.lax.stop_gradient((X, normal, theta, log_norm_y, log_z, plain, law.a, s))
    X, normal, theta, log_norm_y, log_z, value, A, B = held
    large = beyond_plain(X, theta, normal.mu.size, A, B)

    def careful() -> Any:
        inverse = inverse_lower(normal.L)
        found = log_densities(X, normal, inverse, theta, log_norm_y, log_z)
        return jnp.where(large, found, value)

    return with_value(plain, jax.lax.cond(jnp.any(large), careful, lambda: value))


def _with_squares(X: Any, normal: NormalParameters, law: Posterior) -> tuple[Any, Any]:
    """Rows w = L^-1 (x - mu), and s = b + |w|^2."""
    w = whitened(X, normal)
    return w, law.b + jnp.sum(w * w, axis=1)


def log_prob(X: Any, normal: NormalParameters, theta: Any) -> Any:
    """(n,) log-densities."""
    log_norm_y = log_norm(*theta)
    law = posterior(normal, theta, log_norm_y)
    w, s = _with_squares(within_range(X), normal, law)
    log_z = log_norm_along(law.p, law.a, s)
    return _log_density(X, normal, theta, log_norm_y, law, w, s, log_z)


def _block_sums(rows: Rows, normal: NormalParameters, theta: Any, log_norm_y: Any) -> Sums:
    """Sums over the rows of one block."""
    X, weights = rows
    law = posterior(normal, theta, log_norm_y)
    w, s = _with_squares(X, normal, law)
    log_z, log_y, inv_y, y = moments_along(law.p, law.a, s)
    log_density = _log_density(X, normal, theta, log_norm_y, law, w, s, log_z)
    # Rows whose squares overflow are no data, which nan says.
    log_density = jnp.where(s < jnp.inf, log_density, jnp.nan)

    def weighted(x: Any) -> Any:
        # A row of weight 0 adds nothing, even if its moments are infinite.
        return jnp.where(weights > 0.0, weights * x, 0.0)

    by_inv_y = weighted(inv_y)
    # E[1/Y] is infinite at mu alone, where its products with w = 0 are 0.
    finite = jnp.where(by_inv_y < jnp.inf, by_inv_y, 0.0)
    return (
        jnp.sum(weights),
        jnp.sum(weighted(log_density)),
        jnp.sum(weighted(log_y)),
        jnp.sum(by_inv_y),
        jnp.sum(weighted(y)),
        *products(w, weights, finite),
    )


@jax.custom_jvp
def _sums_of_many(rows: Rows, normal: NormalParameters, theta: Any, log_norm_y: Any) -> Sums:
    """`_block_sums` of many rows, streamed on an accelerator."""
    streamed = partial(streamed_sums, otherwise=_block_sums)
    return jax.lax.platform_dependent(
        rows, normal, theta, log_norm_y, cpu=_block_sums, default=streamed
    )


@_sums_of_many.defjvp
def _sums_of_many_jvp(primals: Any, tangents: Any) -> Any:
    """The derivatives of `_block_sums`, which hold for any row."""
    return jax.jvp(_block_sums, primals, tangents)


def e_step(
    rows: Rows, normal: NormalParameters, theta: Any, log_norm_y: Any, blocks: int
) -> SufficientStatistics:
    """Posterior expectations summed over the rows, one of so many equal blocks after the other.

    log_norm_y is lnZ(p, a, b).
    """
    many = blocks == 1 and len(rows.weights) >= MANY
    sums_of = _sums_of_many if many else _block_sums

    def block_sums(block: Rows) -> Sums:
        return sums_of(block, normal, theta, log_norm_y)

    if blocks == 1:
        return SufficientStatistics(*block_sums(rows), origin=normal.mu, scale=normal.L)
    cut = jax.tree.map(lambda x: x.reshape(blocks, -1, *x.shape[1:]), rows)
    shapes = jax.eval_shape(block_sums, jax.tree.map(lambda x: x[0], cut))
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(total: Sums, block: Rows) -> tuple[Sums, None]:
        return jax.tree.map(jnp.add, total, block_sums(block)), None

    sums: Sums = jax.lax.scan(add, zero, cut)[0]
    return SufficientStatistics(*sums, origin=normal.mu, scale=normal.L)
