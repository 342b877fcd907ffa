"""exp for sums that the compiler turns into SIMD code."""

from __future__ import annotations

import math

from nvmix.backends.cpu.jit import reducing_device
from nvmix.backends.cpu.kernels.intrinsics import power_of_two

_LOG2_E = 1.4426950408889634
# log 2 as a number of few bits, and the rest.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10


@reducing_device
def simd_exp(x: float) -> float:
    """e^x by 2^n times a Taylor sum on |x - n ln 2| <= ln(2)/2; |x| <= 700, error 1 ulp."""
    n = math.floor(x * _LOG2_E + 0.5)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    t = 1.0 / 479001600.0
    t = t * r + 1.0 / 39916800.0
    t = t * r + 1.0 / 3628800.0
    t = t * r + 1.0 / 362880.0
    t = t * r + 1.0 / 40320.0
    t = t * r + 1.0 / 5040.0
    t = t * r + 1.0 / 720.0
    t = t * r + 1.0 / 120.0
    t = t * r + 1.0 / 24.0
    t = t * r + 1.0 / 6.0
    t = t * r + 0.5
    return (1.0 + (r + r * r * t)) * power_of_two(int(n))
