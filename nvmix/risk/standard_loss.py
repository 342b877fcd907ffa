r"""The loss of a portfolio in units of its own scale, and what its tails contribute to means.

With m = w'mu and s^2 = w'Sigma w the loss is -w'X = -m + s U, where

    U = delta Y + sqrt(Y) Z,    delta = -w'gamma / s,    Z standard normal.

All portfolios share Y, so that the law of U varies with one number, delta. Of the mean
E[U; U > x] = delta E[Y; U > x] + E[sqrt(Y) Z; U > x] the second part is
E[Y phi((x - delta Y) / sqrt(Y)) / sqrt(Y)]. A factor Y takes the law GIG(p, a, b) to E[Y] times
GIG(p + 1, a, b), marked by a star, so that with density f

    E[Y; U > x] = E[Y] P*(U > x),    E[sqrt(Y) Z; U > x] = E[Y] f*(x) = E[Y | U = x] f(x).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters, NormalParameters
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.subordinator import Subordinator

# Panels of this length of arcsinh(x / sqrt(b)), with a Gauss-Legendre rule in each, resolve the
# density of U under an inverse gamma law of Y, whose nearest singularity is i pi / 2 away.
_PANEL: Final = 0.25
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# e to the minus this is 0 in doubles.
_BEYOND: Final = 746.0


class Tail(NamedTuple):
    """What U > x contributes: P(U > x), E[Y; U > x] and E[sqrt(Y) Z; U > x]."""

    probability: float
    mixing: float
    normal: float


class StandardLoss(Protocol):
    """The law of U."""

    @property
    def delta(self) -> float:
        """Skewness: U has location 0 and scale 1."""

    @property
    def mean_mixing(self) -> float:
        """E[Y], possibly inf."""

    @property
    def mirrored(self) -> "StandardLoss":
        """The law of -U."""

    def quantile(self, level: float) -> float:
        """x with P(U <= x) = level."""

    def mixing_at(self, x: float) -> float:
        """E[Y | U = x]."""

    def tail(self, x: float) -> float:
        """P(U > x)."""

    def upper(self, x: float) -> Tail:
        """What U > x contributes to means."""

    def around(self, x: float) -> tuple[float, float]:
        """E[Y | U = x] and Var[Y | U = x], times the density of U at x."""


@dataclass(frozen=True)
class NormalLoss:
    """U = Z, of a normal distribution, where Y = 1."""

    delta: float = 0.0
    mean_mixing: float = 1.0

    @property
    def mirrored(self) -> StandardLoss:
        """The law of -U."""
        return self

    def quantile(self, level: float) -> float:
        """x with P(U <= x) = level."""
        return float(ndtri(level) if level < 0.5 else -ndtri(1.0 - level))

    def mixing_at(self, x: float) -> float:  # noqa: ARG002
        """1."""
        return 1.0

    def tail(self, x: float) -> float:
        """P(U > x)."""
        return float(ndtr(-x))

    def upper(self, x: float) -> Tail:
        """What U > x contributes to means."""
        probability = self.tail(x)
        return Tail(probability, probability, self.around(x)[0])

    def around(self, x: float) -> tuple[float, float]:
        """The density of U at x, and 0."""
        return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi), 0.0


@dataclass(frozen=True)
class MixedLoss:
    """U where Y ~ GIG(p, a, b)."""

    theta: GIGParameters
    mean_mixing: float
    delta: float

    @property
    def mirrored(self) -> StandardLoss:
        """The law of -U."""
        return MixedLoss(self.theta, self.mean_mixing, -self.delta)

    @cached_property
    def _normal(self) -> NormalParameters:
        return NormalParameters(np.zeros(1), np.array([self.delta]), np.ones((1, 1)))

    def quantile(self, level: float) -> float:
        """x with P(U <= x) = level."""
        upper = level >= 0.5
        q = np.array([1.0 - level if upper else level])
        return float(get_backend().quantiles(q, self._normal, self.theta, upper=upper)[0])

    def mixing_at(self, x: float) -> float:
        """E[Y | U = x]."""
        return float(self._mixing_at(np.array([x]))[0])

    def tail(self, x: float) -> float:
        """P(U > x)."""
        return self._tail(x, self.theta)

    def upper(self, x: float) -> Tail:
        """What U > x contributes to means."""
        p, a, b = self.theta
        if math.isfinite(self.mean_mixing):
            star = (p + 1.0, a, b)
            mixing = self.mean_mixing * self._tail(x, star)
            normal = self.mean_mixing * float(self._density(np.array([x]), star)[0])
        else:
            mixing = self._mixing_beyond(x) if self.delta < 0.0 else math.inf
            normal = float(self._mixing_at(np.array([x]))[0] * self._density(np.array([x]))[0])
        return Tail(self.tail(x), mixing, normal)

    def around(self, x: float) -> tuple[float, float]:
        """E[Y | U = x] and Var[Y | U = x], times the density of U at x."""
        at, unit = np.array([x]), np.array([max(1.0, abs(x))])
        variance = unit * unit * get_backend().gig_covariances(*self._given(at, unit))[:, 2, 2]
        return self.upper(x).normal, float((variance * self._density(at))[0])

    def _tail(self, x: float, theta: GIGParameters) -> float:
        """P(U > x) under a law of Y."""
        tails = get_backend().tails(np.array([x]), self._normal, theta, upper=True, log=False)
        return float(tails[0])

    def _density(self, x: FloatArray, theta: GIGParameters | None = None) -> FloatArray:
        """Density of U at x (n,), under another law of Y if one is given."""
        backend = get_backend()
        placed = backend.place(x[:, None])
        return np.exp(backend.log_prob(placed, self._normal, theta or self.theta))

    def _mixing_at(self, x: FloatArray) -> FloatArray:
        """E[Y | U = x] at x (n,)."""
        unit = np.maximum(1.0, np.abs(x))
        with np.errstate(over="ignore"):
            return unit * get_backend().gig_moments(*self._given(x, unit))[3]

    def _given(self, x: FloatArray, unit: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Parameters (n,) of the law of Y / unit given U = x.

        Y is GIG(p - 1/2, a + delta^2, b + x^2). Units of |x| keep squares in the range of doubles.
        """
        p, a, b = self.theta
        rate = a * unit + np.square(self.delta * np.sqrt(unit))
        return np.full(x.size, p - 0.5), rate, b / unit + x * (x / unit)

    def _mixing_beyond(self, x: float) -> float:
        """E[Y; U > x] where E[Y] is infinite and delta < 0: the integral of E[Y | U] f."""
        scale = math.sqrt(self.theta[2])
        # f falls like exp(-2 |delta| x).
        farthest = max(x, 0.0) - 0.5 * _BEYOND / self.delta
        first, last = math.asinh(x / scale), math.asinh(min(farthest / scale, 1e150))
        n = max(1, math.ceil((last - first) / _PANEL))
        half = 0.5 * (last - first) / n
        t = first + half * (2.0 * np.arange(n)[:, None] + 1.0 + _NODES).ravel()
        points, slope = scale * np.sinh(t), scale * np.cosh(t)
        values = self._mixing_at(points) * self._density(points) * slope
        return float(half * (values.reshape(n, -1) @ _WEIGHTS).sum())


def standard_losses(subordinator: Subordinator, delta: FloatArray) -> list[StandardLoss]:
    """The laws of U of portfolios, with delta (k,)."""
    return [standard_loss(subordinator, each) for each in delta.tolist()]


def standard_loss(subordinator: Subordinator, delta: float) -> StandardLoss:
    """The law of U of a portfolio."""
    if subordinator.is_constant:
        return NormalLoss()
    p, a, b = map(float, subordinator.gig)
    return MixedLoss((p, a, b), float(subordinator.mean()), float(delta))
