"""Tails of a mixture of one column, by the trapezoidal rule in u = log(Y / y), y a centre.

P(X <= x) = E Phi(Z) and P(X > x) = E Phi(-Z), Z = (x - mu - gamma Y) / (sigma sqrt(Y)). Below, Z
has the sign of the tail. With A = a y / 2, B = b / (2 y), S = sinh(u / 2), C = cosh(u / 2) and
V = (x - mu + gamma y) / (sigma sqrt(y)), which also gets that sign, the density of u has the log

    log of that at u = 0 - 2 (A + B) S^2 - (A - B - p) u - (A - B)(sinh u - u)
    = log of that at u = 0 + p u - A (e^u - 1) - B (e^-u - 1),

and Z = Z(y) C - V S = W e^(-u/2) - G e^(u/2), W - G = Z(y), W + G = V. Nothing cancels: the first
forms are for |u| < 1, the second for others; x - mu - gamma y and A - B - p are summed with their
rounding errors; Phi(Z) is exp(-Z^2 / 2) M(-Z) where Z < 0 (`mills`). The integrand is entire, so
that the trapezoidal rule converges exponentially. There are two kinds of nodes.

Where Z < 0 at the peak, or the peak is as wide as Y's law, nodes have equal distances h about the
mode of y^p exp(-(A' y + B' / y) / 2), A' = a + gamma^2 / sigma^2, B' = b + (x - mu)^2 / sigma^2.
As for Bessel functions, h^-2 = 17 (1 + 0.13 R), R^2 = p^2 + A' B', leaves 1e-16.

Else Phi falls from 1 to 0 in a small part of Y's law, at Z = 0, as it does where X is nearly
mu + gamma Y. Then u = c arcsinh(e sinh t) with equal distances of t: those of u are c e h about
that place, and c h far from it.

Where b = 0 or a = 0, terms far out are those of a geometric series, which has a closed sum.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numba import types

from nvmix.backends.cpu.jit import device, late
from nvmix.backends.cpu.kernels.bessel.exp import simd_exp
from nvmix.backends.cpu.kernels.gig.density import excess, log_minus_linear
from nvmix.backends.cpu.kernels.gig.moments import log_integral, log_mode_terms
from nvmix.backends.cpu.kernels.intrinsics import fma
from nvmix.backends.cpu.kernels.univariate.mills import scaled_tail

# h^-2 = _BASE (1 + _GROWTH r), as for Bessel functions.
_BASE: Final = 17.0
_GROWTH: Final = 0.13
# Step of t, and ratio of the two steps of u from which nodes are of the second kind.
_STEP: Final = 0.125
_RATIO: Final = 2.5
# Least ratio of their steps: a narrower fall is a jump.
_NARROWEST: Final = 1e-17
# Slope of log Y's density at Z = 0, in units of that of Z, from which the peak is where Z < 0.
_STEEP: Final = 3.0
# Terms below this share of the sum are left out.
_NEGLIGIBLE: Final = 1e-18
# What a term may differ from one of a geometric series: of the exponent, and of Z, squared.
_LINEAR: Final = 1e-17
_SATURATED: Final = 8.5
_FLAT: Final = 3e-6
# The most nodes on each side.
_MOST: Final = 200_000
# R beyond which, and Z below which the integrand is normal to the rounding of its log.
_NARROW: Final = 1e28
_FAR_BELOW: Final = -1e6
# e sinh t from which u is linear in t.
_STRAIGHT: Final = 1e8
# Binary exponent of the root of Y's unit where (x - mu) / sigma would overflow.
_UNIT: Final = 256
# log of centres beyond which a unit of Y other than that of the parameters is used.
_FAR: Final = 250.0
# Largest u, beyond which e^(u/2) overflows.
_WIDEST: Final = 1400.0
# |delta| from which the density of log Y is 0.
_FARTHEST: Final = 1e300
# |delta| below which the density of log Y is taken about its mode.
_NEAR: Final = 0.25
# 1 / sqrt(2 pi)
_PHI_0: Final = 0.3989422804014327
_LOG_2: Final = 0.6931471805599453
_LOG_HALF: Final = -0.6931471805599453


class Column(NamedTuple):
    """A mixture of one column, and what follows from its parameters."""

    mu: float
    gamma: float
    sigma: float
    p: float
    a: float
    b: float
    r: float  # hypot(p, sqrt(a b))
    log_mode: float  # of y^p exp(-(a y + b / y) / 2)
    log_integral: float


# The types that numba gives the record, and two doubles.
COLUMN: Final = types.NamedUniTuple(types.float64, len(Column._fields), Column)
_TWO: Final = types.UniTuple(types.float64, 2)


@late(COLUMN(*[types.float64] * 6))
def column(mu: float, gamma: float, sigma: float, p: float, a: float, b: float) -> Column:
    """The record of a mixture."""
    r, _, log_mode = log_mode_terms(p, a, b)
    rest = log_integral(p, math.sqrt(a) * math.sqrt(b))
    return Column(mu, gamma, sigma, p, a, b, r, log_mode, rest)


@device
def _log_weight(c: Column, a: float, b: float, y: float, log_unit: float) -> float:
    """Log of the density of log Y at y e^log_unit; a and b are in that unit."""
    first, second, sign, p = a * y, b / y, 1.0, c.p
    if p < 0.0:
        first, second, sign = second, first, -1.0
    v = abs(p)
    # y / m - 1 for the mode m, or m / y - 1 for p < 0. All terms are negative.
    delta = sign * excess(a, b, p, y) / (v + c.r + second)
    if not abs(delta) < _FARTHEST:
        return -math.inf
    if abs(delta) < _NEAR:
        value = log_minus_linear(delta)
    elif delta > -0.5:
        value = math.log1p(delta) - delta
    else:
        value = sign * (math.log(y) + log_unit - c.log_mode) - delta
    value = (v * value if v > 0.0 else 0.0) - 0.5 * second * delta * delta
    return value - c.log_integral


@device
def _step(r: float) -> float:
    """Distance of nodes that resolves exp(-r (cosh u - 1))."""
    return 1.0 / math.sqrt(_BASE * (1.0 + _GROWTH * r))


@device
def _sinh_minus(u: float) -> float:
    """sinh u - u for |u| <= 1."""
    x = u * u
    t = 1.0 + x / 272.0
    t = 1.0 + x / 210.0 * t
    t = 1.0 + x / 156.0 * t
    t = 1.0 + x / 110.0 * t
    t = 1.0 + x / 72.0 * t
    t = 1.0 + x / 42.0 * t
    t = 1.0 + x / 20.0 * t
    return x * u / 6.0 * t


@device
def _exp(x: float) -> float:
    """e^x, 0 below -700 and inf above 700."""
    if not x > -700.0:
        return 0.0 if x <= -700.0 else np.nan
    return simd_exp(x) if x < 700.0 else np.inf


@device
def _rest(term: float, Z: float, rate: float, step: float) -> float:
    """Sum of the terms beyond one, which fall like e^(-rate u), where Phi(Z) is 1, or near 1/2."""
    q = math.exp(-rate * step)
    # 1 / (1 - q) - 1 without cancellation.
    total = -q / math.expm1(-rate * step)
    if abs(Z) < _FLAT:
        # Phi(Z) = 1/2 + phi(0) Z, and Z falls like e^(-u/2).
        less = -math.exp(-(rate + 0.5) * step) / math.expm1(-(rate + 0.5) * step)
        share = 2.0 * _PHI_0 * Z
        return term / (1.0 + share) * (total + share * less)
    return term * total


class _Point(NamedTuple):
    """A point x, with the sign of the tail, in a unit of Y that is a power of 4."""

    a: float
    b: float
    gamma: float
    high: float  # x - mu and what its rounding leaves
    low: float
    w: float  # (x - mu) / sigma
    g: float  # gamma / sigma
    R: float
    y: float  # mode of the kind of nodes without a fall
    log_unit: float


class _Integrand(NamedTuple):
    """The integrand about y; e^base times it is summed."""

    p: float
    A: float
    B: float
    slope: float  # A - B - p
    Z_y: float  # W - G
    W: float  # (x - mu) / (sigma sqrt(y))
    G: float  # gamma sqrt(y) / sigma
    base: float


@device
def _term(u: float, E: float, S: float, C: float, f: _Integrand) -> tuple[float, float, float]:
    """(e^base times the integrand, the same with the density of Z for Phi(Z), Z); E = e^(u/2)."""
    if abs(u) < 1.0:
        exponent = -2.0 * (f.A + f.B) * S * S - f.slope * u - (f.A - f.B) * _sinh_minus(u)
        Z = f.Z_y * C - (f.W + f.G) * S
    else:
        # E^2 overflows where A may be 0, and E^-2 where B may be 0.
        exponent = f.p * u - (f.A * E * E - f.A) - (f.B / E / E - f.B)
        Z = f.W / E - f.G * E
    exponent += f.base
    density = _exp(exponent - 0.5 * Z * Z)
    if Z < 0.0:
        return density * scaled_tail(-Z), density, Z
    return _exp(exponent) - density * scaled_tail(Z), density, Z


@device
def _point(c: Column, high: float, low: float, sign: float) -> _Point:
    """The record of a point; R may be infinite, y is not set then."""
    p, a, b, gamma, unit = c.p, c.a, c.b, sign * c.gamma, 0
    if math.isinf(high / c.sigma):
        unit = _UNIT
        a, b = math.ldexp(a, 2 * unit), math.ldexp(b, -2 * unit)
        gamma, high, low = math.ldexp(gamma, unit), math.ldexp(high, -unit), 0.0
    w, g = high / c.sigma, gamma / c.sigma
    root_A, root_B = math.hypot(math.sqrt(a), g), math.hypot(math.sqrt(b), w)
    R = math.hypot(p, root_A * root_B)
    log_unit = 2.0 * unit * _LOG_2
    if not math.inf > R:
        return _Point(a, b, gamma, high, low, w, g, R, 1.0, log_unit)
    if p >= 0.0:
        log_y = math.log(p + R) - 2.0 * math.log(root_A)
    else:
        log_y = 2.0 * math.log(root_B) - math.log(R - p)
    if abs(log_y) > _FAR:
        k = math.floor(log_y / (2.0 * _LOG_2))
        log_unit += 2.0 * k * _LOG_2
        a, b = math.ldexp(a, 2 * k), math.ldexp(b, -2 * k)
        gamma, g, root_A = math.ldexp(gamma, k), math.ldexp(g, k), math.ldexp(root_A, k)
        high, low, w = math.ldexp(high, -k), math.ldexp(low, -k), math.ldexp(w, -k)
        root_B = math.ldexp(root_B, -k)
    y = (p + R) / root_A / root_A if p >= 0.0 else root_B / (R - p) * root_B
    return _Point(a, b, gamma, high, low, w, g, R, y, log_unit)


@device
def _nodes(c: Column, x: _Point) -> tuple[float, float, float]:
    """(y, h, e): the centre, and c h and e of the second kind of nodes; e = 0 for the first."""
    h = _step(x.R)
    if x.w * x.g > 0.0:
        # Z is 0 at y.
        y = x.w / x.g
        linear, quotient = x.a * y, x.b / y
        rise = math.copysign(1.0, x.w) * (c.p - 0.5 * (linear - quotient))
        wide = _step(max(c.r, linear + quotient))
        if rise <= _STEEP * math.sqrt(abs(x.w)) * math.sqrt(abs(x.g)) and wide > _RATIO * h:
            return y, wide, max(h / wide, _NARROWEST)
    return x.y, h, 0.0


@device
def _is_geometric(at_limit: bool, exponent: float, Z: float, limit: bool) -> bool:
    """Whether terms further out are those of a geometric series."""
    return at_limit and exponent < _LINEAR and (Z > _SATURATED or (limit and abs(Z) < _FLAT))


@device
def _sums(c: Column, x: _Point, f: _Integrand, h: float, e: float) -> tuple[float, float]:
    """Sums of the terms of `_term` over the nodes, times du / (c dt) for the second kind."""
    weight = e if e > 0.0 else 1.0
    term, at, _ = _term(0.0, 1.0, 0.0, 1.0, f)
    total, density = weight * term, weight * at
    left = right = True
    last_left = last_right = term
    ends_left, ends_right = c.b == 0.0 and c.p > 0.0, c.a == 0.0 and c.p < 0.0
    growth, e1, settled = math.expm1(0.5 * h), 0.0, True
    for j in range(1, _MOST):
        if e > 0.0:
            t = j * _STEP
            v = e * math.sinh(t)
            u = h / _STEP * math.asinh(v)
            weight = e * math.cosh(t) / math.sqrt(1.0 + v * v)
            e1, settled = math.expm1(0.5 * u), v > _STRAIGHT
        else:
            u = j * h
            if u > _WIDEST:
                break
            e1 += growth * (1.0 + e1)
        E = 1.0 + e1
        S, C = 0.5 * (e1 + e1 / E), 0.5 * (E + 1.0 / E)
        if right:
            term, at, Z = _term(u, E, S, C, f)
            total += weight * term
            density += weight * at / E
            right = term > _NEGLIGIBLE * total or term > last_right
            last_right = term
            if settled and right and _is_geometric(ends_right, f.B / (E * E), Z, x.g == 0.0):
                total += weight * _rest(term, Z, -c.p, h)
                right = False
        if left:
            term, at, Z = _term(-u, 1.0 / E, -S, C, f)
            total += weight * term
            density += weight * at * E
            left = term > _NEGLIGIBLE * total or term > last_left
            last_left = term
            if settled and left and _is_geometric(ends_left, f.A / (E * E), Z, x.w == 0.0):
                total += weight * _rest(term, Z, c.p, h)
                left = False
        if not (left or right):
            break
    return total, density


@device
def _beyond(high: float) -> tuple[float, float]:
    """`tail` where its log, or that of the other one, is below all doubles."""
    return (0.0, 0.0) if high > 0.0 else (-math.inf, math.inf)


@device
def _tail_at(c: Column, x: _Point) -> tuple[float, float]:
    """`tail` at a point."""
    y, h, e = _nodes(c, x)
    if e == 0.0 and not math.inf > x.R:
        return _beyond(x.high)
    scale = c.sigma * math.sqrt(y)
    Z_y = (fma(-x.gamma, y, x.high) + x.low) / scale
    W, G = x.high / scale, x.gamma / scale * y
    base = 0.5 * Z_y * Z_y if Z_y < 0.0 and e == 0.0 else 0.0
    log_weight = _log_weight(c, x.a, x.b, y, x.log_unit) - base
    if log_weight == -math.inf:
        return -math.inf, math.inf
    if e == 0.0 and (x.R > _NARROW or Z_y < _FAR_BELOW):
        # The integrand is normal to rounding. y is off by its rounding, which log_weight makes up.
        total, density, h = 1.0, math.exp(base - 0.5 * Z_y * Z_y), math.sqrt(2.0 * math.pi / x.R)
        if Z_y < 0.0:
            total = scaled_tail(-Z_y)
            slope = 0.5 * (Z_y * (W + G) - excess(x.a, x.b, c.p, y))
            log_weight += 0.5 * slope * (slope / x.R)
    else:
        A, B, slope = 0.5 * x.a * y, 0.5 * x.b / y, 0.5 * excess(x.a, x.b, c.p, y)
        if e > 0.0:
            # y is off by its rounding: Z is 0 at this u, about which nodes are.
            shift = 2.0 * Z_y / (W + G)
            log_weight -= slope * shift
            slope += (A + B) * shift
            Z_y = 0.0
        total, density = _sums(c, x, _Integrand(c.p, A, B, slope, Z_y, W, G, base), h, e)
    if log_weight < -_FAR and not total < math.inf:
        # y is far out in the law of Y, nearly all of which has Phi near 1.
        return 0.0, 0.0
    log_tail = log_weight + math.log(h * total)
    if e == _NARROWEST:
        # X is mu + gamma Y to rounding.
        return log_tail, math.exp(log_weight - log_tail - 0.5 * x.log_unit) / abs(x.high)
    return log_tail, density * _PHI_0 / (scale * total) * math.exp(-0.5 * x.log_unit)


@device
def deviation(c: Column, x: float) -> tuple[float, float]:
    """x - mu, and what its rounding leaves."""
    high = x - c.mu
    back = high - x
    low = (x - (high - back)) - (c.mu + back)
    return high, low if math.isfinite(low) else 0.0


@late(_TWO(COLUMN, *[types.float64] * 3))
def tail(c: Column, high: float, low: float, sign: float) -> tuple[float, float]:
    """Log of a tail at mu + high + low, and f / tail: P(X <= x) for sign 1, P(X > x) for -1.

    The log has an error of 1e-15 (1 + |value|) where the tail is up to about 1/2.
    """
    high, low = sign * high, sign * low
    if math.isinf(high):
        return _beyond(high)
    return _tail_at(c, _point(c, high, low, sign))


@device
def small_tail(c: Column, high: float, low: float) -> tuple[float, float, float]:
    """(log, f / tail, sign) of the tail at mu + high + low that is about 1/2 or less."""
    sign = 1.0 if high < c.gamma * math.exp(c.log_mode) else -1.0
    value, hazard = tail(c, high, low, sign)
    if value > _LOG_HALF + 0.1:
        other, other_hazard = tail(c, high, low, -sign)
        if other < value:
            return other, other_hazard, -sign
    return value, hazard, sign
