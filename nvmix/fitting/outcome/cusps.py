"""The highest of the local maxima that a density with a cusp has at rows of the data.

At b = 0 and p - d/2 in (0, 1) the density has a cusp at mu, and the likelihood one at every row
that mu may meet. With mu held at a row it is smooth.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nvmix.backends import get_backend, get_looper
from nvmix.backends.source_e_step import InMemory, observed
from nvmix.backends.types import Ending, Fixed, Gaussian, GIGParameters
from nvmix.fitting.engine.loop import StepLoop
from nvmix.fitting.outcome.singularities import Distances

if TYPE_CHECKING:
    from nvmix.backends.source_e_step import PassedOver
    from nvmix.backends.types import Course, Plan, Restriction
    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.foundation.typing import FloatArray
    from nvmix.sources.source import Chunk, Source

# Rows nearest to mu at which the likelihood is looked up, at least and at most, the looks at rows
# that this may cost, and the highest that are fitted.
_FEWEST: Final = 8
_NEAREST: Final = 400
_LOOKS: Final = 80_000_000
_HIGHEST: Final = 4
_MOST_ROUNDS: Final = 10


def highest_cusp(model: NormalMixture, source: Source, weight: float, plan: Plan) -> Course | None:
    """Fit with mu held at rows nearby, from the likeliest on, until none is likelier.

    Parameters
    ----------
    model : NormalMixture
        A fit whose mu is at a row or near one, with b = 0.
    source : Source
        Complete observations.
    weight : float
        Sum of their weights.
    plan : Plan
        Of the fit.

    Returns
    -------
    Course or None
        The likeliest fit, or one that is UNBOUNDED, with the passes of all; None where no row has
        a fit that converges.
    """
    plan = plan._replace(fixed=Fixed(p=plan.fixed.p, b=0.0))
    rows, count = observed(source, "cpu"), round(min(max(_LOOKS / weight, _FEWEST), _NEAREST))
    best: Course | None = None
    passes = 0
    for _ in range(_MOST_ROUNDS):
        starts = _likeliest_starts(model, source, count, plan.restriction)
        courses = [_held_at(start, rows, plan) for start in starts]
        passes += sum(course.n_passes for course in courses)
        unbounded = [course for course in courses if course.ending is Ending.UNBOUNDED]
        if unbounded:
            return unbounded[0]._replace(n_passes=passes)
        settled = [course for course in courses if course.ending is Ending.CONVERGED]
        if not settled:
            break
        found = max(settled, key=lambda course: course.log_likelihood)
        if best is not None and found.log_likelihood <= best.log_likelihood:
            break
        best = found
        model = model.at(best.block, best.gig)
    return None if best is None else best._replace(n_passes=passes)


def _likeliest_starts(
    model: NormalMixture, source: Source, count: int, held: Restriction
) -> list[NormalMixture]:
    """The model moved to the rows nearby where it is likeliest, its mean kept by gamma."""
    nearest = _Nearest(Distances.of(model), count)
    _, rows = source.fold(nearest, nearest.nearer)
    y, theta = model.subordinator.gig_expectations[2], (*model.subordinator.gig[:2], 0.0)
    shifts = [
        (mu, np.zeros(model.d) if held.symmetric else (mu - model.mu) / y)
        for mu in np.unique(rows, axis=0)
    ]
    blocks = [Gaussian(mu, model.gamma - shift, model.L_sigma.copy()) for mu, shift in shifts]
    values = source.fold(_Likelihoods(blocks, theta), operator.add)
    return [model.at(blocks[i], theta) for i in np.argsort(values)[::-1][:_HIGHEST]]


@dataclass(frozen=True)
class _Nearest:
    """The rows of a chunk that are nearest to mu, with their squared distances."""

    distances: Distances
    count: int

    def __call__(self, chunk: Chunk) -> tuple[FloatArray, FloatArray]:
        """(k,) and (k, d) arrays."""
        return self._first(self.distances.each(chunk), np.asarray(chunk.values, np.float64))

    def nearer(
        self, left: tuple[FloatArray, FloatArray], right: tuple[FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """The nearest of both."""
        return self._first(*(np.concatenate(pair) for pair in zip(left, right, strict=True)))

    def _first(self, q: FloatArray, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The nearest rows of X, copied."""
        if len(q) > self.count:
            rows = np.argpartition(q, self.count)[: self.count]
            return q[rows], X[rows]
        return q, X.copy()


@dataclass(frozen=True)
class _Likelihoods:
    """Log-likelihoods of the rows of a chunk under several normal blocks and one law of Y."""

    blocks: list[Gaussian]
    theta: GIGParameters

    def __call__(self, chunk: Chunk) -> FloatArray:
        """(k,) sums."""
        backend, weights = get_backend(), chunk.weights
        placed = backend.place(chunk.values)
        densities = (backend.log_prob(placed, block, self.theta) for block in self.blocks)
        return np.array([f.sum() if weights is None else f @ weights for f in densities])


def _held_at(start: NormalMixture, rows: InMemory | PassedOver, plan: Plan) -> Course:
    """Fit rows with mu held where it is."""
    held = plan._replace(restriction=plan.restriction._replace(mu=start.mu))
    if isinstance(rows, InMemory):
        return get_looper("cpu").fit(rows.placed, start.block, start.subordinator.gig, held)
    return StepLoop(rows, "cpu", held, conditional=False, report=_silent).run(start)


def _silent(i: int, log_likelihood: float, change: float) -> None:
    """Tell nobody."""
