"""Incremental EM: the state between two steps, one step, and a fit of many with its record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import numpy as np

from nvmix.backends import get_backend, get_engine
from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.fitting.checkpoints.contents import (
    array_from,
    count_from,
    model_contents,
    model_from,
    number_from,
    statistics_contents,
    statistics_from,
)
from nvmix.fitting.checkpoints.file import CheckpointFile
from nvmix.fitting.incremental.batches import Batches, Position, check_same_rows
from nvmix.fitting.outcome.result import EMResult, read_only
from nvmix.fitting.report.progress import Progress
from nvmix.fitting.rules.updates import EtaUpdate, averaged, is_scale_free
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.statistics import SufficientStatistics, infinite_expectations
from nvmix.foundation.stopwatch import Stopwatch
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import array, nonnegative
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import in_gauge

# The average over steps gives step t a weight of nearly t^3, so that early steps count little.
_DECAY: Final = 3.0
# Numbers that leave the range of doubles end in an error, not in warnings.
_IN_SILENCE: Final = np.errstate(over="ignore", invalid="ignore", divide="ignore")
# Fields of `StreamState` that a checkpoint contains as they are.
_NUMBERS: Final = ("n_steps", "n_rows")
# A verbose fit computes the log-likelihood of all rows after so many of its steps.
_N_LIKELIHOODS: Final = 10


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

    @_IN_SILENCE
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
        old = state.model.normal, state.model.subordinator.gig
        change = get_engine().parameter_change(old, (model.normal, model.subordinator.gig))
        if math.isnan(change):
            msg = "the statistics are infinite or nan"
            raise DegenerateError(msg)
        n_steps, average = state.n_steps + 1, eta if self.averaging else None
        if average is not None and state.average is not None:
            # Polynomial-decay averaging (Shamir and Zhang, 2013).
            average = averaged(state.average, eta, (1.0 + _DECAY) / (n_steps + _DECAY))
        n_rows = state.n_rows + len(X)
        return StreamState(state.start, model, eta, average, n_steps, n_rows), value, change

    @_IN_SILENCE
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
        watch = Stopwatch()
        terms = f"batches of {self.batches.size}"
        self.progress.start(self.state.start, self.batches.source, terms)
        status = Status.STEPS_DONE
        try:
            with self.checkpoint or nullcontext():
                saved = None if self.checkpoint is None else self.checkpoint.restored(self._restore)
                with closing(self.batches.after(saved)) as batches:
                    self._take(batches)
        except DegenerateError:
            status = Status.DEGENERATE
        except SolveError:
            status = Status.NO_SOLUTION
        finally:
            self.state = self.state.named(self.batches.source.columns)
        self._compute_likelihood()
        result = replace(self._result(status), elapsed_time=watch.seconds)
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
        """Function that returns a checkpoint of the fit as it is now, even if called later."""
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

    def _restore(self, contents: dict[str, Any]) -> Position:
        """Take over the state in a checkpoint; returns the position in the rows."""
        d, n_steps = self.state.model.d, count_from(contents, "n_steps")
        self.state = replace(
            self.state,
            model=model_from(self.state.model, contents, "model"),
            eta=statistics_from(contents, "eta", d),
            average=statistics_from(contents, "average", d),
            n_steps=n_steps,
            n_rows=nonnegative("n_rows", contents["n_rows"]),
        )
        self._changes = array_from(contents, "changes", n_steps).tolist()
        self._likelihoods = tuple(array("history.values", contents["history.values"]).tolist())
        self._last_likelihood = count_from(contents, "history.steps", -1)
        self._n_rows = number_from(contents, "history.n_rows")
        position = Position.of(contents, d)
        check_same_rows(self._n_rows, position.n_rows, self.batches.source)
        # ValueError where no model can be made of it.
        self.step.fitted(self.state, self.regularization)
        return position

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
