"""Starting models from data: by moments, or from the densest rows where those are likelier."""

from collections.abc import Iterator
from typing import Final, NamedTuple, Self

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.tolerances import NEGLIGIBLE
from nvmix.backends.types import (
    Constraints,
    EMOptions,
    FitTrace,
    Fixed,
    GIGParameters,
    GIGStatus,
    NormalParameters,
)
from nvmix.fitting.starts.core import core_of, shortest_intervals
from nvmix.fitting.starts.edges import edge_starts
from nvmix.fitting.starts.laws import law_of_sizes, law_with, special_cases
from nvmix.fitting.starts.moments import MomentMatch, match_moments
from nvmix.foundation.forks import LazyProperty
from nvmix.foundation.typing import FloatArray

_NIG: Final = Fixed(p=-0.5)
# Rows on which starts are compared, at most, and iterations of EM before that. Of more rows it
# would be slower by tables of Bessel functions, of which each order of Y needs its own.
_COMPARED: Final = 199
_A_COLUMN: Final = 20  # the least rows, if there are more columns
_TRIAL: Final = 40
_BRIEF: Final = 3  # of the special cases of a generalized hyperbolic
# Shares of the rows whose cores are starts, the tightest last.
_SHARES: Final = (0.5, 0.25)
# Gain of mean log-likelihood in the last iteration of a trial that has no end in sight.
_RUNAWAY: Final = 0.02
# Mean log-likelihood by which another start must exceed that by moments to be kept.
_MARGIN: Final = 0.01
# A start by moments is in doubt if the sample is flatter than a mixture, or if half the width of
# the tightest core is less than this in a column, in standard deviations, or in the geometric mean
# of all: of a normal law it is 0.32, of Student's t with 4 degrees of freedom 0.23.
_NARROW: Final = 0.06
_NARROW_IN_ALL: Final = 0.1
# Start of a variance gamma: the law before it and its iterations, and those of one nearly as good
# and three times as fast; what gain ends them, and the largest alpha.
_SMOOTH: Final = Fixed()
_SMOOTHING: Final = 10
_QUICK: Final = Fixed(p=0.5)
_QUICKLY: Final = 6
_SMOOTHED: Final = 1e-9
_LARGEST_ALPHA: Final = 20.0


class Start(NamedTuple):
    """The parameters of a starting model."""

    normal: NormalParameters
    theta: GIGParameters  # (p, a, b)


class Trial(NamedTuple):
    """A start and a fit of few iterations from it."""

    start: Start
    trace: FitTrace

    @classmethod
    def of(cls, start: Start, rows: FloatArray, fixed: Fixed, max_iter: int) -> Self:
        """The trial of a start on rows (m, d)."""
        return cls(start, _short_fit(start, rows, fixed, max_iter, "anderson"))

    @property
    def value(self) -> float:
        """Mean log-likelihood at its end; -inf where that is not finite, or grows without limit.

        It does where it still rises as fast, and next to where the density at mu is infinite.
        """
        value, n_iter = float(self.trace.log_likelihood), int(self.trace.n_iter)
        (p, _, b), d = self.trace.gig, len(self.trace.normal.mu)
        gain = value - float(self.trace.log_likelihoods[n_iter - 1]) if n_iter > 0 else 0.0
        _, log_y, _, _ = get_backend().gig_law(self.trace.gig)
        pole = p <= 0.5 * d and b <= NEGLIGIBLE * np.exp(log_y)
        return value if np.isfinite(value) and gain < _RUNAWAY and not pole else -np.inf


