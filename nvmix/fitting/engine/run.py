"""One fit from one start: which loop runs it, and what its end means."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix.backends import get_looper
from nvmix.backends.source_e_step import InMemory, observed
from nvmix.backends.status import settled
from nvmix.backends.types import Ending, Restriction
from nvmix.fitting.engine.loop import StepLoop
from nvmix.fitting.outcome.cusps import highest_cusp
from nvmix.fitting.outcome.gaussian_limit import gaussian_limit
from nvmix.fitting.outcome.result import EMResult
from nvmix.fitting.outcome.singularities import ending_of, rows_at
from nvmix.fitting.rules.updates import EWMAUpdate
from nvmix.foundation.arrays import on_jax
from nvmix.mixture.gauge import in_gauge
from nvmix.sources.source import Whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nvmix.backends.source_e_step import PassedOver
    from nvmix.backends.types import Course, Plan
    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.fitting.checkpoints.checkpoint import Checkpoint
    from nvmix.fitting.engine.constraints import Holding
    from nvmix.fitting.report.progress import Progress
    from nvmix.foundation.typing import FloatArray
    from nvmix.sources.source import Source

# Relative difference of likelihoods that is rounding.
_SLACK = 1e-13
_AT_ROWS = frozenset({Ending.UNBOUNDED, Ending.CUSP, Ending.SINGULAR})


@dataclass(frozen=True)
class Fit:
    """How to fit; `run` does it.

    Parameters
    ----------
    plan : Plan
        What the loop is to do.
    held : Holding
        What it holds.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        Gauge of the fitted model.
    e_step_backend, m_step_backend : {"cpu", "jax"}
        Where each step runs.
    conditional : bool
        Whether the law of Y has an E-step of its own.
    device : jax.Device, jax.sharding.Sharding or None
        Where JAX has the rows.
    progress : Progress
        Is told of iterations.
    checkpoint : Checkpoint or None
        What keeps where the fit stands; it goes step by step.
    """

    plan: Plan
    held: Holding
    regularization: str
    e_step_backend: str
    m_step_backend: str
    conditional: bool
    device: Any
    progress: Progress
    checkpoint: Checkpoint | None = None

    def run(self, start: NormalMixture, source: Source) -> EMResult:
        """Fit from a start.

        Parameters
        ----------
        start : NormalMixture
            A model that has what is held.
        source : Source
            Observations, validated where they are in memory.

        Returns
        -------
        EMResult
            The fitted model, in its gauge, and the record of the fit.
        """
        # Numbers that leave the range of doubles end in a status, not in warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            watch = self.progress.passed
            rows = observed(source, self.e_step_backend, self.device, watch)
            return self._judged(start, self._course(start, rows), rows)

    def _course(self, start: NormalMixture, rows: InMemory | PassedOver) -> Course:
        """Choose the loop, and run it."""
        if isinstance(rows, InMemory) and self._runs_as_one(rows.placed):
            return self._run_program(start, rows.placed)
        loop = StepLoop(
            rows,
            self.m_step_backend,
            self.plan,
            self.conditional,
            self.progress.iteration,
            self.checkpoint,
        )
        return loop.run(start)

    def run_traced(self, start: NormalMixture, X: Any, weights: Any) -> EMResult:
        """Fit what JAX traces.

        Parameters
        ----------
        start : NormalMixture
            Where to start.
        X : (n, d) array
            Observations.
        weights : (n,) array or None
            Their weights.

        Returns
        -------
        EMResult
            Of traced arrays.
        """
        looper = get_looper("jax")
        placed = looper.place(X, self.device, weights)
        course = looper.fit(placed, start.block, start.subordinator.gig, self.plan)
        most = self.plan.max_iter
        course = course._replace(
            log_likelihoods=course.log_likelihoods[:most], changes=course.changes[:most]
        )
        fitted = start.at(course.block, course.theta)
        fitted = in_gauge(fitted, self.regularization, start) or fitted
        n = len(X) if weights is None else weights.sum()
        return self._result(fitted, course, course.ending, n)

    def is_one_program(self) -> bool:
        """Whether the backend can run the whole loop by itself.

        Returns
        -------
        bool
            Whether both steps run there, and the plan is one that its loop knows.
        """
        if self.e_step_backend != self.m_step_backend or self.conditional or self.checkpoint:
            return False
        if self.e_step_backend == "jax":
            known = self.plan.rule is None or type(self.plan.rule) is EWMAUpdate
            return known and self.held.restriction == Restriction() and not self.held.names
        return self.plan.rule is None and self.plan.method == "newton"

    def _runs_as_one(self, placed: Any) -> bool:
        """Whether one compiled program does the whole fit to placed rows."""
        return self.is_one_program() and (self.e_step_backend == "jax" or placed.whole)

    def _run_program(self, start: NormalMixture, placed: Any) -> Course:
        """Fit by one compiled program, and report when it is done."""
        looper = get_looper(self.e_step_backend)
        course = looper.fit(placed, start.block, start.subordinator.gig, self.plan)
        records = zip(course.log_likelihoods, course.changes, strict=True)
        for i, record in zip(range(course.n_iter), records, strict=False):
            self.progress.recalled(i + 1, *record)
        return course

    def _judged(
        self, start: NormalMixture, course: Course, rows: InMemory | PassedOver
    ) -> EMResult:
        """The result of a course that has run."""
        n_iter, source = int(course.n_iter), rows.source
        course = course._replace(
            n_iter=n_iter,
            n_passes=int(course.n_passes),
            log_likelihood=float(course.log_likelihood),
            log_likelihoods=frozen(course.log_likelihoods[:n_iter]),
            changes=frozen(course.changes[:n_iter]),
        )
        fitted = start.at(course.block, course.gig)
        ending = ending_of(course.ending, fitted, self.held.fixed, source)
        if ending in (Ending.CUSP, Ending.SINGULAR):
            course, fitted, ending = self._at_the_highest_cusp(course, fitted, ending, rows)
        elif self.plan.rule is None:
            found = gaussian_limit(fitted, course, ending, source, self.held)
            if found is not None:
                fitted, course, ending = *found, Ending.GAUSSIAN_LIMIT
        gauged = in_gauge(fitted, self.regularization, start)
        if gauged is None:
            gauged, ending = fitted, Ending.NO_GAUGE
        result = self._result(gauged, course, int(ending), rows.weight)
        if fitted.subordinator.gig[0] == self.held.restriction.least_p:
            order = "p" if "p" in fitted.subordinator.parameters else "alpha"
            result = replace(result, at_bound=(order,))
        return replace(
            result,
            converged=bool(settled(ending)),
            rows=rows_at(fitted, source) if ending in _AT_ROWS else (),
            data=(source.values, source.weights) if isinstance(source, Whole) else None,
        )

    def _at_the_highest_cusp(
        self,
        course: Course,
        fitted: NormalMixture,
        ending: Ending,
        rows: InMemory | PassedOver,
    ) -> tuple[Course, NormalMixture, Ending]:
        """The course, the model and the ending after looking at rows nearby."""
        if self.held.restriction.mu is not None or rows.source.missing == "em":
            return course, fitted, ending
        plan = self.plan._replace(method="newton", rule=None)
        found = highest_cusp(fitted, rows.source, rows.weight, plan)
        value = course.log_likelihood
        unbounded = found is not None and found.ending is Ending.UNBOUNDED
        if found is None or not found.log_likelihood >= value - _SLACK * abs(value):
            return course, fitted, Ending.UNBOUNDED if unbounded else ending
        course = found._replace(
            log_likelihoods=course.log_likelihoods,
            changes=course.changes,
            n_iter=course.n_iter,
            n_passes=course.n_passes + found.n_passes,
        )
        model = fitted.at(found.block, found.gig)
        return course, model, Ending.UNBOUNDED if unbounded else Ending.CUSP

    def _result(self, model: NormalMixture, course: Course, ending: Any, n: Any) -> EMResult:
        """The record of a course."""
        return EMResult(
            model=model,
            log_likelihoods=course.log_likelihoods,
            param_changes=course.changes,
            n_iter=course.n_iter,
            converged=settled(ending),
            elapsed_time=math.nan,
            code=ending,
            n_passes=course.n_passes,
            log_likelihood=course.log_likelihood * n,
            n_observations=n,
            n_parameters=model.n_parameters - self.held.parameters(model.d),
            held=self.held.names,
            regularization=self.regularization,
        )


def on_host(model: NormalMixture) -> NormalMixture:
    """The model with NumPy arrays, where JAX has put its own.

    Parameters
    ----------
    model : NormalMixture
        Any.

    Returns
    -------
    NormalMixture
        Of the same numbers.
    """
    block, theta = model.block, model.subordinator.gig
    if not on_jax(*block, *theta):
        return model
    p, a, b = map(float, theta)
    return model.at(type(block)(*(np.array(x, np.float64) for x in block)), (p, a, b))


def frozen(values: Sequence[float]) -> FloatArray:
    """Read-only array.

    Parameters
    ----------
    values : sequence of float
        Numbers.

    Returns
    -------
    (n,) array
        A copy.
    """
    array = np.array(values, np.float64)
    array.setflags(write=False)
    return array
