"""Tails and quantiles of one column, few directly, many by a table, and tails column by column."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from nvmix.backends.cpu.kernels import entry_points
from nvmix.backends.cpu.kernels.univariate.table import NO_TABLE, Table, new_table
from nvmix.backends.cpu.partition import groups_of
from nvmix.backends.cpu.placed import canonical
from nvmix.backends.types import GIGParameters, NormalParameters
from nvmix.foundation.threads import map_threads
from nvmix.foundation.typing import BoolArray, FloatArray

# Points from which a table is faster, and how many of them it is built for: cells that those miss
# have few points, which are computed directly.
_LEAST_TABULATED: Final = 1000
_SAMPLE: Final = 1 << 14
# A tail costs about as much as this number squared of multiplications.
_COST: Final = 64.0

# (mu, gamma, sigma, p, a, b)
Law = tuple[float, float, float, float, float, float]


def _law(normal: NormalParameters, theta: GIGParameters) -> Law:
    mu, gamma, sigma = (float(np.asarray(x).reshape(())) for x in normal)
    p, a, b = map(float, theta)
    return mu, gamma, sigma, p, a, b


def _filled(
    points: FloatArray, fill: Callable[[FloatArray, Table, bool, FloatArray], None]
) -> FloatArray:
    """Results of the shape of the points; fill(points, table, building, out) is compiled."""
    flat = canonical(points).ravel()
    out = np.empty(flat.size)
    table = NO_TABLE
    if flat.size >= _LEAST_TABULATED:
        table = new_table()
        some = np.ascontiguousarray(flat[:: max(1, flat.size // _SAMPLE)])
        fill(some, table, True, out[: some.size])
    map_threads(lambda part: fill(flat[part], table, False, out[part]), groups_of((flat.size, 1)))
    return out.reshape(points.shape)


def tails(
    x: FloatArray, normal: NormalParameters, theta: GIGParameters, *, upper: bool, log: bool
) -> FloatArray:
    """P(X <= x), or P(X > x), or its log."""
    law = _law(normal, theta)
    return _filled(
        x,
        lambda part, table, building, out: entry_points.tails_loop(
            law, part, table, building, upper, log, out
        ),
    )


def quantiles(
    q: FloatArray, normal: NormalParameters, theta: GIGParameters, *, upper: bool
) -> FloatArray:
    """Points x with P(X <= x) = q, or P(X > x) = q."""
    law = _law(normal, theta)
    return _filled(
        q,
        lambda part, table, building, out: entry_points.quantiles_loop(
            law, part, table, building, upper, out
        ),
    )


def sequential_tails(
    w: FloatArray, g: FloatArray, theta: GIGParameters
) -> tuple[FloatArray, BoolArray]:
    """Log-probabilities of the smaller tails of each column given those before it."""
    (n, d), (p, a, b) = w.shape, map(float, theta)
    w, g, out, upper = canonical(w), canonical(g), np.empty((n, d)), np.empty((n, d))

    def fill(part: slice) -> None:
        entry_points.sequential_tails_loop(p, a, b, g, w[part], out[part], upper[part])

    map_threads(fill, groups_of((n, math.ceil(_COST * math.sqrt(d)))))
    return out, upper > 0.0
