"""Entry points over arrays: the compiled functions that the CPU backend calls.

numba's disk cache sees edits of this file only. LINKED_SOURCES, a hash of the kernels compiled
into these loops, changes this file whenever they change; a test recomputes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nvmix.backends.cpu._gig import gig_covariance, gig_moments, log_bessel
from nvmix.backends.cpu._jit import loop, reducing_device
from nvmix.backends.cpu._solve import (
    gamma_shape,
    gig_boundary,
    gig_derivatives,
    gig_objective,
    gig_solve,
)
from nvmix.backends.cpu._table import scale_of, tabulated_moments

if TYPE_CHECKING:
    from nvmix._typing import FloatArray

LINKED_SOURCES: Final = "sha256:b2f61e93b7eac358"

# Rows of a block: its columns stay in cache, and its sums are short before they join the total.
_BLOCK: Final = 256


@loop
def log_bessel_loop(
    v: FloatArray, z: FloatArray, log_k: FloatArray, ratio: FloatArray, log_k_dv: FloatArray
) -> None:
    """Fill log K_v(z), K_{v+1}(z) / K_v(z) and d log K_v(z) / dv."""
    for i in range(v.size):
        log_k[i], ratio[i], log_k_dv[i] = log_bessel(v[i], z[i])


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


@reducing_device
def _whiten(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    x: FloatArray, w: FloatArray, q: FloatArray, linear: FloatArray,
) -> None:  # fmt: skip
    """w = L^-1 (x - mu), |w|^2 and g . w for a block of rows, laid out by columns."""
    n, d = X.shape
    for j in range(d):
        for r in range(n):
            x[j, r] = X[r, j] - mu[j]
    q[:n] = 0.0
    linear[:n] = 0.0
    for i in range(d):
        for r in range(n):
            w[i, r] = inverse[i, 0] * x[0, r]
        for j in range(1, i + 1):
            for r in range(n):
                w[i, r] += inverse[i, j] * x[j, r]
        for r in range(n):
            q[r] += w[i, r] * w[i, r]
            linear[r] += g[i] * w[i, r]


@loop
def log_prob_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    posterior: tuple[float, float, float], log_constant: float, table: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out[i] with log f(x_i) = constant + g . w + lnZ(p - d/2, a + g . g, b + w . w)."""
    p, a, b = posterior
    n, d = X.shape
    x, w, q, linear = (
        np.empty((d, _BLOCK)),
        np.empty((d, _BLOCK)),
        np.empty(_BLOCK),
        np.empty(_BLOCK),
    )
    scale = scale_of(a)
    for first in range(0, n, _BLOCK):
        block = X[first : first + _BLOCK]
        _whiten(block, mu, inverse, g, x, w, q, linear)
        for r in range(len(block)):
            log_z = tabulated_moments(p, a, b + q[r], scale, table)[0]
            out[first + r] = log_constant + linear[r] + log_z


@loop
def log_norm_loop(
    q: FloatArray, posterior: tuple[float, float, float], table: FloatArray, out: FloatArray
) -> None:
    """Fill out[i] with lnZ(p, a, b + q_i)."""
    p, a, b = posterior
    scale = scale_of(a)
    for i in range(q.size):
        out[i] = tabulated_moments(p, a, b + q[i], scale, table)[0]


@loop
def moments_loop(
    q: FloatArray, posterior: tuple[float, float, float], table: FloatArray, inv_y: FloatArray
) -> tuple[float, float, float, float]:
    """Fill inv_y with E[1/Y] of GIG(p, a, b + q); sums of (lnZ, E log Y, E 1/Y, E Y)."""
    p, a, b = posterior
    scale = scale_of(a)
    sum_log_z, sum_log_y, sum_inv_y, sum_y = 0.0, 0.0, 0.0, 0.0
    for r in range(q.size):
        log_z, log_y, inverse, y = tabulated_moments(p, a, b + q[r], scale, table)
        inv_y[r] = inverse
        sum_log_z += log_z
        sum_log_y += log_y
        sum_inv_y += inverse
        sum_y += y
    return sum_log_z, sum_log_y, sum_inv_y, sum_y


@reducing_device
def _add_products(
    w: FloatArray, inv_y: FloatArray, n: int,
    x: FloatArray, x_inv_y: FloatArray, scatter: FloatArray, weighted: FloatArray,
) -> None:  # fmt: skip
    """Add the sums over a block of w, w / Y and w w' / Y (lower triangle)."""
    for j in range(x.size):
        total, total_inv_y = 0.0, 0.0
        for r in range(n):
            weighted[r] = w[j, r] * inv_y[r]
            total += w[j, r]
            total_inv_y += weighted[r]
        x[j] += total
        x_inv_y[j] += total_inv_y
        for k in range(j + 1):
            product = 0.0
            for r in range(n):
                product += weighted[r] * w[k, r]
            scatter[j, k] += product


@loop
def e_step_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    posterior: tuple[float, float, float], log_constant: float, table: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """One pass over the rows in the frame w = L^-1 (x - mu), in blocks that stay in cache.

    Sums of (log f, E log Y, E 1/Y, E Y), of w, of w E[1/Y] and of w w' E[1/Y] (lower triangle).
    """
    n, d = X.shape
    x, w = np.empty((d, _BLOCK)), np.empty((d, _BLOCK))
    q, linear, inv_y, weighted = (
        np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK),
    )  # fmt: skip
    scalars, sum_x, sum_x_inv_y, scatter = np.zeros(4), np.zeros(d), np.zeros(d), np.zeros((d, d))
    for first in range(0, n, _BLOCK):
        block = X[first : first + _BLOCK]
        m = len(block)
        _whiten(block, mu, inverse, g, x, w, q, linear)
        log_z, log_y, inverse_y, y = moments_loop(q[:m], posterior, table, inv_y)
        scalars[0] += log_z + linear[:m].sum() + m * log_constant
        scalars[1] += log_y
        scalars[2] += inverse_y
        scalars[3] += y
        _add_products(w, inv_y, m, sum_x, sum_x_inv_y, scatter, weighted)
    return scalars, sum_x, sum_x_inv_y, scatter
