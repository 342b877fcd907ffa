"""Entry points over arrays: the compiled functions that the CPU backend calls.

numba's disk cache sees edits of this file only. LINKED_SOURCES, a hash of the kernels compiled
into these loops, changes this file whenever they change; a test recomputes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nvmix.backends.cpu._block import BLOCK, add_products, whiten
from nvmix.backends.cpu._gig import (
    bessel_curvature,
    bessel_pair,
    gig_covariance,
    gig_moments,
    log_bessel_peak,
)
from nvmix.backends.cpu._jit import device, loop
from nvmix.backends.cpu._solve import (
    gamma_shape,
    gig_boundary,
    gig_derivatives,
    gig_objective,
    gig_solve,
)
from nvmix.backends.cpu._table import (
    covered_bessel,
    covered_moments,
    scaled_moments,
    served,
    swings,
    tabulated,
)
from nvmix.backends.cpu._variates import gig_variates

if TYPE_CHECKING:
    from nvmix._typing import FloatArray

LINKED_SOURCES: Final = "sha256:160a66243ad01561"


# log(2 pi) / 2
_HALF_LOG_2PI: Final = 0.9189385332046728


@loop
def bessel_pair_loop(v: FloatArray, z: FloatArray, log_k: FloatArray, ratio: FloatArray) -> None:
    """Fill log K_v(z) and K_{v+1}(z) / K_v(z)."""
    for i in range(v.size):
        log_k[i], ratio[i] = bessel_pair(v[i], z[i])


@device
def _bessel_of_order(v: float, z: float, table: FloatArray) -> tuple[float, float]:
    """What the table has of (log K, ratio), or the direct values where it does not reach."""
    if served(table, z):
        log_k, ratio, _, _ = tabulated(table, z)
        return log_k, ratio
    return bessel_pair(v, z)


@loop
def bessel_order_loop(
    v: float, z: FloatArray, table: FloatArray, log_k: FloatArray, ratio: FloatArray
) -> None:
    """`bessel_pair_loop` at one order, with a table."""
    for first in range(0, z.size, BLOCK):
        block = z[first : first + BLOCK]
        if covered_bessel(v, 1.0, 0.0, block, table):
            for i in range(block.size):
                log_k[first + i], ratio[first + i], _, _ = tabulated(table, block[i])
        else:
            for i in range(block.size):
                log_k[first + i], ratio[first + i] = _bessel_of_order(v, block[i], table)
        if swings(v):
            for i in range(block.size):
                if served(table, block[i]):
                    log_k[first + i] += log_bessel_peak(v, block[i])


@loop
def bessel_derivatives_loop(v: FloatArray, z: FloatArray, out: FloatArray) -> None:
    """Fill out[i] with d/dv, d2/dv2, d2/dvdz and d2/dz2 of log K_v(z)."""
    for i in range(v.size):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = bessel_curvature(v[i], z[i])


@loop
def gig_moments_loop(p: FloatArray, a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """Fill out[i] with (lnZ, E log Y, E 1/Y, E Y)."""
    for i in range(p.size):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = gig_moments(p[i], a[i], b[i])


@loop
def gig_moments_entry(p: float, a: float, b: float) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y) of one law."""
    return gig_moments(p, a, b)


@loop
def gig_covariance_entry(p: float, a: float, b: float) -> tuple[float, ...]:
    """Upper triangle of the covariance of (log Y, 1/Y, Y)."""
    return gig_covariance(p, a, b)


@loop
def gig_solve_entry(
    log_y: float, inv_y: float, y: float, fixed_p: float, start: tuple[float, float, float]
) -> tuple[float, float, float, int]:
    """GIG eta -> theta, p free (nan) or fixed."""
    return gig_solve(log_y, inv_y, y, fixed_p, start)


@loop
def gig_boundary_entry(
    log_y: float, inv_y: float, y: float, fixed_p: float
) -> tuple[float, float, float, int]:
    """Boundary law or status of a GIG eta."""
    return gig_boundary(log_y, inv_y, y, fixed_p)


@loop
def gig_objective_entry(
    p: float, a: float, b: float, tau: tuple[float, float, float]
) -> tuple[float, ...]:
    """k . tau - A(k), its gradient and the Hessian of A in the statistics of `_solve`."""
    return (gig_objective(p, a, b, tau), *gig_derivatives(p, a, b, tau))


@loop
def gamma_shape_entry(c: float) -> float:
    """Alpha with log alpha - psi(alpha) = c."""
    return gamma_shape(c)


@loop
def gig_variates_loop(p: float, a: float, b: float, out: FloatArray, rng: Any) -> None:
    """Fill out with independent variates of GIG(p, a, b), a, b > 0."""
    gig_variates(p, a, b, out, rng)


