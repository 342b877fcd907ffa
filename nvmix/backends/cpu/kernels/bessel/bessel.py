"""log K_v(z), its ratio to the next order, and its derivatives, by the trapezoidal rule.

K_v(z) is half the integral of exp(v t - z cosh t) over all t (DLMF 10.32.9). With the peak at
sinh t0 = v / z and t = t0 + u, the integrand is its largest value times the weight w(u) of
`quadrature`, so that log K_v = (v t0 - z cosh t0) + log(integral of w) - log 2, and derivatives are
means and covariances under w. Half-integer orders and very small z have closed forms.
"""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.bessel.gamma import trigamma
from nvmix.backends.cpu.kernels.bessel.peak import bessel_peak
from nvmix.backends.cpu.kernels.bessel.quadrature import covariances, means
from nvmix.backends.cpu.kernels.bessel.small_argument import is_small, small_bessel, small_curvature

# Half-integer orders up to the first, at z from the second on, have polynomials that do not
# overflow.
_MOST_HALF: Final = 20.5
_LEAST_HALF: Final = 1e-5


@device
def _bessel_mode(w: float, z: float) -> tuple[float, float]:
    """r = sqrt(w^2 + z^2) and e^t = (w + r) / z at the peak of exp(w t - z cosh t), w >= 0."""
    # hypot costs more, and is needed only where squares overflow.
    square = w * w + z * z
    r = math.sqrt(square) if square < 1e300 else math.hypot(w, z)
    return r, (w + r) / z


@device
def bessel_parts(v: float, z: float) -> tuple[float, float, float, float]:
    """(peak, rest, K_{v+1} / K_v, d log K_v / dv), log K_v being peak + rest; 1e-11 < z < inf.

    The peak is the log of the largest value of the integrand in DLMF 10.32.9.
    """
    w = abs(v)
    r, mode = _bessel_mode(w, z)
    log_integral, up, down, u = means(z * (z / (r + w)), w)
    log_mode = math.log(mode)
    peak, rest = bessel_peak(w, z, r, log_mode), log_integral - math.log(2.0)
    if v < 0.0:
        return peak, rest, (1.0 + down) / mode, -(log_mode + u)
    return peak, rest, (1.0 + up) * mode, log_mode + u


@device
def log_bessel_peak(v: float, z: float) -> float:
    """The first part of `bessel_parts` alone."""
    w = abs(v)
    r, mode = _bessel_mode(w, z)
    return bessel_peak(w, z, r, math.log(mode))


@device
def log_bessel(v: float, z: float) -> tuple[float, float, float]:
    """(log K_v, K_{v+1} / K_v, d log K_v / dv) at z by DLMF 10.32.9; |v| <= 1e5, z >= 1e-300.

    Errors 3e-15, 3e-15 and 8e-15, the ratio's relative, the others' to max(1, |value|).
    """
    if not (z > 0.0 and abs(v) < np.inf):
        if z == 0.0 and abs(v) < np.inf:
            return np.inf, np.inf, np.inf if v > 0.0 else (-np.inf if v < 0.0 else 0.0)
        return np.nan, np.nan, np.nan
    if z == np.inf:
        return -np.inf, 1.0, 0.0
    if is_small(v, z):
        return small_bessel(v, z)
    peak, rest, ratio, log_k_dv = bessel_parts(v, z)
    return peak + rest, ratio, log_k_dv


@device
def _half_integer(v: float, z: float) -> tuple[float, float, float]:
    """(log K_v, K_{v+1} / K_v, K_{v-1} / K_v) for v = 1/2, 3/2, ... by DLMF 10.39.2 and 10.29.1."""
    # K_v = sqrt(pi / (2 z)) e^-z times a polynomial in 1 / z.
    t = 1.0 / z
    last, value, order = 1.0, 1.0, 0.5
    while order < v:
        last, value = value, last + 2.0 * order * t * value
        order += 1.0
    down = last / value
    return 0.5 * math.log(0.5 * math.pi * t * value * value) - z, down + 2.0 * v * t, down


@device
def bessel_pair(v: float, z: float) -> tuple[float, float]:
    """(log K_v, K_{v+1} / K_v) as `log_bessel`; half-integer orders in closed form."""
    w = abs(v)
    if w <= _MOST_HALF and w - math.floor(w) == 0.5 and _LEAST_HALF <= z < np.inf:
        log_k, up, down = _half_integer(w, z)
        return log_k, up if v > 0.0 else down
    log_k, ratio, _ = log_bessel(v, z)
    return log_k, ratio


@device
def _curvature_at_end(v: float, z: float) -> tuple[float, float, float, float]:
    """Limits of `bessel_curvature` at z = 0 and z = inf; nan for other arguments."""
    w = abs(v)
    if z == 0.0 and w < np.inf:
        if v == 0.0:
            return 0.0, np.inf, 0.0, np.inf
        return math.copysign(np.inf, v), trigamma(w), math.copysign(np.inf, -v), np.inf
    if z == np.inf and w < np.inf:
        return 0.0, 0.0, 0.0, 0.0
    return np.nan, np.nan, np.nan, np.nan


@device
def bessel_curvature(v: float, z: float) -> tuple[float, float, float, float]:
    """d/dv, d2/dv2, d2/dvdz and d2/dz2 of log K_v(z): moments of (t, cosh t) in DLMF 10.32.9.

    Errors as promised in docs/about/accuracy.md: 5e-15, 3e-15, 4e-15 and 1e-14.
    """
    w, sign = abs(v), math.copysign(1.0, v)
    if not (0.0 < z < np.inf and w < np.inf):
        return _curvature_at_end(v, z)
    if is_small(v, z):
        vv, vz, zz = small_curvature(w, z)
        return small_bessel(v, z)[2], vv, 0.0 + sign * vz, zz
    r, mode = _bessel_mode(w, z)
    _, m1, _, _, c11, c12, c13, c22, c23, c33 = covariances(z * (z / (r + w)), w)
    # cosh t is a constant and s u + (e^u - 1 - u) (w + r) / (2 z) + (e^-u - 1 + u) (r - w) / (2 z).
    s, up, down = w / z, 0.5 * mode, 0.5 * z / (r + w)
    vz = s * c11 + up * c12 + down * c13
    zz = s * (s * c11 + 2.0 * (up * c12 + down * c13))
    zz += up * up * c22 + 2.0 * up * down * c23 + down * down * c33
    return sign * (math.log(mode) + m1), c11, 0.0 - sign * vz, zz
