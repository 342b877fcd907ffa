"""An EM fit as compiled code takes it: its state, its options and its steps."""

from collections.abc import Iterator
from typing import Any, Final, Self

import numpy as np

from nvmix.backends.cpu.kernels import entry_points
from nvmix.backends.cpu.kernels.em import state as places
from nvmix.backends.cpu.kernels.em.acceleration import new_history
from nvmix.backends.cpu.kernels.em.e_step import SCALARS, Model
from nvmix.backends.cpu.kernels.em.m_step import Frame, Held, subordinator_of
from nvmix.backends.cpu.kernels.em.state import FitState, LoopOptions
from nvmix.backends.cpu.kernels.gig.table import NO_TABLE
from nvmix.backends.types import (
    ACCELERATIONS,
    CRITERIA,
    E_STEP,
    FINISH,
    MOST_ITERATIONS,
    PROPOSE,
    RUNNING,
    Constraints,
    EMOptions,
    FitTrace,
    Fixed,
    GIGParameters,
    GIGStatus,
    NormalParameters,
)
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray

_NO_ROWS: Final = np.empty((0, 1))
_NO_WEIGHTS: Final = np.empty(0)
_TO_THE_END: Final = -1
# Iterations for which there is room at first.
_ROOM: Final = 256
# Numbers of a state that are converted to integers.
_COUNTS: Final = [places.N_ITER, places.N_PASSES, places.SOLUTION]
# Arrays of a state that grow with the iterations.
_HISTORIES: Final = ("log_likelihoods", "changes")


