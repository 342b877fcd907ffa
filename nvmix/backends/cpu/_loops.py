"""Entry points over arrays: the compiled functions that the CPU backend calls.

numba's disk cache sees edits of this file only. LINKED_SOURCES, a hash of the kernels compiled
into these loops, changes this file whenever they change; a test recomputes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nvmix.backends.cpu._gig import gig_covariance, gig_moments, log_bessel
from nvmix.backends.cpu._jit import device, loop
from nvmix.backends.cpu._solve import gamma_shape, gig_boundary, gig_solve
from nvmix.backends.cpu._table import new_table, tabulated_moments

if TYPE_CHECKING:
    from nvmix._typing import FloatArray

LINKED_SOURCES: Final = "sha256:60dbf478e76482ef"

# Rows summed on their own before they join the total, which bounds the growth of rounding.
_CHUNK: Final = 1024


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
def gamma_shape_entry(c: float) -> float:
    """Alpha with log alpha - psi(alpha) = c."""
    return gamma_shape(c)


@device
def _whiten(
    x: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray, w: FloatArray
) -> tuple[float, float]:
    """w = L^-1 (x - mu); returns |w|^2 and g . w."""
    q, linear = 0.0, 0.0
    for i in range(mu.size):
        total = 0.0
        for j in range(i + 1):
            total += inverse[i, j] * (x[j] - mu[j])
        w[i] = total
        q += total * total
        linear += g[i] * total
    return q, linear


@loop
def log_prob_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    posterior: tuple[float, float, float], log_constant: float, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out[i] with log f(x_i) = constant + g . w + lnZ(p - d/2, a + g . g, b + w . w)."""
    p, a, b = posterior
    w = np.empty(mu.size)
    table = new_table(b + _whiten(X[0], mu, inverse, g, w)[0])
    for i in range(X.shape[0]):
        q, linear = _whiten(X[i], mu, inverse, g, w)
        out[i] = log_constant + linear + tabulated_moments(p, a, b + q, table)[0]


@loop
def e_step_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, g: FloatArray,
    posterior: tuple[float, float, float], log_constant: float,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """One pass over the rows in the frame w = L^-1 (x - mu).

    Sums of (log f, E log Y, E 1/Y, E Y), of w, of w E[1/Y] and of w w' E[1/Y] (lower triangle).
    """
    p, a, b = posterior
    n, d = X.shape
    w = np.empty(d)
    scalars, x, x_inv_y, scatter = np.zeros(4), np.zeros(d), np.zeros(d), np.zeros((d, d))
    part, part_x, part_x_inv_y = np.empty(4), np.empty(d), np.empty(d)
    part_scatter = np.empty((d, d))
    table = new_table(b + _whiten(X[0], mu, inverse, g, w)[0])
    for first in range(0, n, _CHUNK):
        part[:], part_x[:], part_x_inv_y[:], part_scatter[:, :] = 0.0, 0.0, 0.0, 0.0
        for i in range(first, min(first + _CHUNK, n)):
            q, linear = _whiten(X[i], mu, inverse, g, w)
            log_z, log_y, inv_y, y = tabulated_moments(p, a, b + q, table)
            part[0] += log_constant + linear + log_z
            part[1] += log_y
            part[2] += inv_y
            part[3] += y
            for j in range(d):
                weighted = w[j] * inv_y
                part_x[j] += w[j]
                part_x_inv_y[j] += weighted
                for k in range(j + 1):
                    part_scatter[j, k] += weighted * w[k]
        scalars += part
        x += part_x
        x_inv_y += part_x_inv_y
        scatter += part_scatter
    return scalars, x, x_inv_y, scatter
