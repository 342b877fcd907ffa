"""Entry points over arrays: the compiled functions that the CPU backend calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvmix.backends.cpu.jit import device, entry, loop
from nvmix.backends.cpu.kernels.bessel.bessel import (
    bessel_curvature,
    bessel_pair,
    log_bessel_peak,
)
from nvmix.backends.cpu.kernels.em.e_step import Model, add_rows, log_norms, posterior
from nvmix.backends.cpu.kernels.em.loop import Task, fit
from nvmix.backends.cpu.kernels.em.m_step import Law, fit_law
from nvmix.backends.cpu.kernels.em.missing_values import Patterns, add_patterns
from nvmix.backends.cpu.kernels.em.products import BLOCK, whiten
from nvmix.backends.cpu.kernels.gig.moments import gig_covariance, gig_moments
from nvmix.backends.cpu.kernels.gig.solve import (
    gig_boundary,
    gig_derivatives,
    gig_objective,
)
from nvmix.backends.cpu.kernels.gig.table import covered_bessel, served, swings, tabulated
from nvmix.backends.cpu.kernels.gig.variates import gig_variates
from nvmix.foundation.typing import FloatArray


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


@entry
def gig_moments_entry(p: float, a: float, b: float) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y) of one law."""
    return gig_moments(p, a, b)


@entry
def gig_covariance_entry(p: float, a: float, b: float) -> tuple[float, ...]:
    """Upper triangle of the covariance of (log Y, 1/Y, Y)."""
    return gig_covariance(p, a, b)


@entry
def fit_law_entry(
    log_y: float, inv_y: float, y: float, law: Law, start: tuple[float, float, float]
) -> tuple[float, float, float, int]:
    """GIG eta -> theta by Newton, or in closed form."""
    return fit_law(log_y, inv_y, y, law, start)


@entry
def gig_boundary_entry(
    log_y: float, inv_y: float, y: float, fixed_p: float
) -> tuple[float, float, float, int]:
    """Boundary law or status of a GIG eta."""
    return gig_boundary(log_y, inv_y, y, fixed_p)


@entry
def gig_objective_entry(
    p: float, a: float, b: float, tau: tuple[float, float, float]
) -> tuple[float, ...]:
    """k . tau - A(k), its gradient and the Hessian of A in the statistics of `_solve`."""
    return (gig_objective(p, a, b, tau), *gig_derivatives(p, a, b, tau))


@loop
def gig_variates_loop(p: float, a: float, b: float, out: FloatArray, rng: Any) -> None:
    """Fill out with independent variates of GIG(p, a, b), a, b > 0."""
    gig_variates(p, a, b, out, rng)


@loop
def log_prob_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, gamma: FloatArray,
    theta: tuple[float, float, float], log_norm: float, table: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out[i] with log f(x_i) = constant + g . w + lnZ(p - d/2, a + g . g, b + w . w)."""
    n, d = X.shape
    x, w = np.empty((d, BLOCK)), np.empty((d, BLOCK))
    g, q, linear = np.empty(d), np.empty(BLOCK), np.empty(BLOCK)
    p, a, b, log_constant = posterior(theta, log_norm, inverse, gamma, g)
    for first in range(0, n, BLOCK):
        block = X[first : first + BLOCK]
        m = len(block)
        whiten(block, mu, inverse, g, x, w, q, linear)
        target = out[first : first + m]
        for r in range(m):
            target[r] = log_constant + linear[r]
        log_norms(q[:m], (p, a, b), table, target)


@loop
def e_step_loop(
    X: FloatArray, weights: FloatArray, model: Model, inverse: FloatArray, log_norm: float,
    table: FloatArray, sums: FloatArray, scatter: FloatArray,
) -> None:  # fmt: skip
    """Add the sums of one pass over complete rows; see `_e_step.add_rows`."""
    add_rows(X, weights, model, inverse, log_norm, table, sums, scatter)


@loop
def patterns_loop(
    patterns: Patterns, model: Model, log_norm: float, tables: FloatArray, sums: FloatArray,
    scatter: FloatArray,
) -> None:  # fmt: skip
    """Add the sums of one pass over rows with missing values; see `_patterns.add_patterns`."""
    add_patterns(patterns, model, log_norm, tables, sums, scatter)


@loop
def fit_loop(
    X: FloatArray, weights: FloatArray, model: Model, task: Task, table: FloatArray,
    histories: FloatArray,
) -> tuple[float, int, int, int]:  # fmt: skip
    """Fit by EM, the model in place; see `_em.fit`."""
    return fit(X, weights, model, task, table, histories)
