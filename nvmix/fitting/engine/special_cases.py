"""A generalized hyperbolic fit is at least as likely as fits of its special cases.

EM finds a local maximum, and that of the wider family may be lower than one of a special case. So
after a fit has ended, each special case is fitted from its own default start, and the fit goes on
from one that is likelier. A special case is a generalized hyperbolic model of which more is fixed.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from nvmix.backends.status import Status
from nvmix.backends.types import Constraints, EMOptions, FitTrace, Fixed
from nvmix.fitting.engine.climb import EM
from nvmix.fitting.engine.constraints import constrained
from nvmix.fitting.outcome.ends import unbounded_if_at_pole
from nvmix.fitting.outcome.misfit import misfit
from nvmix.fitting.outcome.result import EMResult
from nvmix.fitting.starts.laws import special_cases
from nvmix.fitting.starts.start import Start, StartingRows
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.observations import starting_sample
from nvmix.sources.source import ArraySource

# Rows up to which all special cases are fitted to their ends, as where the start by moments is in
# doubt, or the fit has a larger misfit than that; and values up to which they are where it has
# ended at an edge. Of 1,000 rows of the very law the misfit is 0.02, and 0.037 or more where
# special cases of clusters and of clipped rows were higher than foretold.
_FEW: Final = 1000
_MISFIT: Final = 0.035
SEVERAL_VALUES: Final = 20_000
# Else iterations, after each of which a special case is given up if its value and so many times the
# gain that is predicted do not reach the fit.
_STAGES: Final = (4, 7)
_SURELY: Final = 10.0
# Total log-likelihood up to which a special case at a limit may exceed what it seems to reach: the
# likelihood may have one maximum there, and one inside.
_OF_ANOTHER: Final = 1.0
# Difference of log-likelihoods that counts as none, and relative to them.
_NOTHING: Final = 1e-7
_ROUNDING: Final = 1e-13
# Ends at which the likelihood is infinite or not defined, so that none can be compared with them.
_INCOMPARABLE: Final = (Status.UNBOUNDED, Status.NON_FINITE)
# What the special case at a limit fixes, which is fitted to its end: the two maxima are one.
_AT_LIMIT: Final = {
    Status.VARIANCE_GAMMA_LIMIT: Fixed(b=0.0),
    Status.SKEW_T_LIMIT: Fixed(a=0.0),
}
# Ends at a row or a singular Sigma.
_AT_EDGE: Final = (Status.CUSP, Status.SINGULAR, Status.DEGENERATE)

# A fit from a model by options to its end.
Fit: TypeAlias = Callable[[Mixture, EMOptions], EMResult]


def has_special_cases(start: Mixture, options: EMOptions) -> bool:
    """Whether p, a and b are free, and the fit is by maximum likelihood."""
    return options.constraints.fixed == start.fixed == Fixed() and options.rule is None


@dataclass
class SpecialCases:
    """A fit that has ended and the special cases that it is compared with."""

    own: EMResult
    start: Mixture
    options: EMOptions
    source: ArraySource
    em: EM
    fit: Fit
    n_passes: int = 0  # of all fits

    def likelier(self) -> EMResult:
        """The result of the fit, or of one that goes on from a special case that is likelier.

        The passes are those of all fits, the iterations and their log-likelihoods those that lead
        to the result. A fit that is UNBOUNDED gives way only to one that converges or is likelier.
        """
        best, self.n_passes = self.own, self.own.n_passes
        rows = self._starting_rows()
        if rows is not None:
            best = self._best(rows)
        if self.own.status is Status.UNBOUNDED and not (
            best.converged or _exceeds(best.log_likelihood, self.own.log_likelihood)
        ):
            best = self.own
        if best.status is Status.MAX_ITER:
            best = unbounded_if_at_pole(best, self.source)
        return replace(best, n_passes=self.n_passes)

    def _starting_rows(self) -> StartingRows | None:
        """Rows that starts are made from; None where there are too few that are complete."""
        with suppress(ValueError):
            return StartingRows(starting_sample(self.source.values, self.source.missing).values)
        return None

    def _best(self, rows: StartingRows) -> EMResult:
        """The likeliest end of the fit and of those that go on from special cases.

        From the others too, where all special cases are fitted: such data have many maxima.
        """
        best, value = self.own, self.own.log_likelihood if _is_comparable(self.own) else -np.inf
        at_once = self._has_many_maxima(rows)
        for fixed in special_cases(self.start.d):
            constraints = _constraints_of(fixed, self.options.constraints)
            if constraints is None:
                continue
            options = self.options._replace(constraints=constraints)
            to_its_end = at_once or fixed == _AT_LIMIT.get(self.own.status)
            if to_its_end or self._may_exceed(value, rows.quick_start(fixed), options):
                case = self._fitted(self._model(rows.start(fixed), options), options)
                if _is_comparable(case) and (at_once or _exceeds(case.log_likelihood, value)):
                    wide = self._continued(case)
                    if _exceeds(wide.log_likelihood, value):
                        best, value = wide, wide.log_likelihood
        return best

    def _has_many_maxima(self, rows: StartingRows) -> bool:
        """Whether others may be higher than EM's first gains foretell.

        So it is where no law of the family is like the rows; else the likelihood has one maximum.
        """
        values = self.source.values
        at_edge = self.own.status in _AT_EDGE and values.size <= SEVERAL_VALUES
        if len(values) <= _FEW or at_edge or rows.in_doubt:
            return True
        return not misfit(self.own.model, self.source) <= _MISFIT

    def _model(self, start: Start, options: EMOptions) -> Mixture:
        """The model of a start, with what is held put in."""
        return constrained(self.start.at(*start), options.constraints)

    def _may_exceed(self, value: float, start: Start, options: EMOptions) -> bool:
        """Whether a special case may become likelier than the best fit so far."""
        model, total = self._model(start, options), self.own.n_observations
        is_at_limit = options.constraints.fixed in _AT_LIMIT.values()
        least = value - (_OF_ANOTHER if is_at_limit else _NOTHING)
        for stage in _STAGES:
            trace = self.em(model, options._replace(max_iter=stage))
            self.n_passes += int(trace.n_passes)
            if not _reach(trace) * total > least:
                return False
            if int(trace.n_iter) < stage:
                return True
            model = model.at(trace.normal, trace.gig)
        return True

    def _fitted(self, model: Mixture, options: EMOptions) -> EMResult:
        """The fit from a model to its end."""
        result = self.fit(model, options)
        self.n_passes += result.n_passes
        return result

    def _continued(self, case: EMResult) -> EMResult:
        """The fit that goes on from the end of a special case with all free.

        Where that goes to a row at which it has no maximum, the model is that of the special case.
        """
        status, left = _status_in_family(case), self.options.max_iter - case.n_iter
        if left > 0:
            wide = self._fitted(case.model, self.options._replace(max_iter=left))
            fell = _exceeds(case.log_likelihood, wide.log_likelihood)
            rose = _exceeds(wide.log_likelihood, case.log_likelihood)
            if _is_comparable(wide) and (rose or (wide.n_iter > 0 and not fell)):
                return _joined(case, wide)
            if wide.status in (Status.UNBOUNDED, Status.SINGULAR):
                return replace(case, code=int(wide.status), converged=False, rows=wide.rows)
        return replace(case, code=int(status))


def _constraints_of(fixed: Fixed, constraints: Constraints) -> Constraints | None:
    """Constraints of a special case; None where a bound of the order of Y leaves it out."""
    least_p = constraints.least_p
    order = -np.inf if fixed.a == 0.0 else fixed.p
    if order is not None:
        if order < least_p:
            return None
        constraints = constraints._replace(least_p=-np.inf)
    return constraints._replace(fixed=fixed)


def _reach(trace: FitTrace) -> float:
    """Mean log-likelihood that the fit of which these are the first iterations will not exceed.

    Its gains are taken to fall geometrically, as the last two do, or to sum to those two where
    extrapolation has made them uneven; ten times that is surely more. inf while they rise.
    """
    values = np.asarray(trace.log_likelihoods)[: int(trace.n_iter)]
    gains = np.diff(np.append(values, trace.log_likelihood)).tolist()
    if len(gains) < 2:
        return np.inf
    first, before, last = gains[:-2], float(gains[-2]), float(gains[-1])
    if last < before:
        left = max(last, last * last / (before - last))
    elif before + last < max(first, default=0.0):
        left = before + last
    else:
        return np.inf
    return float(trace.log_likelihood + _SURELY * max(left, 0.0))


def _is_comparable(result: EMResult) -> bool:
    """Whether the log-likelihood is that of a model, and not growing without limit."""
    return result.status not in _INCOMPARABLE and bool(np.isfinite(result.log_likelihood))


def _exceeds(one: float, other: float) -> bool:
    """Whether a log-likelihood is higher than another by more than nothing."""
    return one > other + _NOTHING + _ROUNDING * abs(one)


def _joined(first: EMResult, last: EMResult) -> EMResult:
    """The last fit, which began at the end of the first, with the iterations of both."""
    return replace(
        last,
        log_likelihoods=np.concatenate([first.log_likelihoods, last.log_likelihoods]),
        param_changes=np.concatenate([first.param_changes, last.param_changes]),
        n_iter=first.n_iter + last.n_iter,
    )


def _status_in_family(result: EMResult) -> Status:
    """The status, in the wider family, of the end of a special case."""
    _, a, b = result.model.subordinator.gig
    if result.status is Status.CONVERGED and b == 0.0:
        return Status.VARIANCE_GAMMA_LIMIT
    if result.status is Status.CONVERGED and a == 0.0:
        return Status.SKEW_T_LIMIT
    return result.status
