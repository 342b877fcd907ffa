"""Newton's method on the exact likelihood, for what EM leaves: slow ridges, and a true end.

A step solves (I + lambda C) x = g, with the gradient g of the log-likelihood, its observed
information I and the information C of the complete data, in the frame of the current model. EM's
own step is nearly C^-1 g. In the basis of I v = m C v, an eigenvalue m is the share of its distance
that a step of EM covers; it is 0 along the scale that Sigma and Y share, and negative where the
likelihood is convex. lambda is such that the step stays within a radius, measured by C / n, within
which the likelihood rises as the quadratic model says (J. Nocedal and S. J. Wright, Numerical
Optimization, 2006, section 4.3).

Many likelihoods rise as Sigma becomes singular along gamma, on a ridge that turns as it narrows.
Let P be the projection on gamma in the frame. A step S of Sigma, which is the identity there, leads
to e^T e^T' with T = (S + PS - SP) / 2, which shears: then such a ridge is straight, and the
distance to its end falls by a factor of e a step. At gamma = 0 it is e^S.
"""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple, Self

import numpy as np
import scipy

from nvmix.backends import get_backend, get_engine
from nvmix.backends.tolerances import DOMINANT, NEGLIGIBLE, SAME
from nvmix.backends.types import Constraints, NormalParameters
from nvmix.foundation.linalg import factor, inverse_lower
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.threads import one_blas_thread
from nvmix.foundation.typing import BoolArray, FloatArray
from nvmix.inference.information import (
    Frame,
    duplication,
    frame_of,
    free_coordinates,
    information_in,
)
from nvmix.mixture.em_maps import Mixture

# Radius at first, at most, and below which a search has failed.
_RADIUS: Final = 0.3
_MOST_RADIUS: Final = 32.0
_LEAST_RADIUS: Final = 1e-7
# The same where the likelihood has kinks: a step that short is over one.
_KINKED: Final = 0.05
# Share of the predicted gain that a step must reach, below which the radius shrinks, and above
# which it grows.
_ENOUGH: Final = 0.05
_POOR: Final = 0.25
_GOOD: Final = 0.7
# Eigenvalues below this are those of the scale that Sigma and Y share, or rounding.
_ROUNDING: Final = 1e-9
# Bound of the mean squared distance of the rows from mu, relative to d E[Y].
_LARGE: Final = 100.0
# Least eigenvalue of a maximum that is no rounding, and least change of log Sigma in any direction
# on a step there. On the way to a singular matrix that is -1, however little there is to gain.
_CURVED: Final = 1e-6
_SHRINKING: Final = -0.5
# Bisections of lambda.
_HALVINGS: Final = 30


class Ascent(NamedTuple):
    """What the method has done: models' mean log-likelihoods before each step, and the end.

    left is the mean log-likelihood that the quadratic model at the end still has to gain, inf where
    the end is no maximum of it.
    """

    model: Mixture
    log_likelihoods: list[float]
    changes: list[float]
    log_likelihood: float
    n_passes: int
    left: float


class _Point(NamedTuple):
    """A model with the statistics of its E-step."""

    model: Mixture
    statistics: SufficientStatistics

    @classmethod
    def of(cls, model: Mixture, placed: Any, *, mu_is_held: bool) -> Self:
        """The point of a model, with the E-step of rows that the backend has placed."""
        statistics = get_backend().e_step(placed, model.normal, model.subordinator.gig)
        if mu_is_held and statistics.inv_y == np.inf:
            # mu is held at a row of the data and b = 0: no derivative needs E[1/Y].
            statistics = replace(statistics, inv_y=0.0)
        return cls(model, statistics)

    @property
    def value(self) -> float:
        """Mean log-likelihood."""
        return self.statistics.mean_log_likelihood