class StartingRows:
    """Validated rows (n, d) and the starts that they give, which share what they can."""

    def __init__(self, X: FloatArray) -> None:
        self.X = X

    @LazyProperty
    def moments(self) -> MomentMatch:
        """Moments of all rows."""
        return match_moments(self.X)

    @LazyProperty
    def some(self) -> FloatArray:
        """Evenly spaced rows, at most `_COMPARED`, but enough for their columns."""
        n, d = self.X.shape
        return np.ascontiguousarray(self.X[:: -(-n // max(_COMPARED, _A_COLUMN * (d + 1)))])

    def start(self, fixed: Fixed) -> Start:
        """Default start of the family that fixes these of (p, a, b).

        That of the generalized hyperbolic is one of a special case: where cores are tried, the
        likeliest of them after a few iterations, else the normal-inverse Gaussian.
        """
        if fixed.b == 0.0:
            return self._smoothed(self.start(_NIG), _SMOOTH, _SMOOTHING)
        cases = special_cases(self.X.shape[1]) if fixed == Fixed() else ()
        if cases and not self.in_doubt:
            return self.start(cases[0])
        if cases:
            starts = [(self.start(case), case) for case in cases if case.b is None]
            trials = [Trial.of(start, self.some, case, _BRIEF) for start, case in starts]
            return max(trials, key=lambda trial: trial.value).start
        return self._likeliest(fixed) if self.in_doubt else self._by_moments(fixed)

    def _by_moments(self, fixed: Fixed) -> Start:
        mu, gamma, L, variance, _ = self.moments
        return Start(NormalParameters(mu, gamma, L), law_with(fixed, variance))

    def _likeliest(self, fixed: Fixed) -> Start:
        """The start by moments, or that from a core which is likelier after a few iterations."""
        trials = [Trial.of(each, self.some, fixed, _TRIAL) for each in self.starts(fixed)]
        best = max(trials, key=lambda trial: trial.value)
        return best.start if best.value > trials[0].value + _MARGIN else trials[0].start

    def starts(self, fixed: Fixed) -> Iterator[Start]:
        """Yield the start by moments, and those from the cores of several shares of the rows."""
        start = self._by_moments(_NIG if fixed.b == 0.0 else fixed)
        yield self._smoothed(start, _SMOOTH, _SMOOTHING) if fixed.b == 0.0 else start
        yield from self.cores(fixed)

    def cores(self, fixed: Fixed) -> Iterator[Start]:
        """Yield the starts from cores, where there are any."""
        law = _NIG if fixed.b == 0.0 else fixed
        for share in _SHARES:
            start = _of_core(self.some, share, law)
            if start is not None:
                is_gamma = fixed.b == 0.0
                yield self._smoothed(start, _SMOOTH, _SMOOTHING) if is_gamma else start

    def edge(self, fixed: Fixed) -> Start | None:
        """The likeliest start from an edge of the rows, after a few iterations.

        None for a variance gamma, whose skewed law is pointed at mu.
        """
        starts = () if fixed.b == 0.0 else edge_starts(self.some, fixed)
        trials = [Trial.of(Start(*each), self.some, fixed, _TRIAL) for each in starts]
        best = max(trials, key=lambda trial: trial.value, default=None)
        if best is None or best.value == -np.inf:
            return None
        return Start(best.trace.normal, best.trace.gig)

    @LazyProperty
    def in_doubt(self) -> bool:
        """Whether the start by moments may be far off, so that cores are tried."""
        width = shortest_intervals(self.some, int(_SHARES[-1] * len(self.some)))[1]
        size = self.some.std(axis=0)
        ratio = np.divide(width, size, out=np.full_like(width, np.inf), where=size > 0.0)
        narrow = (ratio < _NARROW).any() or ratio.prod() < _NARROW_IN_ALL ** len(ratio)
        return self.moments.flat or bool(narrow)

    def quick_start(self, fixed: Fixed) -> Start:
        """A start near the default one, in less time."""
        if fixed.b == 0.0:
            return self._smoothed(self.start(_QUICK), _QUICK, _QUICKLY)
        return self.start(fixed)

    def _smoothed(self, start: Start, law: Fixed, max_iter: int) -> Start:
        """Start of a variance gamma from one of a law whose density is smooth at mu.

        After some iterations Y gets the gamma law with the same E[log Y] and E[Y].
        """
        trace = _short_fit(start, self.X, law, max_iter, "anderson")
        log_y, y = (get_backend().gig_law(trace.gig)[i] for i in (1, 3))
        (alpha, a, _), status = get_backend().gig_fit(
            (log_y, np.nan, y), Fixed(b=0.0), "newton", None
        )
        if status > GIGStatus.INVERSE_GAMMA or not np.isfinite(alpha + a):
            alpha, a = 1.0, 2.0
        if alpha > _LARGEST_ALPHA:
            alpha, a = _LARGEST_ALPHA, 2.0 * _LARGEST_ALPHA / y
        return Start(trace.normal, (alpha, a, 0.0))


def _of_core(rows: FloatArray, share: float, fixed: Fixed) -> Start | None:
    """Start with mu and Sigma of a core of the rows, gamma = 0, and Y as variable as that asks."""
    d = rows.shape[1]
    core = core_of(rows, share)
    theta = None if core is None else law_of_sizes(fixed, core.distances, d)
    if core is None or theta is None:
        return None
    return Start(NormalParameters(core.mu, np.zeros(d), core.cholesky), theta)


def _short_fit(
    start: Start, rows: FloatArray, fixed: Fixed, max_iter: int, acceleration: str
) -> FitTrace:
    """At most max_iter iterations of EM on rows in memory."""
    options = EMOptions(
        Constraints(fixed), "newton", None, acceleration, "likelihood", max_iter, _SMOOTHED
    )
    backend = get_backend()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return backend.fit(backend.place(rows), *start, options)