class Fit:
    """State and options of one fit, with the steps that compiled code does on them.

    The state has Y in units of s. A driver in Python gives it the statistics of each E-step.
    """

    def __init__(self, state: FitState, options: LoopOptions, s: float) -> None:
        self.state, self.options, self.s = state, options, s

    @classmethod
    def new(cls, normal: NormalParameters, theta: GIGParameters, options: EMOptions) -> Self:
        """A fit before the E-step at its start.

        In the frame of a fit, its start has mu = 0, Sigma = I and E[log Y] = 0. Statistics of Y
        weigh in norms by one over their standard deviations, those that the fit does not use not at
        all. A rule has the statistics in its own unit of Y.
        """
        held, d = options.constraints, normal.mu.size
        log_y = _moments(theta)[1]
        s = 1.0 if options.rule is not None else float(np.exp(log_y))
        p, a, b = theta
        theta = p, a * s, b / s
        metric = np.ones(3 + 2 * d + d * d)
        if options.acceleration != "none":
            metric[:3] = _metric_of_y(theta)
            if held.symmetric and held.fixed.a == 0.0:
                metric[2] = 0.0
        L = normal.L * np.sqrt(s)
        arrays = normal.mu, normal.gamma * s, L, theta
        candidate, last = (Model(*(np.array(x, np.float64) for x in arrays)) for _ in range(2))
        numbers, room = np.zeros(places.N_NUMBERS), min(options.max_iter, _ROOM)
        numbers[places.VALUE], numbers[places.GAIN] = -np.inf, np.inf
        numbers[places.CHANGE] = numbers[places.PREDICTED_GAIN] = np.inf
        numbers[places.ORDER] = p
        state = FitState(
            candidate=candidate,
            last=last,
            moments=np.array([_moments(theta)] * 2),
            sums=np.zeros(SCALARS + 2 * d),
            scatter=np.zeros((d, d)),
            means=np.zeros(metric.size),
            frame=Frame(np.array(normal.mu), L, inverse_lower(L)),
            history=new_history(metric),
            numbers=numbers,
            log_likelihoods=np.full(room + 1, np.nan),
            changes=np.full(room, np.nan),
        )
        mu = np.empty(0) if held.mu is None else np.array(held.mu)
        return cls(state, _loop_options(options, Held(mu, held.symmetric)), s)

    def run(self, X: FloatArray, weights: FloatArray, table: FloatArray, first: int) -> int:
        """Fit complete rows in memory by one call, from that step on."""
        status: int = RUNNING
        while status == RUNNING:
            self._make_room()
            arguments = self.state, self.options, first, _TO_THE_END
            status = entry_points.advance_loop(X, weights, table, *arguments)
            first = E_STEP
        return status

    def advance(self, first: int, last: int) -> int:
        """Do the steps of an iteration from the first to the last; RUNNING or a status."""
        self._make_room()
        arguments = self.state, self.options, first, last
        return entry_points.advance_loop(_NO_ROWS, _NO_WEIGHTS, NO_TABLE, *arguments)

    def _make_room(self) -> None:
        """Double the room for iterations where it is short, so that max_iter costs no memory."""
        room, most = len(self.state.changes), self.options.max_iter
        if self.n_iter + 1 >= room and room < most:
            self._resize(min(2 * room, most))

    def _resize(self, room: int) -> None:
        """Give the arrays of iterations that room."""
        values, changes = np.full(room + 1, np.nan), np.full(room, np.nan)
        before = self.state.log_likelihoods, self.state.changes
        values[: len(before[0])], changes[: len(before[1])] = before
        self.state = self.state._replace(log_likelihoods=values, changes=changes)

    @property
    def n_iter(self) -> int:
        """Iterations that are done."""
        return int(self.state.numbers[places.N_ITER])

    @property
    def is_first(self) -> bool:
        """Whether no model has been accepted yet."""
        return bool(self.state.numbers[places.VALUE] == -np.inf)

    def iteration(self, i: int) -> tuple[float, float]:
        """Mean log-likelihood before iteration i, and its parameter change."""
        return float(self.state.log_likelihoods[i]), float(self.state.changes[i])

    @property
    def theta(self) -> GIGParameters:
        """(p, a, b) of the candidate, or, before SOLVE, of the last model."""
        p, a, b = self.state.candidate.theta.tolist()
        return p, a, b

    def candidate(self) -> tuple[NormalParameters, GIGParameters]:
        """The model at which an E-step is to be done; copies, for steps overwrite it."""
        return NormalParameters(*(x.copy() for x in self.state.candidate[:3])), self.theta

    def last(self) -> tuple[NormalParameters, GIGParameters]:
        """The last accepted model."""
        p, a, b = self.state.last.theta.tolist()
        return NormalParameters(*(x.copy() for x in self.state.last[:3])), (p, a, b)

    @property
    def value(self) -> tuple[float, float]:
        """Weight of the rows, and log-likelihood of the last accepted model."""
        weight = float(self.state.sums[0])
        return weight, weight * float(self.state.numbers[places.VALUE])

    @property
    def is_proper(self) -> bool:
        """Whether mu, gamma and Sigma of the M-step exist, so that the law of Y may follow."""
        return bool(self.state.numbers[places.SOLUTION] < GIGStatus.DEGENERATE)

    @property
    def expectations(self) -> GIGParameters:
        """(E log Y, E 1/Y, E Y) that the law of Y is to have."""
        log_y, inv_y, y = self.state.means[:3].tolist()
        return log_y, inv_y, y

    def expect(self, eta: SufficientStatistics) -> None:
        """Take the expectations of Y, from one more E-step, that its law is to have."""
        self.state.means[:3] = eta.E_log_Y, eta.E_inv_Y, eta.E_Y
        self.state.numbers[places.N_PASSES] += 1.0

    def solved(self, theta: GIGParameters, status: GIGStatus) -> None:
        """Take the law of Y that somebody else has solved for."""
        self.state.candidate.theta[:] = theta
        self.state.numbers[places.SOLUTION] = status

    def take(self, eta: SufficientStatistics) -> None:
        """Take the statistics of an E-step at the candidate."""
        self.state.sums[:2] = eta.weight, eta.log_likelihood
        self.take_combined(eta)

    def take_combined(self, eta: SufficientStatistics) -> None:
        """Take what a rule has made of the statistics, for the M-step."""
        d, sums, model = eta.d, self.state.sums, self.state.candidate
        eta = eta.in_frame(model.mu, model.L)
        sums[2:SCALARS] = eta.log_y, eta.inv_y, eta.y
        sums[SCALARS : SCALARS + d], sums[SCALARS + d :] = eta.x, eta.x_inv_y
        self.state.scatter[:] = eta.xx_inv_y
        if eta.weight != sums[0]:
            sums[2:] *= sums[0] / eta.weight
            self.state.scatter[:] *= sums[0] / eta.weight

    def contents(self) -> dict[str, Any]:
        """Copies of the arrays of the state by name, of those of iterations as far as they go."""
        contents = {name: x.copy() for name, x in _arrays(self.state)}
        contents["log_likelihoods"] = contents["log_likelihoods"][: self.n_iter + 1]
        contents["changes"] = contents["changes"][: self.n_iter + 1]
        return contents

    def restore(self, contents: dict[str, Any]) -> None:
        """Take the arrays of another fit's `contents`.

        KeyError if one is missing, ValueError if it is not as that fit had it.
        """
        found = {name: contents[name] for name, _ in _arrays(self.state)}
        for name, x in _arrays(self.state):
            there = found[name]
            shape = x.shape if name not in _HISTORIES else np.shape(there)[:1]
            if getattr(there, "dtype", None) != x.dtype or there.shape != shape:
                msg = f"{name} must be doubles of shape {shape}, got {there!r}"
                raise ValueError(msg)
        n_iter, lengths = found["numbers"][places.N_ITER], [len(found[x]) for x in _HISTORIES]
        if lengths[0] != n_iter + 1 or lengths[1] not in (n_iter, n_iter + 1):
            msg = f"there must be as many iterations as {lengths}, got {n_iter}"
            raise ValueError(msg)
        if not np.isfinite(found["numbers"][_COUNTS]).all():
            msg = f"counts must be finite, got {found['numbers']}"
            raise ValueError(msg)
        self._resize(max(len(self.state.changes), *lengths))
        for name, x in _arrays(self.state):
            x[: len(found[name])] = found[name]

    def trace(self, status: int) -> FitTrace:
        """The record of the fit, which ended at the last accepted model."""
        (mu, gamma, L, theta), s = self.state.last, self.s
        numbers = self.state.numbers
        n_iter, n_passes = int(numbers[places.N_ITER]), int(numbers[places.N_PASSES])
        return FitTrace(
            NormalParameters(mu, gamma / s, L / np.sqrt(s)),
            theta * (1.0, 1.0 / s, s),
            self.state.log_likelihoods[:n_iter],
            self.state.changes[:n_iter],
            n_iter,
            n_passes,
            float(numbers[places.VALUE]),
            status,
        )


