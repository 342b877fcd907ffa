"""The JAX backend: jitted functions behind the Backend protocol, in float64 by scope."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from nvmix._statistics import SufficientStatistics
from nvmix.backends._protocol import Fixed, Gaussian, GIGParameters, GIGStatus
from nvmix.backends._scaling import (
    AT_LIMIT,
    NO_SPREAD,
    ROUNDED,
    ScaledEta,
    log_start,
    scale_eta,
)
from nvmix.backends.jax import _gig, _solve

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvmix._typing import FloatArray

# A line search stops at the rounding of the objective; beyond this gradient it has failed.
_STATIONARY: Final = 1e-5

_moments = jax.jit(_gig.gig_moments)
_covariance = jax.jit(_gig.gig_covariance)
_gamma_covariance = jax.jit(_gig.gamma_covariance)
_bessel = jax.jit(_gig.log_bessel)
_bessel_derivatives = jax.jit(_gig.log_bessel_derivatives)


def _x64(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run in float64 whatever the user's global setting, which stays as it is."""

    def wrapped(*arguments: Any) -> Any:
        with jax.enable_x64(True):
            return function(*arguments)

    return wrapped


def _rows(X: Any, mu: Any, gamma: Any, L: Any, theta: Any) -> tuple[Any, tuple[Any, Any, Any], Any]:
    """Whitened rows w, their posterior (p, a, b) and log f less lnZ of the posterior."""
    d = mu.size
    w = solve_triangular(L, (X - mu).T, lower=True).T
    g = solve_triangular(L, gamma, lower=True)
    p, a, b = theta
    q = jnp.sum(w * w, axis=1)
    posterior = (jnp.full_like(q, p - 0.5 * d), jnp.full_like(q, a + g @ g), b + q)
    prior = _gig.gig_moments(p, a, b)[0]
    constant = -0.5 * d * jnp.log(2.0 * jnp.pi) - jnp.sum(jnp.log(jnp.diag(L))) - prior
    return w, posterior, constant + w @ g


@jax.jit
def _log_prob(X: Any, mu: Any, gamma: Any, L: Any, theta: Any) -> Any:
    """(n,) log-densities."""
    _, posterior, rest = _rows(X, mu, gamma, L, theta)
    return rest + _gig.log_norm(*posterior)


@jax.jit
def _e_step(X: Any, mu: Any, gamma: Any, L: Any, theta: Any) -> tuple[Any, ...]:
    """Sums over rows, in the frame w = L^-1 (x - mu)."""
    w, posterior, rest = _rows(X, mu, gamma, L, theta)
    log_z, log_y, inv_y, y = _gig.gig_moments(*posterior)
    weighted = w * inv_y[:, None]
    scalars = [jnp.sum(x) for x in (rest + log_z, log_y, inv_y, y)]
    return (*scalars, jnp.sum(w, axis=0), jnp.sum(weighted, axis=0), weighted.T @ w)


