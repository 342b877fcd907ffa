"""The E-step: one pass over the rows, in blocks that stay in cache.

With w = L^-1 (x - mu), g = L^-1 gamma and q = |w|^2, Y | x ~ GIG(p - d/2, a + |g|^2, b + q). Only
b + q differs between rows, so that its moments come from a table of one variable. The density is
log f(x) = -d/2 log 2 pi - log|L| + g . w + lnZ(p - d/2, a + |g|^2, b + q) - lnZ(p, a, b).
"""

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.products import BLOCK, add_products, whiten
from nvmix.backends.cpu.kernels.gig.table import moments_covered, scaled_moments, tabulated
from nvmix.foundation.typing import FloatArray

# log(2 pi) / 2
_HALF_LOG_2PI: Final = 0.9189385332046728
# The first entries of the sums: weight, log-likelihood, E log Y, E 1/Y and E Y.
SCALARS: Final = 5


class Model(NamedTuple):
    """mu (d,), gamma (d,), lower-triangular L (d, d) and theta = (p, a, b)."""

    mu: FloatArray
    gamma: FloatArray
    L: FloatArray
    theta: FloatArray


@device
def log_norms(
    q: FloatArray, posterior: tuple[float, float, float], table: FloatArray, out: FloatArray
) -> None:
    """Add lnZ(p, a, b + q_r) to out, of one block of rows; posterior is (p, a, b)."""
    p, a, b = posterior
    if moments_covered(p, a, b, q, table):
        shift = p * math.log(a)
        for r in range(q.size):
            out[r] += tabulated(table, a * (b + q[r]))[0] - shift
    else:
        for r in range(q.size):
            out[r] += scaled_moments(p, a, b + q[r], table)[0]


@device
def _moment_sums(
    q: FloatArray, posterior: tuple[float, float, float], table: FloatArray, weights: FloatArray,
    inv_y: FloatArray,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Weighted sums of lnZ, E log Y, E 1/Y and E Y of GIG(p, a, b + q_r) over one block of rows.

    Fills inv_y with the weighted E[1/Y] of each row.
    """
    p, a, b = posterior
    sum_log_z, sum_log_y, sum_inv_y, sum_y = 0.0, 0.0, 0.0, 0.0
    # With every interval built the loop calls no function, so that the processor overlaps rows.
    if moments_covered(p, a, b, q, table):
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
        return sum_log_z - p * shift, sum_log_y - shift, sum_inv_y * a, sum_y / a
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
    return sum_log_z, sum_log_y, sum_inv_y, sum_y


@device
def posterior(
    theta: tuple[float, float, float], log_norm: float, inverse: FloatArray, gamma: FloatArray,
    g: FloatArray,
) -> tuple[float, float, float, float]:  # fmt: skip
    """(p - d/2, a + |g|^2, b, the terms of log f without x); fill g = L^-1 gamma.

    log_norm is lnZ(p, a, b); inverse is L^-1.
    """
    p, a, b = theta
    log_constant, square = -log_norm, 0.0
    for i in range(g.size):
        g[i] = 0.0
        for j in range(i + 1):
            g[i] += inverse[i, j] * gamma[j]
        square += g[i] * g[i]
        log_constant += math.log(inverse[i, i]) - _HALF_LOG_2PI
    return p - 0.5 * g.size, a + square, b, log_constant


@device
def add_rows(
    X: FloatArray, weights: FloatArray, model: Model, inverse: FloatArray, log_norm: float,
    table: FloatArray, sums: FloatArray, scatter: FloatArray,
) -> None:  # fmt: skip
    """Add weighted sums over complete rows X (n, d) in the frame w = L^-1 (x - mu).

    Sums (5 + 2 d,) are those of `SCALARS`, of w and of w E[1/Y]; scatter (d, d) is that of
    w w' E[1/Y]. Where weights are empty, all are 1. log_norm is lnZ(p, a, b), inverse is L^-1.
    """
    n, d = X.shape
    x, w, weighted = np.empty((d, BLOCK)), np.empty((d, BLOCK)), np.empty((2, BLOCK))
    q, linear, inv_y, g = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(d)
    counted = np.ones(BLOCK)
    sum_x, sum_x_inv_y = sums[SCALARS : SCALARS + d], sums[SCALARS + d :]
    theta = (model.theta[0], model.theta[1], model.theta[2])
    p, a, b, log_constant = posterior(theta, log_norm, inverse, model.gamma, g)
    for first in range(0, n, BLOCK):
        block = X[first : first + BLOCK]
        m = len(block)
        if weights.size > 0:
            for r in range(m):
                counted[r] = weights[first + r]
        whiten(block, model.mu, inverse, g, x, w, q, linear)
        log_z, log_y, inverse_y, y = _moment_sums(q[:m], (p, a, b), table, counted, inv_y)
        total, exponent = 0.0, 0.0
        for r in range(m):
            total += counted[r]
            exponent += counted[r] * linear[r]
        sums[0] += total
        sums[1] += log_z + exponent + total * log_constant
        sums[2] += log_y
        sums[3] += inverse_y
        sums[4] += y
        add_products(w, counted, inv_y, m, sum_x, sum_x_inv_y, scatter, weighted)
    for i in range(d):
        for j in range(i):
            scatter[j, i] = scatter[i, j]
