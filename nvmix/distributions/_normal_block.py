"""The closed-form half of the M-step: mu, gamma and Sigma."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nvmix._exceptions import DegenerateError
from nvmix._linalg import factor
from nvmix.backends._protocol import Gaussian
from nvmix.backends._tolerances import NO_MIXING

if TYPE_CHECKING:
    from nvmix._statistics import SufficientStatistics


def normal_block(eta: SufficientStatistics) -> Gaussian:
    """mu, gamma and L of the M-step, solved in the frame of the statistics.

    With R = (E[X/Y], E[X]) and M = ((E[1/Y], 1), (1, E[Y])), (mu, gamma) = R M^-1 and
    Sigma = E[XX'/Y] - R M^-1 R'.
    """
    y, inv_y = eta.E_Y, eta.E_inv_Y
    D = y * inv_y - 1.0
    if not NO_MIXING < D < np.inf:
        msg = f"E[Y] E[1/Y] - 1 = {D:.3g} does not separate mu from gamma"
        raise DegenerateError(msg)
    R = np.empty((eta.d, 2))
    R[:, 0] = eta.x_inv_y
    R[:, 1] = eta.x
    R /= eta.weight
    B = R @ np.array([[y / D, -1.0 / D], [-1.0 / D, inv_y / D]])
    L = factor(eta.xx_inv_y / eta.weight - B @ R.T)
    if L is None:
        msg = "Sigma is not positive definite"
        raise DegenerateError(msg)
    mapped = eta.scale @ B
    return Gaussian(eta.origin + mapped[:, 0], mapped[:, 1], eta.scale @ L)