class _Quadratic(NamedTuple):
    """The likelihood about a model to second order, in the basis of eigenvectors (k, k)."""

    frame: Frame
    free: BoolArray
    values: FloatArray
    vectors: FloatArray
    gradient: FloatArray
    weight: float

    def left(self) -> float:
        """Gain of mean log-likelihood to the maximum, inf where there is none."""
        if self.values.min() < -_ROUNDING:
            return np.inf
        curved = self.values > _ROUNDING
        squares = np.square(self.gradient[curved]) / self.values[curved]
        return 0.5 * float(squares.sum()) / self.weight

    def step(self, radius: float) -> tuple[FloatArray, float]:
        """Coordinates of the step within the radius, and the gain that it predicts."""
        bound = radius * np.sqrt(self.weight)
        least = max(0.0, -float(self.values.min())) + _ROUNDING
        x = self.gradient / (self.values + least)
        if x @ x > bound * bound:
            low, high = least, least + float(np.sqrt(self.gradient @ self.gradient)) / bound
            for _ in range(_HALVINGS):
                middle = 0.5 * (low + high)
                x = self.gradient / (self.values + middle)
                low, high = (middle, high) if x @ x > bound * bound else (low, middle)
        elif self.values[0] < -_ROUNDING:
            # A saddle: the way out is along the most negative eigenvalue.
            x[0] += np.sqrt(bound**2 - x @ x)
        gain = float(self.gradient @ x - 0.5 * (self.values * x) @ x) / self.weight
        full = np.zeros(self.free.size)
        full[self.free] = self.vectors @ x
        return full, gain


@one_blas_thread()
def newton_ascent(
    model: Mixture, X: FloatArray, weights: FloatArray | None, constraints: Constraints,
    max_steps: int, tol: float, *, near_cusps: bool,
) -> Ascent:  # fmt: skip
    """Raise the likelihood of complete rows X (n, d) until no more than tol a row is left.

    Ends early where no step raises the likelihood, or the information does not exist. No step leads
    to a law with which the likelihood has cusps or, if `near_cusps`, next to a cusp.
    """
    free, smooth = _free(model, constraints), constraints.mu is not None
    placed = get_backend().place(X, weights=weights)
    at = partial(_Point.of, placed=placed, mu_is_held=smooth)
    values: list[float] = []
    changes: list[float] = []
    point, radius, passes = at(model), _RADIUS, 2
    quadratic = _quadratic(point, X, weights, free)
    while quadratic is not None and quadratic.left() > tol:
        at_kink = not smooth and may_have_cusp(point.model)
        if len(values) == max_steps or radius < (_KINKED if at_kink else _LEAST_RADIUS):
            break
        step, gain = quadratic.step(radius)
        new = _moved(point.model, quadratic.frame, step)
        is_allowed = new is not None and (
            is_tame(new, constraints) or (near_cusps and not meets_rows(new, X))
        )
        candidate = at(new) if new is not None and is_allowed else None
        passes += candidate is not None
        rise = -np.inf if candidate is None else candidate.value - point.value
        reached = rise / gain if rise < np.inf else -np.inf
        radius = _next_radius(radius, reached)
        if candidate is not None and reached > _ENOUGH:
            values.append(point.value)
            changes.append(_residual(point, candidate.model, constraints))
            point, quadratic = candidate, _quadratic(candidate, X, weights, free)
            passes += 1
    left = np.inf if quadratic is None else quadratic.left()
    return Ascent(point.model, values, changes, point.value, passes, left)


@one_blas_thread()
def has_maximum(
    model: Mixture, X: FloatArray, weights: FloatArray | None, constraints: Constraints, tol: float
) -> bool:
    """Whether complete rows X (n, d) have a maximum, to second order, next to a model.

    Within tol of its mean log-likelihood, and at a Sigma that is not much smaller in any direction.
    One direction may be flat, the scale that Sigma and Y share.
    """
    placed = get_backend().place(X, weights=weights)
    point = _Point.of(model, placed, mu_is_held=constraints.mu is not None)
    quadratic = _quadratic(point, X, weights, _free(model, constraints))
    if quadratic is None or quadratic.left() > tol or quadratic.values[1] <= _CURVED:
        return False
    step, _ = quadratic.step(_MOST_RADIUS)
    return bool(np.linalg.eigvalsh(_change_of_sigma(step, model.d)).min() > _SHRINKING)


