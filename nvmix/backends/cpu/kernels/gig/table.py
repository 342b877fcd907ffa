"""Functions of one argument at one order, by polynomials on intervals of the binades.

Two kinds of table: the moments of GIG(p, 1, s), which serve every a by T = a Y, and log K_v(z) with
its ratio. Each binade is cut into 4 intervals, numbered by the exponent and the top 2 mantissa
bits, and each interval that is asked for gets a polynomial of degree 11 for each function. The
error is that of Chebyshev interpolation with the nearest singularity, 0, at 9 half-widths:
18^-12 = 1e-15 of the variation over the interval. A value depends on the order and the argument
alone, not on what was asked before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from nvmix.backends.cpu.jit import device, inlined_device
from nvmix.backends.cpu.kernels.bessel.bessel import bessel_parts, log_bessel
from nvmix.backends.cpu.kernels.gig.moments import gig_moments
from nvmix.backends.cpu.kernels.intrinsics import from_bits, horner4, to_bits
from nvmix.foundation.typing import FloatArray

Functions: TypeAlias = tuple[float, float, float, float]

_POWERS: Final = 12
_SHIFT: Final = 50
# Intervals cover 2^-32 <= s < 2^32; s beyond is computed directly.
_INTERVALS: Final = 256
_FIRST: Final = (1023 - 32) << 2
# Order up to which a table of log K is good to 1e-14.
_MOST_STEADY: Final = 10.0
# Rows below which building intervals costs more than it saves.
LEAST_ROWS: Final = 200
_ANGLES: Final = np.pi * (np.arange(_POWERS) + 0.5) / _POWERS
_NODES: Final = np.cos(_ANGLES)
# Values at the nodes to coefficients of T_k, and those, which fall like 18^-k, to powers: one
# matrix for both would spread the rounding of the first over the second.
_TO_CHEBYSHEV: Final = np.cos(np.outer(np.arange(_POWERS), _ANGLES)) * 2.0 / _POWERS
_TO_CHEBYSHEV[0] /= 2.0
_TO_POWERS: Final = np.array(
    [np.pad(cheb2poly(unit), (0, _POWERS))[:_POWERS] for unit in np.eye(_POWERS)]
)


def new_table() -> FloatArray:
    """An empty table: a row of (centre, 1 / half-width, powers of 4 polynomials) an interval."""
    return np.zeros((_INTERVALS, 2 + 4 * _POWERS))


NO_TABLE: Final = new_table()[:0]


@device
def clear(table: FloatArray) -> None:
    """Empty a table, for another order."""
    for i in range(len(table)):
        table[i, 1] = 0.0


@inlined_device
def _interval(s: float) -> int:
    """Number of the interval in which s lies, counted from the table's first."""
    return (to_bits(s) >> _SHIFT) - _FIRST


@inlined_device
def tabulated(table: FloatArray, x: float) -> tuple[float, float, float, float]:
    """The four functions at x, in an interval that has been built; 1e-13 relative to direct."""
    i = _interval(x)
    return horner4(table, i, 2, _POWERS, (x - table[i, 0]) * table[i, 1])


@device
def _fill(centre: float, half: float, middle: Functions, c: FloatArray, row: FloatArray) -> None:
    """Fill an interval's row from the values at its centre and Chebyshev coefficients about it."""
    row[:] = 0.0
    for k in range(_POWERS):
        for j in range(k + 1):
            for m in range(4):
                row[2 + 4 * j + m] += _TO_POWERS[k, j] * c[k, m]
    for m in range(4):
        row[2 + m] += middle[m]
    row[0], row[1] = centre, 1.0 / half


def _builder(functions: Callable[[float, float], Functions]) -> Callable[..., None]:
    """Make the kernel that fills one interval's row for four functions of (order, x)."""

    @device
    def build(order: float, interval: int, row: FloatArray) -> None:
        """Interpolate the functions at the Chebyshev nodes of an interval."""
        low, high = from_bits(interval << _SHIFT), from_bits((interval + 1) << _SHIFT)
        centre, half = 0.5 * (low + high), 0.5 * (high - low)
        middle = functions(order, centre)
        c = np.zeros((_POWERS, 4))
        for i in range(_POWERS):
            values = functions(order, centre + half * _NODES[i])
            for k in range(_POWERS):
                for m in range(4):
                    # Differences from the centre keep the values' own rounding out of the sums.
                    c[k, m] += _TO_CHEBYSHEV[k, i] * (values[m] - middle[m])
        _fill(centre, half, middle, c, row)

    return build


def _coverer(build: Callable[..., None]) -> Callable[..., bool]:
    """Make the kernel that fills the rows of a table that arguments ask for."""

    @device
    def covered(order: float, a: float, b: float, q: FloatArray, table: FloatArray) -> bool:
        """Whether the table serves every a (b + q_r); intervals that are missing are built."""
        inside = len(table) > 0
        for r in range(q.size):
            i = _interval(a * (b + q[r]))
            if not 0 <= i < len(table):
                inside = False
            elif table[i, 1] == 0.0:
                build(order, i + _FIRST, table[i])
        return inside

    return covered


@device
def _standard_moments(p: float, s: float) -> Functions:
    """(lnZ, E log T, E 1/T, E T) of GIG(p, 1, s)."""
    return gig_moments(p, 1.0, s)


@device
def _bessel(v: float, z: float) -> Functions:
    """(log K_v or, where its peak `swings`, the rest of it, K_{v+1} / K_v, d log K_v / dv, 0)."""
    if not swings(v):
        return (*log_bessel(v, z), 0.0)
    _, rest, ratio, log_k_dv = bessel_parts(v, z)
    return rest, ratio, log_k_dv, 0.0


@device
def swings(v: float) -> bool:
    """Whether log K_v moves too far over an interval for a table to be good to 1e-14."""
    return abs(v) > _MOST_STEADY


covered_moments: Final = _coverer(_builder(_standard_moments))
covered_bessel: Final = _coverer(_builder(_bessel))


@device
def served(table: FloatArray, x: float) -> bool:
    """Whether x lies in an interval of the table."""
    return 0 <= _interval(x) < len(table)


@device
def scaled_moments(
    p: float, a: float, x: float, table: FloatArray
) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y) of GIG(p, a, x) for T = a Y, by the table where it reaches."""
    if not served(table, a * x):
        return gig_moments(p, a, x)
    log_z, log_t, inv_t, t = tabulated(table, a * x)
    log_a = math.log(a)
    return log_z - p * log_a, log_t - log_a, inv_t * a, t / a
