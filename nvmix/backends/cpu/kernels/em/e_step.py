"""The E-step: one pass over the rows, in blocks that stay in cache.

With w = L^-1 (x - mu), g = L^-1 gamma and q = |w|^2, Y | x ~ GIG(p - d/2, a + |g|^2, b + q). Only
b + q differs between rows, so that its moments come from a table of one variable. The density is
that of `em.plain_density`, whose sum is taken here.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.plain_density import (
    any_beyond,
    plain_bound,
    plain_intervals,
    posterior,
)
from nvmix.backends.cpu.kernels.em.products import BLOCK, add_products, whiten
from nvmix.backends.cpu.kernels.gig.table import moments_covered, scaled_moments, tabulated
from nvmix.foundation.typing import FloatArray

# The first entries of the sums: weight, log-likelihood, E log Y, E 1/Y and E Y.
SCALARS: Final = 5


class Model(NamedTuple):
    """mu (d,), gamma (d,), lower-triangular L (d, d) and theta = (p, a, b)."""

    mu: FloatArray
    gamma: FloatArray
    L: FloatArray
    theta: FloatArray


@device
def _moment_sums(
    q: FloatArray, posterior: tuple[float, float, float], table: FloatArray, weights: FloatArray,
    inv_y: FloatArray, limit: int,
) -> tuple[float, float, float, float, bool]:  # fmt: skip
    """Weighted sums of lnZ, E log Y, E 1/Y and E Y of GIG(p, a, b + q_r) over one block of rows.

    Fills inv_y with the weighted E[1/Y] of each row. The last is that of `moments_covered`.
    """
    p, a, b = posterior
    sum_log_z, sum_log_y, sum_inv_y, sum_y = 0.0, 0.0, 0.0, 0.0
    # With every interval built the loop calls no function, so that the processor overlaps rows.
    plain = moments_covered(p, a, b, q, table, limit)
    if plain or moments_covered(p, a, b, q, table, len(table)):
        total = 0.0
        for r in range(q.size):
            log_z, log_t, inv_t, t = tabulated(table, a * (b + q[r]))
            weight = weights[r]
            inv_y[r] = weight * inv_t * a
            total += weight
            sum_log_z += weight * log_z
            sum_log_y += weight * log_t
            sum_inv_y += weight * inv_t
            sum_y += weight * t
        shift = total * math.log(a)
        return sum_log_z - p * shift, sum_log_y - shift, sum_inv_y * a, sum_y / a, plain
    for r in range(q.size):
        if weights[r] == 0.0:
            inv_y[r] = 0.0
            continue
        log_z, log_y, inverse, y = scaled_moments(p, a, b + q[r], table)
        # E[1/Y] is infinite at mu alone, where its products with w = 0 are 0.
        inv_y[r] = weights[r] * inverse if inverse < math.inf else 0.0
        sum_log_z += weights[r] * log_z
        sum_log_y += weights[r] * log_y
        sum_inv_y += weights[r] * inverse
        sum_y += weights[r] * y
    return sum_log_z, sum_log_y, sum_inv_y, sum_y, plain


@device
def add_rows(
    X: FloatArray, weights: FloatArray, model: Model, inverse: FloatArray, log_norm: float,
    table: FloatArray, sums: FloatArray, scatter: FloatArray,
) -> bool:  # fmt: skip
    """Add weighted sums over complete rows X (n, d) in the frame w = L^-1 (x - mu).

    Sums (5 + 2 d,) are those of `SCALARS`, of w and of w E[1/Y]; scatter (d, d) is that of
    w w' E[1/Y]. Where weights are empty, all are 1. log_norm is lnZ(p, a, b), inverse is L^-1.
    False if the sum of log-densities may have lost digits: `careful_rows` sums them anew.
    """
    n, d = X.shape
    x, w, weighted = np.empty((d, BLOCK)), np.empty((d, BLOCK)), np.empty((2, BLOCK))
    q, linear, inv_y, g = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(d)
    counted = np.empty(BLOCK)
    counted[:] = 1.0
    sum_x, sum_x_inv_y = sums[SCALARS : SCALARS + d], sums[SCALARS + d :]
    theta = (model.theta[0], model.theta[1], model.theta[2])
    p, a, b, log_constant = posterior(theta, log_norm, inverse, model.gamma, g)
    bound, keeps_digits = plain_bound(theta, d), True
    plain_limit = plain_intervals(bound, table)
    for first in range(0, n, BLOCK):
        block = X[first : first + BLOCK]
        m = len(block)
        if weights.size > 0:
            for r in range(m):
                counted[r] = weights[first + r]
        whiten(block, model.mu, inverse, g, x, w, q, linear)
        log_z, log_y, inverse_y, y, plain = _moment_sums(
            q[:m], (p, a, b), table, counted, inv_y, plain_limit
        )
        total, exponent = 0.0, 0.0
        for r in range(m):
            total += counted[r]
            exponent += counted[r] * linear[r]
        keeps_digits = keeps_digits and (plain or not any_beyond(q[:m], a, b, bound, 0.0))
        sums[0] += total
        sums[1] += log_z + exponent + total * log_constant
        sums[2] += log_y
        sums[3] += inverse_y
        sums[4] += y
        add_products(w, counted, inv_y, m, sum_x, sum_x_inv_y, scatter, weighted)
    for i in range(d):
        for j in range(i):
            scatter[j, i] = scatter[i, j]
    return keeps_digits
