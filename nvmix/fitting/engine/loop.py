"""The EM loop in Python: each step on its own backend, any rule, any source, any number of threads.

All steps but the E-step are those of the compiled loop, `nvmix.backends.cpu.kernels.em.loop`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from nvmix.backends import get_engine
from nvmix.backends.constrained_law import constrained_law
from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.backends.types import (
    ACCEPT,
    FINISH,
    PROPOSE,
    REPEAT,
    RUNNING,
    SOLVE,
    UNCONFIRMED,
    EMOptions,
    FitTrace,
)
from nvmix.fitting.checkpoints.contents import (
    count_from,
    statistics_contents,
    statistics_from,
)
from nvmix.fitting.checkpoints.file import CheckpointFile
from nvmix.foundation.exceptions import CheckpointError
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.validation import lower_factor
from nvmix.mixture.em_maps import Mixture

# Relative difference of sums over rows that machines and rounding may make.
_SAME: Final = 1e-9


@dataclass
class EMLoop:
    """Does the E-step of each candidate, and has compiled code do the other steps of a fit."""

    e_step: EStep
    m_step_backend: str  # where the law of Y is solved for
    options: EMOptions
    # Called with number, mean log-likelihood and parameter change of each iteration.
    report: Callable[[int, float, float], None] | None = None
    checkpoint: CheckpointFile | None = None
    # What the rule, if any, has made of all statistics so far.
    _eta: SufficientStatistics | None = field(default=None, init=False)

    def run(self, start: Mixture) -> FitTrace:
        """Fit from a starting model."""
        theta = start.subordinator.gig
        fit = get_engine().Fit.new(start.normal, theta, self.options)
        with self.checkpoint or nullcontext():
            status = self._resume(fit, start)
            while status == RUNNING:
                statistics = self.e_step(*fit.candidate())
                fit.take(statistics)
                status = self._to_next_candidate(fit, statistics)
            trace: FitTrace = fit.trace(status)
            return trace

    def _to_next_candidate(self, fit: Any, statistics: SufficientStatistics) -> int:
        """Accept or reject the candidate, and do the M-step of the next one; the fit's status."""
        n_iter, first = fit.n_iter, fit.is_first
        if self._is_compiled():
            status: int = fit.advance(ACCEPT, FINISH)
        else:
            status = fit.advance(ACCEPT, ACCEPT)
            if status == RUNNING:
                status = self._m_step(fit, statistics)
        if fit.n_iter > n_iter and self.report is not None:
            self.report(fit.n_iter, *fit.iteration(n_iter))
        if self.checkpoint is not None and (fit.n_iter > n_iter or first):
            contents = self._contents(fit, status)
            self.checkpoint.update(lambda: contents)
        return status

    def _is_compiled(self) -> bool:
        """Whether one call of compiled code does all that is between two E-steps."""
        whole = not self.options.conditional and self.options.rule is None
        return whole and self._solves_compiled()

    def _solves_compiled(self) -> bool:
        """Whether the compiled M-step solves for the law of Y."""
        return self.m_step_backend == "cpu" and self.options.method == "newton"

    def _m_step(self, fit: Any, statistics: SufficientStatistics) -> int:
        """The M-step on the statistics as the rule combines them, or else as extrapolated."""
        if self.options.rule is not None:
            self._eta = self.options.rule(self._eta, statistics, fit.n_iter)
            fit.take_combined(self._eta)
        status = REPEAT
        while status == REPEAT:
            fit.advance(PROPOSE, PROPOSE)
            if fit.is_proper:
                if self.options.conditional:
                    fit.expect(self.e_step(*fit.candidate()))
                self._solve(fit)
            status = fit.advance(FINISH, FINISH)
        return status

    def _solve(self, fit: Any) -> None:
        """Solve for the law of Y on its backend, by its method."""
        if self._solves_compiled():
            fit.advance(SOLVE, SOLVE)
            return
        constraints, method = self.options.constraints, self.options.method
        fit.solved(
            *constrained_law(self.m_step_backend, fit.expectations, constraints, method, fit.theta)
        )

    def _contents(self, fit: Any, status: int) -> dict[str, Any]:
        """Numbers and arrays of a checkpoint by name, none of which later iterations change."""
        return {"status": status, **fit.contents(), **statistics_contents("eta", self._eta)}

    def _resume(self, fit: Any, start: Mixture) -> int:
        """Take the state in the checkpoint, if there is one; the status of the fit."""
        if self.checkpoint is None:
            return RUNNING
        found = self.checkpoint.restored(partial(self._restored, fit, start))
        if found is None:
            return RUNNING
        status, self._eta = found
        statistics = self.e_step(*fit.last())
        self._check_rows(fit, statistics)
        if status == Status.MAX_ITER and fit.n_iter < self.options.max_iter:
            return self._m_step(fit, statistics)
        at_end = status == RUNNING and fit.n_iter >= self.options.max_iter
        return int(Status.MAX_ITER) if at_end else status

    def _restored(
        self, fit: Any, start: Mixture, contents: dict[str, Any]
    ) -> tuple[int, SufficientStatistics | None]:
        """Give the fit the state in a checkpoint; the status, and what the rule has made."""
        fit.restore(contents)
        status = count_from(contents, "status", UNCONFIRMED)
        if status not in (RUNNING, UNCONFIRMED):
            status = int(Status(status))
        for normal, theta in (fit.last(), fit.candidate()) if status == RUNNING else (fit.last(),):
            start.at(normal, theta)
            lower_factor("L", normal.L, start.d)
        return status, statistics_from(contents, "eta", start.d)

    def _check_rows(self, fit: Any, found: SufficientStatistics) -> None:
        """Raise CheckpointError where the rows are not those that the fit has seen."""
        names = ("weight", "log_likelihood")
        for name, there in zip(names, fit.value, strict=True):
            here = float(getattr(found, name))
            if not abs(here - there) <= _SAME * abs(there):
                msg = (
                    f"checkpoint is of a fit to other rows: {name} is {there:.15g} there and "
                    f"{here:.15g} of {self.e_step.source}"
                )
                raise CheckpointError(msg)
