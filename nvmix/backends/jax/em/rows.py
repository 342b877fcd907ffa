"""Rows on a device, their coordinates, the posterior law of their Y, and whether mu is at some."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from nvmix.backends.jax.gig.series import moments_along
from nvmix.backends.tolerances import AROUND, DOMINANT, MOST, NEAR, NEGLIGIBLE, PLACE, SAME
from nvmix.backends.types import NormalParameters


class Rows(NamedTuple):
    """Observations (n, d) and their weights (n,), which are 0 on rows of padding."""

    values: Any
    weights: Any


class Posterior(NamedTuple):
    """Y | x ~ GIG(p, a, b + |w|^2), and log f(x) = constant + w . g + lnZ of that."""

    p: Any
    a: Any
    b: Any
    g: Any
    constant: Any


def inverse_lower(L: Any) -> Any:
    """Inverse of a lower-triangular matrix."""
    return solve_triangular(L, jnp.eye(len(L), dtype=L.dtype), lower=True)


def product(A: Any, B: Any) -> Any:
    """A B in full precision on every device."""
    return jnp.matmul(A, B, precision="highest")


def whitened(X: Any, normal: NormalParameters) -> Any:
    """Rows w = L^-1 (x - mu)."""
    return product(X - normal.mu, inverse_lower(normal.L).T)


def products(w: Any, weights: Any, by_inv_y: Any) -> tuple[Any, Any, Any]:
    """Sums of rows w by weight, and of w and w w' by weight and E[1/Y]."""
    # One product, so that a device reads w once.
    factors = jnp.column_stack((weights, by_inv_y, by_inv_y[:, None] * w))
    x, x_inv_y, square = jnp.split(product(factors.T, w), (1, 2))
    return x[0], x_inv_y[0], square


def posterior(normal: NormalParameters, theta: Any, log_norm_y: Any) -> Posterior:
    """The posterior law of Y as a function of w; log_norm_y is lnZ of theta."""
    d = normal.mu.size
    g = solve_triangular(normal.L, normal.gamma, lower=True)
    p, a, b = theta
    constant = -0.5 * d * jnp.log(2.0 * jnp.pi) - jnp.sum(jnp.log(jnp.diag(normal.L))) - log_norm_y
    return Posterior(p - 0.5 * d, a + g @ g, b, g, constant)


def rows_dominate(rows: Rows, normal: NormalParameters, theta: Any) -> Any:
    """Whether rows are at mu: b is negligible, and the nearest rows have half of all E[1/Y].

    Unless equal rows dominate by themselves, or at a cusp, more than d others are no row but a
    core.
    """
    p, a, b = theta
    q, counted = jnp.sum(whitened(rows.values, normal) ** 2, axis=1), rows.weights > 0.0
    mean = jnp.sum(jnp.where(counted, rows.weights * q, 0.0)) / jnp.sum(rows.weights)
    # No outlier may make the size of distances large.
    most = jnp.nanquantile(jnp.where(counted, q, jnp.nan), MOST)
    size = jnp.where(most > 0.0, jnp.minimum(mean, most), mean)
    g = inverse_lower(normal.L) @ normal.gamma
    inv_y = moments_along(p - 0.5 * normal.mu.size, a + g @ g, b + q)[2]
    inv_y = jnp.where(counted, rows.weights * inv_y, 0.0)
    nearest = jnp.min(jnp.where(counted, q, jnp.inf))
    around = jnp.where(b < nearest, AROUND, SAME) * nearest
    near = counted & (q <= jnp.minimum(around, NEAR * size))
    total = jnp.sum(inv_y)
    at_place = near & (q <= jnp.maximum(SAME * nearest, PLACE * size))

    def dominate(some: Any) -> Any:
        return ~((jnp.sum(jnp.where(some, inv_y, 0.0)) < DOMINANT * total) & (total < jnp.inf))

    is_core = (jnp.sum(near & ~at_place) > normal.mu.size) & ~dominate(at_place)
    is_core &= (b > 0.0) | (p <= 0.5 * normal.mu.size)
    return (b <= NEGLIGIBLE * size) & dominate(near) & ~is_core
