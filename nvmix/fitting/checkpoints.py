"""Passes over all rows now and then, that tell how likely the model of a stream is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nvmix.backends import get_backend

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.fitting.online import State, Step
    from nvmix.fitting.progress import Progress

# How many there are, where there are as many steps.
_NUMBER = 10


class Checkpoints:
    """Mean log-likelihoods of all rows, after steps k max_steps / 10; none unless verbose.

    Parameters
    ----------
    step : Step
        How steps are taken.
    X : (n, d) array
        All rows.
    max_steps : int
        Steps that there will be.
    progress : Progress
        Is told of each.
    verbose : int
        Whether to make any.
    """

    def __init__(
        self, step: Step, X: FloatArray, max_steps: int, progress: Progress, verbose: int
    ) -> None:
        self._step = step
        self._progress = progress
        self._placed: Any = None
        self._due: frozenset[int] = frozenset()
        if verbose >= 1:
            self._placed = get_backend(step.e_step_backend).place(X)
            self._due = frozenset(k * max_steps // _NUMBER for k in range(1, _NUMBER + 1))
        self._last = -1
        self.values: list[float] = []

    def after(self, state: State) -> None:
        """Make a pass if one is due.

        Parameters
        ----------
        state : State
            Where the stream stands.
        """
        if state.n_steps in self._due:
            self._pass(state)

    def at_end(self, state: State) -> None:
        """Make the last pass, unless it is made.

        Parameters
        ----------
        state : State
            Where the stream has ended.
        """
        if self._placed is not None and self._last != state.n_steps:
            self._pass(state)

    def _pass(self, state: State) -> None:
        """Take the log-likelihood of the model that would be handed out."""
        model, _ = self._step.fitted(state, "none")
        self.values.append(self._step.log_likelihood(model, self._placed))
        self._last = state.n_steps
        self._progress.checkpoint(state.n_steps, self.values[-1])
