"""Draws of all columns given values of some of them, or ranges in which they are."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np

from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.parts.column_arguments import by_position

Ranges: TypeAlias = dict[int, tuple[float, float]]

# Rows drawn at once for columns in several ranges, and the least share of them that is in all.
_BATCH: Final = 1 << 16
_LEAST_SHARE: Final = 1e-5


def conditional_rows(
    model: Mixture, n: int, conditioning: Any, rng: np.random.Generator
) -> FloatArray:
    """Rows (n, d) of a model given some of its columns, by name or position.

    A column is given by a number, by n numbers, or by the ends of a range in a tuple, in which None
    is no end.
    """
    given = by_position("conditioning", conditioning, model.columns, model.d)
    fixed = {i: value for i, value in given.items() if not isinstance(value, tuple)}
    free = [i for i in range(model.d) if i not in fixed]
    ranges = {free.index(i): _range(given[i]) for i in given.keys() - fixed.keys()}
    rows = np.empty((n, model.d))
    for i, value in fixed.items():
        if np.shape(value) not in ((), (n,)):
            msg = f"conditioning must have numbers, or {n} of them, got shape {np.shape(value)}"
            raise ValueError(msg)
        rows[:, i] = value
    law = model.conditional(fixed) if fixed else model
    if isinstance(law, list):
        rows[:, free] = [_rows_in(one, 1, ranges, rng)[0] for one in law]
    else:
        rows[:, free] = _rows_in(law, n, ranges, rng)
    return rows


def _range(ends: tuple[Any, ...]) -> tuple[float, float]:
    """The two ends of a range."""
    low, high = ends if len(ends) == 2 else (math.nan, math.nan)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if not low < high:
        msg = f"conditioning must have tuples (low, high) with low < high, got {ends}"
        raise ValueError(msg)
    return low, high


def _rows_in(law: Mixture, n: int, ranges: Ranges, rng: np.random.Generator) -> FloatArray:
    """Rows (n, k) of a law with columns in ranges."""
    if not ranges:
        return law.rvs(n, rng)  # type: ignore[no-any-return]
    if len(ranges) > 1:
        return _accepted(law, n, ranges, rng)
    ((column, ends),) = ranges.items()
    rows = np.empty((n, law.d))
    rows[:, column] = _between(law.marginal(column), *ends, n, rng)
    rest = [i for i in range(law.d) if i != column]
    if rest:
        laws = law.conditional({column: rows[:, column]})
        rows[:, rest] = [one.rvs(1, rng)[0] for one in laws]
    return rows


def _accepted(law: Mixture, n: int, ranges: Ranges, rng: np.random.Generator) -> FloatArray:
    """The first n of rows that are drawn until so many are in all ranges."""
    low, high = np.full(law.d, -math.inf), np.full(law.d, math.inf)
    for column, ends in ranges.items():
        low[column], high[column] = ends
    parts, n_inside, n_drawn = [], 0, 0
    while n_inside < n:
        rows = law.rvs(_BATCH, rng)
        rows = rows[((rows >= low) & (rows <= high)).all(axis=1)]
        parts.append(rows)
        n_inside, n_drawn = n_inside + len(rows), n_drawn + _BATCH
        if n_drawn * _LEAST_SHARE > n_inside + 3.0:
            _refuse(law, ranges)
    return np.concatenate(parts)[:n]


def _between(law: Any, low: float, high: float, n: int, rng: np.random.Generator) -> FloatArray:
    """(n,) draws of a law of one column in a range, from the smaller of its tails."""
    upper = law.cdf(low) > 0.5
    ends = (law.sf(high), law.sf(low)) if upper else (law.cdf(low), law.cdf(high))
    if not ends[0] < ends[1]:
        _refuse(law, (low, high))
    q = rng.uniform(*ends, n)
    draws: FloatArray = np.clip(law.isf(q) if upper else law.ppf(q), low, high)
    return draws


def _refuse(law: Mixture, ranges: Any) -> None:
    """ValueError: hardly any draw is in these ranges."""
    msg = f"conditioning must be on ranges of some probability, got {ranges} of {law}"
    raise ValueError(msg)