def _free(model: Mixture, constraints: Constraints) -> BoolArray:
    """(k,) which coordinates of the frame are not held."""
    free = free_coordinates(model, constraints.names)
    free[: model.d] &= constraints.mu is None
    free[-3:] &= [value is None for value in constraints.fixed]
    return free


def _next_radius(radius: float, reached: float) -> float:
    """The radius after a step that has reached this share of the gain that it predicted."""
    if not reached > _ENOUGH:
        return 0.25 * radius
    if reached < _POOR:
        return 0.5 * radius
    return min(2.0 * radius, _MOST_RADIUS) if reached > _GOOD else radius


def may_have_cusp(model: Mixture) -> bool:
    """Whether the density has, or nearly has, a cusp or a pole at mu.

    The likelihood then has one at every row that mu comes to, and is not smooth.
    """
    (p, _, b), d = model.subordinator.gig, model.d
    log_y, _, y = model.subordinator.gig_expectations
    size = y if p >= 0.0 else np.exp(log_y)
    return p - 0.5 * d < 1.0 and not b > _LARGE * NEGLIGIBLE * d * size


def is_tame(model: Mixture, constraints: Constraints) -> bool:
    """Whether the likelihood near a model is smooth, or has kinks at rows at most, not cusps.

    It has kinks at b = 0 where the order of Y is held at that of the hyperbolic law, or above.
    """
    order = constraints.fixed.p
    has_kinks = order is not None and order - 0.5 * model.d >= 0.5
    return constraints.mu is not None or has_kinks or not may_have_cusp(model)


def meets_rows(model: Mixture, X: FloatArray) -> bool:
    """Whether mu is so near to a row of X (n, d) that the cusp or pole there tells.

    It then has half of the sum of 1 / (b + q), by squared distances q of all rows from mu. For
    p - d/2 > 1/2 the likelihood is differentiable at rows, too.
    """
    (p, _, b), d = model.subordinator.gig, model.d
    if p - 0.5 * d > 0.5:
        return False
    q = np.square(inverse_lower(model.L_sigma) @ (X - model.mu).T).sum(axis=0)
    nearness = 1.0 / np.maximum(b + q, np.finfo(float).tiny)
    share = nearness[q <= SAME * q.min()].sum() / nearness.sum()
    return not share < DOMINANT


def is_pointed(model: Mixture) -> bool:
    """Whether the density has a peak at mu, so that the likelihood has one at every row."""
    return 0.0 < model.subordinator.gig[0] - 0.5 * model.d <= 0.5 and may_have_cusp(model)


def _residual(point: _Point, new: Mixture, constraints: Constraints) -> float:
    """Parameter change of EM's own step or, where that has no model, of the step to another one."""
    with suppress(ValueError):
        new = point.model.m_step(point.statistics, constraints=constraints)
    laws = point.model.subordinator.gig, new.subordinator.gig
    change: float = get_engine().parameter_change(
        (point.model.normal, laws[0]), (new.normal, laws[1])
    )
    return change


def _quadratic(
    point: _Point, X: FloatArray, weights: FloatArray | None, free: BoolArray
) -> _Quadratic | None:
    """The likelihood about a model to second order; None where its information does not exist."""
    frame = frame_of(point.model)
    gradient = _score(frame, point.statistics)
    if not np.isfinite(gradient[free]).all():
        return None
    try:
        information, complete = information_in(frame, X, weights, free)
        information -= _bend(frame, gradient)[np.ix_(free, free)]
        information = _without(_scale(frame)[free], information, complete)
        values, vectors = scipy.linalg.eigh(information, complete)
    except (ValueError, np.linalg.LinAlgError):
        return None
    along = vectors.T @ gradient[free]
    return _Quadratic(frame, free, values, vectors, along, point.statistics.weight)


