"""One step of incremental EM, and the state of a fit between two steps."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.fitting.engine.loop_state import parameter_change
from nvmix.fitting.rules.updates import EtaUpdate, averaged, is_scale_free
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.statistics import SufficientStatistics, infinite_expectations
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import in_gauge

# The average over steps gives step t a weight of nearly t^3, so that early steps count little.
_DECAY: Final = 3.0


@dataclass(frozen=True, eq=False)
class StreamState:
    """State of an incremental fit between two steps."""

    start: Mixture
    model: Mixture
    # What the model was made from: before the first step the statistics that the starting model
    # expects of one row, or None if they are infinite.
    eta: SufficientStatistics | None
    # Weighted average of eta over all steps, if asked for; None before the first step.
    average: SufficientStatistics | None = None
    n_steps: int = 0
    n_rows: float = 0.0  # rows that the steps have used

    @classmethod
    def of(cls, model: Mixture, columns: tuple[str, ...] | None) -> StreamState:
        """State before the first step from a starting model, with the columns of the data."""
        model = model.on_host()
        # These statistics come from no row, so their likelihood is that of no row.
        eta = replace(model.expectation_params(), log_likelihood=0.0)
        return cls(model, model, None if infinite_expectations(eta) else eta).named(columns)

    def named(self, columns: tuple[str, ...] | None) -> StreamState:
        """The same state with these names of columns, unless they are None."""
        if columns in (None, self.model.columns):
            return self
        start, model = replace(self.start, columns=columns), replace(self.model, columns=columns)
        return replace(self, start=start, model=model)

    def in_start_gauge(self) -> StreamState:
        r"""An equal state with model and eta rescaled to the \|Sigma\| of the starting model.

        Without this, noise in the batches makes the scale shared by Sigma and Y drift: \|Sigma\|
        fell by e^-3 in 2500 steps of weight 0.2 on batches of 32 x 2. The average is not rescaled,
        because each of its steps began in this gauge.
        """
        excess = self.model.log_det_sigma() - self.start.log_det_sigma()
        if excess == 0.0:
            return self
        c = math.exp(excess / self.model.d)
        eta = None if self.eta is None else self.eta.rescaled(c)
        return replace(self, model=self.model.rescaled(c), eta=eta)

    def starts_from(self, model: Mixture) -> bool:
        """Whether a model has the family and the parameters of the starting model."""
        if type(model) is not type(self.start) or model.d != self.start.d:
            return False
        mine, other = self.start, model.on_host()
        same = all(np.array_equal(x, y) for x, y in zip(mine.normal, other.normal, strict=True))
        return same and mine.subordinator.gig == other.subordinator.gig


@dataclass(frozen=True)
class Step:
    """Settings of a step, as for `IncrementalEMFitter`; `take` does one step."""

    rule: EtaUpdate
    inner_iter: int
    averaging: bool
    e_step_backend: str
    m_step_backend: str
    m_step_method: str

    # Numbers that leave the range of doubles end in an error, not in warnings.
    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def take(self, state: StreamState, X: FloatArray) -> tuple[StreamState, float, float]:
        """E-step on a batch X (m, d), rule and M-step, `inner_iter` times.

        Returns the next state, the batch's mean log-likelihood before the step, and the parameter
        change. DegenerateError or SolveError if no model has the statistics.
        """
        if is_scale_free(self.rule):
            state = state.in_start_gauge()
        backend = get_backend(self.e_step_backend)
        placed = backend.place(X)
        model, value = state.model, math.nan
        for i in range(self.inner_iter):
            batch = backend.e_step(placed, model.normal, model.subordinator.gig)
            value = batch.mean_log_likelihood if i == 0 else value
            eta = self.rule(state.eta, batch, state.n_steps)
            model = model.m_step(eta, self.m_step_backend, self.m_step_method)
        change, _ = parameter_change(state.model, model)
        if math.isnan(change):
            msg = "the statistics are infinite or nan"
            raise DegenerateError(msg)
        n_steps, average = state.n_steps + 1, eta if self.averaging else None
        if average is not None and state.average is not None:
            # Polynomial-decay averaging (Shamir and Zhang, 2013).
            average = averaged(state.average, eta, (1.0 + _DECAY) / (n_steps + _DECAY))
        n_rows = state.n_rows + len(X)
        return StreamState(state.start, model, eta, average, n_steps, n_rows), value, change

    def fitted(self, state: StreamState, regularization: str) -> tuple[Mixture, bool]:
        """The fitted model, made from the average if there is one, and whether it has the gauge.

        It may not have the gauge "a_eq_b" where the subordinator has reached a limit of its family.
        """
        model = state.model
        if state.average is not None:
            # Next to a limit of the family, rounding may leave no model with these statistics.
            with suppress(DegenerateError, SolveError):
                model = model.m_step(state.average, self.m_step_backend, self.m_step_method)
        in_its_gauge = in_gauge(model, regularization, state.start)
        return (model, False) if in_its_gauge is None else (in_its_gauge, True)