def normal_parameters(
    eta: SufficientStatistics, constraints: Constraints
) -> NormalParameters | None:
    """mu, gamma and L of the M-step from statistics; None where there are none."""
    law = (-0.5, 1.0, 1.0)
    normal = NormalParameters(eta.origin, np.zeros(eta.d), eta.scale)
    fit = Fit.new(normal, law, _one_step(constraints))
    fit.take(eta)
    fit.advance(PROPOSE, PROPOSE)
    return fit.candidate()[0] if fit.is_proper else None


def parameter_change(
    old: tuple[NormalParameters, GIGParameters], new: tuple[NormalParameters, GIGParameters]
) -> float:
    """Largest relative change of the parameters (see `BatchEMFitter`); nan if it is none."""
    fit = Fit.new(*old, _one_step(Constraints(Fixed())))
    (normal, (p, a, b)), model, s = new, fit.state.candidate, fit.s
    model.mu[:], model.gamma[:], model.L[:] = normal.mu, normal.gamma * s, normal.L * np.sqrt(s)
    model.theta[:] = p, a * s, b / s
    fit.advance(FINISH, FINISH)
    return float(fit.state.numbers[places.CHANGE])


def _arrays(state: Any, prefix: str = "") -> Iterator[tuple[str, FloatArray]]:
    """Arrays of a nested record by name."""
    for name, value in zip(state._fields, state, strict=True):
        if isinstance(value, tuple):
            yield from _arrays(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _one_step(constraints: Constraints) -> EMOptions:
    """Options of a single step."""
    return EMOptions(constraints, "newton", None, "none", "parameters", 1, 0.0, False)


def _loop_options(options: EMOptions, held: Held) -> LoopOptions:
    """`EMOptions` as numbers."""
    constraints = options.constraints
    return LoopOptions(
        subordinator_of(constraints.fixed, constraints.least_p),
        held,
        ACCELERATIONS.index(options.acceleration),
        CRITERIA.index(options.criterion),
        options.rule is None and not options.conditional,
        options.ends_unconfirmed,
        min(options.max_iter, MOST_ITERATIONS),
        options.tol,
        options.left,
    )


def _moments(theta: GIGParameters) -> tuple[float, float, float, float]:
    """(lnZ, E log Y, E 1/Y, E Y)."""
    return entry_points.gig_moments_entry(*map(float, theta))


def _metric_of_y(theta: GIGParameters) -> FloatArray:
    """(3,) one over the standard deviations of (log Y, 1/Y, Y), 1 where these do not exist."""
    out = np.empty((1, 6))
    p, a, b = (np.array([float(x)]) for x in theta)
    entry_points.gig_covariances_loop(p, a, b, out)
    variances = out[0, [0, 3, 5]]
    known = np.isfinite(variances) & (variances > 0.0)
    return np.where(known, 1.0 / np.sqrt(np.where(known, variances, 1.0)), 1.0)
