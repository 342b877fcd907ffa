"""The highest of the local maxima that a density with a cusp has at rows of the data.

At b = 0 and p - d/2 in (0, 1) the density has a cusp at mu, and the likelihood one at every row
that mu may come to. With mu held at a row it is smooth.
"""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.backends.types import (
    Constraints,
    EMOptions,
    FitTrace,
    Fixed,
    GIGParameters,
    NormalParameters,
)
from nvmix.fitting.engine.climb import climb
from nvmix.fitting.engine.loop import EMLoop
from nvmix.fitting.outcome.limits import AT_ROW, Distances, distances_from, may_collapse
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.typing import FloatArray
from nvmix.inference.newton import may_have_cusp
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
# The rows that a race starts with from each model, and next to an end that has settled inside; the
# iterations with mu held there, and how many of the likeliest rows go on after each, if so many
# times the last gain may make them likelier than the end.
_RACING: Final = 50
_NEAR: Final = 12
_SURELY: Final = 20.0
_STAGES: Final = ((2, 10), (6, 4), (20, 1))
# Iterations after which a fit at a row is given up if by the same measure, and a margin of total
# log-likelihood that Newton's method may gain on a ridge, it will not be the likeliest.
_SCOUTING: Final = 30
_MARGIN: Final = 1.0
# Ends of fits whose parameters settled, and of those that go on.
_SETTLED: Final = (Status.CONVERGED, Status.VARIANCE_GAMMA_LIMIT)
_OPEN: Final = (Status.MAX_ITER, Status.DEGENERATE)
# b of the start of a fit that goes on from one at b = 0, in units of E[Y], and how far the mu of
# another is from there, in standard deviations.
_ABOVE_ZERO: Final = 3.0
_BESIDE: Final = 0.01


def in_doubt(result: EMResult, constraints: Constraints) -> bool:
    """Whether the end of a fit has mu free and is at a cusp, or may be below one at another row."""
    model, status = result.model, result.status
    p = model.subordinator.gig[0]
    is_finite, has_peak = p > 0.5 * model.d, 0.0 < p - 0.5 * model.d <= 0.5
    if status in (*_SETTLED, *_OPEN):
        doubtful = (is_finite and may_have_cusp(model)) or has_peak
    else:
        doubtful = status in (Status.CUSP, Status.SINGULAR)
    return doubtful and constraints.mu is None


def _has_settled(result: EMResult) -> bool:
    """Whether a fit has ended inside, and not next to a singular Sigma."""
    return result.status in _SETTLED and not may_collapse(result.model)


def beside(result: EMResult, constraints: Constraints) -> Iterator[Mixture]:
    """Models beside an end at b = 0, from which a fit may go elsewhere; none for other ends.

    Where the family has a b one has b > 0. The other has another mu: a cusp at a row may be none of
    the maxima. An end that has settled away from the rows is left as it is.
    """
    model = result.model
    (p, a, b), y = model.subordinator.gig, model.subordinator.mean()
    if b > 0.0 or not np.isfinite(y):
        return
    if constraints.fixed.b is None:
        yield model.at(model.normal, (p, a, _ABOVE_ZERO * y))
    if not _has_settled(result):
        mu, gamma, L = model.normal
        step = _BESIDE * np.sqrt(y / model.d) * L.sum(axis=1)
        yield model.at(NormalParameters(mu + step, gamma, L), (p, a, b))


def status_at_row(trace: FitTrace) -> Status:
    """Status of a fit whose mu is free, by the trace of one with mu held at a row."""
    return AT_ROW.get(Status.of(trace.status), Status.MAX_ITER)


