"""The closed-form part of the M-step: mu, gamma and Sigma."""

from __future__ import annotations

import numpy as np

from nvmix.backends.tolerances import COLLAPSED, NO_MIXING
from nvmix.backends.types import Constraints, NormalParameters
from nvmix.foundation.exceptions import DegenerateError
from nvmix.foundation.linalg import factor, inverse_lower
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray


def normal_parameters(eta: SufficientStatistics, constraints: Constraints) -> NormalParameters:
    """mu, gamma and L that maximise E[log N(x; mu + gamma Y, Sigma Y)] under constraints.

    With R = (E[X/Y], E[X]), M = ((E[1/Y], 1), (1, E[Y])) and B = (mu, gamma), in the frame of the
    statistics, Sigma = E[XX'/Y] - R B' - B R' + B M B', and B = R M^-1 where both are free.
    DegenerateError if they are not determined, or Sigma is singular.
    """
    y, inv_y = eta.E_Y, eta.E_inv_Y
    D = y * inv_y - 1.0
    if constraints.mu is None and not NO_MIXING < D < np.inf:
        msg = f"E[Y] E[1/Y] - 1 = {D:.3g} does not separate mu from gamma"
        raise DegenerateError(msg)
    R = np.empty((eta.d, 2))
    R[:, 0] = eta.x_inv_y
    R[:, 1] = eta.x
    R /= eta.weight
    if constraints.mu is None and not constraints.symmetric:
        B = R @ np.array([[y / D, -1.0 / D], [-1.0 / D, inv_y / D]])
        S = eta.xx_inv_y / eta.weight - B @ R.T
    else:
        B = _constrained_parameters(eta, constraints, R)
        cross = R @ B.T
        S = eta.xx_inv_y / eta.weight - cross - cross.T
        S += B @ np.array([[inv_y, 1.0], [1.0, y]]) @ B.T
    L = factor(S)
    if L is None:
        msg = "Sigma is not positive definite"
        raise DegenerateError(msg)
    g = inverse_lower(L) @ B[:, 1]
    if float(g @ g) * y * D > COLLAPSED:
        msg = "Sigma is next to singular along gamma: nearly all variance along it is that of Y"
        raise DegenerateError(msg)
    mapped = eta.scale @ B
    mu = eta.origin + mapped[:, 0] if constraints.mu is None else constraints.mu.copy()
    return NormalParameters(mu, mapped[:, 1], eta.scale @ L)


def _constrained_parameters(
    eta: SufficientStatistics, constraints: Constraints, R: FloatArray
) -> FloatArray:
    """(d, 2) array of (mu, gamma) in the frame of eta, where one or both of them are fixed."""
    B = np.zeros_like(R)
    if constraints.mu is None:
        B[:, 0] = R[:, 0] / eta.E_inv_Y
    else:
        B[:, 0] = inverse_lower(eta.scale) @ (constraints.mu - eta.origin)
        if not constraints.symmetric:
            B[:, 1] = (R[:, 1] - B[:, 0]) / eta.E_Y
    return B
