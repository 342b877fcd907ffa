"""The closed-form half of the M-step: mu, gamma and Sigma."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nvmix._exceptions import DegenerateError
from nvmix.backends._protocol import Gaussian

if TYPE_CHECKING:
    from nvmix._statistics import SufficientStatistics

# E[Y] E[1/Y] - 1 below this leaves no digit to tell mu from gamma: the Gaussian limit.
_NO_MIXING = 1e-13


def normal_block(eta: SufficientStatistics) -> Gaussian:
    """mu, gamma and L of the M-step, solved in the frame of the statistics.

    mu = (E[Y] E[X/Y] - E[X]) / D and gamma = (E[1/Y] E[X] - E[X/Y]) / D, D = E[Y] E[1/Y] - 1.
    """
    y, inv_y = eta.E_Y, eta.E_inv_Y
    x, x_inv_y = eta.x / eta.weight, eta.x_inv_y / eta.weight
    D = y * inv_y - 1.0
    if not _NO_MIXING < D < np.inf:
        msg = f"E[Y] E[1/Y] - 1 = {D:.3g} does not separate mu from gamma"
        raise DegenerateError(msg)
    mu = (y * x_inv_y - x) / D
    gamma = (inv_y * x - x_inv_y) / D
    cross = np.outer(x_inv_y, mu)
    sigma = eta.xx_inv_y / eta.weight - cross - cross.T
    sigma += inv_y * np.outer(mu, mu) - y * np.outer(gamma, gamma)
    try:
        L = np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        msg = "Sigma is not positive definite"
        raise DegenerateError(msg) from None
    return Gaussian(eta.origin + eta.scale @ mu, eta.scale @ gamma, eta.scale @ L)