def _bend(frame: Frame, gradient: FloatArray) -> FloatArray:
    """Second derivatives of the log-likelihood (k, k) that come from those of Sigma's path.

    To second order Sigma is I + S + S^2 / 2 + (P S^2 + S^2 P - 2 S P S) / 4.
    """
    d, P = frame.g.size, _projection(frame)
    D, sigma = duplication(d), slice(2 * d, -3)
    G = (D @ (gradient[sigma] / D.sum(axis=0))).reshape(d, d)
    bend = np.zeros((gradient.size, gradient.size))
    bend[sigma, sigma] = D.T @ (np.kron(np.eye(d), G + 0.5 * (G @ P + P @ G)) - np.kron(P, G)) @ D
    return bend


def _scale(frame: Frame) -> FloatArray:
    """Direction (k,) in which Sigma, gamma and a grow, b falls, and the law of X is the same."""
    d, (_, a, b) = frame.g.size, frame.theta
    return np.concatenate([np.zeros(d), frame.g, np.eye(d)[np.tril_indices(d)], [0.0, a, -b]])


def _without(u: FloatArray, information: FloatArray, complete: FloatArray) -> FloatArray:
    """The information (k, k) by what is orthogonal to u (k,) in the metric of the complete data."""
    metric = complete @ u
    others = np.eye(u.size) - np.outer(u, metric / (metric @ u))
    return others.T @ information @ others


def _projection(frame: Frame) -> FloatArray:
    """Projection (d, d) on gamma in the frame, 0 if gamma is 0."""
    square = float(frame.g @ frame.g)
    return np.outer(frame.g, frame.g) / (square if square > 0.0 else 1.0)


def _score(frame: Frame, eta: SufficientStatistics) -> FloatArray:
    """Gradient of the log-likelihood by all coordinates of the frame, by Fisher's identity."""
    eta = eta.rescaled(1.0 / frame.s).in_frame(frame.mu, frame.L)
    n, g = eta.weight, frame.g
    _, log_y, inv_y, y = get_backend().gig_law(frame.theta)
    gy = g * eta.y if g.any() else g
    cross = np.outer(eta.x, g)
    by_sigma = eta.xx_inv_y - cross - cross.T + np.outer(gy, g) - n * np.eye(g.size)
    rows, columns = np.tril_indices(g.size)
    share = np.where(rows == columns, 0.5, 1.0)
    of_y = eta.log_y - n * log_y, -0.5 * (eta.y - n * y), -0.5 * (eta.inv_y - n * inv_y)
    return np.concatenate([eta.x_inv_y - n * g, eta.x - gy, share * by_sigma[rows, columns], of_y])


def _moved(model: Mixture, frame: Frame, step: FloatArray) -> Mixture | None:
    """The model a step away from the origin of its frame; None where it is none.

    Parameters that are positive approach 0 without reaching it.
    """
    d, s, P = frame.g.size, frame.s, _projection(frame)
    S = _change_of_sigma(step, d)
    A = scipy.linalg.expm(0.5 * (S + P @ S - S @ P))
    L = factor(A @ A.T)
    if L is None:
        return None
    gamma = frame.L @ (frame.g + step[d : 2 * d]) / s
    normal = NormalParameters(frame.mu + frame.L @ step[:d], gamma, frame.L @ L / np.sqrt(s))
    (p, a, b), (dp, da, db) = frame.theta, step[-3:].tolist()
    if a == 0.0 or b == 0.0:
        p = _raised(p, dp) if p > 0.0 else -_raised(-p, -dp)
    else:
        p += dp
    try:
        return model.at(normal, (p, _raised(a, da) / s, _raised(b, db) * s))
    except ValueError:
        return None


def _change_of_sigma(step: FloatArray, d: int) -> FloatArray:
    """(d, d) first-order change of Sigma, which is the identity in the frame."""
    changed: FloatArray = (duplication(d) @ step[2 * d : -3]).reshape(d, d)
    return changed


def _raised(x: float, step: float) -> float:
    """x + step, or to first order that where step is negative, but positive."""
    return x + step if step >= 0.0 else x * x / (x - step) if x > 0.0 else 0.0
