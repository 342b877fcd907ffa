"""Bessel functions and GIG moments at very small z = sqrt(a b), where two terms suffice.

With x = log(2 / z), t = (z / 2)^2, e = d / v and y = v (x + e),

    K_v(z) = Gamma(1 + v) (2 / z)^v (1 - e^{-2 y}) / (2 v),   0 <= v <= 3/4,
    K_v(z) = Gamma(v) (2 / z)^v (1 + c) / 2,                  v > 3/4,
    c = t (Gamma(2 - v) / Gamma(1 + v) t^(v-1) - 1) / (v - 1),  0 for v > 7/4,

d and g being the odd and even parts of log Gamma(1 + v): DLMF 10.27.4 and 10.25.2. They are used
up to z = 1e-11 at any order, and up to z = 2^-27 at orders up to 3/4 and their neighbours. The
terms that are left out are then below 1e-16 of K_v and its ratios, and below 1e-15 of second
derivatives (t / (1 - v) of K_v for v <= 3/4, which adds 2 t / (1 - v)^3 to d2/dv2). Differences
that cancel, as at v = 0 and v = 1, are taken by series. GIG functions take p >= 0 and a, b > 0.
"""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import device, late
from nvmix.backends.cpu.kernels.bessel.gamma import digamma, trigamma

# Largest z of the closed form at any order, and at orders up to _ONE_TERM.
SMALL: Final = 1e-11
_SMALL_TWO: Final = 2.0**-27
# Order above which the second term is the correction c, and that above which c is 0.
_ONE_TERM: Final = 0.75
_CORRECTED: Final = 1.0 + _ONE_TERM
# c is taken at least this far from order 1, where its formula is 0 / 0.
_AT_ONE: Final = 1e-6
# Order below which d and g are summed as series, and the number of terms of all series.
_SERIES: Final = 0.25
_TERMS: Final = 18
# Terms of the zeta function that are added before its Euler-Maclaurin expansion.
_ADDED: Final = 300.0


def _zeta(s: float) -> float:
    """zeta(s) for s >= 2, DLMF 25.2.9; to the last bit at the integers below."""
    n, last = _ADDED, _ADDED**-s
    expansion = (last * n / (s - 1.0), 0.5 * last, last * s / (12.0 * n))
    third = last * s * (s + 1.0) * (s + 2.0) / (720.0 * n**3)
    return math.fsum([*np.arange(1.0, n) ** -s, *expansion, -third])


_ODD: Final = np.array([_zeta(s) for s in range(3, 2 * _TERMS + 3, 2)])
_EVEN: Final = np.array([_zeta(s) for s in range(2, 2 * _TERMS + 2, 2)])
_COTH: Final = -2.0 * _EVEN / (-(np.pi**2)) ** np.arange(1, _TERMS + 1)


@device
def is_small(v: float, z: float) -> bool:
    """Whether order v has its closed form at z."""
    return z <= SMALL or (z <= _SMALL_TWO and abs(v) <= _ONE_TERM)


@device
def _odd_part(v: float) -> tuple[float, float, float, float]:
    """(e, e' / v, d', d''), e = d / v, at 0 <= v <= 3/4; by DLMF 5.7.3 where differences cancel."""
    if v >= _SERIES:
        d = 0.5 * (math.lgamma(1.0 + v) - math.lgamma(1.0 - v))
        d1 = 0.5 * (digamma(1.0 + v) + digamma(1.0 - v))
        return d / v, (d1 - d / v) / (v * v), d1, 0.5 * (trigamma(1.0 + v) - trigamma(1.0 - v))
    t, e, e1, d1, d2 = v * v, 0.0, 0.0, 0.0, 0.0
    for k in range(_TERMS, 0, -1):
        c = _ODD[k - 1]
        e = e * t + c / (2 * k + 1)
        e1 = e1 * t + c * (2 * k) / (2 * k + 1)
        d1 = d1 * t + c
        d2 = d2 * t + c * (2 * k)
    return -np.euler_gamma - e * t, -e1, -np.euler_gamma - d1 * t, -d2 * v


@device
def _even_part(v: float) -> tuple[float, float]:
    """(g', g'') at 0 <= v <= 3/4."""
    if v >= _SERIES:
        g1 = 0.5 * (digamma(1.0 + v) - digamma(1.0 - v))
        return g1, 0.5 * (trigamma(1.0 + v) + trigamma(1.0 - v))
    t, g1, g2 = v * v, 0.0, 0.0
    for k in range(_TERMS, 0, -1):
        g1 = g1 * t + _EVEN[k - 1]
        g2 = g2 * t + _EVEN[k - 1] * (2 * k - 1)
    return g1 * v, g2


