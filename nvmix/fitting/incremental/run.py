"""One incremental fit to rows that can be read again: its steps, and the record of them."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np

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
from nvmix.fitting.incremental.likelihood_passes import LikelihoodHistory, LikelihoodPasses
from nvmix.fitting.incremental.step import Step, StreamState
from nvmix.fitting.outcome.result import EMResult, read_only
from nvmix.fitting.report.progress import Progress
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.typing import FloatArray

# Members of a stream's state that a checkpoint holds as they are, and those that are statistics.
_NUMBERS: Final = ("n_steps", "n_rows")
_STATISTICS: Final = ("eta", "average")


@dataclass
class IncrementalFitRun:
    """Steps over batches, up to a number of them or to a batch that leaves the family.

    Parameters
    ----------
    state : StreamState
        The current state, also when an error ends the fit.
    batches : Batches
        The rows.
    step : Step
        How a step is taken.
    max_steps : int
        How many steps.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        Gauge of the fitted model.
    progress : Progress
        Reports steps.
    passes : LikelihoodPasses
        Compute the likelihood of all rows.
    checkpoint : CheckpointFile or None
        Keeps the state.
    """

    state: StreamState
    batches: Batches
    step: Step
    max_steps: int
    regularization: str
    progress: Progress
    passes: LikelihoodPasses
    checkpoint: CheckpointFile | None = None
    _changes: list[float] = field(default_factory=list, init=False)

    def run(self) -> EMResult:
        """Take the steps; the fitted model and the record of the fit."""
        begin = time.perf_counter()
        terms = f"batches of {self.batches.size}"
        self.progress.start(self.state.start, self.batches.source, terms)
        status = Status.STEPS_DONE
        try:
            with self.checkpoint or nullcontext(), closing(self._remaining()) as remaining:
                self._take(remaining)
        except DegenerateError:
            status = Status.DEGENERATE
        except SolveError:
            status = Status.NO_SOLUTION
        finally:
            self.state = self.state.named(self.batches.source.columns)
        self.passes.at_end(self.state)
        result = replace(self._result(status), elapsed_time=time.perf_counter() - begin)
        self.progress.end(result)
        return result

    def _remaining(self) -> Generator[FloatArray, None, None]:
        """Batches from the first one on, or from the cursor in the checkpoint."""
        contents = None if self.checkpoint is None else self.checkpoint.read()
        return self.batches.after(None if contents is None else self._restore(contents))

    def _take(self, batches: Iterable[FloatArray]) -> None:
        """Take the remaining steps."""
        for rows in islice(batches, max(0, self.max_steps - self.state.n_steps)):
            self.state, record = self.step.take(self.state, rows)
            self._changes.append(record.change)
            self.progress.count(len(rows))
            self.progress.iteration(self.state.n_steps, *record)
            self.passes.after(self.state)
            if self.checkpoint is not None:
                parts = self.state, self.passes.history, self.batches.cursor()
                self.checkpoint.update(partial(self._contents, *parts))

    def _contents(
        self, state: StreamState, history: LikelihoodHistory, cursor: BatchCursor
    ) -> dict[str, Any]:
        """Numbers, texts and arrays by name, of this state though later steps be done."""
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
        """Take the state of another fit; the cursor of its batches.

        CheckpointError if that fit began elsewhere, or something is missing.
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
            self.passes.history = history._replace(values=tuple(history.values))
            contents = {"cursor.rest": None, **contents}
            return BatchCursor._make(contents[f"cursor.{name}"] for name in BatchCursor._fields)
        except KeyError as error:
            raise missing_contents(error) from error

    def _result(self, status: Status) -> EMResult:
        """The record of the fit."""
        state, history, n = self.state, self.passes.history, self.batches.n_rows
        check_same_rows(history.n_rows, n, self.batches.source)
        n = history.n_rows if math.isnan(n) else n
        fitted, gauged = self.step.fitted(state, self.regularization)
        status = status if gauged else Status.NO_GAUGE
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
