"""One incremental fit to rows that can be read again: its steps, and the record of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import numpy as np

from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.fitting.checkpoints.contents import (
    model_contents,
    model_from,
    statistics_contents,
    statistics_from,
)
from nvmix.fitting.checkpoints.file import CheckpointFile
from nvmix.fitting.incremental.batches import Batches, check_same_rows
from nvmix.fitting.incremental.step import Step, StreamState
from nvmix.fitting.outcome.result import EMResult, read_only
from nvmix.fitting.report.progress import Progress
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.typing import FloatArray

# Fields of `StreamState` that a checkpoint contains as they are.
_NUMBERS: Final = ("n_steps", "n_rows")
# A verbose fit computes the log-likelihood of all rows after so many of its steps.
_N_LIKELIHOODS: Final = 10


@dataclass
class IncrementalFitRun:
    """Steps over batches, until there are `max_steps`, or a batch from which no model can be made.

    `state` is current also after an error. `e_step` adds passes over all rows, which compute the
    log-likelihood after steps k max_steps / 10.
    """

    state: StreamState
    batches: Batches
    step: Step
    max_steps: int
    regularization: str  # gauge of the fitted model
    progress: Progress
    e_step: EStep | None = None
    checkpoint: CheckpointFile | None = None
    _changes: list[float] = field(default_factory=list, init=False)
    # Mean log-likelihoods of all rows, the steps before the last of them, and the rows of a pass.
    _likelihoods: tuple[float, ...] = field(default=(), init=False)
    _last_likelihood: int = field(default=-1, init=False)
    _n_rows: float = field(default=math.nan, init=False)

    def run(self) -> EMResult:
        """Take the steps, and return the fitted model with the record of the fit."""
        begin = time.perf_counter()
        terms = f"batches of {self.batches.size}"
        self.progress.start(self.state.start, self.batches.source, terms)
        status = Status.STEPS_DONE
        try:
            with self.checkpoint or nullcontext():
                saved = None if self.checkpoint is None else self.checkpoint.restored(self._resume)
                with closing(saved or self.batches.after(None)) as batches:
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
                self.checkpoint.update(self._contents())

    def _compute_likelihood(self) -> None:
        """Compute the log-likelihood of the fitted model, if asked for and not yet computed."""
        if self.e_step is None or self._last_likelihood == self.state.n_steps:
            return
        model, _ = self.step.fitted(self.state, "none")
        # Unchecked, because a fit that is not verbose does not check columns either.
        statistics = self.e_step.unchecked(model.normal, model.subordinator.gig)
        n_rows, value = float(statistics.weight), float(statistics.mean_log_likelihood)
        check_same_rows(self._n_rows, n_rows, self.batches.source)
        self._likelihoods = (*self._likelihoods, value)
        self._last_likelihood, self._n_rows = self.state.n_steps, n_rows
        self.progress.likelihood(self.state.n_steps, value)

    def _contents(self) -> Callable[[], dict[str, Any]]:
        """Function that returns the contents of a checkpoint as of now, also after later steps."""
        state = self.state
        position = {
            "history.values": self._likelihoods,
            "history.steps": self._last_likelihood,
            "history.n_rows": self._n_rows,
            **self.batches.contents(),
        }
        return lambda: {
            **model_contents("model", state.model),
            **statistics_contents("eta", state.eta),
            **statistics_contents("average", state.average),
            **{name: getattr(state, name) for name in _NUMBERS},
            "changes": np.array(self._changes[: state.n_steps]),
            **position,
        }

    def _resume(self, contents: dict[str, Any]) -> Generator[FloatArray, None, None]:
        """Take over the state in a checkpoint; returns the batches that follow."""
        self.state = replace(
            self.state,
            model=model_from(self.state.model, contents, "model"),
            eta=statistics_from(contents, "eta"),
            average=statistics_from(contents, "average"),
            **{name: contents[name] for name in _NUMBERS},
        )
        self._changes = contents["changes"].tolist()
        self._likelihoods = tuple(contents["history.values"])
        self._last_likelihood, self._n_rows = contents["history.steps"], contents["history.n_rows"]
        return self.batches.after(contents)

    def _result(self, status: Status) -> EMResult:
        """The record of the fit, without its time."""
        state, values, n = self.state, self._likelihoods, self.batches.n_rows
        check_same_rows(self._n_rows, n, self.batches.source)
        n = self._n_rows if math.isnan(n) else n
        fitted, has_gauge = self.step.fitted(state, self.regularization)
        status = status if has_gauge else Status.NO_GAUGE
        rows = self.step.inner_iter * state.n_rows
        return EMResult(
            model=fitted,
            log_likelihoods=read_only(values),
            param_changes=read_only(self._changes),
            n_iter=state.n_steps,
            converged=None if status is Status.STEPS_DONE else False,
            elapsed_time=math.nan,
            code=int(status),
            n_passes=(1 if math.isnan(n) else math.ceil(rows / n)) + len(values),
            log_likelihood=values[-1] * n if values else math.nan,
            n_observations=n,
            n_parameters=fitted.n_parameters,
            regularization=self.regularization,
        )
