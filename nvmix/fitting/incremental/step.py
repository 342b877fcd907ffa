"""One step of incremental EM, and the state of a stream between two steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends import get_backend
from nvmix.fitting.engine.parameter_change import parameter_change
from nvmix.fitting.rules.updates import EtaUpdate, averaged, is_scale_free
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.statistics import SufficientStatistics, infinite_expectations
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import in_gauge

# Averages weigh step t nearly as t^3 does, so that early steps are forgotten.
_DECAY: Final = 3.0


@dataclass(frozen=True, eq=False)
class StreamState:
    """State of a stream; steps make new ones and change none.

    Parameters
    ----------
    start : Mixture
        Starting model.
    model : Mixture
        Iterate, in a free gauge.
    eta : SufficientStatistics or None
        Statistics that the iterate was made from, of the starting model before the first step;
        None if those are infinite.
    average : SufficientStatistics or None
        Weighted average of those of all steps, where it is asked for; None before the first.
    n_steps : int
        Steps taken.
    n_rows : float
        Rows seen in them.
    """

    start: Mixture
    model: Mixture
    eta: SufficientStatistics | None
    average: SufficientStatistics | None = None
    n_steps: int = 0
    n_rows: float = 0.0

    @classmethod
    def of(cls, model: Mixture, columns: tuple[str, ...] | None) -> StreamState:
        """State before the first step of a stream from a model, with the columns of the data."""
        model = model.on_host()
        # It counts as no row of data.
        eta = replace(model.expectation_params(), log_likelihood=0.0)
        return cls(model, model, None if infinite_expectations(eta) else eta).named(columns)

    def named(self, columns: tuple[str, ...] | None) -> StreamState:
        """The same, with names of columns, if there are any."""
        if columns in (None, self.model.columns):
            return self
        start, model = replace(self.start, columns=columns), replace(self.model, columns=columns)
        return replace(self, start=start, model=model)

    def in_start_gauge(self) -> StreamState:
        r"""The same law of X, and the same statistics of it, with \|Sigma\| as in the start.

        Nothing holds the scale shared by Sigma and Y, and noise in the batches makes it drift:
        \|Sigma\| by e^-3 in 2500 steps of weight 0.2 on batches of 32 x 2, as measured. The average
        stays as it is: it is of steps that began in this gauge.
        """
        excess = self.model.log_det_sigma() - self.start.log_det_sigma()
        if excess == 0.0:
            return self
        c = math.exp(excess / self.model.d)
        eta = None if self.eta is None else self.eta.rescaled(c)
        return replace(self, model=self.model.rescaled(c), eta=eta)

    def starts_from(self, model: Mixture) -> bool:
        """Whether a model has the family and the numbers of the starting one."""
        if type(model) is not type(self.start) or model.d != self.start.d:
            return False
        mine, other = self.start, model.on_host()
        same = all(np.array_equal(x, y) for x, y in zip(mine.normal, other.normal, strict=True))
        return same and mine.subordinator.gig == other.subordinator.gig


class StepRecord(NamedTuple):
    """The batch's mean log-likelihood before a step, and the parameter change of the step."""

    log_likelihood: float
    change: float


@dataclass(frozen=True)
class Step:
    """How to take a step; `take` does it.

    Parameters
    ----------
    rule : EtaUpdate
        Combines statistics of the batch with those before.
    inner_iter : int
        E-steps, and M-steps, on each batch.
    averaging : bool
        Whether the fitted model is that of the averaged statistics.
    e_step_backend, m_step_backend : {"cpu", "jax"}
        Where each step runs.
    m_step_method : {"newton", "lbfgs", "bfgs"}
        How eta -> theta is solved.
    """

    rule: EtaUpdate
    inner_iter: int
    averaging: bool
    e_step_backend: str
    m_step_backend: str
    m_step_method: str

    def take(self, state: StreamState, X: FloatArray) -> tuple[StreamState, StepRecord]:
        """Take a step on a batch of validated rows.

        DegenerateError or SolveError if no model can be made of the statistics.
        """
        # Numbers that leave the range of doubles end in an error, not in warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self._take(state, X)

    def _take(self, state: StreamState, X: FloatArray) -> tuple[StreamState, StepRecord]:
        """E-step, rule and M-step, `inner_iter` times."""
        if is_scale_free(self.rule):
            state = state.in_start_gauge()
        backend = get_backend(self.e_step_backend)
        placed = backend.place(X)
        model, value = state.model, math.nan
        for i in range(self.inner_iter):
            batch = backend.e_step(placed, model.normal, model.subordinator.gig)
            value = batch.mean_log_likelihood if i == 0 else value
            eta = self.rule(state.eta, batch, state.n_steps)
            model = self._maximized(model, eta)
        change, _ = parameter_change(state.model, model)
        if math.isnan(change):
            msg = "the statistics are infinite or nan"
            raise DegenerateError(msg)
        average = _averaged(state.average, eta, state.n_steps + 1) if self.averaging else None
        after = replace(
            state,
            model=model,
            eta=eta,
            average=average,
            n_steps=state.n_steps + 1,
            n_rows=state.n_rows + len(X),
        )
        return after, StepRecord(value, change)

    def _maximized(self, model: Mixture, eta: SufficientStatistics) -> Mixture:
        """M-step."""
        return model.m_step(eta, self.m_step_backend, self.m_step_method)

    def fitted(self, state: StreamState, regularization: str) -> tuple[Mixture, bool]:
        """The fitted model, averaged or the iterate, and whether it is in the gauge.

        A limit of the family may not have the gauge.
        """
        model = state.model
        if state.average is not None:
            try:
                model = self._maximized(model, state.average)
            except (DegenerateError, SolveError):
                # Rounding next to a limit of the family: the iterate is a model, at least.
                model = state.model
        gauged = in_gauge(model, regularization, state.start)
        return (model, False) if gauged is None else (gauged, True)


def _averaged(
    average: SufficientStatistics | None, eta: SufficientStatistics, t: int
) -> SufficientStatistics:
    """Polynomial-decay average of the means of t steps (Shamir and Zhang, 2013)."""
    w = (1.0 + _DECAY) / (t + _DECAY)
    return eta if average is None else averaged(average, eta, w)
