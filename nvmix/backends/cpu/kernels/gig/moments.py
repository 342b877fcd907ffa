"""Log-norm, moments and covariances of GIG(p, a, b), limits a = 0 and b = 0 included.

The density is y^(p-1) exp(-(a y + b / y) / 2) / Z(p, a, b). Moments are sums over u = log Y - log
of the mode (`bessel.quadrature`), closed forms at very small a b (`bessel.small_argument`), and
those of gamma laws at a b = 0. 1 / Y ~ GIG(-p, b, a), so that limits are written for p >= 0 alone.
"""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import device, late
from nvmix.backends.cpu.kernels.bessel.gamma import digamma, trigamma
from nvmix.backends.cpu.kernels.bessel.peak import gig_peak
from nvmix.backends.cpu.kernels.bessel.quadrature import covariances, means
from nvmix.backends.cpu.kernels.bessel.small_argument import (
    is_small,
    scaled_log,
    small_covariance,
    small_moments,
)

# log(2 pi) / 2
_HALF_LOG_2PI: Final = 0.9189385332046728
# r = sqrt(p^2 + a b) from which five terms of the expansion of large orders leave 1e-14.
LARGE: Final = 512.0


@device
def log_integral_beyond(t: float, x: float, log_r: float) -> float:
    """`log_integral` for r >= `LARGE` from t = p / r, x = 1 / r and log r; error 1e-14.

    DLMF 10.41.4, whose u_1 to u_4 are of 10.41.10; it holds for all t of [-1, 1].
    """
    t *= t
    u4 = 349922430.0 - t * (446185740.0 - t * 185910725.0)
    u4 = (4465125.0 - t * (94121676.0 - t * u4)) / 39813120.0
    u3 = (30375.0 - t * (369603.0 - t * (765765.0 - t * 425425.0))) / 414720.0
    u2 = (81.0 - t * (462.0 - t * 385.0)) / 1152.0
    u1 = (3.0 - t * 5.0) / 24.0
    series = -x * (u1 - x * (u2 - x * (u3 - x * u4)))
    # log(1 + series), which is at most 3e-4.
    series *= 1.0 - series * (0.5 - series * (1.0 / 3.0 - 0.25 * series))
    return _HALF_LOG_2PI - 0.5 * log_r + series


@device
def log_integral(p: float, root: float) -> float:
    """Log of the integral of w: lnZ(p, a, b) - (p log m - r) at the mode m; root is sqrt(a b).

    Infinite at p = 0 and root = 0, where lnZ is. Error 1e-14 relative to max(1, |value|).
    """
    v = abs(p)
    r = math.hypot(v, root)
    if r >= LARGE:
        return log_integral_beyond(v / r, 1.0 / r, math.log(r)) if r < np.inf else -np.inf
    # The closed forms cancel at large orders, where the sum needs no root.
    if v >= 1.0 or not is_small(v, root):
        return means(root * (root / (r + v)), p)[0]
    if root == 0.0:
        return math.lgamma(v) - v * math.log(v) + v if v > 0.0 else np.inf
    x = math.log(2.0) - math.log(root)
    return scaled_log(v, x) - v * math.log(0.5 * (v + r)) + r


@device
def log_mode_terms(p: float, a: float, b: float) -> tuple[float, float, float]:
    """r = sqrt(p^2 + a b), r - |p|, and the log of the mode of y^p exp(-(a y + b / y) / 2)."""
    root = math.sqrt(a) * math.sqrt(b)
    r = math.hypot(p, root)
    alpha = root * (root / (r + abs(p)))
    top, bottom = (p + r, a) if p >= 0.0 else (b, r - p)
    mode = top / bottom
    if 0.0 < mode < np.inf:
        return r, alpha, math.log(mode)
    return r, alpha, math.log(top) - math.log(bottom)


@device
def _limit_moments(p: float, a: float, b: float) -> tuple[float, float, float, float]:
    """`gig_moments` at very small a b, p >= 0: those of Gamma(p, a / 2) where that is 0.

    lnZ = inf unless p > 0 and a > 0; the means are then limits of laws.
    """
    if a > 0.0 and b > 0.0:
        return small_moments(p, a, b)
    if not (p > 0.0 and a > 0.0):
        if b > 0.0:
            # The limit a -> 0, whose mass is at infinity, and b -> 0 at p = 0, whose mass is at 0.
            return np.inf, np.inf, 0.0, np.inf
        if a > 0.0:
            return np.inf, -np.inf, np.inf, 0.0
        return np.inf, np.nan, np.nan, np.nan
    log_scale = math.log(2.0) - math.log(a)
    inverse = 0.5 * (a / (p - 1.0)) if p > 1.0 else np.inf
    return math.lgamma(p) + p * log_scale, digamma(p) + log_scale, inverse, 2.0 * p / a


