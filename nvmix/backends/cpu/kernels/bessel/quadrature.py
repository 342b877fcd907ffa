"""Expectations under a GIG law by the trapezoidal rule in log Y.

Write Y = y0 e^u with y0 the mode of y^p exp(-(a y + b / y) / 2). Then u has the density

    w(u) = exp(-alpha (cosh u - 1) - |p| (e^{su} - 1 - su)),   s = sign(p),

up to a constant, with r = sqrt(p^2 + a b) and alpha = r - |p| = a b / (r + |p|). Sums are for
s = 1; p < 0 is the mirror image. w is entire and falls double exponentially, so that the
trapezoidal rule of step h converges exponentially in 1/h (Trefethen and Weideman, SIAM Review 56,
2014, 385-458). Every term is positive. log K, its order derivative (the mean of u) and its ratios
(the means of e^u and e^-u) come from the same weights.

The peak has a width of about r^-1/2, so that h falls with r. h is one of few levels h_k: tables
have cosh u - 1, e^u - 1 - u and e^-u - 1 + u at the first nodes u = (j + 1) h_k of each, which
saves their exponentials.
"""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import contracting_device, device
from nvmix.backends.cpu.kernels.bessel.exp import simd_exp
from nvmix.backends.cpu.kernels.intrinsics import to_bits
from nvmix.backends.cpu.kernels.lanes import (
    LANES,
    Lanes,
    Number,
    at_least,
    broadcast,
    lanes_at,
    total,
)
from nvmix.foundation.typing import FloatArray

# Level k serves 1 + 0.13 r up to 1, 1.5, 2, 3, 4, 6, ..., and tables have its first nodes.
_LEVELS: Final = 32
_NODES: Final = 64
# h^-2 = 17 (1 + 0.13 r) keeps the discretisation error below 1e-16 for every p and a b.
_BASE: Final = 17.0
_GROWTH: Final = 0.13
# Terms below e^-38 of the largest, factors e^|u| or e^2|u| included, are left out.
_CUT: Final = -38.0
# Logarithms of weights are raised to this, where 2^n is still a normal double.
_LEAST: Final = -700.0
# Binary exponents of alpha and |p| in the tables of reaches, the last excluded; smaller numbers
# count as 0.
_ALPHA_EXPONENTS: Final = (-96, 20)
_ORDER_EXPONENTS: Final = (-30, 20)
# Exponent and top bit of the mantissa of the largest double below 1.
_BEFORE_ONE: Final = (1023 << 1) - 1
# Nodes on each side beyond the last level, where w is Gaussian to rounding.
_NARROW: Final = 24


def _exp_minus_linear(u: FloatArray) -> FloatArray:
    """e^u - 1 - u without cancellation."""
    series = np.ones_like(u)
    for n in range(26, 2, -1):
        series = 1.0 + series * u / n
    return np.where(np.abs(u) < 1.0, series * u**2 / 2.0, np.expm1(u) - u)


