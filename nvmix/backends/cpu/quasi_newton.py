"""Quasi-Newton GIG eta -> theta by SciPy: minimise A(theta) - theta . eta.

As in `kernels.gig.solve`, solves are for T = Y / s with E[T] = E[1/T] = m, and in the statistics
(t, e^t - 1 - t, e^-t - 1 + t), t = log T, with expectations tau.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import scipy

from nvmix.backends.cpu.kernels import entry_points
from nvmix.backends.types import GIGParameters, GIGStatus
from nvmix.foundation.typing import FloatArray

_SCIPY_METHODS: Final = {"lbfgs": "L-BFGS-B", "bfgs": "BFGS"}
_OPTIONS: Final = {
    "lbfgs": {"gtol": 1e-11, "ftol": 0.0, "maxiter": 1000, "maxcor": 20},
    "bfgs": {"gtol": 1e-11, "maxiter": 1000},
}
# Largest gradient of a solution, by whitened coordinates or log p: a line search stops at the
# rounding of the objective, and with a larger gradient it has failed.
_STATIONARY: Final = 1e-5
# Gradients below this are zero to rounding.
_UNIT: Final = 1e-9
# Longest last Newton step in p, log a and log b that is taken.
_POLISH: Final = 1e-3
# Largest |p|, |log a| and |log b| at which the objective is evaluated; it is inf beyond.
_LARGEST_LOG: Final = 300.0


def _log_start(
    s: float, m: float, log_t: float, p: float | None, start: GIGParameters | None
) -> tuple[float, float, float]:
    """(p, log a, log b) to start from, for T: `start` where interior, else an inverse Gaussian."""
    if start is not None and start[1] > 0.0 and start[2] > 0.0:
        return start[0] if p is None else p, math.log(start[1] * s), math.log(start[2] / s)
    lam = m / (m * m - 1.0)
    small, large = math.log(lam / (m * m)), math.log(lam)
    order = p if p is not None else (-0.5 if log_t <= 0.0 else 0.5)
    return (order, small, large) if order <= 0.0 else (order, large, small)


def _run(
    objective: Callable[[FloatArray], tuple[float, FloatArray]],
    x0: FloatArray,
    method: str,
    unit: float = 1.0,
) -> tuple[FloatArray, GIGStatus]:
    """Minimise from x0; the status says whether unit times the last gradient is negligible."""
    with np.errstate(all="ignore"):
        result = scipy.optimize.minimize(
            objective, x0, jac=True, method=_SCIPY_METHODS[method], options=_OPTIONS[method]
        )
    stationary = bool(unit * np.abs(result.jac).max() <= _STATIONARY)
    return result.x, GIGStatus.INTERIOR if stationary else GIGStatus.NOT_CONVERGED


def fit_gamma(log_y: float, y: float, method: str) -> tuple[GIGParameters, GIGStatus]:
    """Gamma law (p, a, 0) with these E log Y and E Y, by minimising over log p."""
    c = float(np.log(y)) - log_y if y > 0.0 else np.nan
    if not c > 0.0:
        status = GIGStatus.DEGENERATE if c == 0.0 else GIGStatus.INFEASIBLE
        return (np.nan, np.nan, 0.0), status

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        if abs(x[0]) > _LARGEST_LOG:
            return math.inf, np.zeros(1)
        p = math.exp(x[0])
        log_z, log_t, _, _ = entry_points.gig_moments_entry(p, 2.0 * p, 0.0)
        return log_z + p * (1.0 + c), np.array([p * (log_t + c)])

    x, status = _run(objective, np.array([-math.log(2.0 * c)]), method)
    p = math.exp(x[0])
    return (p, 2.0 * p / y, 0.0), status


def fit_gig(
    eta: GIGParameters, p: float | None, method: str, start: GIGParameters | None
) -> tuple[GIGParameters, GIGStatus]:
    """(p, a, b) by minimising over (p, log a, log b), or over the last two where p is given.

    Coordinates are whitened by the curvature at the start, which puts gradients in units of the
    statistics' standard deviations, however flat the likelihood is.
    """
    log_y, inv_y, y = eta
    s, m = math.sqrt(y) / math.sqrt(inv_y), math.sqrt(y * inv_y)
    # At a fixed p the equation of E[log T] is not used.
    log_t = 0.0 if p is not None else log_y - math.log(s)
    tau = (log_t, (m - 1.0) - log_t, (m - 1.0) + log_t)
    free = slice(0, 3) if p is None else slice(1, 3)
    x0 = np.array(_log_start(s, m, log_t, p, start))
    value0, gradient0, curvature = _value_gradient_curvature(x0, tau)
    scale = np.linalg.inv(np.linalg.cholesky(_positive(curvature[free, free]))).T
    # SciPy's tolerances are absolute: the first gradient is scaled to 1, and the first value to 0.
    unit = min(1.0, max(float(np.abs(scale.T @ gradient0[free]).max()), _UNIT))
    scale *= unit

    def point(z: FloatArray) -> FloatArray:
        x = x0.copy()
        x[free] += scale @ z
        return x

    def objective(z: FloatArray) -> tuple[float, FloatArray]:
        x = point(z)
        if np.abs(x).max() > _LARGEST_LOG:
            return math.inf, np.zeros(z.size)
        value, gradient, _ = _value_gradient_curvature(x, tau)
        return (value - value0) / unit**2, scale.T @ gradient[free] / unit**2

    z, status = _run(objective, np.zeros(scale.shape[0]), method, unit)
    x = point(z)
    # One Newton step removes what the rounding of the objective hides from a line search.
    _, gradient, curvature = _value_gradient_curvature(x, tau)
    step = np.linalg.solve(_positive(curvature[free, free]), gradient[free])
    if status is GIGStatus.INTERIOR and np.abs(step).max() < _POLISH:
        x[free] -= step
    return (float(x[0]), math.exp(x[1]) / s, math.exp(x[2]) * s), status


def _value_gradient_curvature(
    x: FloatArray, tau: tuple[float, float, float]
) -> tuple[float, FloatArray, FloatArray]:
    """A(k) - k . tau, its gradient and its Fisher curvature in x = (p, log a, log b)."""
    a, b = math.exp(x[1]), math.exp(x[2])
    value, g1, g2, g3, *h = entry_points.gig_objective_entry(float(x[0]), a, b, tau)
    # k = (p - a/2 + b/2, -a/2, -b/2)
    jacobian = 0.5 * np.array([[2.0, -a, b], [0.0, -a, 0.0], [0.0, 0.0, -b]])
    hessian = np.array([[h[0], h[1], h[2]], [h[1], h[3], h[4]], [h[2], h[4], h[5]]])
    return -value, -jacobian.T @ np.array([g1, g2, g3]), jacobian.T @ hessian @ jacobian


def _positive(h: FloatArray) -> FloatArray:
    """h with its diagonal raised by a factor 1 + 1e-12: rounding must not make it singular."""
    return h + 1e-12 * np.diag(np.diag(h))