@late("UniTuple(float64, 4)(float64, float64, float64)")
def gig_moments(p: float, a: float, b: float) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y) for a, b >= 0 and |p| <= 1e3; inf or nan where they do not exist.

    Error 1e-14, relative to max(1, |value|) for lnZ and E log Y and to the value for the means.
    """
    if not (a >= 0.0 and b >= 0.0):
        return np.nan, np.nan, np.nan, np.nan
    if is_small(p, math.sqrt(a) * math.sqrt(b)):
        if p > 0.0 or (p == 0.0 and b < a):
            return _limit_moments(p, a, b)
        log_z, log_y, y, inverse = _limit_moments(-p, b, a)
        return log_z, -log_y, inverse, y
    _, alpha, log_mode = log_mode_terms(p, a, b)
    mode = math.exp(log_mode)
    log_integral, up, down, u = means(alpha, p)
    log_z = gig_peak(p, a, b, mode) + log_integral
    return log_z, log_mode + u, (1.0 + down) / mode, (1.0 + up) * mode


@device
def _limit_covariance(p: float, a: float, b: float) -> tuple[float, ...]:
    """`gig_covariance` at very small a b, p >= 0: that of Gamma(p, a / 2) where that is 0.

    Infinite where a moment does not exist.
    """
    if a > 0.0 and b > 0.0:
        return small_covariance(p, a, b)
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
def gig_covariance(p: float, a: float, b: float) -> tuple[float, ...]:
    """Upper triangle of the covariance of (log Y, 1/Y, Y), row by row; error 3e-14 relative."""
    if not (a >= 0.0 and b >= 0.0):
        return np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    if is_small(p, math.sqrt(a) * math.sqrt(b)):
        if p > 0.0 or (p == 0.0 and b < a):
            return _limit_covariance(p, a, b)
        ll, ly, li, yy, iy, ii = _limit_covariance(-p, b, a)
        return ll, -li, -ly, ii, iy, yy
    _, alpha, log_mode = log_mode_terms(p, a, b)
    _, _, _, _, c11, c12, c13, c22, c23, c33 = covariances(alpha, p)
    y = math.exp(log_mode)
    # Y = y (1 + u + up) and 1/Y = (1 - u + down) / y, up = e^u - 1 - u and down = e^-u - 1 + u.
    li = (c13 - c11) / y
    ly = (c12 + c11) * y
    ii = (c33 - 2.0 * c13 + c11) / (y * y)
    iy = c23 + c13 - c12 - c11
    yy = (c22 + 2.0 * c12 + c11) * y * y
    return c11, li, ly, ii, iy, yy


@device
def gig_log_moment(p: float, a: float, b: float, k: float) -> float:
    """log E[Y^k] = lnZ(p + k, a, b) - lnZ(p, a, b); error 1e-14 + 2e-16 |k log Y|.

    a > 0, and where b = 0 also p, p + k > 0.

    With m the mode of `log_mode_terms`, r that at p, s that at p + k and L = log m(p + k) -
    log m(p), the peaks differ by k log m(p) + (p + k) L - (s - r), terms that are not of the size
    of lnZ.
    """
    r, _, log_mode = log_mode_terms(p, a, b)
    s, _, next_log_mode = log_mode_terms(p + k, a, b)
    rise = k * ((p + p + k) / (r + s))
    shift = next_log_mode - log_mode
    # m is (p + r) / a and b / (r - p).
    if p >= 0.0 and p + k >= 0.0:
        shift = math.log1p((rise + k) / (p + r))
    elif p < 0.0 and p + k < 0.0:
        shift = -math.log1p((rise - k) / (r - p))
    root = math.sqrt(a) * math.sqrt(b)
    rest = log_integral(p + k, root) - log_integral(p, root)
    return k * log_mode + ((p + k) * shift - rise) + rest


@device
def gig_entropy(p: float, a: float, b: float) -> float:
    """Entropy -E[log f(Y)]; a = 0 and b = 0 too; error 2e-14 relative to max(1, |value|).

    That of log Y is `log_integral` and a sum of means that are positive, plus E[log Y].
    """
    v = abs(p)
    if v < 1.0 and is_small(p, math.sqrt(a) * math.sqrt(b)):
        log_z, log_y, inverse, y = gig_moments(p, a, b)
        linear, quotient = a * y if a > 0.0 else 0.0, b * inverse if b > 0.0 else 0.0
        return log_z - (p - 1.0) * log_y + 0.5 * (linear + quotient)
    _, alpha, log_mode = log_mode_terms(p, a, b)
    log_total, rise, fall, u = means(alpha, p)
    excess = rise - u if p >= 0.0 else fall + u
    return log_total + 0.5 * alpha * (rise + fall) + v * excess + log_mode + u
