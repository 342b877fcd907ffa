"""Functions of one argument at one order, by polynomials on pieces of binades.

Two kinds of table: the moments of GIG(p, 1, s), which give those of GIG(p, a, x) by T = a Y and
s = a x, and log K_v(z) with its ratio. They exist because E-steps need those moments at one order
and many s. Each binade is cut into 4 intervals of equal length, so that exponent and top 2 mantissa
bits of s are the number of its interval. An interval that is needed gets, for each function, the
polynomial of degree 11 that interpolates it at the 12 Chebyshev nodes. The functions are analytic
but at 0. From an interval in the first quarter of its binade 0 is 9 half-widths away, which makes
Chebyshev coefficients fall like 18^-k: those left out are at most 18^-12 = 1e-15 of the variation
over the interval. Wider intervals would need a higher degree, narrower ones more building. A value
depends on order and argument alone, not on earlier calls.
"""

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

# Coefficients of a polynomial.
_POWERS: Final = 12
# Mantissa bits of a double below the top 2.
_SHIFT: Final = 50
# Intervals cover 2^-32 <= s < 2^32; other s are computed directly.
_INTERVALS: Final = 256
_FIRST: Final = (1023 - 32) << 2
# Order up to which interpolating log K itself, rather than without its peak, leaves 1e-14.
_LARGEST_FLAT: Final = 10.0
# Number of rows below which building intervals costs more than it saves.
LEAST_ROWS: Final = 200
_ANGLES: Final = np.pi * (np.arange(_POWERS) + 0.5) / _POWERS
_NODES: Final = np.cos(_ANGLES)
# Values at the nodes to coefficients of T_k, and those to coefficients of powers. The product of
# both matrices would not do: it would add the rounding of large T_k coefficients to small powers.
_TO_CHEBYSHEV: Final = np.cos(np.outer(np.arange(_POWERS), _ANGLES)) * 2.0 / _POWERS
_TO_CHEBYSHEV[0] /= 2.0
_TO_POWERS: Final = np.array(
    [np.pad(cheb2poly(unit), (0, _POWERS))[:_POWERS] for unit in np.eye(_POWERS)]
)


def new_table() -> FloatArray:
    """An empty table (intervals, 50): centre, 1 / half-width, and 4 coefficients of each power.

    1 / half-width is 0 where the interval is not built yet.
    """
    return np.zeros((_INTERVALS, 2 + 4 * _POWERS))


NO_TABLE: Final = new_table()[:0]


@device
def clear(table: FloatArray) -> None:
    """Empty a table, to use it for another order."""
    for i in range(len(table)):
        table[i, 1] = 0.0


@inlined_device
def interval(s: float) -> int:
    """Number of the interval that contains s, counted from the table's first."""
    return (to_bits(s) >> _SHIFT) - _FIRST


@inlined_device
def tabulated(table: FloatArray, x: float) -> tuple[float, float, float, float]:
    """The four functions at x, in an interval that is filled; relative error at most 1e-13."""
    i = interval(x)
    return horner4(table, i, 2, _POWERS, (x - table[i, 0]) * table[i, 1])


@device
def _fill(centre: float, half: float, middle: Functions, c: FloatArray, row: FloatArray) -> None:
    """Fill an interval's row; c are Chebyshev coefficients of functions less `middle`."""
    row[:] = 0.0
    for k in range(_POWERS):
        for j in range(k + 1):
            for m in range(4):
                row[2 + 4 * j + m] += _TO_POWERS[k, j] * c[k, m]
    for m in range(4):
        row[2 + m] += middle[m]
    row[0], row[1] = centre, 1.0 / half


def _coverer(functions: Callable[[float, float], Functions]) -> Callable[..., bool]:
    """Make the kernel that builds what intervals arguments need, for functions of (order, x)."""

    @device
    def build(order: float, interval: int, row: FloatArray) -> None:
        """Interpolate the functions at the Chebyshev nodes of an interval."""
        low, high = from_bits(interval << _SHIFT), from_bits((interval + 1) << _SHIFT)
        centre, half = 0.5 * (low + high), 0.5 * (high - low)
        middle = functions(order, centre)
        c = np.empty((_POWERS, 4))
        c[:] = 0.0
        for i in range(_POWERS):
            values = functions(order, centre + half * _NODES[i])
            for k in range(_POWERS):
                for m in range(4):
                    # Differences from the centre are small, and so is their rounding in the sums.
                    c[k, m] += _TO_CHEBYSHEV[k, i] * (values[m] - middle[m])
        _fill(centre, half, middle, c, row)

    @device
    def covered(
        order: float, a: float, b: float, q: FloatArray, table: FloatArray, limit: int
    ) -> bool:
        """Whether every a (b + q_r) is in the first intervals of the table, as many as the limit.

        Builds the intervals that are missing.
        """
        inside = limit > 0
        for r in range(q.size):
            i = interval(a * (b + q[r]))
            if not 0 <= i < limit:
                inside = False
                # Others may be needed all the same.
                if not 0 <= i < len(table):
                    continue
            if table[i, 1] == 0.0:
                build(order, i + _FIRST, table[i])
        return inside

    return covered


@device
def _standard_moments(p: float, s: float) -> Functions:
    """(lnZ, E log T, E 1/T, E T) of GIG(p, 1, s)."""
    return gig_moments(p, 1.0, s)


@device
def _bessel(v: float, z: float) -> Functions:
    """(log K_v, or without its peak where that `is_steep`, K_{v+1} / K_v, d log K_v / dv, 0)."""
    if not is_steep(v):
        return (*log_bessel(v, z), 0.0)
    _, rest, ratio, log_k_dv = bessel_parts(v, z)
    return rest, ratio, log_k_dv, 0.0


@device
def is_steep(v: float) -> bool:
    """Whether log K_v changes so much over an interval that interpolation errs by over 1e-14."""
    return abs(v) > _LARGEST_FLAT


moments_covered: Final = _coverer(_standard_moments)
bessel_covered: Final = _coverer(_bessel)


@device
def covers(table: FloatArray, x: float) -> bool:
    """Whether x lies in an interval of the table, built or not."""
    return 0 <= interval(x) < len(table)


@device
def scaled_moments(
    p: float, a: float, x: float, table: FloatArray
) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y) of GIG(p, a, x), by the table of T = a Y where it covers a x."""
    if not covers(table, a * x):
        return gig_moments(p, a, x)
    log_z, log_t, inv_t, t = tabulated(table, a * x)
    log_a = math.log(a)
    return log_z - p * log_a, log_t - log_a, inv_t * a, t / a
