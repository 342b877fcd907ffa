"""Passes over all rows now and then, that compute how likely the model of a stream is."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from nvmix.backends.e_step import EStep
from nvmix.fitting.incremental.batches import check_same_rows
from nvmix.fitting.incremental.step import Step, StreamState
from nvmix.fitting.report.progress import Progress
from nvmix.sources.source import Source

# How many there are, where there are as many steps.
_NUMBER: Final = 10


class LikelihoodHistory(NamedTuple):
    """Mean log-likelihoods that passes have computed.

    Attributes
    ----------
    values : tuple of float
        The likelihoods.
    steps : int
        Steps before the last of them; -1 before the first.
    n_rows : float
        Rows of a pass; nan before one is made.
    """

    values: tuple[float, ...] = ()
    steps: int = -1
    n_rows: float = math.nan


class LikelihoodPasses:
    """Mean log-likelihoods of all rows, after steps k max_steps / 10; none unless verbose.

    Parameters
    ----------
    step : Step
        How steps are taken.
    source : Source
        All rows.
    max_steps : int
        Steps of the fit.
    progress : Progress
        Reports each.
    verbose : int
        Whether to make any.

    Attributes
    ----------
    history : LikelihoodHistory
        The likelihoods so far.
    """

    def __init__(
        self, step: Step, source: Source, max_steps: int, progress: Progress, verbose: int
    ) -> None:
        self._step = step
        self._progress = progress
        self._source = source
        self._e_step: EStep | None = None
        self._due: frozenset[int] = frozenset()
        if verbose >= 1:
            self._e_step = EStep(source, step.e_step_backend)
            self._due = frozenset(k * max_steps // _NUMBER for k in range(1, _NUMBER + 1))
        self.history = LikelihoodHistory()

    def after(self, state: StreamState) -> None:
        """Make a pass if one is due after this step."""
        if state.n_steps in self._due:
            self._pass(state)

    def at_end(self, state: StreamState) -> None:
        """Make the last pass, unless it has been made."""
        if self.history.steps != state.n_steps:
            self._pass(state)

    def _pass(self, state: StreamState) -> None:
        """Compute the log-likelihood of the fitted model."""
        if self._e_step is None:
            return
        model, _ = self._step.fitted(state, "none")
        # Columns are not checked: verbose or not, a fit is the same.
        statistics = self._e_step.unchecked(model.normal, model.subordinator.gig)
        n_rows, value = float(statistics.weight), float(statistics.mean_log_likelihood)
        check_same_rows(self.history.n_rows, n_rows, self._source)
        self.history = LikelihoodHistory((*self.history.values, value), state.n_steps, n_rows)
        self._progress.likelihood(state.n_steps, value)
