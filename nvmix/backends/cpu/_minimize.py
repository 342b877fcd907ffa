"""Quasi-Newton GIG eta -> theta by SciPy: minimise A(theta) - theta . eta."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize

from nvmix.backends._protocol import GIGStatus
from nvmix.backends._scaling import log_start, scale_eta
from nvmix.backends.cpu import _loops

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import GIGParameters

_SCIPY_METHODS: Final = {"lbfgs": "L-BFGS-B", "bfgs": "BFGS"}
_OPTIONS: Final = {
    "lbfgs": {"gtol": 1e-11, "ftol": 0.0, "maxiter": 1000, "maxcor": 20},
    "bfgs": {"gtol": 1e-11, "maxiter": 1000},
}
# A line search stops at the rounding of the objective; beyond this gradient it has failed.
_STATIONARY: Final = 1e-5
# exp of a larger coordinate is no shape anybody fits.
_LARGEST_LOG: Final = 300.0


def _run(
    objective: Callable[[FloatArray], tuple[float, FloatArray]], x0: FloatArray, method: str
) -> tuple[FloatArray, GIGStatus]:
    """Minimise from x0; the status says whether the end is stationary."""
    with np.errstate(all="ignore"):
        result = minimize(
            objective, x0, jac=True, method=_SCIPY_METHODS[method], options=_OPTIONS[method]
        )
    stationary = bool(np.abs(result.jac).max() <= _STATIONARY)
    return result.x, GIGStatus.INTERIOR if stationary else GIGStatus.NOT_CONVERGED


def _moments(p: float, a: float, b: float) -> tuple[float, ...]:
    """(lnZ, E log T, E 1/T, E T)."""
    out = np.empty((1, 4))
    _loops.gig_moments_loop(np.array([p]), np.array([a]), np.array([b]), out)
    return tuple(map(float, out[0]))


def fit_gamma_shape(c: float, method: str) -> tuple[float, GIGStatus]:
    """Shape p of a Gamma law with log E[Y] - E[log Y] = c, over log p."""

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        if abs(x[0]) > _LARGEST_LOG:
            return math.inf, np.zeros(1)
        p = math.exp(x[0])
        log_z, log_t, _, _ = _moments(p, 2.0 * p, 0.0)
        return log_z + p * (1.0 + c), np.array([p * (log_t + c)])

    x, status = _run(objective, np.array([-math.log(2.0 * c)]), method)
    return math.exp(x[0]), status


def fit_gig(
    eta: GIGParameters, p: float | None, method: str, start: GIGParameters | None
) -> tuple[GIGParameters, GIGStatus]:
    """(p, a, b) over (p, log a, log b), or over (log a, log b) at a fixed p."""
    target = scale_eta(eta)
    free = slice(0, 3) if p is None else slice(1, 3)
    x0 = np.array(log_start(target, p, start))

    def objective(free_x: FloatArray) -> tuple[float, FloatArray]:
        x = x0.copy()
        x[free] = free_x
        if np.abs(x).max() > _LARGEST_LOG:
            return math.inf, np.zeros(free_x.size)
        a, b = math.exp(x[1]), math.exp(x[2])
        log_z, log_t, inv_t, t = _moments(x[0], a, b)
        value = log_z - x[0] * target.log_t * (p is None) + 0.5 * (a + b) * target.m
        gradient = np.array(
            [log_t - target.log_t, 0.5 * a * (target.m - t), 0.5 * b * (target.m - inv_t)]
        )
        return value, gradient[free]

    x0[free], status = _run(objective, x0[free].copy(), method)
    return (float(x0[0]), math.exp(x0[1]) / target.s, math.exp(x0[2]) * target.s), status