@device
def _decay(y: float) -> float:
    """(1 - e^{-2 y}) / y for y >= 0."""
    return -math.expm1(-2.0 * y) / y if y > 0.0 else 2.0


@device
def _langevin(y: float) -> tuple[float, float]:
    """L(y) = coth y - 1 / y and L'(y) = 1 / y^2 - 1 / sinh^2 y for y >= 0; DLMF 4.36.3."""
    if y < 1.0:
        t, first, second = y * y, 0.0, 0.0
        for k in range(_TERMS, 0, -1):
            first = first * t + _COTH[k - 1]
            second = second * t + _COTH[k - 1] * (2 * k - 1)
        return first * y, second
    inverse_sinh = 1.0 / math.sinh(y) if y < 350.0 else 0.0
    return 1.0 / math.tanh(y) - 1.0 / y, 1.0 / (y * y) - inverse_sinh * inverse_sinh


@device
def _correction(v: float, x: float) -> tuple[float, float, float]:
    """(c, dc/dv, d2c/dv2) for v > 3/4."""
    if v > _CORRECTED:
        return 0.0, 0.0, 0.0
    u = math.copysign(max(abs(v - 1.0), _AT_ONE), v - 1.0)
    t = math.exp(-2.0 * x)
    f = math.lgamma(1.0 - u) - math.lgamma(2.0 + u) - 2.0 * u * x
    f1 = -digamma(1.0 - u) - digamma(2.0 + u) - 2.0 * x
    f2 = trigamma(1.0 - u) - trigamma(2.0 + u)
    power = math.exp(f)
    c = math.expm1(f) / u
    c1 = (power * f1 - c) / u
    c2 = (power * (f1 * f1 + f2) - 2.0 * c1) / u
    return t * c, t * c1, t * c2


@late("float64(float64, float64)")
def scaled_log(v: float, x: float) -> float:
    """log of 2 K_v(z) (z / 2)^v."""
    if v > _ONE_TERM:
        return math.lgamma(v) + _correction(v, x)[0]
    e = _odd_part(v)[0]
    return math.lgamma(1.0 + v) + math.log((x + e) * _decay(v * (x + e)))


@device
def _scaled_ratio(v: float, x: float) -> float:
    """K_{v+1} / K_v z / 2."""
    if v > _ONE_TERM:
        return v / (1.0 + _correction(v, x)[0])
    e = _odd_part(v)[0]
    return (1.0 + _correction(1.0 + v, x)[0]) / ((x + e) * _decay(v * (x + e)))


@device
def _ratio_down(v: float, z: float, x: float) -> float:
    """K_{v-1} / K_v."""
    if v >= 1.0:
        return 0.5 * z / _scaled_ratio(v - 1.0, x)
    # Both logarithms are of the order of 1, so that their difference loses no digit.
    factors = math.exp(scaled_log(1.0 - v, x) - scaled_log(v, x))
    half = 0.5 * z
    # (z / 2)^(2 v - 1), written so that the exponent is not rounded.
    return factors * (math.pow(half, 2.0 * v - 1.0) if v > 0.5 else math.pow(half, 2.0 * v) / half)


@device
def _slopes(v: float, x: float) -> tuple[float, float]:
    """d log K_v / dv and d2 log K_v / dv2."""
    if v > _ONE_TERM:
        _, c1, c2 = _correction(v, x)
        return x + digamma(v) + c1, trigamma(v) + c2
    e, e1, d1, d2 = _odd_part(v)
    g1, g2 = _even_part(v)
    y = v * (x + e)
    first, second = _langevin(y)
    s, slope = x + d1, e1 / (x + e)
    # The poles 1 / v and 1 / v^2 cancel by hand.
    curvature = g2 + s * s * second - 2.0 * slope - v * v * slope * slope
    # d'' / v tends to -2 zeta(3).
    over = d2 / v if v > 0.0 else -2.0 * _ODD[0]
    return g1 + v * slope + s * first, curvature + d2 * first + over / (x + e)


