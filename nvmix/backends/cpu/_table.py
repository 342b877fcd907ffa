"""Moments of GIG(p, a, x) for many x at one p, by polynomials in s = a x.

With T = a Y the law of T is GIG(p, 1, s), so one table of functions of s serves every a. Each
binade of s is cut into 4 intervals, numbered by the exponent and the top 2 mantissa bits, and each
interval that is asked for gets a polynomial of degree 11 for each moment. The error is that of
Chebyshev interpolation with the nearest singularity, s = 0, at 9 half-widths: 18^-12 = 1e-15 of the
variation over the interval. A value depends on (p, a, x) alone, not on what was asked before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nvmix.backends.cpu._gig import gig_moments
from nvmix.backends.cpu._jit import device, inlined_device

if TYPE_CHECKING:
    from nvmix._typing import FloatArray

_POWERS: Final = 12
_SHIFT: Final = 50
# Intervals cover 2^-32 <= s < 2^32; s beyond is computed directly.
_INTERVALS: Final = 256
_FIRST: Final = (1023 - 32) << 2
# Rows below which building intervals costs more than it saves.
LEAST_ROWS: Final = 200
_NODES: Final = np.cos(np.pi * (np.arange(_POWERS) + 0.5) / _POWERS)
_TO_POWERS: Final = np.linalg.inv(np.vander(_NODES, increasing=True))


@intrinsic  # type: ignore[untyped-decorator]
def _bits(_typing_context: Any, _x: Any) -> Any:
    """The 64 bits of a double as an integer."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _from_bits(_typing_context: Any, _bits: Any) -> Any:
    """The double that 64 bits stand for."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), codegen


def new_table(rows: int) -> FloatArray:
    """An empty table: a row of (centre, 1 / half-width, powers of 4 polynomials) an interval."""
    return np.zeros((_INTERVALS if rows >= LEAST_ROWS else 0, 2 + 4 * _POWERS))


@device
def _build(p: float, interval: int, row: FloatArray) -> None:
    """Fill one interval's row with the powers of its four polynomials about its centre."""
    low, high = _from_bits(interval << _SHIFT), _from_bits((interval + 1) << _SHIFT)
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    middle = gig_moments(p, 1.0, centre)
    row[:] = 0.0
    for i in range(_POWERS):
        values = gig_moments(p, 1.0, centre + half * _NODES[i])
        for m in range(4):
            # Differences from the centre keep the rounding of the inverse out of the value.
            difference = values[m] - middle[m]
            for j in range(_POWERS):
                row[2 + 4 * j + m] += _TO_POWERS[j, i] * difference
    for m in range(4):
        row[2 + m] += middle[m]
    row[0], row[1] = centre, 1.0 / half


@inlined_device
def tabulated_moments(
    p: float, a: float, x: float, scale: tuple[float, float], table: FloatArray
) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y) of GIG(p, a, x); 1e-13 relative to the direct kernel."""
    s = a * x
    i = (_bits(s) >> _SHIFT) - _FIRST
    if not 0 <= i < table.shape[0]:
        return gig_moments(p, a, x)
    if table[i, 1] == 0.0:
        _build(p, i + _FIRST, table[i])
    t = (s - table[i, 0]) * table[i, 1]
    k = 4 * _POWERS - 2
    log_z, log_y, inv_y, y = table[i, k], table[i, k + 1], table[i, k + 2], table[i, k + 3]
    for _ in range(_POWERS - 1):
        k -= 4
        log_z = log_z * t + table[i, k]
        log_y = log_y * t + table[i, k + 1]
        inv_y = inv_y * t + table[i, k + 2]
        y = y * t + table[i, k + 3]
    log_a, inverse_a = scale
    return log_z - p * log_a, log_y - log_a, inv_y * a, y * inverse_a


@device
def scale_of(a: float) -> tuple[float, float]:
    """(log a, 1 / a) for `tabulated_moments`; no table serves a = 0."""
    return (math.log(a), 1.0 / a) if a > 0.0 else (0.0, 0.0)
