"""Quantiles of a mixture of one column, by Newton's method within a bracket.

Unknown is T in x - mu = offset + scale sinh T, which gives far quantiles, and those next to mu
where the density is infinite, their relative accuracy. The log of a tail is nearly linear in T far
out.
"""

import math
from typing import Final, NamedTuple

from numba import types

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.univariate.tail import Column, small_tail

_LOG_2: Final = 0.6931471805599453
# r below which a law is broad and centred at mu, about which its density varies over sigma sqrt(b).
_BROAD: Final = 4.0
# Where b = 0 the scale is this part of that of the law, so that T is log|x - mu|.
_TINY: Final = 1e-280
# Log of tails that are some way from mu.
_LOW_TAIL: Final = -1.0
# Bounds of T: x leaves the range of doubles before.
_FARTHEST: Final = 1400.0
# |x - mu| from which a bracket has arrived at the largest double, but for the rounding of T.
_LARGEST: Final = 1.79769313486e308
_MOST: Final = 200
# A step of T after which the next one would be below rounding, and the least of all steps.
_LAST: Final = 1e-8
_ROUNDING: Final = 2e-16


class Frame(NamedTuple):
    """x - mu = offset + scale sinh T; law_scale is the size of X about mu + offset."""

    offset: float
    scale: float
    law_scale: float


# The type that numba gives the record.
FRAME: Final = types.NamedUniTuple(types.float64, len(Frame._fields), Frame)


@device
def frame(c: Column) -> Frame:
    """Coordinates in which the law is of ordinary size."""
    m = math.exp(min(max(c.log_mode, -600.0), 600.0))
    size = c.sigma * math.sqrt(m) + abs(c.gamma) * m / math.sqrt(1.0 + c.r)
    size = min(max(size, 1e-290), 1e290)
    if c.b == 0.0 or c.r < _BROAD:
        return Frame(0.0, max(c.sigma * math.sqrt(c.b), _TINY * size, 1e-300), size)
    return Frame(c.gamma * m, size, size)


@device
def _deviation(f: Frame, T: float) -> float:
    """x - mu at T."""
    if abs(T) < 700.0:
        return f.offset + f.scale * math.sinh(T)
    return f.offset + math.copysign(math.exp(abs(T) - _LOG_2 + math.log(f.scale)), T)


@device
def _first(f: Frame, log_tail: float, sign: float, guess: float) -> float:
    """T of a guess of x - mu; of the offset, which is none, that of the size of the law."""
    if guess == f.offset and log_tail < _LOW_TAIL and f.scale < f.law_scale:
        # T = 0 is far from there, and may be a pole.
        return -sign * math.asinh(f.law_scale / f.scale)
    T = math.asinh((guess - f.offset) / f.scale)
    return T if abs(T) < _FARTHEST else 0.0


@device
def quantile(
    c: Column, f: Frame, log_tail: float, sign: float, guess: float
) -> tuple[float, float]:
    """(x - mu, tail / density) where the tail of that sign (see `tail`) has that log.

    guess is that of x - mu. x is right to 1e-13 of its condition.
    """
    low, high = -_FARTHEST, _FARTHEST
    T, last, hazard = _first(f, log_tail, sign, guess), math.inf, 0.0
    for _ in range(_MOST):
        x = _deviation(f, T)
        value, hazard, side = small_tail(c, x, 0.0)
        if side != sign:
            rest = -math.expm1(value)
            value, hazard = math.log(rest), hazard * math.exp(value) / rest
        excess = sign * (value - log_tail)
        # Next to a pole of the density tails are equal, but for rounding, over a wide range of T.
        if abs(excess) <= _ROUNDING * (1.0 + abs(log_tail)):
            return x, 1.0 / hazard
        if excess > 0.0:
            high = T
        else:
            low = T
        near = f.scale * math.cosh(T) if abs(T) < 700.0 else abs(x - f.offset)
        slope = hazard * near
        step = -excess / slope if 0.0 < slope < math.inf else math.nan
        proposal = T + step
        is_last = abs(step) <= _LAST and abs(excess) <= _LAST * (1.0 + abs(log_tail))
        if is_last and low <= proposal <= high:
            # Not the x of the proposal, which has the rounding of T.
            return x + step * near, 1.0 / hazard
        # Newton's steps have to shrink, or the bracket is halved. A step that is too short to move
        # T is one next to mu, where the tail of a very skewed law all but jumps.
        least = _ROUNDING * (1.0 + abs(T))
        if not (low < proposal < high and least < abs(step) < 0.7 * last):
            proposal = 0.5 * (low + high)
            step = 0.5 * (high - low)
            last = math.inf
        else:
            last = abs(step)
        if abs(step) <= least:
            # Where one end is infinite, x is beyond all doubles.
            if math.isinf(_deviation(f, low)):
                proposal = low
            elif math.isinf(_deviation(f, high)):
                proposal = high
            T = proposal
            break
        T = proposal
    x = _deviation(f, T)
    return x if abs(x) < _LARGEST else math.copysign(math.inf, x), 1.0 / hazard