@dataclass
class CuspSearch:
    """Fits with mu held at rows, and b = 0."""

    source: Source
    e_step: EStep
    options: EMOptions
    count: int  # rows at which the likelihood is computed
    weight: float  # sum of the rows' weights
    n_passes: int = 0  # of all fits
    pole: FitTrace | None = None  # a fit at a row nearby that is UNBOUNDED

    @classmethod
    def of(cls, source: Source, weight: float, options: EMOptions) -> Self:
        """A search for fits by options; weight is the sum of the rows' weights."""
        constraints = options.constraints
        fixed = Fixed(p=constraints.fixed.p, b=0.0)
        options = options._replace(
            method="newton", rule=None, constraints=constraints._replace(fixed=fixed)
        )
        count = round(min(max(_DENSITIES / weight, _FEWEST), _NEAREST))
        return cls(source, EStep(source), options, count, weight)

    def nearby(self, model: Mixture, least: float = -np.inf) -> FitTrace | None:
        """The likeliest fit at rows near the mu of a model.

        It goes from row to row, the likeliest first, each once, until none is likelier. None where
        no row has a fit that converges, and exceeds the least mean log-likelihood.
        """
        best: FitTrace | None = None
        tried = {model.mu.tobytes()} if least > -np.inf else set()
        for _ in range(_MOST_ROUNDS):
            likeliest = self._starts(model, self.count, _HIGHEST)
            starts = [start for start in likeliest if start.mu.tobytes() not in tried]
            tried |= {start.mu.tobytes() for start in starts}
            traces = [self._climb(start, least) for start in starts]
            poles = [trace for trace in traces if trace.status == Status.UNBOUNDED]
            self.pole = self.pole or next(iter(poles), None)
            found = _likeliest(traces)
            if found is None or not found.log_likelihood > (best.log_likelihood if best else least):
                break
            best = found
            model = model.at(best.normal, best.gig)
        return best

    def likelier(self, result: EMResult, start: Mixture) -> FitTrace | None:
        """The likeliest fit at rows, if it is likelier than a fit from a start that has ended.

        At the rows next to an end that has settled inside; else at all, from the start too.
        """
        least = result.log_likelihood / result.n_observations
        if _has_settled(result):
            races = [self._starts(result.model, _NEAR, _NEAR)]
        else:
            races = [self._starts(model, self.count, _RACING) for model in (result.model, start)]
        firsts = [first for starts in races for first in self._raced(starts, least)]
        found = _likeliest([self._climb(first, least) for first in firsts])
        model = result.model
        if found is not None and found.log_likelihood > least:
            model, least = model.at(found.normal, found.gig), found.log_likelihood
        else:
            found = None
        return self.nearby(model, least) or found

    def _raced(self, starts: list[Mixture], least: float) -> list[Mixture]:
        """The likeliest of models with mu at rows, after some iterations in stages.

        That tells more of a row far from a model's mu than the likelihood there does at once. A row
        is given up if its value and so many times its last gain do not reach the least value.
        """
        for iterations, kept in _STAGES:
            options = self.options._replace(max_iter=iterations)
            traces = [(start, self._em(start, _held(options, start))) for start in starts]
            self.n_passes += sum(trace.n_passes for _, trace in traces)
            ends = [end for end in traces if _is_usable(end[1]) and _reach(end[1]) > least]
            ends.sort(key=lambda end: -end[1].log_likelihood)
            starts = [start.at(trace.normal, trace.gig) for start, trace in ends[:kept]]
        return starts

    def _starts(self, model: Mixture, count: int, most: int) -> list[Mixture]:
        """Models with mu at the rows next to that of `model` and b = 0, the likeliest of them.

        gamma is such that the mean of X stays as it is, unless the fit is symmetric.
        """
        nearest = partial(_nearest, distances_from(model), count)
        _, rows = self.source.reduce(nearest, partial(_nearer, count))
        y, theta = _size(model), _gamma_law(model)
        moved = []
        for mu in np.unique(rows, axis=0):
            is_symmetric = self.options.constraints.symmetric
            shift = np.zeros(model.d) if is_symmetric else (mu - model.mu) / y
            moved.append(NormalParameters(mu, model.gamma - shift, model.L_sigma.copy()))
        values = self.source.reduce(partial(_log_likelihoods, moved, theta), operator.add)
        return [model.at(moved[i], theta) for i in np.argsort(values)[::-1][:most]]

    def _climb(self, start: Mixture, least: float) -> FitTrace:
        """Fit with mu held where it is, which makes the likelihood smooth.

        It ends early where it will surely not reach the least mean log-likelihood.
        """
        options, prunes = _held(self.options, start), least > -np.inf
        if prunes:
            trace = self._em(start, options._replace(max_iter=_SCOUTING))
            self.n_passes += trace.n_passes
            if not (_is_usable(trace) and _reach(trace) + _MARGIN / self.weight > least):
                return trace
            start = start.at(trace.normal, trace.gig)
        trace = climb(self._em, self._em, start, self.source, options, always_confirmed=prunes)
        self.n_passes += trace.n_passes
        return trace

    def _em(self, model: Mixture, options: EMOptions) -> FitTrace:
        """The EM loop from a model."""
        if self.e_step.placed is None:
            return EMLoop(self.e_step, "cpu", options).run(model)
        theta = model.subordinator.gig
        return get_backend().fit(self.e_step.placed, model.normal, theta, options)


def _size(model: Mixture) -> float:
    """E[Y], or a mean of log Y where that is infinite."""
    log_y, _, y = model.subordinator.gig_expectations
    return y if np.isfinite(y) else float(np.exp(log_y))


def _gamma_law(model: Mixture) -> GIGParameters:
    """(p, a, 0) of about the same mean; p is that of the model, if the density is finite at mu."""
    p, least = model.subordinator.gig[0], 0.5 * model.d
    p = p if p > least else least + 0.5
    return p, 2.0 * p / _size(model), 0.0


def _held(options: EMOptions, start: Mixture) -> EMOptions:
    """The options with mu held where it is."""
    return options._replace(constraints=options.constraints._replace(mu=start.mu))


def _is_usable(trace: FitTrace) -> bool:
    """Whether a fit has a likelihood to compare, and is not on its way to a pole."""
    is_bounded = trace.gig[0] >= 0.5 * (trace.normal.mu.size + 1)
    on_ridge = trace.status == Status.DEGENERATE and is_bounded
    return on_ridge or trace.status in (Status.CONVERGED, Status.MAX_ITER)


def _reach(trace: FitTrace) -> float:
    """Mean log-likelihood that a fit may reach, judged by its last gain."""
    value, n_iter = float(trace.log_likelihood), int(trace.n_iter)
    gain = value - float(trace.log_likelihoods[n_iter - 1]) if n_iter > 0 else 0.0
    return value + _SURELY * gain


def _likeliest(traces: Sequence[FitTrace]) -> FitTrace | None:
    """The likeliest of the traces that are usable; None where there is none."""
    usable = [trace for trace in traces if _is_usable(trace)]
    return max(usable, key=lambda trace: float(trace.log_likelihood), default=None)


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
