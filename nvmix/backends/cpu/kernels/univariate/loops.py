"""Distribution functions and quantiles of one law at many points, and of a law for each point."""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.bessel.exp import simd_exp
from nvmix.backends.cpu.kernels.univariate.quantile import Frame, frame, quantile
from nvmix.backends.cpu.kernels.univariate.table import (
    Table,
    build_quantiles,
    build_tails,
    find,
    value_at,
)
from nvmix.backends.cpu.kernels.univariate.tail import Column, column, deviation, small_tail
from nvmix.foundation.typing import FloatArray

_LOG_HALF: Final = -0.6931471805599453


@device
def _value_of(log_tail: float, is_this: bool, is_log: bool) -> float:
    """A tail or its log, from the log of this tail or of the other one."""
    value = simd_exp(log_tail) if log_tail > -700.0 else math.exp(log_tail)
    if not is_log:
        return value if is_this else 1.0 - value
    return log_tail if is_this else math.log1p(-value)


@device
def tails(
    law: tuple[float, float, float, float, float, float], x: FloatArray, table: Table,
    building: bool, upper: bool, is_log: bool, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out with P(X <= x), P(X > x) if upper, or their logs; building only builds the table.

    law is (mu, gamma, sigma, p, a, b).
    """
    c = column(*law)
    f = frame(c)
    rows, unit = table.rows, 1.0 / f.law_scale
    if building:
        for i in range(x.size):
            z = (x[i] - c.mu - f.offset) * unit
            if find(rows, z) < 0:
                build_tails(c, f, z, table)
        return
    for i in range(x.size):
        z = (x[i] - c.mu - f.offset) * unit
        row = find(rows, z)
        if row >= 0:
            log_tail, sign = value_at(rows, row, z), rows[row, 0]
        elif math.isnan(x[i]):
            log_tail, sign = np.nan, 1.0
        else:
            high, low = deviation(c, x[i])
            log_tail, _, sign = small_tail(c, high, low)
        out[i] = _value_of(log_tail, (sign > 0.0) != upper, is_log)


@device
def _side(q: float, upper: bool) -> float:
    """z, at which the lower (z < 0) or the upper tail is e^-|z| / 2; nan outside 0 < q < 1."""
    rest = 1.0 - q
    z = math.log(2.0 * min(q, rest)) if 0.0 < q < 1.0 else np.nan
    return z if (q <= 0.5) != upper else -z


@device
def _direct_quantile(c: Column, f: Frame, q: float, upper: bool) -> float:
    """A quantile without the table."""
    if not 0.0 < q < 1.0:
        at_low = (q == 0.0) != upper
        return (-math.inf if at_low else math.inf) if q in (0.0, 1.0) else np.nan
    sign = 1.0 if (q <= 0.5) != upper else -1.0
    # 1 - q is exact.
    log_tail = math.log(q if q <= 0.5 else 1.0 - q)
    return c.mu + quantile(c, f, log_tail, sign, f.offset)[0]


@device
def quantiles(
    law: tuple[float, float, float, float, float, float], q: FloatArray, table: Table,
    building: bool, upper: bool, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out with x of P(X <= x) = q, or P(X > x) = q if upper; see `tails`."""
    c = column(*law)
    f = frame(c)
    rows = table.rows
    if building:
        for i in range(q.size):
            z = _side(q[i], upper)
            if find(rows, z) < 0:
                build_quantiles(c, f, z, table)
        return
    for i in range(q.size):
        z = _side(q[i], upper)
        row = find(rows, z)
        if row >= 0:
            out[i] = c.mu + value_at(rows, row, z)
        else:
            out[i] = _direct_quantile(c, f, q[i], upper)


@device
def sequential_tails(
    p: float, a: float, b: float, g: FloatArray, w: FloatArray, out: FloatArray, upper: FloatArray
) -> None:
    """Fill out (n, d) with logs of the smaller tails of w[i, j] given w[i, :j], upper with 1 or 0.

    Columns of w are N(g_j Y, Y), independent given Y ~ GIG(p, a, b). Given those before it, column
    j has this law with p - j / 2, a + g_1^2 + ... and b + w_1^2 + ...
    """
    first = column(0.0, g[0], 1.0, p, a, b)
    for i in range(len(w)):
        c = first
        for j in range(g.size):
            out[i, j], _, sign = small_tail(c, w[i, j], 0.0)
            upper[i, j] = 1.0 if sign < 0.0 else 0.0
            if j + 1 < g.size:
                rate, shift = c.a + g[j] * g[j], c.b + w[i, j] * w[i, j]
                c = column(0.0, g[j + 1], 1.0, c.p - 0.5, rate, shift)