@device
def _slope_beyond(v: float, x: float) -> float:
    """d log K_v / dv - x, without cancellation where K_v is nearly its first term."""
    if v > _ONE_TERM:
        return digamma(v) + _correction(v, x)[1]
    e, e1, d1, _ = _odd_part(v)
    y = v * (x + e)
    if y < 1.0:
        return _slopes(v, x)[0] - x
    slope = v * e1 / (x + e)
    # 1 - L(y) = 1 / y - 2 / (e^{2 y} - 1).
    return _even_part(v)[0] + slope + d1 - (x + d1) * (1.0 / y - 2.0 / math.expm1(2.0 * y))


@late("UniTuple(float64, 3)(float64, float64)")
def small_bessel(v: float, z: float) -> tuple[float, float, float]:
    """(log K_v, K_{v+1} / K_v, d log K_v / dv); error 1e-15 relative to max(1, |value|)."""
    w, x = abs(v), math.log(2.0) - math.log(z)
    log_k = w * x + scaled_log(w, x) - math.log(2.0)
    if v < 0.0:
        return log_k, _ratio_down(w, z, x), -_slopes(w, x)[0]
    return log_k, _scaled_ratio(w, x) * (2.0 / z), _slopes(w, x)[0]


@late("UniTuple(float64, 3)(float64, float64)")
def small_curvature(v: float, z: float) -> tuple[float, float, float]:
    """(d2/dv2, d2/dvdz, d2/dz2) of log K_v(z), v >= 0."""
    x = math.log(2.0) - math.log(z)
    dv2 = _slopes(v, x)[1]
    if v > _ONE_TERM:
        return dv2, -1.0 / z, v / z / z
    e, e1, d1, _ = _odd_part(v)
    s = x + e
    first, second = _langevin(v * s)
    # d log K / dz = -(v / z) coth y, and v coth y = 1 / (x + e) + v L(y).
    coth = 1.0 / s + v * first
    mixed = first + v * (x + d1) * second - v * e1 / (s * s)
    return dv2, -mixed / z, (coth - (1.0 / (s * s) - v * v * second)) / z / z


@device
def _mean(p: float, a: float, x: float) -> float:
    """E Y."""
    return 2.0 * _scaled_ratio(p, x) / a


@device
def _inverse_mean(p: float, a: float, z: float, x: float) -> float:
    """E 1/Y."""
    if p >= 1.0:
        return 0.5 * (a / _scaled_ratio(p - 1.0, x))
    return _ratio_down(p, z, x) * (a / z)


@late("UniTuple(float64, 4)(float64, float64, float64)")
def small_moments(p: float, a: float, b: float) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y); errors as of `gig_moments`."""
    z = math.sqrt(a) * math.sqrt(b)
    x = math.log(2.0) - math.log(z)
    log_scale = math.log(2.0) - math.log(a)
    return (
        scaled_log(p, x) + p * log_scale,
        log_scale + _slope_beyond(p, x),
        _inverse_mean(p, a, z, x),
        _mean(p, a, x),
    )


@late("UniTuple(float64, 6)(float64, float64, float64)")
def small_covariance(p: float, a: float, b: float) -> tuple[float, ...]:
    """Upper triangle of the covariance of (log Y, 1/Y, Y), row by row."""
    z = math.sqrt(a) * math.sqrt(b)
    x = math.log(2.0) - math.log(z)
    rate = 0.5 * a
    slope, ll = _slope_beyond(p, x), _slopes(p, x)[1]
    y, inverse = _mean(p, a, x), _inverse_mean(p, a, z, x)
    # Covariances with log Y are derivatives by p; those of Gamma(p, a / 2) where p is large.
    if p > _ONE_TERM:
        ly, yy = 1.0 / rate, p / (rate * rate)
    else:
        ly = y * (_slope_beyond(p + 1.0, x) - slope)
        yy = y * (_mean(p + 1.0, a, x) - y) if y < np.inf else np.inf
    if p > 1.0 + _ONE_TERM:
        li, iy = -rate / (p - 1.0) ** 2, -1.0 / (p - 1.0)
    else:
        fall = _slope_beyond(p - 1.0, x) if p >= 1.0 else -2.0 * x - _slope_beyond(1.0 - p, x)
        li, iy = inverse * (fall - slope), 1.0 - inverse * y
    if p > 2.0 + _ONE_TERM:
        ii = rate * rate / ((p - 1.0) ** 2 * (p - 2.0))
    else:
        # E 1/Y^2 = E 1/Y times the E 1/Y of order p - 1.
        q = p - 1.0
        next_inverse = _inverse_mean(q, a, z, x) if q >= 0.0 else _mean(-q, b, x)
        ii = inverse * (next_inverse - inverse)
    return ll, li, ly, ii, iy, yy
