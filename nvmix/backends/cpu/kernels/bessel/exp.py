"""exp without branches, of one double or of eight side by side."""

from nvmix.backends.cpu.jit import contracting_device
from nvmix.backends.cpu.kernels.lanes import Number, power_in_last_bits

_LOG2_E = 1.4426950408889634
# log 2 as a number of few bits, and the rest.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
# 1.5 2^52, whose last bit has the value 1: a number added to it is rounded to an integer.
_ROUNDER = 6755399441055744.0


@contracting_device
def simd_exp(x: Number) -> Number:
    """e^x by 2^n times a Taylor sum on |x - n ln 2| <= ln(2)/2; |x| <= 700, error 1 ulp."""
    rounded = x * _LOG2_E + _ROUNDER
    n = rounded - _ROUNDER
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    t = r * (1.0 / 479001600.0) + 1.0 / 39916800.0
    t = t * r + 1.0 / 3628800.0
    t = t * r + 1.0 / 362880.0
    t = t * r + 1.0 / 40320.0
    t = t * r + 1.0 / 5040.0
    t = t * r + 1.0 / 720.0
    t = t * r + 1.0 / 120.0
    t = t * r + 1.0 / 24.0
    t = t * r + 1.0 / 6.0
    t = t * r + 0.5
    return (1.0 + (r + r * r * t)) * power_in_last_bits(rounded)
