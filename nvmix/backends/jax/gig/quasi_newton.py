"""Quasi-Newton GIG eta -> theta by optimistix: minimise A(k) - k . tau, as defined in `newton`."""

from typing import Any, Final

import jax
import jax.numpy as jnp
import optimistix

from nvmix.backends.jax.gig.moments import log_norm
from nvmix.backends.jax.gig.newton import evaluated, newton

_STEPS: Final = 2000
# Largest gradient of a solution, by whitened coordinates or log p: a line search stops at the
# rounding of the objective, and with a larger gradient it has failed.
_STATIONARY: Final = 1e-5
_METHODS: Final = {"bfgs": optimistix.BFGS, "lbfgs": optimistix.LBFGS}


@jax.custom_jvp
def _deviance(x: Any, tau: Any) -> Any:
    """A(k) - k . tau over x = (p, log a, log b)."""
    return -evaluated(_theta(x), tau).value


@_deviance.defjvp
def _deviance_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, tau = primals
    _, value, g, _ = evaluated(_theta(x), tau)
    return -value, -(g @ _jacobian(x)) @ tangents[0]


def _theta(x: Any) -> Any:
    """(p, a, b) of (p, log a, log b)."""
    return jnp.concatenate([x[:1], jnp.exp(x[1:])])


def _jacobian(x: Any) -> Any:
    """dk / dx, k = (p - a/2 + b/2, -a/2, -b/2)."""
    _, a, b = _theta(x)
    zero = jnp.zeros_like(a)
    return 0.5 * jnp.array([[zero + 2.0, -a, b], [zero, -a, zero], [zero, zero, -b]])


def _minimise(function: Any, x: Any, arguments: Any, method: str) -> tuple[Any, Any]:
    """Where optimistix ends from x, and whether the gradient is negligible there."""
    solver = _METHODS[method](rtol=1e-14, atol=1e-14)
    result = optimistix.minimise(function, solver, x, arguments, max_steps=_STEPS, throw=False)
    gradient = jax.grad(function)(result.value, arguments)
    return result.value, jnp.max(jnp.abs(gradient)) <= _STATIONARY


def quasi_newton(tau: Any, starts: Any, method: str, fixed: bool) -> tuple[Any, Any]:
    """(p, a, b) from the best of the starts (k, 3), and whether it is a solution.

    Coordinates (p, log a, log b) are whitened by the curvature at the start, which puts gradients
    in units of the statistics' standard deviations. A last Newton step removes the error that
    rounding of the objective hides from a line search.
    """
    best, _ = newton(tau, starts, fixed, steps=0)
    x = jnp.concatenate([best.theta[:1], jnp.log(best.theta[1:])])
    jacobian = _jacobian(x)
    curvature = jacobian.T @ best.h @ jacobian
    free = jnp.eye(3, dtype=x.dtype)[:, 1:] if fixed else jnp.eye(3, dtype=x.dtype)
    curvature = free.T @ curvature @ free
    ridge = 1e-12 * jnp.diag(jnp.diag(curvature))
    scale = free @ jnp.linalg.inv(jnp.linalg.cholesky(curvature + ridge)).T

    def function(z: Any, arguments: Any) -> Any:
        start, tau, scale = arguments
        return _deviance(start + scale @ z, tau)

    origin = jnp.zeros(scale.shape[1], x.dtype)
    z, solved = _minimise(function, origin, (x, tau, scale), method)
    last, _ = newton(tau, _theta(x + scale @ z)[None], fixed, steps=1)
    return last.theta, solved


def _gamma_deviance(x: Any, c: Any) -> Any:
    """A - theta . eta of Gamma(p, p) over x = (log p,), with E[T] = 1 and E[log T] = -c."""
    p = jnp.exp(x[0])
    return log_norm(p, 2.0 * p, jnp.zeros_like(p)) + p * (1.0 + c)


def quasi_newton_gamma_shape(c: Any, method: str) -> tuple[Any, Any]:
    """Shape p of a gamma law with log E[Y] - E[log Y] = c > 0, and whether it is a solution."""
    x, solved = _minimise(_gamma_deviance, -jnp.log(2.0 * c)[None], c, method)
    return jnp.exp(x[0]), solved
