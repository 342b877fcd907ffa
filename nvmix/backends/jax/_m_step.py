"""The M-step and what follows it in an iteration, on JAX arrays: blocks, gauges, changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from nvmix.backends._protocol import GAUGES, Gaussian
from nvmix.backends._tolerances import NO_MIXING
from nvmix.backends.jax._rows import all_finite, inverse_lower
from nvmix.backends.jax._solve import scaled_law

if TYPE_CHECKING:
    from nvmix._statistics import SufficientStatistics


def normal_block(eta: SufficientStatistics) -> tuple[Gaussian, Any]:
    """mu, gamma and L of the M-step, solved in the frame of eta, and whether they exist.

    With R = (E[X/Y], E[X]) and M = ((E[1/Y], 1), (1, E[Y])), (mu, gamma) = R M^-1 and
    Sigma = E[XX'/Y] - R M^-1 R'.
    """
    y, inv_y = eta.y / eta.weight, eta.inv_y / eta.weight
    D = y * inv_y - 1.0
    R = jnp.stack([eta.x_inv_y, eta.x], axis=1) / eta.weight
    B = R @ (jnp.array([[y, -1.0], [-1.0, inv_y]]) / D)
    S = eta.xx_inv_y / eta.weight - B @ R.T
    L = jnp.linalg.cholesky(0.5 * (S + S.T))
    mapped = eta.scale @ B
    block = Gaussian(eta.origin + mapped[:, 0], mapped[:, 1], eta.scale @ L)
    return block, (D > NO_MIXING) & (jnp.inf > D) & all_finite(block)


def is_law(theta: Any) -> Any:
    """Whether (p, a, b) are parameters of a GIG law or of one of its limits."""
    p, a, b = theta
    proper = ((a > 0.0) | (p < 0.0)) & ((b > 0.0) | (p > 0.0)) & ((a > 0.0) | (b > 0.0))
    return proper & (a >= 0.0) & (b >= 0.0) & all_finite(theta)


def log_det(block: Gaussian) -> Any:
    """Log-determinant of Sigma."""
    return 2.0 * jnp.sum(jnp.log(jnp.diag(block.L)))


class Model(NamedTuple):
    """A model under way: its normal block, (p, a, b) and (lnZ, E log Y, E 1/Y, E Y)."""

    block: Gaussian
    theta: Any
    law: Any


def in_gauge(model: Model, gauge: Any, log_det_start: Any) -> tuple[Model, Any]:
    """The same law of X in the gauge of that number, and whether it has one."""
    block, (p, a, b), law = model
    target = jnp.where(gauge == GAUGES.index("det_sigma_one"), 0.0, log_det_start)
    by_sigma = jnp.exp((log_det(block) - target) / block.mu.size)
    by_law = jnp.sqrt(a) / jnp.sqrt(b)
    is_a_eq_b, is_none = gauge == GAUGES.index("a_eq_b"), gauge == GAUGES.index("none")
    c = jnp.where(is_none, 1.0, jnp.where(is_a_eq_b, by_law, by_sigma))
    exists = ~(is_a_eq_b & ((a == 0.0) | (b == 0.0)))
    scaled = Gaussian(block.mu, block.gamma / c, block.L / jnp.sqrt(c))
    return Model(scaled, jnp.stack([p, a / c, b * c]), scaled_law(law, p, c)), exists


def _product(x: Any, y: Any, z: Any) -> Any:
    """x (y - z), 0 where x is, though y and z be infinite."""
    return jnp.where(x != 0.0, x * (y - z), 0.0)


def parameter_change(old: Model, new: Model) -> Any:
    """Largest relative change of mu, gamma, Sigma and the law of Y; see `BatchEMFitter`."""
    block, (_, a, b), (_, log_y, inv_y, y) = old
    block1, (_, a1, b1), (_, log_y1, inv_y1, y1) = new
    s, t = jnp.exp(log_y), jnp.exp(log_y1)
    inverse = inverse_lower(block.L)
    mu = inverse @ (block1.mu - block.mu)
    gamma = inverse @ (block1.gamma * t - block.gamma * s)
    w = inverse @ block1.L
    sigma = (w @ w.T) * (t / s) - jnp.eye(len(w), dtype=w.dtype)
    # (theta - theta') . (eta - eta') of GIG(p, a s, b / s), the law of Y / s; E[log] cancels.
    law = _product(a * s - a1 * t, y / s, y1 / t) + _product(b / s - b1 / t, inv_y * s, inv_y1 * t)
    squares = jnp.stack(
        [
            jnp.maximum(-0.5 * law, 0.0),
            mu @ mu / s,
            gamma @ gamma / s,
            jnp.sum(sigma * sigma) / len(w),
        ]
    )
    return jnp.sqrt(jnp.max(squares))
