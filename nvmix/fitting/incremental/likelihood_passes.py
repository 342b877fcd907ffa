"""Passes over all rows now and then, that tell how likely the model of a stream is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from nvmix.backends.source_e_step import PassedOver, observed
from nvmix.fitting.incremental.batches import check_same_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvmix.backends.types import Gaussian, GIGParameters
    from nvmix.fitting.incremental.step import State, Step
    from nvmix.fitting.report.progress import Progress
    from nvmix.foundation.statistics import SufficientStatistics
    from nvmix.sources.source import Source

    EStep = Callable[[Gaussian, GIGParameters], SufficientStatistics]

# How many there are, where there are as many steps.
_NUMBER = 10


class Told(NamedTuple):
    """What passes have told.

    Attributes
    ----------
    values : tuple of float
        Mean log-likelihoods.
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
        Steps that there will be.
    progress : Progress
        Is told of each.
    verbose : int
        Whether to make any.

    Attributes
    ----------
    told : Told
        What they have told.
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
            rows = observed(source, step.e_step_backend)
            # Columns are not looked at: verbose or not, a fit is the same.
            self._e_step = rows.sums if isinstance(rows, PassedOver) else rows.e_step
            self._due = frozenset(k * max_steps // _NUMBER for k in range(1, _NUMBER + 1))
        self.told = Told()

    def after(self, state: State) -> None:
        """Make a pass if one is due.

        Parameters
        ----------
        state : State
            Where the stream stands.
        """
        if self._e_step is not None and state.n_steps in self._due:
            self._pass(state, self._e_step)

    def at_end(self, state: State) -> None:
        """Make the last pass, unless it is made.

        Parameters
        ----------
        state : State
            Where the stream has ended.
        """
        if self._e_step is not None and self.told.steps != state.n_steps:
            self._pass(state, self._e_step)

    def _pass(self, state: State, e_step: EStep) -> None:
        """Take the log-likelihood of the model that would be handed out."""
        model, _ = self._step.fitted(state, "none")
        statistics = e_step(model.block, model.subordinator.gig)
        n_rows, value = float(statistics.weight), float(statistics.mean_log_likelihood)
        check_same_rows(self.told.n_rows, n_rows, self._source)
        self.told = Told((*self.told.values, value), state.n_steps, n_rows)
        self._progress.likelihood(state.n_steps, value)
