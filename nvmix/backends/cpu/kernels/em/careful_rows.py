"""The E-step where the plain sum of log-densities loses digits: they are summed with care.

It is not part of the first compile of a fit, which calls for it where it is needed.
"""

import math

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.e_step import Model, add_rows
from nvmix.backends.cpu.kernels.em.plain_density import log_densities, plain_bound, posterior
from nvmix.backends.cpu.kernels.em.products import BLOCK, whiten
from nvmix.foundation.typing import FloatArray


@device
def add_careful_rows(
    X: FloatArray, weights: FloatArray, model: Model, inverse: FloatArray, log_norm: float,
    table: FloatArray, sums: FloatArray, scatter: FloatArray,
) -> None:  # fmt: skip
    """`add_rows`, with all digits of the log-likelihood."""
    before = sums[1]
    if not add_rows(X, weights, model, inverse, log_norm, table, sums, scatter):
        sums[1] = before + _log_likelihood(X, weights, model, inverse, log_norm, table)


@device
def _log_likelihood(
    X: FloatArray, weights: FloatArray, model: Model, inverse: FloatArray, log_norm: float,
    table: FloatArray,
) -> float:  # fmt: skip
    """Weighted sum of the log-densities of rows X (n, d)."""
    d = X.shape[1]
    x, w, g = np.empty((d, BLOCK)), np.empty((d, BLOCK)), np.empty(d)
    q, linear, out, total = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), 0.0
    theta = (model.theta[0], model.theta[1], model.theta[2])
    log_constant = posterior(theta, log_norm, inverse, model.gamma, g)[3]
    bound = plain_bound(theta, d)
    for first in range(0, len(X), BLOCK):
        block = X[first : first + BLOCK]
        whiten(block, model.mu, inverse, g, x, w, q, linear)
        log_densities(
            block, model.mu, inverse, model.gamma, theta, g, w, q, linear, log_constant, bound,
            table, out,
        )  # fmt: skip
        for r in range(len(block)):
            weight = weights[first + r] if weights.size > 0 else 1.0
            # A row of weight 0 adds nothing, even if its density is infinite.
            if weight != 0.0:
                # Rows whose squares overflow are no data, which nan says.
                total += weight * out[r] if q[r] < math.inf else math.nan
    return total
