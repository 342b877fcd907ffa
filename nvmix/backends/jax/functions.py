"""Functions of models on JAX arrays and tracers, to which jit, grad, vmap and jacfwd apply."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nvmix.backends.jax.bessel import bessel
from nvmix.backends.jax.em import e_step as rows_e_step
from nvmix.backends.jax.em import m_step
from nvmix.backends.jax.em.rows import Rows
from nvmix.backends.jax.gig import density, moments, solve
from nvmix.backends.jax.precision import of_the_caller
from nvmix.backends.jax.univariate.quantile import quantile
from nvmix.backends.jax.univariate.tail import log_tail
from nvmix.backends.types import Fixed, GIGStatus, NormalParameters
from nvmix.foundation.statistics import SufficientStatistics

log_prob = of_the_caller(jax.jit(rows_e_step.log_prob))
log_kv = of_the_caller(jax.jit(bessel.log_kv))
kv_ratio = of_the_caller(jax.jit(bessel.kv_ratio))
log_kv_derivatives = of_the_caller(jax.jit(bessel.log_bessel_derivatives))
# d/dz of log K_v(z), elementwise on equal shapes.
log_kv_dz = of_the_caller(jax.jit(lambda v, z: bessel.slopes(v, z)[1]))
# Log-densities of one law at positive y of any shape.
gig_log_density = of_the_caller(jax.jit(density.gig_log_density))
# (lnZ, E log Y, E 1/Y, E Y) of one law, and the (3, 3) covariance of (log Y, 1/Y, Y).
gig_law = of_the_caller(jax.jit(lambda theta: moments.gig_moments(*theta)))
gig_covariance = of_the_caller(jax.jit(lambda theta: moments.gig_covariance(*theta)))


@of_the_caller
@jax.jit
def e_step(X: Any, normal: NormalParameters, theta: Any) -> SufficientStatistics:
    """Posterior expectations summed over the rows of X."""
    rows = Rows(X, jnp.ones_like(X[:, 0]))
    return rows_e_step.e_step(rows, normal, theta, moments.log_norm(*theta), 1)


@of_the_caller
@partial(jax.jit, static_argnames=("fixed", "method"))
def gig_fit(eta: Any, start: Any, *, fixed: Fixed, method: str) -> Any:
    """(p, a, b) of these expectations, nan where no law has them; see `Backend.gig_fit`."""
    theta, status = solve.gig_fit(jnp.stack(eta), jnp.stack(start), fixed, method)
    return tuple(jnp.where(status <= GIGStatus.INVERSE_GAMMA, theta, jnp.nan))


@of_the_caller
@jax.jit
def normal_parameters(eta: SufficientStatistics) -> NormalParameters:
    """mu, gamma and L of the M-step, nan where there are none."""
    normal, exists = m_step.normal_parameters(eta)
    return NormalParameters(*(jnp.where(exists, x, jnp.nan) for x in normal))


@of_the_caller
@partial(jax.jit, static_argnames=("upper", "log"))
def tails(x: Any, normal: NormalParameters, theta: Any, *, upper: bool, log: bool) -> Any:
    """P(X <= x), or P(X > x), or its log, of a mixture of one column; x of any shape."""
    value = log_tail(x.ravel(), _law(normal, theta), upper).reshape(x.shape)
    return value if log else jnp.exp(value)


@of_the_caller
@partial(jax.jit, static_argnames=("upper",))
def quantiles(q: Any, normal: NormalParameters, theta: Any, *, upper: bool) -> Any:
    """Quantiles of a mixture of one column; q of any shape."""
    return quantile(q.ravel(), _law(normal, theta), upper).reshape(q.shape)


def _law(normal: NormalParameters, theta: Any) -> tuple[Any, ...]:
    """(mu, gamma, sigma, p, a, b) as scalars."""
    return (*(x.reshape(()) for x in normal), *theta)
