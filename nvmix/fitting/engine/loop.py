"""The EM loop in Python: each step on its own backend, any rule, any source, any number of threads.

The compiled loops of the backends take the same steps in the same order.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.backends.tolerances import FALL, ROUNDING
from nvmix.backends.types import EMOptions, FitTrace
from nvmix.fitting.checkpoints.file import CheckpointFile
from nvmix.fitting.engine.acceleration import Extrapolation
from nvmix.fitting.engine.loop_state import LoopState, parameter_change
from nvmix.foundation.exceptions import CheckpointError, DegenerateError, SolveError
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.mixture.em_maps import Mixture

# Relative difference of sums over rows that machines and rounding may make.
_SAME: Final = 1e-9


@dataclass
class EMLoop:
    """Iterates E-step, acceptance, extrapolation and M-step until the fit ends."""

    e_step: EStep
    m_step_backend: str  # where the law of Y is solved for
    options: EMOptions
    # Whether mu, gamma and Sigma are maximised before the law of Y, each after an E-step of its
    # own (MCECM), rather than all after one.
    conditional: bool = False
    # Called with number, mean log-likelihood and parameter change of each iteration.
    report: Callable[[int, float, float], None] | None = None
    checkpoint: CheckpointFile | None = None

    def run(self, start: Mixture) -> FitTrace:
        """Fit from a starting model.

        An extrapolated step is accepted if its own E-step finds the likelihood no lower; else the
        plain step from the same statistics takes its place.
        """
        with self.checkpoint or nullcontext():
            state, status = self._begin(start)
            while status is None:
                status = self._iterate(state)
            return state.trace(status)

    def _begin(self, start: Mixture) -> tuple[LoopState, Status | None]:
        """The state in the checkpoint, or else after an E-step at the start; and its status."""
        if self.checkpoint is not None:
            state = self.checkpoint.restored(partial(LoopState.of_contents, start))
            if state is not None:
                self._check_rows(state)
                if state.status in (None, Status.MAX_ITER):
                    running = len(state.changes) < self.options.max_iter
                    state.status = None if running else Status.MAX_ITER
                return state, state.status
        state = LoopState(start, Extrapolation.of(self.options.acceleration, start))
        return state, self._try(state, start)[1]

    def _check_rows(self, state: LoopState) -> None:
        """Raise CheckpointError where the rows are not those that the fit has seen."""
        model, known = state.model, state.statistics
        found = self.e_step(model.normal, model.subordinator.gig)
        for name in ("weight", "log_likelihood"):
            here, there = float(getattr(found, name)), float(getattr(known, name))
            if abs(here - there) > _SAME * abs(there):
                msg = (
                    f"checkpoint is of a fit to other rows: {name} is {there:.15g} there and "
                    f"{here:.15g} of {self.e_step.source}"
                )
                raise CheckpointError(msg)

    def _iterate(self, state: LoopState) -> Status | None:
        """One iteration: an extrapolated step if that is no worse, else EM's own.

        The M-step inverts the statistics as the rule combines them, or else as extrapolated.
        """
        rule = self.options.rule
        if rule is None:
            eta = state.extrapolation.propose(state.statistics)
        else:
            eta = state.eta = rule(state.eta, state.statistics, len(state.changes))
        accepted, status = self._step(state, eta)
        if not accepted and state.extrapolation.extrapolated:
            state.n_below_tol = 0
            _, status = self._step(state, state.extrapolation.reject(state.statistics))
        return status

    def _step(self, state: LoopState, eta: SufficientStatistics) -> tuple[bool, Status | None]:
        """M-step, and E-step at its model: whether that was accepted, and how the fit ended."""
        try:
            proposal = self._maximized(state, eta)
        except DegenerateError:
            return False, Status.DEGENERATE
        except SolveError:
            return False, Status.NO_SOLUTION
        moved = parameter_change(state.model, proposal)
        if math.isnan(moved[0]):
            return False, Status.DEGENERATE
        return self._try(state, proposal, moved)

    def _maximized(self, state: LoopState, eta: SufficientStatistics) -> Mixture:
        """The model of the M-step, in two halves for MCECM."""
        model, backend, method = state.model, self.m_step_backend, self.options.method
        constraints = self.options.constraints
        new = model.m_step(eta, backend, method, constraints=constraints)
        if not self.conditional:
            return new
        between = model.at(new.normal, model.subordinator.gig)
        state.passes += 1
        eta = self.e_step(between.normal, between.subordinator.gig)
        law = between.m_step(eta, backend, method, constraints=constraints)
        return model.at(new.normal, law.subordinator.gig)

    def _try(
        self, state: LoopState, model: Mixture, moved: tuple[float, float] = (math.inf, math.inf)
    ) -> tuple[bool, Status | None]:
        """E-step at a model, which is accepted unless it was extrapolated and is less likely.

        moved has the `parameter_change` and the predicted gain of the step to it.
        """
        statistics = self.e_step(model.normal, model.subordinator.gig)
        state.passes += 1
        if self.options.constraints.mu is not None and statistics.inv_y == math.inf:
            # mu is held at a row of the data and b = 0: the M-step does not use E[1/Y].
            statistics = replace(statistics, inv_y=0.0)
        value = statistics.mean_log_likelihood
        no_lower = value >= state.value - ROUNDING * abs(state.value)
        if state.extrapolation.extrapolated and not no_lower:
            return False, None
        if not math.isfinite(value):
            return True, Status.UNBOUNDED if value == math.inf else Status.NON_FINITE
        if self.options.rule is None and value < state.value - FALL * abs(state.value):
            return True, Status.DEGENERATE
        if state.log_likelihoods and self.report is not None:
            self.report(len(state.changes) + 1, state.log_likelihoods[-1], moved[0])
        status = state.accept(model, statistics, moved, self.options)
        if self.checkpoint is not None:
            contents = state.contents()
            self.checkpoint.update(lambda: contents)
        return True, status