class JAXBackend:
    """JAX on its default device."""

    name = "jax"

    @_x64
    def place(self, X: FloatArray) -> Any:
        """Put the rows on the default device, in float64."""
        return jnp.asarray(X, jnp.float64)

    @_x64
    def log_bessel(self, v: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(log K, ratio), elementwise."""
        log_k, ratio = map(np.asarray, _bessel(jnp.asarray(v), jnp.asarray(z)))
        return log_k, ratio

    @_x64
    def log_bessel_derivatives(self, v: FloatArray, z: FloatArray) -> FloatArray:
        """(4, ...) derivatives by v, by v twice, by v and z, and by z twice, elementwise."""
        return np.asarray(_bessel_derivatives(jnp.asarray(v), jnp.asarray(z)))

    def gig_law(self, theta: GIGParameters) -> tuple[float, float, float, float]:
        """(lnZ, E log Y, E 1/Y, E Y) of one law."""
        log_z, log_y, inv_y, y = map(float, self.gig_moments(*map(np.float64, theta)))
        return log_z, log_y, inv_y, y

    @_x64
    def gig_moments(
        self, p: FloatArray, a: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(lnZ, E log Y, E 1/Y, E Y), elementwise."""
        log_z, log_y, inv_y, y = map(np.asarray, _moments(*map(jnp.asarray, (p, a, b))))
        return log_z, log_y, inv_y, y

    @_x64
    def gig_covariance(self, theta: GIGParameters) -> FloatArray:
        """(3, 3) covariance of (log Y, 1/Y, Y)."""
        p, a, b = map(float, theta)
        if b == 0.0:
            return np.asarray(_gamma_covariance(p, a))
        if a == 0.0:
            # 1/Y is a gamma variable: Y and 1/Y change places, the logarithm its sign.
            mirrored = np.asarray(_gamma_covariance(-p, b))[np.ix_([0, 2, 1], [0, 2, 1])]
            sign = np.array([-1.0, 1.0, 1.0])
            return np.asarray(mirrored * np.outer(sign, sign))
        return np.asarray(_covariance(p, a, b))

    @_x64
    def gig_fit(
        self, eta: GIGParameters, fixed: Fixed, method: str, start: GIGParameters | None
    ) -> tuple[GIGParameters, GIGStatus]:
        """Solve eta -> theta; see `Backend.gig_fit`."""
        log_y, inv_y, y = map(float, eta)
        if fixed.b == 0.0:
            return _fit_gamma(log_y, y, method)
        if fixed.a == 0.0:
            (p, a, _), status = _fit_gamma(-log_y, inv_y, method)
            return (-p, 0.0, a), status
        limit = _boundary(log_y, inv_y, y, fixed.p)
        if limit is not None:
            return limit
        if fixed.p == -0.5:
            spread = y * inv_y - 1.0
            return (-0.5, 1.0 / (y * spread), y / spread), GIGStatus.INTERIOR
        solve = _fit_newton if method == "newton" else partial(_fit_quasi_newton, method=method)
        target = scale_eta((log_y, inv_y, y), fixed.p)
        (p, a, b), status = solve(target, fixed.p, log_start(target, fixed.p, start))
        return (p, a / target.s, b * target.s), status

    @_x64
    def log_prob(self, X: Any, block: Gaussian, theta: GIGParameters) -> FloatArray:
        """(n,) log-densities."""
        return np.asarray(_log_prob(X, *block, theta))

    @_x64
    def e_step(self, X: Any, block: Gaussian, theta: GIGParameters) -> SufficientStatistics:
        """Posterior expectations summed over the rows of X."""
        log_likelihood, log_y, inv_y, y, x, x_inv_y, xx_inv_y = jax.device_get(
            _e_step(X, *block, theta)
        )
        return SufficientStatistics(
            weight=float(len(X)),
            log_likelihood=float(log_likelihood),
            log_y=float(log_y),
            inv_y=float(inv_y),
            y=float(y),
            x=x,
            x_inv_y=x_inv_y,
            xx_inv_y=xx_inv_y,
            origin=block.mu,
            scale=block.L,
        )


def _fit_gamma(log_y: float, y: float, method: str) -> tuple[GIGParameters, GIGStatus]:
    """Gamma law with the given E log Y and E Y."""
    c = math.log(y) - log_y if y > 0.0 else math.nan
    if not c > 0.0:
        status = GIGStatus.DEGENERATE if c == 0.0 else GIGStatus.INFEASIBLE
        return (math.nan, math.nan, 0.0), status
    status = GIGStatus.INTERIOR
    if method == "newton":
        p = float(_solve.gamma_shape(c))
    else:
        x, gradient = _solve.quasi_newton_gamma(np.array([-math.log(2.0 * c)]), c, method)
        p = math.exp(float(x[0]))
        status = GIGStatus.INTERIOR if gradient <= _STATIONARY else GIGStatus.NOT_CONVERGED
    return (p, 2.0 * p / y, 0.0), status


def _boundary(
    log_y: float, inv_y: float, y: float, fixed_p: float | None
) -> tuple[GIGParameters, GIGStatus] | None:
    """The boundary law or the failure of a GIG eta; None inside."""
    nothing = (math.nan, math.nan, math.nan)
    spread = y * inv_y - 1.0
    if not (y > 0.0 and inv_y > 0.0 and -NO_SPREAD <= spread < math.inf):
        return nothing, GIGStatus.INFEASIBLE
    gaps = (math.log(y) - log_y, math.log(inv_y) + log_y) if fixed_p is None else (spread, spread)
    if not min(gaps) > -NO_SPREAD:
        return nothing, GIGStatus.INFEASIBLE
    if min(spread, *gaps) <= NO_SPREAD:
        return nothing, GIGStatus.DEGENERATE
    p = float(_solve.gamma_shape(gaps[0])) if fixed_p is None else fixed_p
    if p > 1.0 and spread * (p - 1.0) >= AT_LIMIT:
        return (p, 2.0 * p / y, 0.0), GIGStatus.GAMMA
    p = -float(_solve.gamma_shape(gaps[1])) if fixed_p is None else fixed_p
    if p < -1.0 and spread * (-p - 1.0) >= AT_LIMIT:
        return (p, 0.0, -2.0 * p / inv_y), GIGStatus.INVERSE_GAMMA
    return None


def _near_gamma(c: float, m: float) -> GIGParameters:
    """Start near the gamma limit, as in the CPU kernels."""
    p = float(_solve.gamma_shape(c))
    if p <= 2.0:
        return math.nan, math.nan, math.nan
    rate = p / m
    inverse = rate / (p - 1.0)
    return p, 2.0 * rate, 2.0 * (inverse - m) * (p - 2.0) / (inverse * inverse)


def _fit_newton(
    target: ScaledEta, fixed_p: float | None, start: GIGParameters
) -> tuple[GIGParameters, GIGStatus]:
    """Interior solve for T by Newton."""
    p, log_a, log_b = start
    tau = np.array(target.tau)
    starts = [(p, math.exp(log_a), math.exp(log_b))]
    if fixed_p is None:
        p, a, b = _near_gamma(math.log(target.m) - target.log_t, target.m)
        q, b_inverse, a_inverse = _near_gamma(math.log(target.m) + target.log_t, target.m)
        starts += [(p, a, b), (-q, a_inverse, b_inverse)]
    inside = [np.array(start) for start in starts if start[1] > 0.0 and start[2] > 0.0]
    theta0 = max(inside, key=lambda start: float(_solve.objective(start, tau)))
    theta, residual = _solve.newton(tau, theta0, fixed_p is not None)
    p, a, b = map(float, theta)
    return (p, a, b), GIGStatus.INTERIOR if residual <= ROUNDED else GIGStatus.NOT_CONVERGED


def _fit_quasi_newton(
    target: ScaledEta, fixed_p: float | None, start: GIGParameters, method: str
) -> tuple[GIGParameters, GIGStatus]:
    """Interior solve for T by a quasi-Newton method."""
    x, gradient = _solve.quasi_newton(
        np.array(start), np.array(target.tau), method, fixed_p is not None
    )
    p, a, b = float(x[0]), math.exp(float(x[1])), math.exp(float(x[2]))
    status = GIGStatus.INTERIOR if gradient <= _STATIONARY else GIGStatus.NOT_CONVERGED
    return (p if fixed_p is None else fixed_p, a, b), status
