"""GIG eta -> theta in JAX: boundary laws, a safeguarded Newton iteration, quasi-Newton methods.

As in the CPU kernels, solves run on T = Y / s with E[T] = E[1/T] = m, in the statistics
(t, e^t - 1 - t, e^-t - 1 + t), t = log T, of natural parameters (p - a/2 + b/2, -a/2, -b/2).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optimistix
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import digamma, polygamma

from nvmix.backends.jax._gig import log_mode_terms, log_norm
from nvmix.backends.jax._quadrature import covariances, exp_minus_linear, means

_MAX_NEWTON = 300
_MAX_HALVINGS = 40
# Smallest pivot of a unit-diagonal covariance that is not rounding.
_PIVOT = 1e-15
# sqrt(E[Y] E[1/Y]) beyond which steps to the boundary are damped, and on logarithms.
_BROAD = 1.05
_WIDE = 2.0
# Squared Newton decrement, in standard deviations of the statistics, of a finished solve.
_DECREMENT = 1e-26
# A solve whose decrement stopped falling is finished at the rounding of its statistics.
_STALLED = 1e-14
# Largest relative error of E[Y] and E[1/Y] of a finished solve.
_RESIDUAL = 1e-10
# Below this decrement full steps converge quadratically and the objective only shows rounding.
_QUADRATIC = 1e-8
_QUASI_NEWTON_STEPS = 2000


@jax.jit
def gamma_shape(c: Any) -> Any:
    """Alpha with log alpha - psi(alpha) = c > 0, by Newton in 1/alpha (Minka, 2002)."""
    start = (3.0 - c + jnp.sqrt((c - 3.0) ** 2 + 24.0 * c)) / (12.0 * c)

    def body(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        alpha, _, i = state
        f = jnp.log(alpha) - digamma(alpha) - c
        inverse = 1.0 / alpha + f / (alpha**2 * (1.0 / alpha - polygamma(1, alpha)))
        return jnp.where(inverse > 0.0, 1.0 / inverse, 0.5 * alpha), alpha, i + 1

    def unsettled(state: tuple[Any, Any, Any]) -> Any:
        alpha, last, i = state
        return (jnp.abs(alpha - last) > 1e-15 * alpha) & (i < 50)

    return jax.lax.while_loop(unsettled, body, (start, jnp.inf * start, 0))[0]


def _basis(t: Any) -> Any:
    """(t, e^t - 1 - t, e^-t - 1 + t)."""
    return jnp.stack([t, exp_minus_linear(t), exp_minus_linear(-t)])


def _objective(theta: Any, tau: Any) -> Any:
    """k . tau - A(k), free of the cancellation between lnZ and (a + b) / 2."""
    p, a, b = theta
    _, alpha, mode = log_mode_terms(p, a, b)
    k = jnp.stack([p - 0.5 * (a - b), -0.5 * a, -0.5 * b])
    return k @ (tau - _basis(mode)) - means(alpha, p)[0]


def _derivatives(theta: Any, tau: Any) -> tuple[Any, Any]:
    """Gradient tau - E and Hessian Cov of A(k)."""
    p, a, b = theta
    _, alpha, mode = log_mode_terms(p, a, b)
    mean, covariance = covariances(alpha, p)
    e = jnp.exp(mode)
    # The statistics at t = mode + u are an affine image of the same statistics at u.
    image = jnp.array([[1.0, 0.0, 0.0], [e - 1.0, e, 0.0], [1.0 - 1.0 / e, 0.0, 1.0 / e]])
    return tau - (_basis(mode) + image @ mean), image @ covariance @ image.T


def _solve(h: Any, g: Any) -> tuple[Any, Any]:
    """h^-1 g and g' h^-1 g by Cholesky at unit diagonal, pivots never below rounding."""
    scale = jnp.sqrt(jnp.diag(h))
    unit = h / jnp.outer(scale, scale)
    n = h.shape[0]
    L = jnp.zeros_like(h)
    for j in range(n):
        pivot = jnp.sqrt(jnp.maximum(unit[j, j] - L[j, :j] @ L[j, :j], _PIVOT))
        L = L.at[j, j].set(pivot)
        for i in range(j + 1, n):
            L = L.at[i, j].set((unit[i, j] - L[i, :j] @ L[j, :j]) / pivot)
    y = solve_triangular(L, g / scale, lower=True)
    return solve_triangular(L, y, lower=True, trans=1) / scale, y @ y


