"""The EM loop step by step: each step on its own backend, any rule, any number of threads."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from nvmix.backends.tolerances import FALL, NO_GAIN, QUIET, ROUNDING
from nvmix.backends.types import Course, Ending
from nvmix.fitting.checkpoints.fit_state import restore, state_of
from nvmix.fitting.engine.acceleration import Extrapolation
from nvmix.fitting.engine.parameter_change import displacement
from nvmix.foundation.exceptions import CheckpointError, DegenerateError, SolveError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvmix.backends.source_e_step import Observed
    from nvmix.backends.types import Plan
    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.fitting.checkpoints.checkpoint import Checkpoint
    from nvmix.foundation.statistics import SufficientStatistics

# Relative difference of sums over rows that machines and roundings may make.
_SAME = 1e-9


@dataclass
class StepLoop:
    """An EM fit that goes on step by step.

    Parameters
    ----------
    rows : Observed
        The observations.
    m_step_backend : {"cpu", "jax"}
        Where the law of Y is solved for.
    plan : Plan
        What to do.
    conditional : bool
        Whether mu, gamma and Sigma are maximised before the law of Y, each after its own E-step
        (MCECM), rather than all after one.
    report : callable
        Is told the number, likelihood and parameter change of each iteration.
    checkpoint : Checkpoint or None
        What keeps where the fit stands.
    """

    rows: Observed
    m_step_backend: str
    plan: Plan
    conditional: bool
    report: Callable[[int, float, float], None]
    checkpoint: Checkpoint | None = None

    def run(self, start: NormalMixture) -> Course:
        """Fit from a starting model.

        An extrapolated step is kept if its own E-step finds the likelihood no lower; else the
        plain step from the same statistics takes its place.

        Parameters
        ----------
        start : NormalMixture
            Where to start.

        Returns
        -------
        Course
            What happened.
        """
        with self.checkpoint or nullcontext():
            track = Track(start, Extrapolation.of(self.plan.acceleration, start))
            ending = self._begin(track)
            while ending is None:
                ending = self._iterate(track)
            return track.course(ending)

    def _begin(self, track: Track) -> Ending | None:
        """Go to the start, or to where a checkpoint says that the fit stood."""
        state = None if self.checkpoint is None else self.checkpoint.read()
        if state is None:
            _, ending = self._pass(track, track.model)
            return ending
        restore(track, state)
        self._check_rows(track)
        if track.ending in (None, Ending.MAX_ITER):
            begun = len(track.changes) < self.plan.max_iter
            track.ending = None if begun else Ending.MAX_ITER
        return track.ending

    def _check_rows(self, track: Track) -> None:
        """Raise CheckpointError where the rows are not those that the fit has met."""
        model, known = track.model, track.batch
        found = self.rows.e_step(model.block, model.subordinator.gig)
        for name in ("weight", "log_likelihood"):
            here, there = float(getattr(found, name)), float(getattr(known, name))
            if abs(here - there) > _SAME * abs(there):
                msg = (
                    f"checkpoint is of a fit to other rows: {name} is {there:.15g} there and "
                    f"{here:.15g} of {self.rows.source}"
                )
                raise CheckpointError(msg)

    def _iterate(self, track: Track) -> Ending | None:
        """One step from the statistics at hand, extrapolated if that is no worse."""
        taken, ending = self._step(track, self._combined(track))
        if not taken and track.extrapolation.extrapolated:
            track.quiet = 0
            _, ending = self._step(track, track.extrapolation.reject(track.batch))
        return ending

    def _combined(self, track: Track) -> SufficientStatistics:
        """What the M-step is to invert, of the last E-step and those before."""
        if self.plan.rule is not None:
            track.eta = self.plan.rule(track.eta, track.batch, len(track.changes))
            return track.eta
        return track.extrapolation.propose(track.batch)

    def _step(self, track: Track, eta: SufficientStatistics) -> tuple[bool, Ending | None]:
        """M-step and the E-step of what it made: whether that was taken, and how the fit ends."""
        model = track.model
        try:
            proposal = self._maximized(track, model, eta)
        except DegenerateError:
            return False, Ending.DEGENERATE
        except SolveError:
            return False, Ending.NO_SOLUTION
        change, worth = displacement(model, proposal)
        if math.isnan(change):
            return False, Ending.DEGENERATE
        return self._pass(track, proposal, change, worth)

    def _maximized(
        self, track: Track, model: NormalMixture, eta: SufficientStatistics
    ) -> NormalMixture:
        """The model of the next iteration."""
        fixed, restriction = self.plan.fixed, self.plan.restriction
        new = model.m_step(
            eta, self.m_step_backend, self.plan.method, fixed=fixed, restriction=restriction
        )
        if not self.conditional:
            return new
        between = model.at(new.block, model.subordinator.gig)
        track.passes += 1
        eta = self.rows.e_step(between.block, between.subordinator.gig)
        law = between.m_step(
            eta, self.m_step_backend, self.plan.method, fixed=fixed, restriction=restriction
        )
        return model.at(new.block, law.subordinator.gig)

    def _pass(
        self,
        track: Track,
        model: NormalMixture,
        change: float = math.inf,
        worth: float = math.inf,
    ) -> tuple[bool, Ending | None]:
        """E-step at a model, which is taken unless it was extrapolated and is worse."""
        batch = self.rows.e_step(model.block, model.subordinator.gig)
        track.passes += 1
        if self.plan.restriction.mu is not None and batch.inv_y == math.inf:
            # mu is held at a row of the data and b = 0: nothing asks for it.
            batch = replace(batch, inv_y=0.0)
        value = batch.mean_log_likelihood
        if track.extrapolation.extrapolated and track.worse(value):
            return False, None
        if not math.isfinite(value):
            return True, Ending.UNBOUNDED if value == math.inf else Ending.NON_FINITE
        if self.plan.rule is None and value < track.value - FALL * abs(track.value):
            return True, Ending.DEGENERATE
        if track.log_likelihoods:
            self.report(len(track.changes) + 1, track.log_likelihoods[-1], change)
        ending = track.take(model, batch, change, worth, self.plan)
        if self.checkpoint is not None:
            self.checkpoint.note(partial(dict, state_of(track)))
        return True, ending


class Track:
    """Where a fit stands: its model with its statistics, and its histories.

    Parameters
    ----------
    start : NormalMixture
        Where it starts.
    extrapolation : Extrapolation
        What proposes statistics.
    """

    def __init__(self, start: NormalMixture, extrapolation: Extrapolation) -> None:
        self.start = self.model = start
        self.extrapolation = extrapolation
        self.batch: SufficientStatistics
        self.eta: SufficientStatistics | None = None
        self.value, self.gain = -math.inf, math.inf
        self.passes, self.plain, self.quiet = 0, 0, 0
        self.log_likelihoods: list[float] = []
        self.changes: list[float] = []
        self.ending: Ending | None = None

    def worse(self, value: float) -> bool:
        """Whether a likelihood is lower than the last one, by more than rounding, or nan."""
        return not value >= self.value - ROUNDING * abs(self.value)

    def take(
        self,
        model: NormalMixture,
        batch: SufficientStatistics,
        change: float,
        worth: float,
        plan: Plan,
    ) -> Ending | None:
        """Go on from a model; the ending, if the fit has arrived.

        Parameters
        ----------
        model : NormalMixture
            The model.
        batch : SufficientStatistics
            Of its E-step.
        change, worth : float
            Its `displacement` from the model before; inf for a start.
        plan : Plan
            What tells that the fit has arrived.

        Returns
        -------
        Ending or None
            None to go on.
        """
        value, extrapolated = batch.mean_log_likelihood, self.extrapolation.extrapolated
        begun = bool(self.log_likelihoods)
        previous, self.gain, self.value = self.gain, value - self.value, value
        self.model, self.batch = model, batch
        self.log_likelihoods.append(value)
        if begun:
            self.changes.append(change)
            self.plain = 0 if extrapolated else self.plain + 1
            if extrapolated or self.plain > 1:
                left = worth if extrapolated else left_to_gain(self.gain, previous, abs(value))
                self.quiet = self.quiet + 1 if left < plan.tol else 0
            arrived = self.quiet >= QUIET if plan.criterion == "likelihood" else change < plan.tol
            if arrived:
                self.ending = Ending.CONVERGED
            elif len(self.changes) >= plan.max_iter:
                self.ending = Ending.MAX_ITER
        return self.ending

    def course(self, ending: Ending) -> Course:
        """The record of the fit.

        Parameters
        ----------
        ending : Ending
            How it ended.

        Returns
        -------
        Course
            Of the last model that was taken.
        """
        n = len(self.changes)
        return Course(
            self.model.block,
            self.model.subordinator.gig,
            self.log_likelihoods[:n],
            self.changes,
            n,
            self.passes,
            self.value,
            ending,
        )


def left_to_gain(gain: float, previous: float, size: float) -> float:
    """What a geometric series still gains after two of its terms (Aitken).

    Parameters
    ----------
    gain, previous : float
        The last two terms.
    size : float
        Size of what gains; a relative gain of a rounding leaves none.

    Returns
    -------
    float
        inf where the terms do not fall.
    """
    if gain <= NO_GAIN * size:
        return 0.0
    return gain * gain / (previous - gain) if gain < previous < math.inf else math.inf