_BOUNDS: Final = np.outer(2.0 ** np.arange(_LEVELS // 2), [1.0, 1.5]).ravel()
_STEPS: FloatArray = np.sqrt(1.0 / (_BASE * _BOUNDS))
_ORDINALS: Final = np.arange(1.0, LANES + 1.0)[None, :]
_U: FloatArray = _STEPS[:, None] * np.arange(1, _NODES + 1)
_COSH: Final = 2.0 * np.sinh(_U / 2.0) ** 2
_UP: Final = _exp_minus_linear(_U)
_DOWN: Final = _exp_minus_linear(-_U)


def _reaches(growth: int) -> FloatArray:
    """u where log w + growth u falls below the cut: (side, exponent of alpha, exponent of |p|).

    Found by bisection at powers of two, the least numbers of their exponents, so that larger alpha
    and |p| of the same exponents have their cut before it.
    """
    alpha, v = (2.0 ** np.arange(*limits) for limits in (_ALPHA_EXPONENTS, _ORDER_EXPONENTS))
    alpha[0], v[0] = 0.0, 0.0
    sides = []
    for sign in (1.0, -1.0):
        low, high = np.zeros((alpha.size, v.size)), np.full((alpha.size, v.size), 128.0)
        for _ in range(12):
            u = 0.5 * (low + high)
            slope = np.expm1(sign * u) - sign * u
            fall = alpha[:, None] * (np.cosh(u) - 1.0) + v * slope
            short = fall - growth * u < -_CUT
            low, high = np.where(short, u, low), np.where(short, high, u)
        sides.append(high)
    return np.array(sides)


_MEAN_REACHES: Final = _reaches(1)
_COVARIANCE_REACHES: Final = _reaches(2)


@contracting_device
def _parts_of_exp(u: Number) -> tuple[Number, Number]:
    """(cosh u - 1, sinh u - u) for 0 < u <= 1; error 2 ulp."""
    x = u * u
    even = 1.0 + x / 90.0 * (1.0 + x / 132.0 * (1.0 + x / 182.0 * (1.0 + x / 240.0)))
    even = x / 2.0 * (1.0 + x / 12.0 * (1.0 + x / 30.0 * (1.0 + x / 56.0 * even)))
    odd = 1.0 + x / 110.0 * (1.0 + x / 156.0 * (1.0 + x / 210.0 * (1.0 + x / 272.0)))
    odd = x * u / 6.0 * (1.0 + x / 20.0 * (1.0 + x / 42.0 * (1.0 + x / 72.0 * odd)))
    return even, odd


@device
def node(u: float) -> tuple[float, float, float]:
    """(cosh u - 1, e^u - 1 - u, e^-u - 1 + u) for u > 0 outside the tables; error 2 ulp."""
    if u > 1.0:
        e = math.exp(u)
        return 0.5 * (e + 1.0 / e) - 1.0, e - 1.0 - u, 1.0 / e - 1.0 + u
    even, odd = _parts_of_exp(u)
    return even, even + odd, even - odd


@device
def _step(r: float) -> tuple[int, float]:
    """Level k of the tables and step h for r = sqrt(p^2 + a b); k = _LEVELS beyond the tables."""
    if not r < np.inf:
        return _LEVELS, np.nan
    # By exponent and top bit of the mantissa of the largest double below 1 + 0.13 r.
    bound = 1.0 + _GROWTH * r
    k = ((to_bits(bound) - 1) >> 51) - _BEFORE_ONE
    return k, _STEPS[k] if k < _LEVELS else math.sqrt(1.0 / _BASE / bound)


@device
def _exponent(x: float, limits: tuple[int, int]) -> int:
    """Binary exponent of x >= 0, clipped to the limits and counted from the first."""
    return min(max((to_bits(x) >> 52) - 1023, limits[0]), limits[1] - 1) - limits[0]


@device
def _counts(k: int, h: float, alpha: float, v: float, reaches: FloatArray) -> tuple[int, int]:
    """Numbers of nodes within reach, right and left of the mode, rounded up to multiples of 8."""
    if k >= _LEVELS:
        return _NARROW, _NARROW
    i, j = _exponent(alpha, _ALPHA_EXPONENTS), _exponent(v, _ORDER_EXPONENTS)
    right, left = int(reaches[0, i, j] / h) + 1, int(reaches[1, i, j] / h) + 1
    return (right + LANES - 1) // LANES * LANES, (left + LANES - 1) // LANES * LANES


@contracting_device
def _eight_nodes(k: int, h: float, j: int) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """(u, cosh u - 1, e^u - 1 - u, e^-u - 1 + u) at u = (j + 1) h, ..., (j + 8) h."""
    if k < _LEVELS and j < _NODES:
        return (
            *(lanes_at(_U, k, j), lanes_at(_COSH, k, j)),
            *(lanes_at(_UP, k, j), lanes_at(_DOWN, k, j)),
        )
    u = (lanes_at(_ORDINALS, 0, 0) + float(j)) * h
    if k >= _LEVELS:
        even, odd = _parts_of_exp(u)
        return u, even, even + odd, even - odd
    e = simd_exp(u)
    up, down = e - 1.0 - u, u - 1.0 + 1.0 / e
    return u, 0.5 * (up + down), up, down


@contracting_device
def _weights(alpha: float, v: float, c: Lanes, slope: Lanes) -> Lanes:
    """w at eight nodes, of which c is cosh u - 1 and slope e^u - 1 - u on the side of u."""
    return simd_exp(at_least(-alpha * c - v * slope, _LEAST))


@contracting_device
def _side_sums(
    k: int, h: float, alpha: float, v: float, right: bool, count: int
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Sums over u > 0 of w (1, e^u - 1, e^-u - 1, u); those left of the mode by w(-u)."""
    s0 = s_rise = s_fall = s_u = broadcast(0.0)
    for j in range(0, count, LANES):
        u, c, up, down = _eight_nodes(k, h, j)
        w = _weights(alpha, v, c, up if right else down)
        s0 = s0 + w
        s_rise = s_rise + w * (up + u)
        s_fall = s_fall + w * (down - u)
        s_u = s_u + w * u
    return s0, s_rise, s_fall, s_u


@device
def means(alpha: float, p: float) -> tuple[float, float, float, float]:
    """Log of the integral of w, and the means of e^u - 1, e^-u - 1 and u; error 4e-15 relative.

    The node u = 0, of weight 1, adds to the integral alone.
    """
    v = abs(p)
    k, h = _step(alpha + v)
    right, left = _counts(k, h, alpha, v, _MEAN_REACHES)
    r0, r_rise, r_fall, r_u = _side_sums(k, h, alpha, v, True, right)
    l0, l_rise, l_fall, l_u = _side_sums(k, h, alpha, v, False, left)
    s0 = 1.0 + total(r0 + l0)
    rise, fall = total(r_rise + l_fall) / s0, total(r_fall + l_rise) / s0
    u = total(r_u - l_u) / s0
    if p < 0.0:
        return math.log(s0 * h), fall, rise, -u
    return math.log(s0 * h), rise, fall, u


@contracting_device
def _side_products(
    k: int, h: float, alpha: float, v: float, right: bool, count: int
) -> tuple[Lanes, ...]:
    """Sums as of `_side_sums` of w (1, x, x x'), x = (u, e^u - 1 - u, e^-u - 1 + u)."""
    s0 = s1 = s2 = s3 = broadcast(0.0)
    s11 = s12 = s13 = s22 = s23 = s33 = broadcast(0.0)
    for j in range(0, count, LANES):
        u, c, up, down = _eight_nodes(k, h, j)
        w = _weights(alpha, v, c, up if right else down)
        wu, w_up, w_down = w * u, w * up, w * down
        s0 = s0 + w
        s1 = s1 + wu
        s2 = s2 + w_up
        s3 = s3 + w_down
        s11 = s11 + wu * u
        s12 = s12 + wu * up
        s13 = s13 + wu * down
        s22 = s22 + w_up * up
        s23 = s23 + w_up * down
        s33 = s33 + w_down * down
    return s0, s1, s2, s3, s11, s12, s13, s22, s23, s33


@device
def covariances(alpha: float, p: float) -> tuple[float, ...]:
    """Log of the integral of w, means and covariances of x = (u, e^u - 1 - u, e^-u - 1 + u).

    Returned as (log, m1, m2, m3, c11, c12, c13, c22, c23, c33); error 1e-13 relative. w has its
    only mode at u = 0, so that means are at most of the size of standard deviations, and mean
    products minus products of means keep their digits.
    """
    v = abs(p)
    k, h = _step(alpha + v)
    right, left = _counts(k, h, alpha, v, _COVARIANCE_REACHES)
    r0, r1, r2, r3, r11, r12, r13, r22, r23, r33 = _side_products(k, h, alpha, v, True, right)
    l0, l1, l2, l3, l11, l12, l13, l22, l23, l33 = _side_products(k, h, alpha, v, False, left)
    s0 = 1.0 + total(r0 + l0)
    m1, m2, m3 = total(r1 - l1) / s0, total(r2 + l3) / s0, total(r3 + l2) / s0
    c11 = total(r11 + l11) / s0 - m1 * m1
    c12 = total(r12 - l13) / s0 - m1 * m2
    c13 = total(r13 - l12) / s0 - m1 * m3
    c22 = total(r22 + l33) / s0 - m2 * m2
    c23 = total(r23 + l23) / s0 - m2 * m3
    c33 = total(r33 + l22) / s0 - m3 * m3
    if p < 0.0:
        return math.log(s0 * h), -m1, m3, m2, c11, -c13, -c12, c33, c23, c22
    return math.log(s0 * h), m1, m2, m3, c11, c12, c13, c22, c23, c33
