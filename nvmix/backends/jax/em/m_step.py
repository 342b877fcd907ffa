"""The M-step on JAX arrays, what it holds fixed, and the parameter change of a step."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp

from nvmix.backends.jax.em.e_step import all_finite
from nvmix.backends.jax.em.rows import inverse_lower
from nvmix.backends.jax.gig.moments import gig_moments
from nvmix.backends.jax.gig.solve import (
    GAMMA,
    INVERSE_GAMMA,
    SubordinatorKind,
    fit_subordinator,
    subordinator_of,
)
from nvmix.backends.status import Status
from nvmix.backends.tolerances import BROAD, COLLAPSED, NO_MIXING, TRUST
from nvmix.backends.types import Constraints, GIGStatus, NormalParameters
from nvmix.foundation.statistics import SufficientStatistics

# The status of a fit that goes on.
RUNNING: Final = -1


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["subordinator", "mu"],
    meta_fields=["symmetric"],
)
@dataclass(frozen=True)
class Held:
    """What an M-step holds fixed, as a pytree: its values may be traced.

    Programs differ by what is held, and not by the values. mu (d,) is None where it is free,
    symmetric holds gamma at 0.
    """

    subordinator: SubordinatorKind
    mu: Any = None
    symmetric: bool = False

    @property
    def ignores_y(self) -> bool:
        """Whether the M-step uses neither E[Y] nor E[X], of which the first may be infinite."""
        return self.symmetric and self.subordinator.kind == INVERSE_GAMMA


def held_of(constraints: Constraints) -> Held:
    """What constraints hold."""
    subordinator = subordinator_of(constraints.fixed, constraints.least_p)
    return Held(subordinator, constraints.mu, constraints.symmetric)


class Model(NamedTuple):
    """mu, gamma and L, theta = (p, a, b), and moments (lnZ, E log Y, E 1/Y, E Y) of theta."""

    normal: NormalParameters
    theta: Any
    moments: Any


def constrained(normal: NormalParameters, theta: Any, held: Held) -> tuple[NormalParameters, Any]:
    """The parameters with the held values put in; they stay as they are where they have them.

    Where p changes, a and b keep the moments of Y. Where no law of that order has those, Y gets a
    law of broad shape and the same size.
    """
    mu, gamma, L = normal
    mu = mu if held.mu is None else held.mu
    normal = NormalParameters(mu, jnp.zeros_like(gamma) if held.symmetric else gamma, L)
    family = held.subordinator
    if family.p is None and family.least_p == -jnp.inf:
        return normal, theta
    p = jnp.maximum(theta[0] if family.p is None else family.p, family.least_p)
    moments = jnp.stack(gig_moments(*theta))[1:]
    no_start = jnp.full_like(theta, jnp.nan)
    law, _, status = fit_subordinator(moments, no_start, replace(family, p=p), "newton")
    size, zero = jnp.exp(moments[0]), jnp.zeros_like(p)
    a = zero if family.kind == INVERSE_GAMMA else 1.0 / size
    b = zero if family.kind == GAMMA else size
    law = jnp.where(status <= GIGStatus.INVERSE_GAMMA, law, jnp.stack([p, a, b]))
    return normal, jnp.where(p == theta[0], theta, law)


def _location(eta: SufficientStatistics, held_mu: Any, symmetric: bool) -> tuple[Any, Any]:
    """(d, 2) array of (mu, gamma), and (d, d) Sigma, in the frame of eta.

    With R = (E[X/Y], E[X]), M = ((E[1/Y], 1), (1, E[Y])) and B = (mu, gamma),
    Sigma = E[XX'/Y] - R B' - B R' + B M B', and B = R M^-1 where both are free. At gamma = 0
    neither E[Y] nor E[X] is used, which may be infinite.
    """
    y, inv_y = eta.y / eta.weight, eta.inv_y / eta.weight
    x_inv_y, scatter = eta.x_inv_y / eta.weight, eta.xx_inv_y / eta.weight
    R = jnp.stack([x_inv_y, eta.x / eta.weight], axis=1)
    if held_mu is None and not symmetric:
        B = R @ (jnp.array([[y, -1.0], [-1.0, inv_y]]) / (y * inv_y - 1.0))
        return B, scatter - B @ R.T
    mu = x_inv_y / inv_y if held_mu is None else inverse_lower(eta.scale) @ (held_mu - eta.origin)
    if symmetric:
        cross = jnp.outer(x_inv_y, mu)
        B = jnp.stack([mu, jnp.zeros_like(mu)], axis=1)
        return B, scatter - cross - cross.T + inv_y * jnp.outer(mu, mu)
    B = jnp.stack([mu, (R[:, 1] - mu) / y], axis=1)
    cross = R @ B.T
    return B, scatter - cross - cross.T + B @ jnp.array([[inv_y, 1.0], [1.0, y]]) @ B.T


def normal_parameters(
    eta: SufficientStatistics, held_mu: Any = None, *, symmetric: bool = False
) -> tuple[NormalParameters, Any]:
    """mu, gamma and L of the M-step, solved in the frame of eta, and whether they exist.

    They exist where Sigma and, if mu and gamma are free, D = E[Y] E[1/Y] - 1 are not rounding.
    """
    normal, _, exists = _normal_and_sigma(eta, held_mu, symmetric)
    return normal, exists


def _normal_and_sigma(
    eta: SufficientStatistics, held_mu: Any, symmetric: bool, *, extrapolated: bool = False
) -> tuple[NormalParameters, Any, Any]:
    """mu, gamma and L, Sigma in the frame of eta, and whether these exist.

    They do not, of extrapolated statistics, wherever gamma Y varies by far more than Sigma.
    """
    B, S = _location(eta, held_mu, symmetric)
    S = 0.5 * (S + S.T)
    L = jnp.linalg.cholesky(S)
    mapped = eta.scale @ B
    mu = eta.origin + mapped[:, 0] if held_mu is None else held_mu
    normal = NormalParameters(mu, mapped[:, 1], eta.scale @ L)
    exists = all_finite(normal)
    if not symmetric:
        y, inv_y = eta.y / eta.weight, eta.inv_y / eta.weight
        D = y * inv_y - 1.0
        g = inverse_lower(L) @ B[:, 1]
        broad = jnp.inf if extrapolated else BROAD * inv_y * jnp.exp(eta.log_y / eta.weight)
        exists &= ~(g @ g * y * jnp.minimum(D, broad) > COLLAPSED)
        if held_mu is None:
            exists &= (D > NO_MIXING) & (jnp.inf > D)
    return normal, S, exists


def is_trusted(proposed: SufficientStatistics, plain: SufficientStatistics, held: Held) -> Any:
    """Whether the M-step makes X hardly narrower of proposed statistics than of EM's own.

    The scale of X is Sigma e^E[log Y], which no gauge changes. In no direction may it be less than
    1 / `TRUST`^2 of that of the plain step, if there is one. Both statistics are in one frame.
    """
    _, S, exists = _normal_and_sigma(proposed, held.mu, held.symmetric, extrapolated=True)
    _, S_plain, plain_exists = _normal_and_sigma(plain, held.mu, held.symmetric)
    ratio = jnp.exp(proposed.log_y / proposed.weight - plain.log_y / plain.weight)
    # Not positive definite: the factor has nan.
    within = all_finite(jax.lax.linalg.cholesky(ratio * S - S_plain / TRUST**2))
    return exists & (within | ~plain_exists)


def _is_proper(theta: Any) -> Any:
    """Whether (p, a, b) are parameters of a GIG law or of one of its limits."""
    p, a, b = theta
    proper = ((a > 0.0) | (p < 0.0)) & ((b > 0.0) | (p > 0.0)) & ((a > 0.0) | (b > 0.0))
    return proper & (a >= 0.0) & (b >= 0.0) & all_finite(theta)


def m_step(eta: SufficientStatistics, start: Any, held: Held, method: str) -> tuple[Model, Any]:
    """The maximiser, and RUNNING, or the `Status` where there is none."""
    normal, exists = normal_parameters(eta, held.mu, symmetric=held.symmetric)
    expectations = jnp.stack([eta.log_y, eta.inv_y, eta.y]) / eta.weight
    theta, moments, solution = fit_subordinator(expectations, start, held.subordinator, method)
    proper = _is_proper(theta) & (solution <= GIGStatus.INVERSE_GAMMA)
    status = jnp.where(proper, RUNNING, Status.DEGENERATE)
    status = jnp.where(solution == GIGStatus.NOT_CONVERGED, Status.NO_SOLUTION, status)
    return Model(normal, theta, moments), jnp.where(exists, status, Status.DEGENERATE)


def _product(x: Any, y: Any, z: Any) -> Any:
    """x (y - z), 0 where x is, even if y and z are infinite."""
    return jnp.where(x != 0.0, x * (y - z), 0.0)


def parameter_change(old: Model, new: Model, mean_y: Any) -> tuple[Any, Any]:
    """Largest relative change of mu, gamma, Sigma and the subordinator, and the predicted gain.

    mu, gamma and Sigma change relative to the old Sigma, the subordinator by its Jeffreys
    divergence. The predicted gain is half the Jeffreys divergence between the laws of (X, Y). To
    second order a step to the maximum gains at most that in mean log-likelihood, and EM's own step
    once to twice that. With e^E[log Y] as the unit of Y neither depends on the gauge. mean_y is
    that by the statistics of the step, to which gamma gains in proportion: with an outlier it is
    far above that of a law.
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
    # gamma is 0 where the mean may be infinite.
    excess = jnp.where((squares[2] > 0.0) & (mean_y > s), mean_y / s - 1.0, 0.0)
    total += 2.0 * squares[2] * excess
    change = jnp.sqrt(jnp.max(squares / jnp.array([1.0, 1.0, 1.0, len(w)])))
    return jnp.where(jnp.isnan(total), jnp.nan, change), 0.5 * total
