"""Logs of the largest values of y^p exp(-(a y + b / y) / 2) and exp(v t - z cosh t).

Their terms cancel, so that each is summed with compensation for rounding. A maximum is stationary:
the mode itself may be rounded, if only the terms are then exact for that rounded mode.
"""

import math
from typing import Final

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.bessel.exp import LN2_HIGH, LN2_LOW
from nvmix.backends.cpu.kernels.bessel.quadrature import node
from nvmix.backends.cpu.kernels.intrinsics import fma

# The root of t tanh t = 1, where v t = z cosh t; its sinh in two parts, and its cosh.
_CROSSING: Final = 1.1996786402577337
_SINH: Final = 1.50887956153832
_SINH_LOW: Final = 4.4579725861636419e-18
_COSH: Final = 1.8101705806989772
# Distance from that root beyond which v t and z cosh t do not cancel.
_NEAR: Final = 0.3


@device
def gig_peak(p: float, a: float, b: float, y: float) -> float:
    """p log y - (a y + b / y) / 2 at the mode y; error 1e-16 relative to max(|p|, |value|)."""
    fraction, exponent = math.frexp(y)
    log_power = exponent * LN2_HIGH
    small = p * (exponent * LN2_LOW + math.log(fraction))
    product = p * log_power
    linear, quotient = a * y, b / y
    total = linear + quotient
    larger, less = max(linear, quotient), min(linear, quotient)
    low = fma(p, log_power, -product) - 0.5 * (
        fma(a, y, -linear) + fma(-quotient, y, b) / y + (less - (total - larger))
    )
    return (product - 0.5 * total) + small + low


@device
def bessel_peak(v: float, z: float, r: float, t: float) -> float:
    """v t - z cosh t at t = arcsinh(v / z), v >= 0, r = hypot(v, z); error 5e-15 relative."""
    delta = t - _CROSSING
    if not abs(delta) < _NEAR:
        return v * t - r
    # At the root v t - z cosh t = t (v - z sinh t), which fused products sum exactly.
    excess = fma(-z, _SINH, v) - z * _SINH_LOW
    if delta == 0.0:
        return _CROSSING * excess
    even, up, down = node(abs(delta))
    odd = math.copysign(0.5 * (up - down), delta)
    return t * excess - z * (_SINH * odd + _COSH * even)
