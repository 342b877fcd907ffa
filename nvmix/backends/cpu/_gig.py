"""Log-norm, moments and covariances of GIG(p, a, b), limits a = 0 and b = 0 included.

The density is proportional to y^(p-1) exp(-(a y + b / y) / 2).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu._gamma import digamma, trigamma
from nvmix.backends.cpu._jit import device
from nvmix.backends.cpu._quadrature import covariances, means

# e^u could overflow below this product a b, which is then taken for 0.
VANISHING: Final = 1e-300


@device
def log_mode_terms(p: float, a: float, b: float) -> tuple[float, float, float]:
    """r = sqrt(p^2 + a b), r - |p| and the log of the mode of y^p exp(-(a y + b / y) / 2)."""
    root = math.sqrt(a) * math.sqrt(b)
    r = math.hypot(p, root)
    alpha = root * (root / (r + abs(p)))
    log_mode = math.log((p + r) / a) if p >= 0.0 else math.log(b / (r - p))
    return r, alpha, log_mode


@device
def _gamma_limit(p: float, a: float) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y) of Gamma(p, a / 2); lnZ = inf unless p > 0 and a > 0."""
    if not (p > 0.0 and a > 0.0):
        return np.inf, np.nan, np.nan, np.nan
    rate = 0.5 * a
    inverse = rate / (p - 1.0) if p > 1.0 else np.inf
    return math.lgamma(p) - p * math.log(rate), digamma(p) - math.log(rate), inverse, p / rate


@device
def gig_moments(p: float, a: float, b: float) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y); a, b >= 0, error 1e-14 relative to max(1, |value|, |p| + r)."""
    if not (a >= 0.0 and b >= 0.0):
        return np.nan, np.nan, np.nan, np.nan
    if a * b < VANISHING:
        if p > 0.0:
            return _gamma_limit(p, a)
        log_z, log_y, y, inverse = _gamma_limit(-p, b)
        return log_z, -log_y, inverse, y
    r, alpha, log_mode = log_mode_terms(p, a, b)
    log_integral, up, down, u = means(alpha, p)
    mode = math.exp(log_mode)
    return p * log_mode - r + log_integral, log_mode + u, (1.0 + down) / mode, (1.0 + up) * mode


@device
def gig_covariance(p: float, a: float, b: float) -> tuple[float, ...]:
    """Covariances (log log, log inv, log id, inv inv, inv id, id id) of log Y, 1/Y and Y."""
    if not (a >= 0.0 and b >= 0.0):
        return np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    if a * b < VANISHING:
        if p > 0.0:
            return _gamma_covariance(p, a)
        ll, ly, li, yy, iy, ii = _gamma_covariance(-p, b)
        return ll, -li, -ly, ii, iy, yy
    _, alpha, log_mode = log_mode_terms(p, a, b)
    _, _, _, _, c11, c12, c13, c22, c23, c33 = covariances(alpha, p)
    y = math.exp(log_mode)
    # Y = y (1 + u + up) and 1/Y = (1 - u + down) / y for the basis (u, up, down).
    li = (c13 - c11) / y
    ly = (c12 + c11) * y
    ii = (c33 - 2.0 * c13 + c11) / (y * y)
    iy = c23 + c13 - c12 - c11
    yy = (c22 + 2.0 * c12 + c11) * y * y
    return c11, li, ly, ii, iy, yy


@device
def _gamma_covariance(p: float, a: float) -> tuple[float, ...]:
    """Covariances of (log Y, 1/Y, Y) under Gamma(p, a / 2); infinite where no moment exists."""
    if not (p > 0.0 and a > 0.0):
        return np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    rate = 0.5 * a
    log_inverse, inverse_y, inverse = -np.inf, -np.inf, np.inf
    if p > 1.0:
        log_inverse = -rate / (p - 1.0) ** 2
        inverse_y = -1.0 / (p - 1.0)
    if p > 2.0:
        inverse = rate * rate / ((p - 1.0) ** 2 * (p - 2.0))
    return trigamma(p), log_inverse, 1.0 / rate, inverse, inverse_y, p / (rate * rate)


@device
def log_bessel(v: float, z: float) -> tuple[float, float, float]:
    """(log K_v, K_{v+1} / K_v, d log K_v / dv) at z by DLMF 10.32.9; 1e-140 <= z <= 1e300."""
    if not (z > 0.0 and abs(v) < np.inf):
        if z == 0.0 and abs(v) < np.inf:
            return np.inf, np.inf, np.inf if v > 0.0 else (-np.inf if v < 0.0 else 0.0)
        return np.nan, np.nan, np.nan
    if z == np.inf:
        return -np.inf, 1.0, 0.0
    w = abs(v)
    r = math.hypot(w, z)
    log_integral, up, down, u = means(z * (z / (r + w)), w)
    log_mode = math.asinh(w / z)
    mode = (w + r) / z
    log_k = w * log_mode - r + log_integral - math.log(2.0)
    if v < 0.0:
        return log_k, (1.0 + down) / mode, -(log_mode + u)
    return log_k, (1.0 + up) * mode, log_mode + u
