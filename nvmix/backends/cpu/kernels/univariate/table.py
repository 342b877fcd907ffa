"""Tables of one law for many points or quantiles: polynomials on cells that are built when needed.

A function of z is tabulated on the cells between 1 + |z| = 2^(k / 2): those near 0 are equal, those
far out grow with |z|. A cell has the polynomial of degree 15 through the Chebyshev nodes, whose
last coefficients tell its error. Where that is too large, the cell is halved. Where halving does
not help, as at a pole of the density, values are computed directly.

Tails are functions of z = (x - mu - offset) / law_scale, and their logs are tabulated. Quantiles
are x - mu as functions of the log of the tail. From node to node Newton's method starts at the
cubic polynomial with the two last values and slopes, tail / density, or at that of the cell which
was halved, and ends after one tail or two.
Nothing but the last sum has mu, which may be far from 0 at no loss.

Rows are (kind, centre, 1 / half-width, coefficients); kind is the sign of the tail, `SPLIT` with
the number of its first half in the place of coefficients, `UNBUILT` or `DIRECT`.
"""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numba import types
from numpy.polynomial.chebyshev import cheb2poly

from nvmix.backends.cpu.jit import device, late
from nvmix.backends.cpu.kernels.intrinsics import from_bits, horner4, to_bits
from nvmix.backends.cpu.kernels.univariate.quantile import FRAME, Frame, quantile
from nvmix.backends.cpu.kernels.univariate.tail import COLUMN, Column, small_tail, tail
from nvmix.foundation.typing import FloatArray

_SHIFT: Final = 51
_FIRST: Final = 1023 << 1
# Cells of each sign; |z| < 2^64.
_CELLS: Final = 128
_ROWS: Final = 4096
_POWERS: Final = 16
_QUARTER: Final = _POWERS // 4
UNBUILT: Final = 0.0
SPLIT: Final = 2.0
DIRECT: Final = 3.0
# Halvings, after which a cell is left to direct values.
_MOST_HALVINGS: Final = 30
# Error of a log, absolute and for each unit of its size, and that by which a quantile may miss its
# log tail.
_ERROR: Final = 1e-14
_MISSED: Final = 4e-15
_ROUNDING: Final = 3e-16
# Relative error of a guess up to which others like it are tried.
_CLOSE: Final = 0.01
# Largest log of a tail in a cell: the other tail is 1 less this one.
_HIGHEST: Final = -0.05
_LOG_HALF: Final = -0.6931471805599453
_ANGLES: Final = np.pi * (np.arange(_POWERS) + 0.5) / _POWERS
_NODES: Final = np.cos(_ANGLES)
_TO_CHEBYSHEV: Final = np.cos(np.outer(np.arange(_POWERS), _ANGLES)) * 2.0 / _POWERS
_TO_CHEBYSHEV[0] /= 2.0
_TO_POWERS: Final = np.array(
    [np.pad(cheb2poly(unit), (0, _POWERS))[:_POWERS] for unit in np.eye(_POWERS)]
)


class Table(NamedTuple):
    """Rows, of which the first are the cells, those of z < 0 after the others, and their number."""

    rows: FloatArray
    n_rows: FloatArray


def new_table() -> Table:
    """A table with nothing built."""
    return Table(np.zeros((_ROWS, 3 + _POWERS)), np.array([2.0 * _CELLS]))


NO_TABLE: Final = Table(np.zeros((0, 3 + _POWERS)), np.zeros(1))


_TABLE: Final = types.NamedTuple([types.float64[:, ::1], types.float64[::1]], Table)
_BUILDER: Final = types.void(COLUMN, FRAME, types.float64, _TABLE)


@device
def _cell(rows: FloatArray, z: float) -> int:
    """Number of the cell of z, or -1."""
    i = (to_bits(1.0 + abs(z)) >> _SHIFT) - _FIRST
    if not (0 <= i < _CELLS and len(rows) > 0):
        return -1
    return i if z >= 0.0 else i + _CELLS


@device
def find(rows: FloatArray, z: float) -> int:
    """Number of the row that has the value at z, or -1."""
    i = _cell(rows, z)
    if i < 0:
        return -1
    while rows[i, 0] == SPLIT:
        i = int(rows[i, 3]) + (1 if z >= rows[i, 1] else 0)
    return i if abs(rows[i, 0]) == 1.0 else -1


@device
def value_at(rows: FloatArray, i: int, z: float) -> float:
    """The polynomial of a row: four in t^4, side by side, are those of t^4k, t^(4k + 1) and on."""
    t = (z - rows[i, 1]) * rows[i, 2]
    square = t * t
    first, second, third, fourth = horner4(rows, i, 3, _QUARTER, square * square)
    value: float = first + (second * t + square * (third + fourth * t))
    return value


