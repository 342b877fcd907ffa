"""One incremental fit to rows that can be read again: its steps, and the record of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np

from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.fitting.checkpoints.contents import (
    check_start,
    missing_contents,
    model_contents,
    model_from,
    statistics_contents,
    statistics_from,
)
from nvmix.fitting.checkpoints.file import CheckpointFile
from nvmix.fitting.incremental.batches import BatchCursor, Batches, check_same_rows
from nvmix.fitting.incremental.step import Step, StreamState
from nvmix.fitting.outcome.result import EMResult, read_only
from nvmix.fitting.report.progress import Progress
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.typing import FloatArray

# Fields of `StreamState` that a checkpoint contains as numbers, and as statistics.
_NUMBERS: Final = ("n_steps", "n_rows")
_STATISTICS: Final = ("eta", "average")
# A verbose fit computes the log-likelihood of all rows after so many of its steps.
_N_LIKELIHOODS: Final = 10


class LikelihoodHistory(NamedTuple):
    """Mean log-likelihoods of all rows that a verbose fit has computed, one pass for each.

    steps is the number of steps before the last pass, -1 without one; n_rows the rows of a pass.
    """

    values: tuple[float, ...] = ()
    steps: int = -1
    n_rows: float = math.nan


@dataclass
class IncrementalFitRun:
    """Steps over batches, until there are `max_steps`, or a batch from which no model can be made.

    `state` is current also after an error. `verbose` of at least 1 adds passes over all rows, which
    compute the log-likelihood after steps k max_steps / 10.
    """

    state: StreamState
    batches: Batches
    step: Step
    max_steps: int
    regularization: str
    progress: Progress
    verbose: int
    checkpoint: CheckpointFile | None = None
    _changes: list[float] = field(default_factory=list, init=False)
    _history: LikelihoodHistory = field(default=LikelihoodHistory(), init=False)
    _e_step: EStep | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Prepare the passes of a verbose fit."""
        if self.verbose >= 1:
            self._e_step = EStep(self.batches.source, self.step.e_step_backend)

    def run(self) -> EMResult:
        """Take the steps, and return the fitted model with the record of the fit."""
        begin = time.perf_counter()
        terms = f"batches of {self.batches.size}"
        self.progress.start(self.state.start, self.batches.source, terms)
        status = Status.STEPS_DONE
        try:
            with self.checkpoint or nullcontext():
                contents = None if self.checkpoint is None else self.checkpoint.read()
                cursor = None if contents is None else self._restore(contents)
                with closing(self.batches.after(cursor)) as batches:
                    self._take(batches)
        except DegenerateError:
            status = Status.DEGENERATE
        except SolveError:
            status = Status.NO_SOLUTION
        finally:
            self.state = self.state.named(self.batches.source.columns)
        self._compute_likelihood()
        result = replace(self._result(status), elapsed_time=time.perf_counter() - begin)
        self.progress.end(result)
        return result

    def _take(self, batches: Iterable[FloatArray]) -> None:
        """Take the remaining steps."""
        due = {k * self.max_steps // _N_LIKELIHOODS for k in range(1, _N_LIKELIHOODS + 1)}
        for rows in islice(batches, max(0, self.max_steps - self.state.n_steps)):
            self.state, value, change = self.step.take(self.state, rows)
            self._changes.append(change)
            self.progress.count(len(rows))
            self.progress.iteration(self.state.n_steps, value, change)
            if self.state.n_steps in due:
                self._compute_likelihood()
            if self.checkpoint is not None:
                parts = self.state, self._history, self.batches.cursor()
                self.checkpoint.update(partial(self._contents, *parts))

    def _compute_likelihood(self) -> None:
        """Compute the log-likelihood of the fitted model, if verbose and not yet computed."""
        if self._e_step is None or self._history.steps == self.state.n_steps:
            return
        model, _ = self.step.fitted(self.state, "none")
        # Unchecked, because a fit that is not verbose does not check columns either.
        statistics = self._e_step.unchecked(model.normal, model.subordinator.gig)
        n_rows, value = float(statistics.weight), float(statistics.mean_log_likelihood)
        check_same_rows(self._history.n_rows, n_rows, self.batches.source)
        values = (*self._history.values, value)
        self._history = LikelihoodHistory(values, self.state.n_steps, n_rows)
        self.progress.likelihood(self.state.n_steps, value)

    def _contents(
        self, state: StreamState, history: LikelihoodHistory, cursor: BatchCursor
    ) -> dict[str, Any]:
        """Contents of a checkpoint of this state, also if later steps have been taken since."""
        contents = {
            **model_contents("start", state.start),
            **model_contents("model", state.model),
            **{name: getattr(state, name) for name in _NUMBERS},
            "changes": np.array(self._changes[: state.n_steps]),
            **{f"history.{name}": x for name, x in history._asdict().items()},
            **{f"cursor.{name}": x for name, x in cursor._asdict().items() if x is not None},
        }
        for name in _STATISTICS:
            contents |= statistics_contents(name, getattr(state, name))
        return contents

    def _restore(self, contents: dict[str, Any]) -> BatchCursor:
        """Take over the state in a checkpoint, and return the cursor of its batches.

        CheckpointError if that fit had another start, or something is missing.
        """
        try:
            check_start(self.state.start, contents)
            parts = {name: contents[name] for name in _NUMBERS}
            parts |= {name: statistics_from(contents, name) for name in _STATISTICS}
            parts["model"] = model_from(self.state.model, contents, "model")
            history = LikelihoodHistory._make(
                contents[f"history.{name}"] for name in LikelihoodHistory._fields
            )
            self.state, self._changes = replace(self.state, **parts), contents["changes"].tolist()
            self._history = history._replace(values=tuple(history.values))
            contents = {"cursor.rest": None, **contents}
            return BatchCursor._make(contents[f"cursor.{name}"] for name in BatchCursor._fields)
        except KeyError as error:
            raise missing_contents(error) from error

    def _result(self, status: Status) -> EMResult:
        """The record of the fit, without its time."""
        state, history, n = self.state, self._history, self.batches.n_rows
        check_same_rows(history.n_rows, n, self.batches.source)
        n = history.n_rows if math.isnan(n) else n
        fitted, has_gauge = self.step.fitted(state, self.regularization)
        status = status if has_gauge else Status.NO_GAUGE
        rows = self.step.inner_iter * state.n_rows
        return EMResult(
            model=fitted,
            log_likelihoods=read_only(history.values),
            param_changes=read_only(self._changes),
            n_iter=state.n_steps,
            converged=None if status is Status.STEPS_DONE else False,
            elapsed_time=math.nan,
            code=int(status),
            n_passes=(1 if math.isnan(n) else math.ceil(rows / n)) + len(history.values),
            log_likelihood=history.values[-1] * n if history.values else math.nan,
            n_observations=n,
            n_parameters=fitted.n_parameters,
            regularization=self.regularization,
        )
