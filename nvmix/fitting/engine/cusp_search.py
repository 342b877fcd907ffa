"""The highest of the local maxima that a density with a cusp has at rows of the data.

At b = 0 and p - d/2 in (0, 1) the density has a cusp at mu, and the likelihood one at every row
that mu may come to. With mu held at a row it is smooth.
"""

import operator
from functools import partial
from typing import Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.backends.types import EMOptions, FitTrace, Fixed, GIGParameters, NormalParameters
from nvmix.fitting.engine.climb import climb
from nvmix.fitting.engine.loop import EMLoop
from nvmix.fitting.outcome.limits import Distances, distances_from
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.source import Chunk, Source

Nearest = tuple[FloatArray, FloatArray]

# Rows nearest to mu at which the likelihood is computed, at least and at most, the densities that
# this may cost, and the likeliest of those rows at which mu is held in a fit.
_FEWEST: Final = 8
_NEAREST: Final = 400
_DENSITIES: Final = 80_000_000
_HIGHEST: Final = 4
_MOST_ROUNDS: Final = 10


def highest_cusp(
    model: Mixture, source: Source, weight: float, options: EMOptions
) -> FitTrace | None:
    """Fit with mu held at rows nearby, each once, from the likeliest on, until none is likelier.

    The model is a fit whose mu is at a complete row or near one, with b = 0; weight is the sum of
    the rows' weights. Returns the likeliest fit, or one that is UNBOUNDED, with the passes of all;
    None where no row has a fit that converges.
    """
    constraints = options.constraints
    fixed = Fixed(p=constraints.fixed.p, b=0.0)
    options = options._replace(constraints=constraints._replace(fixed=fixed))
    e_step, count = EStep(source), round(min(max(_DENSITIES / weight, _FEWEST), _NEAREST))
    best: FitTrace | None = None
    passes, tried = 0, set[bytes]()
    for _ in range(_MOST_ROUNDS):
        likeliest = _likeliest_starts(model, source, count, symmetric=constraints.symmetric)
        starts = [start for start in likeliest if start.mu.tobytes() not in tried]
        tried |= {start.mu.tobytes() for start in starts}
        traces = [_held_at(start, e_step, options) for start in starts]
        passes += sum(trace.n_passes for trace in traces)
        unbounded = [trace for trace in traces if trace.status == Status.UNBOUNDED]
        if unbounded:
            return unbounded[0]._replace(n_passes=passes)
        usable = [t for t in traces if t.status in (Status.CONVERGED, Status.MAX_ITER)]
        if not usable:
            break
        found = max(usable, key=lambda trace: trace.log_likelihood)
        if best is not None and found.log_likelihood <= best.log_likelihood:
            break
        best = found
        model = model.at(best.normal, best.gig)
    return None if best is None else best._replace(n_passes=passes)


def _likeliest_starts(
    model: Mixture, source: Source, count: int, *, symmetric: bool
) -> list[Mixture]:
    """Models with mu at a row near that of `model` and b = 0, the likeliest first.

    gamma is such that the mean of X stays as it is, unless the fit is symmetric.
    """
    nearest = partial(_nearest, distances_from(model), count)
    _, rows = source.reduce(nearest, partial(_nearer, count))
    y, theta = model.subordinator.gig_expectations[2], (*model.subordinator.gig[:2], 0.0)
    moved = []
    for mu in np.unique(rows, axis=0):
        shift = np.zeros(model.d) if symmetric else (mu - model.mu) / y
        moved.append(NormalParameters(mu, model.gamma - shift, model.L_sigma.copy()))
    values = source.reduce(partial(_log_likelihoods, moved, theta), operator.add)
    return [model.at(moved[i], theta) for i in np.argsort(values)[::-1][:_HIGHEST]]


def _nearest(distances: Distances, count: int, chunk: Chunk) -> Nearest:
    """Squared distances (k,) and rows (k, d) of a chunk that are nearest to mu."""
    return _first(count, distances(chunk), np.asarray(chunk.values, np.float64))


def _nearer(count: int, left: Nearest, right: Nearest) -> Nearest:
    """The nearest rows of both."""
    return _first(count, *(np.concatenate(pair) for pair in zip(left, right, strict=True)))


def _first(count: int, q: FloatArray, X: FloatArray) -> Nearest:
    """The rows of X of the least q, copied."""
    if len(q) > count:
        rows = np.argpartition(q, count)[:count]
        return q[rows], X[rows]
    return q, X.copy()


def _log_likelihoods(
    candidates: list[NormalParameters], theta: GIGParameters, chunk: Chunk
) -> FloatArray:
    """(k,) log-likelihoods of the rows of a chunk under candidates with one law of Y."""
    backend, weights = get_backend(), chunk.weights
    placed = backend.place(chunk.values)
    densities = (backend.log_prob(placed, normal, theta) for normal in candidates)
    return np.array([f.sum() if weights is None else f @ weights for f in densities])


def _held_at(start: Mixture, e_step: EStep, options: EMOptions) -> FitTrace:
    """Fit with mu held where it is, which makes the likelihood smooth."""

    def em(model: Mixture, options: EMOptions) -> FitTrace:
        if e_step.placed is not None:
            theta = model.subordinator.gig
            return get_backend().fit(e_step.placed, model.normal, theta, options)
        return EMLoop(e_step, "cpu", options).run(model)

    held = options._replace(constraints=options.constraints._replace(mu=start.mu))
    return climb(em, em, start, e_step.source, held)
