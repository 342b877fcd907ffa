"""The state of an EM loop, how far an iteration moves it, and the rule that stops it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from nvmix.backends.status import Status
from nvmix.backends.tolerances import N_BELOW_TOL, NO_GAIN
from nvmix.backends.types import EMOptions, FitTrace
from nvmix.fitting.checkpoints.contents import (
    model_contents,
    model_from,
    statistics_contents,
    statistics_from,
)
from nvmix.fitting.engine.acceleration import Extrapolation
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.mixture.em_maps import Mixture

# Members that a checkpoint holds as they are.
_NUMBERS: Final = ("value", "gain", "passes", "n_plain", "n_below_tol")
_EXTRAPOLATION: Final = (
    "method", "origin", "scale", "s", "metric", "damping", "longest", "cautious", "extrapolated",
)  # fmt: skip


@dataclass
class LoopState:
    """An EM loop after some iterations: what it goes on from, in memory or from a checkpoint."""

    model: Mixture  # the last that was accepted, at first the start
    extrapolation: Extrapolation
    statistics: SufficientStatistics = field(init=False)  # of the E-step at the model
    eta: SufficientStatistics | None = None  # what the rule, if any, has made of all statistics
    value: float = -math.inf  # mean log-likelihood of the model
    gain: float = math.inf  # what the last iteration added to it
    passes: int = 0  # over the data
    # Iterations in a row that were not extrapolated, and whose predicted gain was below tol.
    n_plain: int = 0
    n_below_tol: int = 0
    log_likelihoods: list[float] = field(default_factory=list)  # means, of every accepted model
    changes: list[float] = field(default_factory=list)  # parameter change of every iteration
    status: Status | None = None  # how the fit ended; None while it runs

    def accept(
        self,
        model: Mixture,
        statistics: SufficientStatistics,
        moved: tuple[float, float],
        options: EMOptions,
    ) -> Status | None:
        """Go on from a model; the status, if that ends the fit.

        moved has the `parameter_change` and the predicted gain from the model before, inf for a
        start. The likelihood criterion wants `N_BELOW_TOL` iterations in a row that predict less
        than tol: extrapolated ones by the size of their step, plain ones by Aitken's extrapolation
        of the last two gains, of which the second of two plain steps has the first.
        """
        change, predicted_gain = moved
        value, extrapolated = statistics.mean_log_likelihood, self.extrapolation.extrapolated
        first = not self.log_likelihoods
        previous, self.gain, self.value = self.gain, value - self.value, value
        self.model, self.statistics = model, statistics
        self.log_likelihoods.append(value)
        if first:
            return self.status
        self.changes.append(change)
        self.n_plain = 0 if extrapolated else self.n_plain + 1
        if extrapolated or self.n_plain > 1:
            left = predicted_gain if extrapolated else aitken(self.gain, previous, abs(value))
            self.n_below_tol = self.n_below_tol + 1 if left < options.tol else 0
        by_likelihood = options.criterion == "likelihood"
        if self.n_below_tol >= N_BELOW_TOL if by_likelihood else change < options.tol:
            self.status = Status.CONVERGED
        elif len(self.changes) >= options.max_iter:
            self.status = Status.MAX_ITER
        return self.status

    def trace(self, status: Status) -> FitTrace:
        """The record of the fit, which ended at the last accepted model."""
        n, theta = len(self.changes), self.model.subordinator.gig
        histories = self.log_likelihoods[:n], self.changes
        return FitTrace(self.model.normal, theta, *histories, n, self.passes, self.value, status)

    def contents(self) -> dict[str, Any]:
        """Numbers and arrays by name, none of which later iterations change."""
        extrapolation = self.extrapolation
        contents = {
            **model_contents("model", self.model),
            "log_likelihoods": np.array(self.log_likelihoods),
            "changes": np.array(self.changes),
            "status": None if self.status is None else int(self.status),
            **{name: getattr(self, name) for name in _NUMBERS},
            **statistics_contents("statistics", self.statistics),
            **statistics_contents("eta", self.eta),
            **{f"extrapolation.{name}": getattr(extrapolation, name) for name in _EXTRAPOLATION},
        }
        if extrapolation.used is not None:
            contents["extrapolation.used"] = extrapolation.used
        if extrapolation.history:
            contents["extrapolation.history"] = np.array(extrapolation.history)
        return contents

    @classmethod
    def of_contents(cls, start: Mixture, contents: dict[str, Any]) -> LoopState:
        """The state that has these contents, of a fit from start; KeyError if one is missing."""
        extrapolation = Extrapolation(
            **{name: contents[f"extrapolation.{name}"] for name in _EXTRAPOLATION},
            history=[(r, image) for r, image in contents.get("extrapolation.history", ())],
            used=contents.get("extrapolation.used"),
        )
        state = cls(model_from(start, contents, "model"), extrapolation)
        statistics = statistics_from(contents, "statistics")
        if statistics is None:
            raise KeyError("statistics.weight")  # noqa: EM101
        state.statistics, state.eta = statistics, statistics_from(contents, "eta")
        for name in _NUMBERS:
            setattr(state, name, contents[name])
        state.log_likelihoods = contents["log_likelihoods"].tolist()
        state.changes = contents["changes"].tolist()
        state.status = None if contents["status"] is None else Status.of(contents["status"])
        return state


def aitken(gain: float, previous: float, size: float) -> float:
    """What a geometric series still gains after its last two terms; inf where they do not fall.

    A gain below rounding of the size of what gains leaves none.
    """
    if gain <= NO_GAIN * size:
        return 0.0
    return gain * gain / (previous - gain) if gain < previous < math.inf else math.inf


def parameter_change(old: Mixture, new: Mixture) -> tuple[float, float]:
    """Largest relative change of the parameters (see `BatchEMFitter`), and the predicted gain.

    The second is half the Jeffreys divergence between the laws of (X, Y), to second order: an upper
    bound of what the step between the models gains in mean log-likelihood. The models are of one
    family, in any gauge.
    """
    (_, a, b), (log_y, inv_y, y) = old.subordinator.gig, old.subordinator.gig_expectations
    (_, a1, b1), (log_y1, inv_y1, y1) = new.subordinator.gig, new.subordinator.gig_expectations
    s, t = float(np.exp(log_y)), float(np.exp(log_y1))
    shifts = np.empty((old.d, old.d + 2))
    shifts[:, 0] = new.mu - old.mu
    shifts[:, 1] = new.gamma * t - old.gamma * s
    shifts[:, 2:] = new.L_sigma
    w = inverse_lower(old.L_sigma) @ shifts
    sigma = w[:, 2:] @ w[:, 2:].T
    sigma *= t / s
    sigma.flat[:: old.d + 1] -= 1.0
    # (theta - theta') . (eta - eta') of GIG(p, a s, b / s), the law of Y / s; E[log] cancels.
    law = _product(a * s - a1 * t, y / s, y1 / t) + _product(b / s - b1 / t, inv_y * s, inv_y1 * t)
    law = max(-0.5 * law, 0.0)
    mu, gamma = float(w[:, 0] @ w[:, 0]) / s, float(w[:, 1] @ w[:, 1]) / s
    square = float(np.vdot(sigma, sigma))
    total = law + 2.0 * mu + 2.0 * gamma + 0.5 * square
    if math.isnan(total):
        return math.nan, math.nan
    return math.sqrt(max(law, mu, gamma, square / old.d)), 0.5 * total


def _product(x: float, y: float, z: float) -> float:
    """x (y - z), 0 where x is, even if y and z are infinite."""
    return x * (y - z) if x != 0.0 else 0.0