@device
def _interpolate(values: FloatArray, low: float, high: float, row: FloatArray) -> float:
    """Fill a row but for its kind from values at the nodes; the sum of the last coefficients."""
    middle, last = values[_POWERS // 2], 0.0
    row[:] = 0.0
    for k in range(_POWERS):
        coefficient = 0.0
        for i in range(_POWERS):
            coefficient += _TO_CHEBYSHEV[k, i] * (values[i] - middle)
        for j in range(k + 1):
            row[3 + j] += _TO_POWERS[k, j] * coefficient
        if k >= _POWERS - 3:
            last += abs(coefficient)
    row[3] += middle
    row[1], row[2] = 0.5 * (low + high), 2.0 / (high - low)
    return last


@device
def _halve(table: Table, i: int, middle: float) -> None:
    """Split a row, or leave its cell to direct values where the table is full."""
    rows, first = table.rows, int(table.n_rows[0])
    if first + 2 > len(rows):
        rows[i, 0] = DIRECT
        return
    table.n_rows[0] += 2.0
    # The polynomial was not good enough, but is a first guess of better ones.
    for j in range(1, 3 + _POWERS):
        rows[first, j] = rows[first + 1, j] = rows[i, j]
    rows[i, 0], rows[i, 1], rows[i, 3] = SPLIT, middle, first


def _builder(sample: Callable[..., tuple[float, float]]) -> Callable[..., None]:
    """Make the kernel that builds what z needs.

    sample(c, frame, low, high, rows, i, out) fills values at the nodes of a cell, whose row may
    have the polynomial of the cell that was halved. It returns the kind of the row, `UNBUILT` where
    the cell is to be halved, and the error allowed.
    """

    @device
    def fit(c: Column, f: Frame, low: float, high: float, rows: FloatArray, i: int) -> bool:
        values = np.empty(_POWERS)
        kind, allowed = sample(c, f, low, high, rows, i, values)
        if kind == UNBUILT:
            return False
        if kind != DIRECT and _interpolate(values, low, high, rows[i]) > allowed:
            return False
        rows[i, 0] = kind
        return True

    @device
    def build(c: Column, f: Frame, z: float, table: Table) -> None:
        """Build the row that has the value at z, and those above it."""
        rows, i = table.rows, _cell(table.rows, z)
        if i < 0:
            return
        k = (i % _CELLS) + _FIRST
        low, high = from_bits(k << _SHIFT) - 1.0, from_bits((k + 1) << _SHIFT) - 1.0
        if i >= _CELLS:
            low, high = -high, -low
        for _ in range(_MOST_HALVINGS):
            if rows[i, 0] == UNBUILT and not fit(c, f, low, high, rows, i):
                _halve(table, i, 0.5 * (low + high))
            if rows[i, 0] != SPLIT:
                return
            middle, upper = rows[i, 1], 1 if z >= rows[i, 1] else 0
            low, high = (middle, high) if upper == 1 else (low, middle)
            i = int(rows[i, 3]) + upper
        if rows[i, 0] == UNBUILT:
            rows[i, 0] = DIRECT

    return build


@device
def _sample_tails(
    c: Column, f: Frame, low: float, high: float, _rows: FloatArray, _i: int, values: FloatArray
) -> tuple[float, float]:
    """Logs of the tail that is small in a cell of z = (x - mu - offset) / law_scale."""
    sign = small_tail(c, f.offset + 0.5 * (low + high) * f.law_scale, 0.0)[2]
    largest = 0.0
    for k in range(_POWERS):
        z = 0.5 * (low + high) + 0.5 * (high - low) * _NODES[k]
        values[k], _ = tail(c, f.offset + z * f.law_scale, 0.0, sign)
        if not -1e6 < values[k] < _HIGHEST:
            return UNBUILT, 0.0
        largest = max(largest, -values[k])
    return sign, _ERROR + _ROUNDING * largest


class _Node(NamedTuple):
    """A node, with the value and the slope there."""

    z: float
    value: float
    slope: float


@device
def _extended(z: float, first: _Node, second: _Node) -> float:
    """The cubic polynomial with the values and slopes at two nodes."""
    h = second.z - first.z
    t, rise = (z - second.z) / h, second.value - first.value
    cubic = h * (first.slope + second.slope) - 2.0 * rise
    square = h * second.slope - rise + cubic
    return second.value + t * (h * second.slope + t * (square + t * cubic))


@device
def _sample_quantiles(
    c: Column, f: Frame, low: float, high: float, rows: FloatArray, i: int, values: FloatArray
) -> tuple[float, float]:
    """x - mu of quantiles in a cell of z, at which the lower or the upper tail is e^-|z| / 2."""
    sign = 1.0 if low + high < 0.0 else -1.0
    allowed, largest, guess = math.inf, 0.0, f.offset
    first = second = _Node(0.0, 0.0, 0.0)
    # The polynomial of the cell that was halved is a better guess, but not next to a pole.
    is_close = rows[i, 2] > 0.0
    for k in range(_POWERS):
        z = 0.5 * (low + high) + 0.5 * (high - low) * _NODES[k]
        if is_close:
            guess = value_at(rows, i, z)
        elif k > 1:
            guess = _extended(z, first, second)
        elif k == 1:
            guess = second.value + (z - second.z) * second.slope
        # The slope is tail / density, as log tail is z up to its sign and a constant.
        values[k], slope = quantile(c, f, _LOG_HALF - abs(z), sign, guess)
        if not abs(values[k]) < math.inf:
            return DIRECT, 0.0
        is_close = is_close and abs(values[k] - guess) < _CLOSE * abs(values[k])
        first, second = second, _Node(z, values[k], slope)
        largest = max(largest, abs(values[k]))
        error = _ERROR * abs(values[k]) + (_MISSED + _ROUNDING * abs(z)) * slope
        allowed = min(allowed, error)
    return sign, allowed + _ROUNDING * largest


_build_tails: Final[Any] = _builder(_sample_tails)
_build_quantiles: Final[Any] = _builder(_sample_quantiles)


@late(_BUILDER)
def build_tails(c: Column, f: Frame, z: float, table: Table) -> None:
    """Build what the logs of tails at z need."""
    _build_tails(c, f, z, table)


@late(_BUILDER)
def build_quantiles(c: Column, f: Frame, z: float, table: Table) -> None:
    """Build what quantiles at z need."""
    _build_quantiles(c, f, z, table)
