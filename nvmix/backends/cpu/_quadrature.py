"""Expectations under a GIG law by the trapezoidal rule in log Y.

Write Y = y0 e^u with y0 the mode of y^p exp(-(a y + b / y) / 2). Then u has the density

    w(u) = exp(-alpha (cosh u - 1) - |p| (e^{su} - 1 - su)),   s = sign(p),

up to its norm, with r = sqrt(p^2 + a b) and alpha = r - |p| = a b / (r + |p|). Loops take p >= 0,
where the mass leans to the right; p < 0 is its mirror image. w is entire and
falls double exponentially, so equidistant sums converge exponentially in 1/h (Trefethen and
Weideman, SIAM Review 56, 2014, 385-458), every term is positive, and log K, its order derivative
(the mean of u) and its ratios (the means of e^u and e^-u) come from the same weights.

Each level k of the tables holds cosh u - 1, e^u - 1 - u and e^-u - 1 + u at u = j h_k.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from nvmix.backends.cpu._exp import simd_exp
from nvmix.backends.cpu._jit import device, reducing_device

if TYPE_CHECKING:
    from nvmix._typing import FloatArray

_LEVELS: Final = 16
_NODES: Final = 64
# h^-2 = 20 + 2.2 r keeps the discretisation error below 1e-16 for every p and a b.
_BASE: Final = 20.0
_GROWTH: Final = 0.11
# Terms below e^-40 of the largest, the weights e^|u| and e^2|u| included, are left out.
_CUT: Final = -40.0
# log of the widest ratio of doubles: no sum reaches further.
_FARTHEST: Final = 1500.0


def _exp_minus_linear(u: FloatArray) -> FloatArray:
    """e^u - 1 - u without cancellation."""
    series = np.ones_like(u)
    for n in range(26, 2, -1):
        series = 1.0 + series * u / n
    return np.where(np.abs(u) < 1.0, series * u**2 / 2.0, np.expm1(u) - u)


_STEPS: Final = np.sqrt(2.0 ** -np.arange(_LEVELS) / _BASE)
_U: Final = _STEPS[:, None] * np.arange(_NODES)
_COSH: Final = 2.0 * np.sinh(_U / 2.0) ** 2
_UP: Final = _exp_minus_linear(_U)
_DOWN: Final = _exp_minus_linear(-_U)


@device
def node(u: float) -> tuple[float, float, float]:
    """(cosh u - 1, e^u - 1 - u, e^-u - 1 + u) for u > 0 outside the tables; error 2 ulp."""
    if u > 1.0:
        e = math.exp(u)
        return 0.5 * (e + 1.0 / e) - 1.0, e - 1.0 - u, 1.0 / e - 1.0 + u
    x = u * u
    even = 1.0 + x / 90.0 * (1.0 + x / 132.0 * (1.0 + x / 182.0 * (1.0 + x / 240.0)))
    even = x / 2.0 * (1.0 + x / 12.0 * (1.0 + x / 30.0 * (1.0 + x / 56.0 * even)))
    odd = 1.0 + x / 110.0 * (1.0 + x / 156.0 * (1.0 + x / 210.0 * (1.0 + x / 272.0)))
    odd = x * u / 6.0 * (1.0 + x / 20.0 * (1.0 + x / 42.0 * (1.0 + x / 72.0 * odd)))
    return even, even + odd, even - odd


@device
def _step(r: float) -> tuple[int, float]:
    """Level k of the tables and step h_k that serve r = sqrt(p^2 + a b); nan where r is."""
    if not r < np.inf:
        return _LEVELS, np.nan
    k = math.ceil(math.log2(1.0 + _GROWTH * r))
    return k, math.sqrt(2.0**-k / _BASE)


@device
def _count(k: int, h: float, alpha: float, v: float, slope: FloatArray) -> int:
    """First j in the table's row with log w + u below the cut, or the row's length."""
    low, high = 0, _NODES
    while high - low > 1:
        j = (low + high) >> 1
        if j * h - alpha * _COSH[k, j] - v * slope[k, j] < _CUT:
            high = j
        else:
            low = j
    return high


@reducing_device
def _side_sums(alpha: float, v: float, right: bool) -> tuple[float, float, float, float]:
    """Sums over u = j h > 0 of w (1, e^u - 1, e^-u - 1, u), right of the mode or mirrored."""
    k, h = _step(alpha + v)
    slope = _UP if right else _DOWN
    stop = _count(k, h, alpha, v, slope) if k < _LEVELS else 1
    s0, s_up, s_down, s_u = 0.0, 0.0, 0.0, 0.0
    for j in range(1, stop):
        w = simd_exp(-alpha * _COSH[k, j] - v * slope[k, j])
        u = j * h
        s0 += w
        s_up += w * (_UP[k, j] + u)
        s_down += w * (_DOWN[k, j] - u)
        s_u += w * u
    if stop == _NODES or k >= _LEVELS:
        u = stop * h
        while u < _FARTHEST:
            c, up, down = node(u)
            log_w = -alpha * c - v * (up if right else down)
            if log_w + u < _CUT:
                break
            w = math.exp(log_w)
            s0 += w
            s_up += w * (up + u)
            s_down += w * (down - u)
            s_u += w * u
            stop += 1
            u = stop * h
    return s0, s_up, s_down, s_u


@device
def means(alpha: float, p: float) -> tuple[float, float, float, float]:
    """Log of the integral of w, and the means of e^u - 1, e^-u - 1 and u; error 4e-15 relative."""
    v = abs(p)
    r0, r_up, r_down, r_u = _side_sums(alpha, v, True)
    l0, l_up, l_down, l_u = _side_sums(alpha, v, False)
    s0 = 1.0 + r0 + l0
    log_integral = math.log(s0 * _step(alpha + v)[1])
    up, down, u = (r_up + l_down) / s0, (r_down + l_up) / s0, (r_u - l_u) / s0
    if p < 0.0:
        return log_integral, down, up, -u
    return log_integral, up, down, u


@device
def covariances(alpha: float, p: float) -> tuple[float, ...]:
    """Log of the integral of w, means and covariances of (u, e^u - 1 - u, e^-u - 1 + u).

    Returned as (log, m1, m2, m3, c11, c12, c13, c22, c23, c33); error 1e-13 relative.
    """
    v = abs(p)
    h = _step(alpha + v)[1]
    s0 = 1.0
    m1, m2, m3 = 0.0, 0.0, 0.0
    c11, c12, c13, c22, c23, c33 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for side in (1.0, -1.0):
        j = 1
        while j * h < _FARTHEST:
            u = j * h
            c, up, down = node(u)
            log_w = -alpha * c - v * (up if side > 0.0 else down)
            if log_w + 2.0 * u < _CUT:
                break
            w = math.exp(log_w)
            x1, x2, x3 = u, up, down
            if (side > 0.0) != (p >= 0.0):
                x1, x2, x3 = -u, down, up
            # West's update: exact centring, no squares of means to cancel.
            s0 += w
            share = w / s0
            d1, d2, d3 = x1 - m1, x2 - m2, x3 - m3
            m1 += share * d1
            m2 += share * d2
            m3 += share * d3
            c11 += w * d1 * (x1 - m1)
            c12 += w * d1 * (x2 - m2)
            c13 += w * d1 * (x3 - m3)
            c22 += w * d2 * (x2 - m2)
            c23 += w * d2 * (x3 - m3)
            c33 += w * d3 * (x3 - m3)
            j += 1
    return (
        math.log(s0 * h), m1, m2, m3,
        c11 / s0, c12 / s0, c13 / s0, c22 / s0, c23 / s0, c33 / s0,
    )  # fmt: skip
