"""Distribution functions and quantiles of one law at many points."""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.bessel.exp import simd_exp
from nvmix.backends.cpu.kernels.univariate.quantile import Frame, frame, point, quantile
from nvmix.backends.cpu.kernels.univariate.table import (
    Table,
    build_quantiles,
    build_tails,
    find,
    value_at,
)
from nvmix.backends.cpu.kernels.univariate.tail import Column, column, small_tail
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
    rows = table.rows
    for i in range(x.size):
        z = (x[i] - f.centre) / f.law_scale
        if building:
            build_tails(c, f, z, table)
            continue
        if math.isnan(x[i]):
            out[i] = np.nan
            continue
        row = find(rows, z)
        if row >= 0:
            log_tail, sign = value_at(rows, row, z), rows[row, 0]
        else:
            log_tail, _, sign = small_tail(c, x[i])
        out[i] = _value_of(log_tail, (sign > 0.0) != upper, is_log)


@device
def _direct_quantile(c: Column, f: Frame, z: float) -> float:
    """Quantile at which the lower (z < 0) or the upper tail is e^-|z| / 2."""
    sign = 1.0 if z < 0.0 else -1.0
    return point(f, quantile(c, f, _LOG_HALF - abs(z), sign, 0.0))


@device
def quantiles(
    law: tuple[float, float, float, float, float, float], q: FloatArray, table: Table,
    building: bool, upper: bool, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out with x of P(X <= x) = q, or P(X > x) = q if upper; see `tails`."""
    c = column(*law)
    f = frame(c)
    rows = table.rows
    for i in range(q.size):
        if not 0.0 < q[i] < 1.0:
            if not building:
                at_low = (q[i] == 0.0) != upper
                inside = q[i] == 0.0 or q[i] == 1.0
                out[i] = (-math.inf if at_low else math.inf) if inside else np.nan
            continue
        lower_half = q[i] <= 0.5
        z = (math.log(q[i]) if lower_half else math.log1p(-q[i])) - _LOG_HALF
        z = z if lower_half != upper else -z
        if building:
            build_quantiles(c, f, z, table)
            continue
        row = find(rows, z)
        out[i] = point(f, value_at(rows, row, z)) if row >= 0 else _direct_quantile(c, f, z)
