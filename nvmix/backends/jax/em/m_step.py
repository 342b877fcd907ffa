"""The M-step on JAX arrays, and the parameter change of a step."""

from typing import Any, Final, NamedTuple

import jax.numpy as jnp

from nvmix.backends.jax.em.e_step import all_finite, inverse_lower
from nvmix.backends.jax.gig.solve import fit_subordinator
from nvmix.backends.status import Status
from nvmix.backends.tolerances import COLLAPSED, NO_MIXING
from nvmix.backends.types import Fixed, GIGStatus, NormalParameters
from nvmix.foundation.statistics import SufficientStatistics

# The status of a fit that goes on.
RUNNING: Final = -1


class Model(NamedTuple):
    """mu, gamma and L, theta = (p, a, b), and moments (lnZ, E log Y, E 1/Y, E Y) of theta."""

    normal: NormalParameters
    theta: Any
    moments: Any


def normal_parameters(eta: SufficientStatistics) -> tuple[NormalParameters, Any]:
    """mu, gamma and L of the M-step, solved in the frame of eta, and whether they exist.

    With R = (E[X/Y], E[X]) and M = ((E[1/Y], 1), (1, E[Y])), (mu, gamma) = R M^-1 and
    Sigma = E[XX'/Y] - R M^-1 R'. They exist where D = det M and Sigma are not rounding.
    """
    y, inv_y = eta.y / eta.weight, eta.inv_y / eta.weight
    D = y * inv_y - 1.0
    R = jnp.stack([eta.x_inv_y, eta.x], axis=1) / eta.weight
    B = R @ (jnp.array([[y, -1.0], [-1.0, inv_y]]) / D)
    S = eta.xx_inv_y / eta.weight - B @ R.T
    L = jnp.linalg.cholesky(0.5 * (S + S.T))
    mapped = eta.scale @ B
    normal = NormalParameters(eta.origin + mapped[:, 0], mapped[:, 1], eta.scale @ L)
    g = inverse_lower(L) @ B[:, 1]
    proper = (D > NO_MIXING) & (jnp.inf > D) & ~(g @ g * y * D > COLLAPSED)
    return normal, proper & all_finite(normal)


def _is_proper(theta: Any) -> Any:
    """Whether (p, a, b) are parameters of a GIG law or of one of its limits."""
    p, a, b = theta
    proper = ((a > 0.0) | (p < 0.0)) & ((b > 0.0) | (p > 0.0)) & ((a > 0.0) | (b > 0.0))
    return proper & (a >= 0.0) & (b >= 0.0) & all_finite(theta)


def m_step(eta: SufficientStatistics, start: Any, fixed: Fixed, method: str) -> tuple[Model, Any]:
    """The maximiser, and RUNNING, or the `Status` where there is none."""
    normal, exists = normal_parameters(eta)
    expectations = jnp.stack([eta.log_y, eta.inv_y, eta.y]) / eta.weight
    theta, moments, solution = fit_subordinator(expectations, start, fixed, method)
    proper = _is_proper(theta) & (solution <= GIGStatus.INVERSE_GAMMA)
    status = jnp.where(proper, RUNNING, Status.DEGENERATE)
    status = jnp.where(solution == GIGStatus.NOT_CONVERGED, Status.NO_SOLUTION, status)
    return Model(normal, theta, moments), jnp.where(exists, status, Status.DEGENERATE)


def _product(x: Any, y: Any, z: Any) -> Any:
    """x (y - z), 0 where x is, even if y and z are infinite."""
    return jnp.where(x != 0.0, x * (y - z), 0.0)


def parameter_change(old: Model, new: Model) -> tuple[Any, Any]:
    """Largest relative change of mu, gamma, Sigma and the subordinator, and the predicted gain.

    mu, gamma and Sigma change relative to the old Sigma, the subordinator by its Jeffreys
    divergence. The predicted gain is half the Jeffreys divergence between the laws of (X, Y), to
    second order: an upper bound of what the step gains in mean log-likelihood. With e^E[log Y] as
    the unit of Y neither depends on the gauge.
    """
    normal, (_, a, b), (_, log_y, inv_y, y) = old
    normal1, (_, a1, b1), (_, log_y1, inv_y1, y1) = new
    s, t = jnp.exp(log_y), jnp.exp(log_y1)
    inverse = inverse_lower(normal.L)
    mu = inverse @ (normal1.mu - normal.mu)
    gamma = inverse @ (normal1.gamma * t - normal.gamma * s)
    w = inverse @ normal1.L
    sigma = (w @ w.T) * (t / s) - jnp.eye(len(w), dtype=w.dtype)
    # (theta - theta') . (eta - eta') of Y / s ~ GIG(p, a s, b / s); E[log] is 0 for both.
    of_y = _product(a * s - a1 * t, y / s, y1 / t) + _product(b / s - b1 / t, inv_y * s, inv_y1 * t)
    of_y = jnp.maximum(-0.5 * of_y, 0.0)
    squares = jnp.stack([of_y, mu @ mu / s, gamma @ gamma / s, jnp.sum(sigma * sigma)])
    total = squares @ jnp.array([1.0, 2.0, 2.0, 0.5])
    change = jnp.sqrt(jnp.max(squares / jnp.array([1.0, 1.0, 1.0, len(w)])))
    return jnp.where(jnp.isnan(total), jnp.nan, change), 0.5 * total
