"""One incremental fit to rows that can be passed over: its steps, and the record of them."""

from __future__ import annotations

import math
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from nvmix.backends.types import Ending
from nvmix.fitting.checkpoints.fit_state import Standing
from nvmix.fitting.engine.run import frozen
from nvmix.fitting.incremental.batches import check_same_rows
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.exceptions import DegenerateError, SolveError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from nvmix.fitting.checkpoints.checkpoint import Checkpoint
    from nvmix.fitting.incremental.batches import Batches
    from nvmix.fitting.incremental.likelihood_passes import LikelihoodPasses
    from nvmix.fitting.incremental.step import State, Step
    from nvmix.fitting.report.progress import Progress
    from nvmix.foundation.typing import FloatArray


@dataclass
class IncrementalFit:
    """Steps over batches, up to a number of them or to a batch that leaves the family.

    Parameters
    ----------
    state : State
        Where the stream stands, also when an error ends the fit.
    drawn : Batches
        The batches.
    step : Step
        How a step is taken.
    max_steps : int
        How many there are.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        Gauge of the fitted model.
    progress : Progress
        Is told of steps.
    passes : LikelihoodPasses
        Tell the likelihood of all rows.
    checkpoint : Checkpoint or None
        What keeps where the fit stands.
    """

    state: State
    drawn: Batches
    step: Step
    max_steps: int
    regularization: str
    progress: Progress
    passes: LikelihoodPasses
    checkpoint: Checkpoint | None = None
    _changes: list[float] = field(default_factory=list, init=False)

    def run(self) -> EMResult:
        """Take the steps.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit.
        """
        begin = time.perf_counter()
        terms = f"batches of {self.drawn.size}"
        self.progress.start(self.state.start, self.drawn.source, terms)
        ending = Ending.STEPS_DONE
        try:
            with self.checkpoint or nullcontext(), closing(self._batches()) as batches:
                self._take(batches)
        except DegenerateError:
            ending = Ending.DEGENERATE
        except SolveError:
            ending = Ending.NO_SOLUTION
        finally:
            self.state = self.state.named(self.drawn.source.columns)
        self.passes.at_end(self.state)
        result = replace(self._result(ending), elapsed_time=time.perf_counter() - begin)
        self.progress.end(result)
        return result

    def _batches(self) -> Generator[FloatArray, None, None]:
        """Batches from the first one on, or from where a checkpoint says that the fit stood."""
        found = None if self.checkpoint is None else self.checkpoint.read()
        if found is None:
            return self.drawn.after(None)
        stood = Standing.of(self.state, found)
        batches = self.drawn.after(stood.place)
        self.state, self._changes, self.passes.told = stood.state, stood.changes, stood.told
        return batches

    def _take(self, batches: Iterable[FloatArray]) -> None:
        """Take the steps that are left."""
        for rows in islice(batches, max(0, self.max_steps - self.state.n_steps)):
            self.state, move = self.step.take(self.state, rows)
            self._changes.append(move.change)
            self.progress.count(len(rows))
            self.progress.iteration(self.state.n_steps, *move)
            self.passes.after(self.state)
            if self.checkpoint is not None:
                stands = Standing(self.state, self._changes, self.passes.told, self.drawn.place())
                self.checkpoint.note(stands.parts)

    def _result(self, ending: Ending) -> EMResult:
        """The record of the fit."""
        state, told, n = self.state, self.passes.told, self.drawn.n_rows
        check_same_rows(told.n_rows, n, self.drawn.source)
        n = told.n_rows if math.isnan(n) else n
        fitted, gauged = self.step.fitted(state, self.regularization)
        ending = ending if gauged else Ending.NO_GAUGE
        rows = self.step.inner_iter * state.n_rows
        return EMResult(
            model=fitted,
            log_likelihoods=frozen(told.values),
            param_changes=frozen(self._changes),
            n_iter=state.n_steps,
            converged=None if ending is Ending.STEPS_DONE else False,
            elapsed_time=math.nan,
            code=int(ending),
            n_passes=(1 if math.isnan(n) else math.ceil(rows / n)) + len(told.values),
            log_likelihood=told.values[-1] * n if told.values else math.nan,
            n_observations=n,
            n_parameters=fitted.n_parameters,
            regularization=self.regularization,
        )
