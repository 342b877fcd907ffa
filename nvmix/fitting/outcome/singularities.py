"""Whether a fit has ended on a boundary, or with mu at rows where the density peaks."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.status import Status
from nvmix.backends.tolerances import DOMINANT, NEAR, NEGLIGIBLE
from nvmix.backends.types import Fixed, GIGParameters
from nvmix.foundation.linalg import inverse_lower, row_blocks
from nvmix.foundation.typing import FloatArray, IntArray
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.source import Chunk, Source

# Squared distance from mu, in units of the mean one, at which a row is at mu.
_AT_MU: Final = 1e-12
# Factor that the mean squared distance of the rows stays below, in units of d E[Y].
_LARGE: Final = 100.0
# The most rows that are named.
_MOST_ROWS: Final = 10_000
# Variance of gamma Y in units of Sigma E[Y] at which a fit is on its way to a singular Sigma.
_COLLAPSING: Final = 1e4


def status_at_end(status: int, model: Mixture, fixed: Fixed, source: Source) -> Status:
    """The status of a loop as it looks from its last model: a limit or a singularity, or the same.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1:
    where rows at mu then dominate, the fit is UNBOUNDED, at a CUSP, or SINGULAR. fixed are the
    coordinates of the law of Y that the fit held.
    """
    status = Status.CONVERGED if status <= Status.SKEW_T_LIMIT else Status.of(status)
    if status is Status.CONVERGED and _collapsed(model):
        return Status.DEGENERATE
    p, a, b = model.subordinator.gig
    order = p - 0.5 * model.d
    # Where b is not small beside E[Y] there is no need to look at the rows.
    small = not b > _LARGE * NEGLIGIBLE * model.d * model.subordinator.mean()
    if order < 1.0 and small and _rows_dominate(model, source):
        if order <= 0.0:
            return Status.UNBOUNDED
        at_mu = {Status.CONVERGED: Status.CUSP, Status.DEGENERATE: Status.SINGULAR}
        return at_mu.get(status, status)
    if status is Status.CONVERGED and b == 0.0 and fixed.b is None:
        return Status.VARIANCE_GAMMA_LIMIT
    if status is Status.CONVERGED and a == 0.0 and fixed.a is None:
        return Status.SKEW_T_LIMIT
    return status


def _collapsed(model: Mixture) -> bool:
    """Whether gamma Y makes nearly all of the variance along gamma, so that Sigma is rounding."""
    g = inverse_lower(model.L_sigma) @ model.gamma
    y, variance = model.subordinator.mean(), model.subordinator.var()
    return bool(g @ g * variance > _COLLAPSING * y and np.isfinite(variance))


def rows_at_mu(model: Mixture, source: Source) -> tuple[int, ...]:
    """Numbers from 0 of the rows nearest to mu and their repetitions, the first 10,000 of them."""
    distances = Distances.of(model)
    known = source.reduce(distances, Nearness.merged)
    near = max(4.0 * known.least, _AT_MU * known.total / known.weight)
    found: IntArray = source.reduce(partial(_rows_within, distances, near), _first_rows)
    return tuple(found.tolist())


class Nearness(NamedTuple):
    """Squared distances of rows from mu: sums of weights and of weighted distances, and the least.

    missing says whether a row has missing values.
    """

    weight: float
    total: float
    least: float
    missing: bool

    def merged(self, other: Nearness) -> Nearness:
        """Of the rows of both."""
        return Nearness(
            self.weight + other.weight,
            self.total + other.total,
            min(self.least, other.least),
            self.missing or other.missing,
        )


@dataclass(frozen=True)
class Distances:
    """Squared distances of the rows of a chunk from mu, in units of Sigma; inverse is L^-1."""

    mu: FloatArray
    inverse: FloatArray

    @classmethod
    def of(cls, model: Mixture) -> Distances:
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
        """Their sums and the least."""
        q, omega = self.each(chunk), _weights(chunk)
        missing = bool(np.isnan(np.asarray(chunk.values)).any())
        least = float(q[omega > 0.0].min(initial=np.inf))
        return Nearness(float(omega.sum()), float(omega @ q), least, missing)


def _rows_within(distances: Distances, near: float, chunk: Chunk) -> IntArray:
    """Numbers of the first rows of a chunk within a squared distance, in order."""
    rows = np.flatnonzero(distances.each(chunk) <= near)
    return chunk.first + rows[:_MOST_ROWS]


def _first_rows(left: IntArray, right: IntArray) -> IntArray:
    """The first rows of both."""
    return np.concatenate([left, right])[:_MOST_ROWS]


def _inv_y_sums(
    distances: Distances, near: float, posterior: GIGParameters, chunk: Chunk
) -> FloatArray:
    """(2,) sums of E[1/Y] over the rows of a chunk within a squared distance, and over all."""
    q, (p, a, b) = distances.each(chunk), posterior
    inv_y = get_backend().gig_moments(np.full_like(q, p), np.full_like(q, a), b + q)[2]
    inv_y = np.where(_weights(chunk) > 0.0, _weights(chunk) * inv_y, 0.0)
    return np.array([inv_y[q <= near].sum(), inv_y.sum()])


def _rows_dominate(model: Mixture, source: Source) -> bool:
    """Whether rows are at mu: b is negligible, and the nearest rows have half of all E[1/Y]."""
    (p, a, b), distances = model.subordinator.gig, Distances.of(model)
    known = source.reduce(distances, Nearness.merged)
    mean = known.total / known.weight
    if known.missing or b > NEGLIGIBLE * mean:
        return False
    g = distances.inverse @ model.gamma
    posterior = (p - 0.5 * model.d, a + float(g @ g), b)
    near = min(4.0 * known.least, NEAR * mean)
    sums = partial(_inv_y_sums, distances, near, posterior)
    nearest, total = source.reduce(sums, operator.add)
    return not nearest < DOMINANT * total < np.inf


def _weights(chunk: Chunk) -> FloatArray:
    """Weights of the rows of a chunk."""
    return np.ones(len(chunk.values)) if chunk.weights is None else chunk.weights
