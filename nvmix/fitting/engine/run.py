"""One fit from one start: which loop runs it, and what its end means."""

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status, settled
from nvmix.backends.types import (
    Constraints,
    EMOptions,
    FitTrace,
    Fixed,
    GIGParameters,
    NormalParameters,
)
from nvmix.fitting.checkpoints.file import CheckpointFile
from nvmix.fitting.engine.climb import climb, may_go_on
from nvmix.fitting.engine.constraints import constrained
from nvmix.fitting.engine.cusp_search import CuspSearch, beside, in_doubt, status_at_row
from nvmix.fitting.engine.loop import EMLoop
from nvmix.fitting.engine.special_cases import SEVERAL_VALUES, SpecialCases, has_special_cases
from nvmix.fitting.outcome.ends import most_likely, unbounded_if_at_pole
from nvmix.fitting.outcome.limits import (
    gaussian_limit,
    likelier_normal,
    may_collapse,
    normal_fit,
    rows_at_mu,
    snapped,
    status_at_end,
    total_weight,
    value_of_normal,
)
from nvmix.fitting.outcome.result import EMResult, read_only
from nvmix.fitting.report.progress import Progress
from nvmix.fitting.rules.updates import EWMAUpdate
from nvmix.fitting.starts.laws import law_with
from nvmix.fitting.starts.start import StartingRows
from nvmix.inference.newton import is_pointed
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import in_gauge
from nvmix.sources.observations import starting_sample
from nvmix.sources.source import ArraySource, Source

# Relative difference of likelihoods that is rounding.
_SLACK: Final = 1e-13
# Values of data up to which every fit is compared with the normal distribution, and with those from
# other starts where its own is in doubt. Up to SEVERAL_VALUES all that do not converge are.
_FEW_VALUES: Final = 2000
# Var[Y] of the start of a fit that is less likely than the normal distribution.
_VARIANCE: Final = 0.5
# Iterations of a skewed fit from whose end a symmetric one starts.
_SKEWED: Final = 30
# What a message says of a gauge that the model cannot have.
_NO_GAUGE: Final = (
    "regularization {!r} has no meaning where a or b of Y is 0 or, for 'unit_mean', E[Y] infinite, "
    "or beyond the range of doubles; the model is in the gauge that the fit ended in."
)
_AT_ROWS: Final = frozenset({Status.UNBOUNDED, Status.CUSP, Status.SINGULAR})


