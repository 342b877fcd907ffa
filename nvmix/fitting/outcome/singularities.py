"""What the end of a fit means: at rest, on a boundary, or at a row that the density peaks at."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.tolerances import DOMINANT, NEAR, NEGLIGIBLE
from nvmix.backends.types import Ending
from nvmix.foundation.linalg import inverse_lower, row_blocks

if TYPE_CHECKING:
    from nvmix.backends.types import Fixed
    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.foundation.typing import FloatArray, IntArray
    from nvmix.sources.source import Chunk, Source

# Squared distance from mu, in units of the mean one, at which a row is at mu.
_MET = 1e-12
# Factor that the mean squared distance of the rows stays below, in units of d E[Y].
_LARGE = 100.0
# Rows that are named, at most.
_MOST_ROWS = 10_000
# Variance of gamma Y in units of Sigma E[Y] at which a fit is on its way to a singular Sigma.
_COLLAPSING = 1e4


def ending_of(ending: int, model: NormalMixture, fixed: Fixed, source: Source) -> Ending:
    """What the ending of a loop means, seen with its last model.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.

    Parameters
    ----------
    ending : int
        How the loop ended.
    model : NormalMixture
        The last model.
    fixed : Fixed
        Coordinates of its law of Y that the fit held.
    source : Source
        The observations.

    Returns
    -------
    Ending
        The same, a limit of the family, or UNBOUNDED, SINGULAR, CUSP or DEGENERATE.
    """
    ending = Ending.CONVERGED if ending <= Ending.SKEW_T_LIMIT else Ending(ending)
    if ending is Ending.CONVERGED and _collapsed(model):
        return Ending.DEGENERATE
    p, a, b = model.subordinator.gig
    order = p - 0.5 * model.d
    # Without b next to E[Y] there is no need to look at the rows.
    small = not b > _LARGE * NEGLIGIBLE * model.d * model.subordinator.mean()
    if order < 1.0 and small and _rows_rule(model, source):
        if order <= 0.0:
            return Ending.UNBOUNDED
        at_rest = {Ending.CONVERGED: Ending.CUSP, Ending.DEGENERATE: Ending.SINGULAR}
        return at_rest.get(ending, ending)
    if ending is Ending.CONVERGED and b == 0.0 and fixed.b is None:
        return Ending.VARIANCE_GAMMA_LIMIT
    if ending is Ending.CONVERGED and a == 0.0 and fixed.a is None:
        return Ending.SKEW_T_LIMIT
    return ending


def _collapsed(model: NormalMixture) -> bool:
    """Whether Y alone has the variance along gamma, and Sigma next to none: rounding rules."""
    g = inverse_lower(model.L_sigma) @ model.gamma
    y, variance = model.subordinator.mean(), model.subordinator.var()
    return bool(g @ g * variance > _COLLAPSING * y and np.isfinite(variance))


def rows_at(model: NormalMixture, source: Source) -> tuple[int, ...]:
    """Rows that mu has met: those nearest to it, and their repetitions.

    Parameters
    ----------
    model : NormalMixture
        A model whose mu rows of the data rule.
    source : Source
        The observations; nan is missing.

    Returns
    -------
    tuple of int
        Numbers of the rows, from 0; of more than 10,000 the first.
    """
    look = Distances.of(model)
    known = source.fold(look, Nearness.added)
    near = max(4.0 * known.least, _MET * known.total / known.weight)
    found: IntArray = source.fold(_Within(look, near), _first_of)
    return tuple(found.tolist())


def _first_of(left: IntArray, right: IntArray) -> IntArray:
    """The first rows of both."""
    return np.concatenate([left, right])[:_MOST_ROWS]


class Nearness(NamedTuple):
    """Squared distances of rows from mu: their weights, weighted sum and least, and nan among them.

    Attributes
    ----------
    weight, total, least : float
    missing : bool
    """

    weight: float
    total: float
    least: float
    missing: bool

    def added(self, other: Nearness) -> Nearness:
        """Of the rows of both."""
        return Nearness(
            self.weight + other.weight,
            self.total + other.total,
            min(self.least, other.least),
            self.missing or other.missing,
        )


@dataclass(frozen=True)
class Distances:
    """Squared distances from mu of the rows of a chunk, in units of Sigma.

    Attributes
    ----------
    mu : (d,) array
    inverse : (d, d) array
        Inverse of L.
    """

    mu: FloatArray
    inverse: FloatArray

    @classmethod
    def of(cls, model: NormalMixture) -> Distances:
        """From the mu of a model."""
        return cls(model.mu, inverse_lower(model.L_sigma))

    def each(self, chunk: Chunk) -> FloatArray:
        """(m,) squared distances; missing values add nothing."""
        X = np.asarray(chunk.values, np.float64)
        parts = [
            np.square(self.inverse @ np.nan_to_num(x - self.mu[:, None])).sum(axis=0)
            for x in row_blocks(X)
        ]
        return np.concatenate(parts)

    def __call__(self, chunk: Chunk) -> Nearness:
        """What they come to."""
        q, omega = self.each(chunk), _weights(chunk)
        missing = bool(np.isnan(np.asarray(chunk.values)).any())
        return Nearness(
            float(omega.sum()), float(omega @ q), float(q[omega > 0.0].min(initial=np.inf)), missing
        )


@dataclass(frozen=True)
class _Within:
    """Numbers of the rows of a chunk within a squared distance."""

    distances: Distances
    near: float

    def __call__(self, chunk: Chunk) -> IntArray:
        """The first of them, in order."""
        rows = np.flatnonzero(self.distances.each(chunk) <= self.near)
        return chunk.first + rows[:_MOST_ROWS]


@dataclass(frozen=True)
class _Shares:
    """Sums of E[1/Y] over the rows of a chunk within a squared distance, and over all."""

    distances: Distances
    near: float
    law: tuple[float, float, float]

    def __call__(self, chunk: Chunk) -> FloatArray:
        """(2,) sums."""
        q, (p, a, b) = self.distances.each(chunk), self.law
        inv_y = get_backend().gig_moments(np.full_like(q, p), np.full_like(q, a), b + q)[2]
        inv_y = np.where(_weights(chunk) > 0.0, _weights(chunk) * inv_y, 0.0)
        return np.array([inv_y[q <= self.near].sum(), inv_y.sum()])


def _rows_rule(model: NormalMixture, source: Source) -> bool:
    """Whether mu has met rows: b is negligible, and the nearest carry half of all E[1/Y]."""
    (p, a, b), look = model.subordinator.gig, Distances.of(model)
    known = source.fold(look, Nearness.added)
    mean = known.total / known.weight
    if known.missing or b > NEGLIGIBLE * mean:
        return False
    g = look.inverse @ model.gamma
    law = (p - 0.5 * model.d, a + float(g @ g), b)
    near, total = source.fold(_Shares(look, min(4.0 * known.least, NEAR * mean), law), operator.add)
    return not near < DOMINANT * total < np.inf


def _weights(chunk: Chunk) -> FloatArray:
    """Weights of the rows of a chunk."""
    return np.ones(len(chunk.values)) if chunk.weights is None else chunk.weights
