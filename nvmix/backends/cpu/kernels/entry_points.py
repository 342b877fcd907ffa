"""The compiled functions that Python calls, each cached on disk; arrays are filled in place."""

import numpy as np

from nvmix.backends.cpu.jit import entry, loop
from nvmix.backends.cpu.kernels.bessel.bessel import bessel_curvature, bessel_pair, log_bessel_peak
from nvmix.backends.cpu.kernels.em.careful_rows import add_careful_rows
from nvmix.backends.cpu.kernels.em.loop import advance
from nvmix.backends.cpu.kernels.em.m_step import fit_subordinator
from nvmix.backends.cpu.kernels.em.missing_values import add_patterns
from nvmix.backends.cpu.kernels.em.plain_density import log_densities, plain_bound, posterior
from nvmix.backends.cpu.kernels.em.products import BLOCK, whiten
from nvmix.backends.cpu.kernels.gig.density import gig_log_density
from nvmix.backends.cpu.kernels.gig.moments import (
    gig_covariance,
    gig_entropy,
    gig_log_moment,
    gig_moments,
)
from nvmix.backends.cpu.kernels.gig.solve import (
    Triple,
    gig_boundary,
    gig_derivatives,
    gig_objective,
)
from nvmix.backends.cpu.kernels.gig.table import (
    bessel_covered,
    covers,
    is_steep,
    moments_covered,
    scaled_moments,
    tabulated,
)
from nvmix.backends.cpu.kernels.gig.tails import gig_log_tails, gig_quantiles
from nvmix.backends.cpu.kernels.gig.variates import gig_variates
from nvmix.backends.cpu.kernels.univariate.loops import quantiles, sequential_tails, tails
from nvmix.foundation.typing import FloatArray


@loop
def bessel_pair_loop(v: FloatArray, z: FloatArray, log_k: FloatArray, ratio: FloatArray) -> None:
    """Fill log K_v(z) and K_{v+1}(z) / K_v(z)."""
    for i in range(v.size):
        log_k[i], ratio[i] = bessel_pair(v[i], z[i])


@loop
def bessel_order_loop(
    v: float, z: FloatArray, table: FloatArray, log_k: FloatArray, ratio: FloatArray
) -> None:
    """`bessel_pair_loop` at one order, by a table of `gig.table`; blocks of z stay in cache."""
    for first in range(0, z.size, BLOCK):
        block = z[first : first + BLOCK]
        if bessel_covered(v, 1.0, 0.0, block, table, len(table)):
            for i in range(block.size):
                log_k[first + i], ratio[first + i], _, _ = tabulated(table, block[i])
        else:
            for i in range(block.size):
                if covers(table, block[i]):
                    log_k[first + i], ratio[first + i], _, _ = tabulated(table, block[i])
                else:
                    log_k[first + i], ratio[first + i] = bessel_pair(v, block[i])
        if is_steep(v):
            for i in range(block.size):
                if covers(table, block[i]):
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
def gig_order_loop(p: float, a: float, b: FloatArray, table: FloatArray, out: FloatArray) -> None:
    """`gig_moments_loop` at one p and a, by a table of `gig.table`; error 1e-13 relative."""
    for first in range(0, b.size, BLOCK):
        block = b[first : first + BLOCK]
        moments_covered(p, a, 0.0, block, table, len(table))
        for i in range(block.size):
            k = first + i
            out[k, 0], out[k, 1], out[k, 2], out[k, 3] = scaled_moments(p, a, block[i], table)


@loop
def gig_covariances_loop(p: FloatArray, a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """Fill out[i] with the upper triangle of the covariance of (log Y, 1/Y, Y), by rows."""
    for i in range(p.size):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3], out[i, 4], out[i, 5] = gig_covariance(
            p[i], a[i], b[i]
        )


# These are devices as they are, documented where they are defined.
gig_moments_entry = entry(gig_moments)
gig_boundary_entry = entry(gig_boundary)
fit_subordinator_entry = entry(fit_subordinator)
gig_variates_loop = loop(gig_variates)
gig_log_density_loop = loop(gig_log_density)
gig_log_tails_loop = loop(gig_log_tails)
gig_quantiles_loop = loop(gig_quantiles)
gig_entropy_entry = entry(gig_entropy)
gig_log_moment_entry = entry(gig_log_moment)
e_step_loop = loop(add_careful_rows)
patterns_loop = loop(add_patterns)
advance_loop = loop(advance, seconds=8.0)
tails_loop = loop(tails)
quantiles_loop = loop(quantiles)
sequential_tails_loop = loop(sequential_tails)


@entry
def gig_objective_entry(p: float, a: float, b: float, tau: Triple) -> tuple[float, ...]:
    """k . tau - A(k), its gradient and the Hessian of A, in the statistics of `gig.solve`."""
    return (gig_objective(p, a, b, tau), *gig_derivatives(p, a, b, tau))


@loop
def log_prob_loop(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, gamma: FloatArray,
    theta: Triple, log_norm: float, table: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out[i] with log f(x_i), the density of `em.plain_density`; inverse is L^-1."""
    n, d = X.shape
    x, w = np.empty((d, BLOCK)), np.empty((d, BLOCK))
    g, q, linear = np.empty(d), np.empty(BLOCK), np.empty(BLOCK)
    log_constant, bound = posterior(theta, log_norm, inverse, gamma, g)[3], plain_bound(theta, d)
    for first in range(0, n, BLOCK):
        block = X[first : first + BLOCK]
        whiten(block, mu, inverse, g, x, w, q, linear)
        log_densities(
            block, mu, inverse, gamma, theta, g, w, q, linear, log_constant, bound, table,
            out[first : first + len(block)],
        )  # fmt: skip