@dataclass(frozen=True)
class FitRun:
    """How to fit from one start; `run` does it."""

    options: EMOptions
    regularization: str  # gauge of the fitted model
    e_step_backend: str
    m_step_backend: str
    device: Any  # where JAX has the rows
    progress: Progress
    checkpoint: CheckpointFile | None = None  # a fit with one runs in the Python loop
    # Whether the fit is compared with fits from other starts and of special cases.
    compared: bool = True

    def run(self, start: Mixture, source: Source) -> EMResult:
        """Fit validated rows from a start that satisfies the constraints."""
        # Numbers that leave the range of doubles end in a status, not in warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if start.subordinator.is_constant:
                return self._normal(start, source)
            e_step = EStep(source, self.e_step_backend, self.device, self.progress.passed)
            result = self._fitted(start, e_step)
            if not self.compared:
                return result
            if isinstance(source, ArraySource) and self.options.rule is None:
                result = self._from_other_starts(result, start, source, e_step)
                result = self._at_other_rows(result, start, source, e_step)
            if has_special_cases(start, self.options):
                result = self._compared(result, start, e_step)
            is_stuck = result.status is Status.DEGENERATE
            return unbounded_if_at_pole(result, source) if is_stuck else result

    def _normal(self, start: Mixture, source: Source) -> EMResult:
        """The fit of a normal distribution, in closed form."""
        normal = normal_fit(source, self.options.constraints)
        if normal is None and source.missing == "em":
            msg = f"X must not have missing values to fit {type(start).__name__}, got nan"
            raise ValueError(msg)
        status = Status.DEGENERATE if normal is None else Status.CONVERGED
        value = math.nan if normal is None else value_of_normal(normal)
        weight = source.reduce(total_weight, operator.add)
        fitted = start if normal is None else start.at(normal, start.subordinator.gig)
        empty, theta = read_only([]), start.subordinator.gig
        trace = FitTrace(fitted.normal, theta, empty, empty, 0, 2, value, int(status))
        return replace(
            self._record(fitted, trace, int(status), weight),
            regularization="none",
            data=(source.values, source.weights) if isinstance(source, ArraySource) else None,
        )

    def _from_other_starts(
        self, result: EMResult, start: Mixture, source: ArraySource, e_step: EStep
    ) -> EMResult:
        """The result of a fit, or one from another start that is likelier."""
        one = replace(self, checkpoint=None)
        for normal, theta in one._other_starts(result, start, source, e_step):  # noqa: SLF001
            model = constrained(start.at(normal, theta), self.options.constraints)
            if _same(model, start):
                continue
            again = one._fitted(model, e_step)  # noqa: SLF001
            n_passes = result.n_passes + again.n_passes
            ends = result, again
            result = replace(ends[most_likely(ends)], n_passes=n_passes)
        return result

    def _other_starts(
        self, result: EMResult, start: Mixture, source: ArraySource, e_step: EStep
    ) -> Iterator[tuple[NormalParameters, GIGParameters]]:
        """The normal distribution where it is likelier, and the other starts that rows give.

        These where the fit is degenerate, and where its rows are few and it is normal or its start
        in doubt: such likelihoods have many maxima. A symmetric fit starts from a skewed one, too.
        A fit with missing values that has not converged starts from that of the complete rows.
        """
        has_gaps = source.missing == "em"
        if has_gaps and not result.converged:
            yield self._of_complete_rows(start, source)
        if not result.converged and result.status is not Status.DEGENERATE:
            return
        constraints, size = self.options.constraints, source.values.size
        few, is_normal = size <= _FEW_VALUES, result.status is Status.GAUSSIAN_LIMIT
        if result.converged and not is_normal and (few or constraints.symmetric):
            value = result.log_likelihood / e_step.weight
            normal = likelier_normal(value, source, constraints)
            if normal is not None:
                yield normal, law_with(constraints.fixed, _VARIANCE)
        at_edge = not result.converged or may_collapse(result.model)
        several = size <= SEVERAL_VALUES and at_edge
        if (few or several) and not has_gaps:
            rows = StartingRows(source.values)
            if rows.in_doubt or is_normal or at_edge:
                yield from rows.starts(constraints.fixed)
                if constraints.symmetric:
                    skewed = constraints._replace(symmetric=False)
                    options = self.options._replace(constraints=skewed, max_iter=_SKEWED)
                    trace = self._em(e_step, start, options)
                    yield trace.normal, trace.gig
                elif (edge := rows.edge(constraints.fixed)) and (
                    e_step(*edge).log_likelihood > result.log_likelihood
                ):
                    yield edge

    def _of_complete_rows(
        self, start: Mixture, source: ArraySource
    ) -> tuple[NormalParameters, GIGParameters]:
        """The end of a fit of the rows without missing values."""
        rows, constraints = starting_sample(source.values, source.missing), self.options.constraints
        e_step = EStep(rows, self.e_step_backend, self.device, self.progress.passed)
        model = start.at(*StartingRows(rows.values).start(constraints.fixed))
        model, one = constrained(model, constraints), replace(self, checkpoint=None)
        ended = one._fitted(model, e_step)  # noqa: SLF001
        best = one._from_other_starts(ended, model, rows, e_step).model  # noqa: SLF001
        return best.normal, best.subordinator.gig

    def _at_other_rows(
        self, result: EMResult, start: Mixture, source: ArraySource, e_step: EStep
    ) -> EMResult:
        """The result, or a likelier one with mu at another of few rows, or that goes on from there.

        A density that has a cusp or a peak at mu gives the likelihood a maximum at many rows.
        """
        constraints = self.options.constraints
        if not (self._compares_rows(start, source) and in_doubt(result, constraints)):
            return result
        one = replace(self, checkpoint=None)
        search = CuspSearch.of(source, e_step.weight, self.options)
        found, before = search.likelier(result, start), result.log_likelihood
        n_passes = result.n_passes + search.n_passes
        if found is not None:
            result = one._assembled(found, status_at_row(found), start, e_step)  # noqa: SLF001
        for aside in beside(result, constraints):
            again = replace(one, compared=False)._fitted(aside, e_step)  # noqa: SLF001
            n_passes += again.n_passes
            ends = result, again
            result = ends[most_likely(ends)]
        gain = result.log_likelihood - before
        self.progress.note(f"fits at other rows in {search.n_passes} passes gain {gain:.3g}", 1)
        return replace(result, n_passes=n_passes)

    def _compares_rows(self, start: Mixture, source: Source) -> bool:
        """Whether a fit is compared with those that have mu at any of its rows, if in doubt."""
        return (
            self.compared
            and isinstance(source, ArraySource)
            and source.values.size <= _FEW_VALUES
            and source.missing != "em"
            and self.options.rule is None
            and not has_special_cases(start, self.options)
        )

    def _compared(self, result: EMResult, start: Mixture, e_step: EStep) -> EMResult:
        """The result, or that of a fit that goes on from a special case of the family."""
        if not isinstance(e_step.source, ArraySource):
            return result
        # JAX would compile a program for each special case, while one E-step serves them all.
        one = replace(self, checkpoint=None, m_step_backend="cpu")

        def em(model: Mixture, options: EMOptions) -> FitTrace:
            fixed = options.constraints.fixed._asdict().items()
            held = ", ".join(f"{name} = {x:g}" for name, x in fixed if x is not None)
            self.progress.note(f"GeneralizedHyperbolic with {held or 'p, a and b free'}", 2)
            return one._em(e_step, model, options)  # noqa: SLF001

        def fit(model: Mixture, options: EMOptions) -> EMResult:
            run, source = replace(one, options=options), e_step.source
            ended = run._fitted(model, e_step)  # noqa: SLF001
            is_special = options.constraints.fixed != Fixed()
            if is_special and isinstance(source, ArraySource):
                ended = run._from_other_starts(ended, model, source, e_step)  # noqa: SLF001
                return run._at_other_rows(ended, model, source, e_step)  # noqa: SLF001
            return ended

        cases = SpecialCases(result, start, self.options, e_step.source, em, fit)
        best = cases.likelier()
        passes, gain = best.n_passes - result.n_passes, best.log_likelihood - result.log_likelihood
        self.progress.note(f"special cases in {passes} passes gain {gain:.3g}", 1)
        return best

    def _fitted(self, start: Mixture, e_step: EStep) -> EMResult:
        """The fit from one start."""
        # A checkpoint is of the iterations from the start, not of those after Newton's method.
        later = replace(self, checkpoint=None)
        em, em_later = (partial(one._em, e_step) for one in (self, later))  # noqa: SLF001
        trace = climb(em, em_later, start, e_step.source, self.options)
        return self._result_of(trace, start, e_step)

    def _em(self, e_step: EStep, start: Mixture, options: EMOptions) -> FitTrace:
        """The EM loop from a start."""
        placed, on_jax = e_step.placed, self.e_step_backend == "jax"
        if placed is not None and self.is_one_program() and (on_jax or placed.is_one_group):
            backend, theta = get_backend(self.e_step_backend), start.subordinator.gig
            trace = backend.fit(placed, start.normal, theta, options)
            self.progress.replay(trace)
        else:
            report, checkpoint = self.progress.iteration, self.checkpoint
            trace = EMLoop(e_step, self.m_step_backend, options, report, checkpoint).run(start)
        return trace._replace(
            n_iter=int(trace.n_iter), n_passes=int(trace.n_passes), status=int(trace.status)
        )

    def run_traced(self, start: Mixture, X: Any, weights: Any) -> EMResult:
        """Fit rows that JAX traces; the result is of traced arrays."""
        backend = get_backend("jax")
        placed = backend.place(X, self.device, weights)
        trace = backend.fit(placed, start.normal, start.subordinator.gig, self.options)
        most = self.options.max_iter
        trace = trace._replace(
            log_likelihoods=trace.log_likelihoods[:most], changes=trace.changes[:most]
        )
        fitted = start.at(trace.normal, trace.theta)
        fitted = in_gauge(fitted, self.regularization, start) or fitted
        n = len(X) if weights is None else weights.sum()
        return self._record(fitted, trace, trace.status, n)

    def is_one_program(self) -> bool:
        """Whether both steps run on one backend whose own loop can do what is asked."""
        if (
            self.e_step_backend != self.m_step_backend
            or self.options.conditional
            or self.checkpoint
        ):
            return False
        rule = self.options.rule
        if self.e_step_backend == "jax":
            return rule is None or type(rule) is EWMAUpdate
        return rule is None and self.options.method == "newton"

    def _result_of(self, trace: FitTrace, start: Mixture, e_step: EStep) -> EMResult:
        """The result of a loop: its end judged, its model in the gauge."""
        source, constraints = e_step.source, self.options.constraints
        trace = trace._replace(log_likelihood=float(trace.log_likelihood))
        fitted = start.at(trace.normal, trace.gig)
        status = status_at_end(trace.status, fitted, constraints.fixed, source)
        has_settled = settled(trace.status)
        if has_settled and may_collapse(fitted):
            em = partial(replace(self, checkpoint=None)._em, e_step)  # noqa: SLF001
            if may_go_on(em, trace, start, source, self.options):
                status = Status.DEGENERATE
        at_cusp = status in (Status.CUSP, Status.SINGULAR) or (
            status in (Status.CONVERGED, Status.VARIANCE_GAMMA_LIMIT) and is_pointed(fitted)
        )
        if at_cusp:
            trace, status = self._at_highest_cusp(trace, status, start, e_step)
        elif self.options.rule is None:
            found = gaussian_limit(fitted, trace, status, source, constraints)
            trace, status = (trace, status) if found is None else (found, Status.GAUSSIAN_LIMIT)
        return self._assembled(trace, status, start, e_step)

    def _assembled(
        self, trace: FitTrace, status: Status, start: Mixture, e_step: EStep
    ) -> EMResult:
        """The result of a loop that ended in a status: its model in the gauge."""
        n_iter, source, constraints = trace.n_iter, e_step.source, self.options.constraints
        trace = trace._replace(
            log_likelihoods=read_only(trace.log_likelihoods[:n_iter]),
            changes=read_only(trace.changes[:n_iter]),
        )
        fitted = snapped(start.at(trace.normal, trace.gig), status, constraints.fixed)
        gauged = in_gauge(fitted, self.regularization, start)
        order = "p" if "p" in fitted.subordinator.parameters else "alpha"
        return replace(
            self._record(gauged or fitted, trace, int(status), e_step.weight),
            regularization="none" if gauged is None else self.regularization,
            notes=() if gauged is not None else (_NO_GAUGE.format(self.regularization),),
            at_bound=(order,) if fitted.subordinator.gig[0] == constraints.least_p else (),
            rows=rows_at_mu(fitted, source) if status in _AT_ROWS else (),
            data=(source.values, source.weights) if isinstance(source, ArraySource) else None,
        )

    def _at_highest_cusp(
        self, trace: FitTrace, status: Status, start: Mixture, e_step: EStep
    ) -> tuple[FitTrace, Status]:
        """Trace and status of the likeliest fit with mu at a row nearby.

        Of few rows the likeliest end alone is compared, later, unless it may tend to a pole.
        """
        fitted, constraints = start.at(trace.normal, trace.gig), self.options.constraints
        nears_pole = status is Status.SINGULAR and _may_have_pole(fitted, constraints)
        is_later = self._compares_rows(start, e_step.source) and not nears_pole
        if is_later or constraints.mu is not None or e_step.source.missing == "em":
            return trace, status
        search = CuspSearch.of(e_step.source, e_step.weight, self.options)
        least = trace.log_likelihood - _SLACK * abs(trace.log_likelihood)
        prunes = e_step.weight <= _FEW_VALUES and not nears_pole
        found = search.nearby(fitted, least if prunes else -np.inf)
        trace = trace._replace(n_passes=trace.n_passes + search.n_passes)
        if found is not None and found.log_likelihood >= least:
            status = status_at_row(found)
        elif nears_pole and search.pole and search.pole.log_likelihood > least:
            found, status = search.pole, Status.UNBOUNDED
        else:
            return trace, status
        return trace._replace(
            normal=found.normal, theta=found.theta, log_likelihood=found.log_likelihood
        ), status

    def _record(self, model: Mixture, trace: FitTrace, status: Any, n: Any) -> EMResult:
        """The record of a loop that left a model, with n rows."""
        names = self.options.constraints.names
        counted = [name for name in names if name != "gamma" or not model.symmetric_only]
        n_held = sum(model.d if name in ("mu", "gamma") else 1 for name in counted)
        return EMResult(
            model=model,
            log_likelihoods=trace.log_likelihoods,
            param_changes=trace.changes,
            n_iter=trace.n_iter,
            converged=settled(status),
            elapsed_time=math.nan,
            code=status,
            n_passes=trace.n_passes,
            log_likelihood=trace.log_likelihood * n,
            n_observations=n,
            n_parameters=model.n_parameters - n_held,
            held=names,
            regularization=self.regularization,
        )


def _may_have_pole(model: Mixture, constraints: Constraints) -> bool:
    """Whether the order of Y is free and small: then a fit with mu at rows may tend to a pole."""
    return constraints.fixed.p is None and model.subordinator.gig[0] - 0.5 * model.d <= 0.5


def _same(one: Mixture, other: Mixture) -> bool:
    """Whether two models have equal parameters."""
    ours, theirs = ((*x.normal, np.array(x.subordinator.gig)) for x in (one, other))
    return all(map(np.array_equal, ours, theirs))
