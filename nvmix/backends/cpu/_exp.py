"""exp for sums that the compiler turns into SIMD code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nvmix.backends.cpu._jit import reducing_device

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_two(_typing_context: Any, _exponent: Any) -> Any:
    """2^n for -1022 <= n <= 1023, written straight into the exponent bits of a double."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        int64 = ir.IntType(64)
        biased = builder.add(arguments[0], ir.Constant(int64, 1023))
        return builder.bitcast(builder.shl(biased, ir.Constant(int64, 52)), ir.DoubleType())

    return types.float64(types.int64), codegen


@reducing_device
def simd_exp(x: float) -> float:
    """e^x by 2^n times a Taylor sum on |x - n ln 2| <= ln(2)/2; |x| <= 700, error 1 ulp."""
    n = math.floor(x * _LOG2_E + 0.5)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
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
    scale: float = _power_of_two(np.int64(n))
    return (1.0 + (r + r * r * t)) * scale
