"""Passes over all rows now and then, that tell how likely the model of a stream is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nvmix.fitting.observed import observed

if TYPE_CHECKING:
    from nvmix.fitting.observed import InMemory, PassedOver
    from nvmix.fitting.online import State, Step
    from nvmix.fitting.progress import Progress
    from nvmix.sources import Source

# How many there are, where there are as many steps.
_NUMBER = 10


class LikelihoodPasses:
    """Mean log-likelihoods of all rows, after steps k max_steps / 10; none unless verbose.

    Parameters
    ----------
    step : Step
        How steps are taken.
    source : Source
        All rows.
    max_steps : int
        Steps that there will be.
    progress : Progress
        Is told of each.
    verbose : int
        Whether to make any.
    """

    def __init__(
        self, step: Step, source: Source, max_steps: int, progress: Progress, verbose: int
    ) -> None:
        self._step = step
        self._progress = progress
        self._rows: InMemory | PassedOver | None = None
        self._due: frozenset[int] = frozenset()
        if verbose >= 1:
            self._rows = observed(source, step.e_step_backend)
            self._due = frozenset(k * max_steps // _NUMBER for k in range(1, _NUMBER + 1))
        self._last = -1
        self.values: list[float] = []

    @property
    def n_rows(self) -> float:
        """Rows of a pass; nan before one is made."""
        return math.nan if self._rows is None else self._rows.weight

    def after(self, state: State) -> None:
        """Make a pass if one is due.

        Parameters
        ----------
        state : State
            Where the stream stands.
        """
        if self._rows is not None and state.n_steps in self._due:
            self._pass(state, self._rows)

    def at_end(self, state: State) -> None:
        """Make the last pass, unless it is made.

        Parameters
        ----------
        state : State
            Where the stream has ended.
        """
        if self._rows is not None and self._last != state.n_steps:
            self._pass(state, self._rows)

    def _pass(self, state: State, rows: InMemory | PassedOver) -> None:
        """Take the log-likelihood of the model that would be handed out."""
        model, _ = self._step.fitted(state, "none")
        statistics = rows.e_step(model.block, model.subordinator.gig)
        self.values.append(float(statistics.mean_log_likelihood))
        self._last = state.n_steps
        self._progress.checkpoint(state.n_steps, self.values[-1])