@device
def _log_norms(
    q: FloatArray, posterior: tuple[float, float, float], table: FloatArray, out: FloatArray
) -> None:
    """Add lnZ(p, a, b + q_r) to a block of out."""
    p, a, b = posterior
    if covered_moments(p, a, b, q, table):
        shift = p * math.log(a)
        for r in range(q.size):
            out[r] += tabulated(table, a * (b + q[r]))[0] - shift
    else:
        for r in range(q.size):
            out[r] += scaled_moments(p, a, b + q[r], table)[0]


@device
def _moment_sums(
    q: FloatArray, posterior: tuple[float, float, float], table: FloatArray, inv_y: FloatArray
) -> tuple[float, float, float, float]:
    """Fill inv_y with E[1/Y] of GIG(p, a, b + q_r); sums of (lnZ, E log Y, E 1/Y, E Y)."""
    p, a, b = posterior
    sum_log_z, sum_log_y, sum_inv_y, sum_y = 0.0, 0.0, 0.0, 0.0
    # The two loops differ in that the first calls nothing, so that rows overlap in the processor.
    if covered_moments(p, a, b, q, table):
        for r in range(q.size):
            log_z, log_t, inv_t, t = tabulated(table, a * (b + q[r]))
            inv_y[r] = inv_t * a
            sum_log_z += log_z
            sum_log_y += log_t
            sum_inv_y += inv_t
            sum_y += t
        shift = q.size * math.log(a)
        return sum_log_z - p * shift, sum_log_y - shift, sum_inv_y * a, sum_y / a
    for r in range(q.size):
        log_z, log_y, inverse, y = scaled_moments(p, a, b + q[r], table)
        inv_y[r] = inverse
        sum_log_z += log_z
        sum_log_y += log_y
        sum_inv_y += inverse
        sum_y += y
    return sum_log_z, sum_log_y, sum_inv_y, sum_y


@device
def _posterior(
    theta: tuple[float, float, float], inverse: FloatArray, gamma: FloatArray, g: FloatArray
) -> tuple[float, float, float, float]:
    """(p, a) of every posterior, b of the prior and the constant of log f; fill g = L^-1 gamma."""
    p, a, b = theta
    log_constant, square = -gig_moments(p, a, b)[0], 0.0
    for i in range(g.size):
        g[i] = 0.0
        for j in range(i + 1):
            g[i] += inverse[i, j] * gamma[j]
        square += g[i] * g[i]
        log_constant += math.log(inverse[i, i]) - _HALF_LOG_2PI
    return p - 0.5 * g.size, a + square, b, log_constant


@loop
def log_prob_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, gamma: FloatArray,
    theta: tuple[float, float, float], table: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out[i] with log f(x_i) = constant + g . w + lnZ(p - d/2, a + g . g, b + w . w)."""
    n, d = X.shape
    x, w = np.empty((d, BLOCK)), np.empty((d, BLOCK))
    g, q, linear = np.empty(d), np.empty(BLOCK), np.empty(BLOCK)
    p, a, b, log_constant = _posterior(theta, inverse, gamma, g)
    for first in range(0, n, BLOCK):
        block = X[first : first + BLOCK]
        m = len(block)
        whiten(block, mu, inverse, g, x, w, q, linear)
        target = out[first : first + m]
        for r in range(m):
            target[r] = log_constant + linear[r]
        _log_norms(q[:m], (p, a, b), table, target)


@loop
def e_step_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, gamma: FloatArray,
    theta: tuple[float, float, float], table: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """One pass over the rows in the frame w = L^-1 (x - mu), in blocks that stay in cache.

    Sums of (log f, E log Y, E 1/Y, E Y), of w, of w E[1/Y] and of w w' E[1/Y].
    """
    n, d = X.shape
    x, w, weighted = np.empty((d, BLOCK)), np.empty((d, BLOCK)), np.empty((2, BLOCK))
    g, q, linear, inv_y = np.empty(d), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    scalars, sum_x, sum_x_inv_y, scatter = np.zeros(4), np.zeros(d), np.zeros(d), np.zeros((d, d))
    p, a, b, log_constant = _posterior(theta, inverse, gamma, g)
    for first in range(0, n, BLOCK):
        block = X[first : first + BLOCK]
        m = len(block)
        whiten(block, mu, inverse, g, x, w, q, linear)
        log_z, log_y, inverse_y, y = _moment_sums(q[:m], (p, a, b), table, inv_y)
        scalars[0] += log_z + linear[:m].sum() + m * log_constant
        scalars[1] += log_y
        scalars[2] += inverse_y
        scalars[3] += y
        add_products(w, inv_y, m, sum_x, sum_x_inv_y, scatter, weighted)
    for i in range(d):
        for j in range(i):
            scatter[j, i] = scatter[i, j]
    return scalars, sum_x, sum_x_inv_y, scatter