def _newton_step(theta: Any, tau: Any, fixed: bool, damped: Any) -> tuple[Any, Any, Any]:
    """Newton step in (p, a, b), its squared decrement and the worst relative residual."""
    _, a, b = theta
    g, h = _derivatives(theta, tau)
    m = 1.0 + 0.5 * (tau[1] + tau[2])
    off = jnp.stack([g[1] + g[0], g[2] - g[0]])
    residual = jnp.max(jnp.abs(off)) / m
    # log E[T] and log E[1/T] are nearly linear in log a and log b, E[T] and E[1/T] are not.
    expected = m - off
    off = jnp.where(m > _WIDE, expected * jnp.log(m / expected), off)
    g = jnp.stack([g[0], off[0] - g[0], off[1] + g[0]])
    # Curvature in log a and log b where the gradient shrinks them keeps the step modest.
    curvature = 2.0 * jnp.maximum(off, 0.0) / jnp.stack([a, b])
    h = h + jnp.diag(jnp.concatenate([jnp.zeros(1), jnp.where(damped, curvature, 0.0)]))
    if fixed:
        # dp = 0 leaves the directions dk2 and dk3 with dk1 = dk2 - dk3.
        free = jnp.array([[1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
        x, decrement = _solve(free @ h @ free.T, free @ g)
        step = jnp.stack([jnp.zeros(()), -2.0 * x[0], -2.0 * x[1]])
    else:
        x, decrement = _solve(h, g)
        step = jnp.stack([x[0] - x[1] + x[2], -2.0 * x[1], -2.0 * x[2]])
    return step, decrement, residual


def _moved(theta: Any, step: Any, wide: Any) -> Any:
    """Theta + step, a and b moved in the logarithm where they shrink or the law is wide."""
    p, ab = theta[0] + step[0], theta[1:]
    log_moved = ab * jnp.exp(jnp.clip(step[1:] / ab, -5.0, 5.0))
    moved = jnp.where((step[1:] > 0.0) & ~wide, ab + step[1:], log_moved)
    return jnp.concatenate([p[None], moved])


def _newton(tau: Any, theta: Any, fixed: bool) -> tuple[Any, Any]:
    """Maximise k . tau - A(k) from an interior start; (theta, worst relative residual)."""
    m = 1.0 + 0.5 * (tau[1] + tau[2])
    wide = m > _WIDE

    def ascend(theta: Any, step: Any, value: Any, decrement: Any) -> tuple[Any, Any]:
        def short(state: tuple[Any, Any, Any]) -> Any:
            size, new, i = state
            enough = new >= value + 1e-4 * size * decrement
            return ~enough & (decrement > _QUADRATIC) & (i < _MAX_HALVINGS)

        def halve(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            size, _, i = state
            return 0.5 * size, _objective(_moved(theta, 0.5 * size * step, wide), tau), i + 1

        full = _objective(_moved(theta, step, wide), tau)
        size, new, _ = jax.lax.while_loop(short, halve, (jnp.ones(()), full, 0))
        return _moved(theta, size * step, wide), new

    def body(state: tuple[Any, ...]) -> tuple[Any, ...]:
        theta, value, last, _, _, i = state
        step, decrement, residual = _newton_step(theta, tau, fixed, False)
        overshoots = (m > _BROAD) & ~wide & jnp.any(theta[1:] + step[1:] <= 0.1 * theta[1:])
        damped_step, damped_decrement, _ = _newton_step(theta, tau, fixed, True)
        step = jnp.where(overshoots, damped_step, step)
        decrement = jnp.where(overshoots, damped_decrement, decrement)
        settled = (decrement <= _DECREMENT) | ((decrement <= _STALLED) & (decrement > 0.25 * last))
        done = (settled & (residual <= _RESIDUAL)) | ~(decrement >= 0.0)
        new_theta, new_value = ascend(theta, step, value, decrement)
        theta = jnp.where(done, theta, new_theta)
        return theta, jnp.where(done, value, new_value), decrement, residual, done, i + 1

    start = (theta, _objective(theta, tau), jnp.inf, jnp.inf, False, 0)
    theta, _, _, residual, _, _ = jax.lax.while_loop(
        lambda state: ~state[4] & (state[5] < _MAX_NEWTON), body, start
    )
    return theta, residual


newton = jax.jit(_newton, static_argnums=2)
objective = jax.jit(_objective)


@jax.custom_jvp
def _deviance(x: Any, tau: Any) -> Any:
    """A(k) - k . tau over x = (p, log a, log b)."""
    return -_objective(_theta(x), tau)


@_deviance.defjvp
def _deviance_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, tau = primals
    gradient, _ = _derivatives(_theta(x), tau)
    return _deviance(x, tau), -(gradient @ _jacobian(x)) @ tangents[0]


def _theta(x: Any) -> Any:
    """(p, a, b) of (p, log a, log b)."""
    return jnp.stack([x[0], jnp.exp(x[1]), jnp.exp(x[2])])


def _jacobian(x: Any) -> Any:
    """dk / dx, k = (p - a/2 + b/2, -a/2, -b/2)."""
    _, a, b = _theta(x)
    return 0.5 * jnp.array([[2.0, -a, b], [0.0, -a, 0.0], [0.0, 0.0, -b]])


def _negative_gamma_log_likelihood(x: Any, c: Any) -> Any:
    """The same for Gamma(p, p) over log p, with E[T] = 1 and E[log T] = -c."""
    p = jnp.exp(x[0])
    return log_norm(p, 2.0 * p, jnp.zeros(())) + p * (1.0 + c)


def _minimise(objective: Any, x: Any, arguments: Any, method: str) -> tuple[Any, Any]:
    """Minimise by optimistix; the end and the largest component of its gradient."""
    make = {"bfgs": optimistix.BFGS, "lbfgs": optimistix.LBFGS}[method]
    result = optimistix.minimise(
        objective,
        make(rtol=1e-14, atol=1e-14),
        x,
        arguments,
        max_steps=_QUASI_NEWTON_STEPS,
        throw=False,
    )
    gradient = jax.grad(objective)(result.value, arguments)
    return result.value, jnp.max(jnp.abs(gradient))


def _quasi_newton(x: Any, tau: Any, method: str, fixed: bool) -> tuple[Any, Any]:
    """GIG eta -> theta by a quasi-Newton method, whitened by the curvature at the start."""
    jacobian = _jacobian(x)
    curvature = jacobian.T @ _derivatives(_theta(x), tau)[1] @ jacobian
    free = jnp.eye(3)[:, 1:] if fixed else jnp.eye(3)
    curvature = free.T @ curvature @ free
    ridge = 1e-12 * jnp.diag(jnp.diag(curvature))
    scale = free @ jnp.linalg.inv(jnp.linalg.cholesky(curvature + ridge)).T

    def objective(z: Any, arguments: Any) -> Any:
        start, tau, scale = arguments
        return _deviance(start + scale @ z, tau)

    z, gradient = _minimise(objective, jnp.zeros(scale.shape[1]), (x, tau, scale), method)
    return x + scale @ z, gradient


def _quasi_newton_gamma(x: Any, c: Any, method: str) -> tuple[Any, Any]:
    """Gamma shape by a quasi-Newton method."""
    return _minimise(_negative_gamma_log_likelihood, x, c, method)


quasi_newton = jax.jit(_quasi_newton, static_argnums=(2, 3))
quasi_newton_gamma = jax.jit(_quasi_newton_gamma, static_argnums=2)
