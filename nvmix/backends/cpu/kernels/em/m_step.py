"""The M-step: mu, gamma, Sigma and the subordinator from the means of the statistics."""

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import compact_device
from nvmix.backends.cpu.kernels.em.e_step import SCALARS, Model
from nvmix.backends.cpu.kernels.em.matrices import (
    apply,
    cholesky,
    invert_lower,
    multiply,
    multiply_transposed,
)
from nvmix.backends.cpu.kernels.gig.solve import Solution, Triple, gamma_shape, gig_solve
from nvmix.backends.tolerances import COLLAPSED, NO_MIXING, NO_VARIANCE
from nvmix.backends.types import Fixed, GIGStatus
from nvmix.foundation.typing import FloatArray

# Kinds of subordinator, by how eta -> theta is solved.
_GIG, _GAMMA, _INVERSE_GAMMA, _INVERSE_GAUSSIAN = range(4)

_INTERIOR: Final = int(GIGStatus.INTERIOR)
_DEGENERATE: Final = int(GIGStatus.DEGENERATE)
# Share of E[X^2 / Y] below which a variance is the rounding of the terms that it is summed from.
_ROUNDING: Final = 1e-15
_INFEASIBLE: Final = int(GIGStatus.INFEASIBLE)


class SubordinatorKind(NamedTuple):
    """Kind of subordinator to solve for, its p where that is fixed, else nan, and a bound of p."""

    kind: int
    p: float
    least_p: float


class Frame(NamedTuple):
    """Coordinates L^-1 (x - origin), in which steps are taken; inverse is L^-1."""

    origin: FloatArray
    L: FloatArray
    inverse: FloatArray


class Held(NamedTuple):
    """What an M-step holds: mu, in the coordinates of the data, empty where it is free, and gamma.

    symmetric holds gamma at 0.
    """

    mu: FloatArray
    symmetric: bool


def subordinator_of(fixed: Fixed, least_p: float) -> SubordinatorKind:
    """The subordinator with those coordinates fixed and p >= least_p."""
    p = math.nan if fixed.p is None else float(fixed.p)
    if fixed.b == 0.0:
        return SubordinatorKind(_GAMMA, p, least_p)
    if fixed.a == 0.0:
        return SubordinatorKind(_INVERSE_GAMMA, p, least_p)
    return SubordinatorKind(_INVERSE_GAUSSIAN if p == -0.5 else _GIG, p, least_p)


@compact_device
def _gamma(log_y: float, y: float, p: float, least_p: float) -> tuple[float, float, int]:
    """(p, a) and `GIGStatus` of the gamma law with these E log Y and E Y.

    p is the given one or, if that is nan, solved for and at least least_p.
    """
    c = math.log(y) - log_y if y > 0.0 else math.nan
    if not c > 0.0:
        return math.nan, math.nan, _DEGENERATE if c == 0.0 else _INFEASIBLE
    order = max(gamma_shape(c), least_p) if math.isnan(p) else p
    return order, 2.0 * order / y, _INTERIOR


@compact_device
def fit_subordinator(
    log_y: float, inv_y: float, y: float, family: SubordinatorKind, start: Triple
) -> Solution:
    """The theta that maximises theta . eta - A(theta); start may be nan.

    Gamma and inverse gamma need one equation for the order, inverse Gaussian none, GIG `gig_solve`.
    The objective is concave: where its maximum has p < least_p, that over p >= least_p has
    p = least_p, and a second solve finds the other coordinates.
    """
    if family.kind == _GAMMA:
        p, a, status = _gamma(log_y, y, family.p, family.least_p)
        return p, a, 0.0, status
    if family.kind == _INVERSE_GAMMA:
        p, a, status = _gamma(-log_y, inv_y, -family.p, -math.inf)
        return -p, 0.0, a, status
    if family.kind == _INVERSE_GAUSSIAN:
        D = y * inv_y - 1.0 if y > 0.0 and inv_y > 0.0 else math.nan
        a = 1.0 / (y * D)
        if NO_VARIANCE < D < math.inf and a > 0.0:
            return -0.5, a, y / D, _INTERIOR
        status = _INFEASIBLE if D < -NO_VARIANCE or math.isnan(D) else _DEGENERATE
        return math.nan, math.nan, math.nan, status
    fixed_p = family.p
    while True:
        p, a, b, status = gig_solve(log_y, inv_y, y, fixed_p, start)
        if not (p < family.least_p and math.isnan(fixed_p)):
            return p, a, b, status
        fixed_p = family.least_p


@compact_device
def _subtract(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """out = x - y."""
    for i in range(x.size):
        out[i] = x[i] - y[i]


@compact_device
def to_frame(
    sums: FloatArray, scatter: FloatArray, model: Model, frame: Frame, means: FloatArray
) -> None:
    """Fill means, (k,), in the frame from sums over w = L^-1 (x - mu) of the model.

    Their order is E log Y, E 1/Y, E Y, E X, E X/Y and the rows of E XX'/Y.
    """
    d, n = model.mu.size, sums[0]
    T, half, full = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    shift, c = np.empty(d), np.empty(d)
    multiply(frame.inverse, model.L, T)
    _subtract(model.mu, frame.origin, shift)
    apply(frame.inverse, shift, c)
    multiply(T, scatter, half)
    multiply_transposed(half, T, full)
    # Infinite where mu is held at a row of the data and b = 0; the M-step does not use it there.
    inv_y = sums[3] / n if sums[3] < math.inf else 0.0
    means[0], means[1], means[2] = sums[2] / n, inv_y, sums[4] / n
    for i in range(d):
        x, x_inv_y = 0.0, 0.0
        for j in range(i + 1):
            x += T[i, j] * sums[SCALARS + j]
            x_inv_y += T[i, j] * sums[SCALARS + d + j]
        means[3 + i] = x / n + c[i]
        means[3 + d + i] = x_inv_y / n
    for i in range(d):
        for j in range(d):
            cross = means[3 + d + i] * c[j] + c[i] * means[3 + d + j]
            means[3 + (2 + i) * d + j] = full[i, j] / n + cross + c[i] * c[j] * inv_y
    for i in range(d):
        means[3 + d + i] += c[i] * inv_y


@compact_device
def _location_and_skewness(
    means: FloatArray, held: Held, frame: Frame, mu: FloatArray, gamma: FloatArray
) -> bool:
    """Fill mu and gamma in the frame; whether they are determined.

    With D = E[Y] E[1/Y] - 1, mu = (E[Y] E[X/Y] - E[X]) / D and gamma = (E[1/Y] E[X] - E[X/Y]) / D
    where both are free. A symmetric law needs E[1/Y] alone, and has it where E[Y] is infinite.
    """
    d = mu.size
    inv_y, y = means[1], means[2]
    x, x_inv_y = means[3 : 3 + d], means[3 + d : 3 + 2 * d]
    if held.mu.size > 0:
        _subtract(held.mu, frame.origin, gamma)
        apply(frame.inverse, gamma, mu)
        for i in range(d):
            gamma[i] = 0.0 if held.symmetric else (x[i] - mu[i]) / y
        return True
    if held.symmetric:
        for i in range(d):
            mu[i], gamma[i] = x_inv_y[i] / inv_y, 0.0
        return True
    D = y * inv_y - 1.0
    if not NO_MIXING < D < math.inf:
        return False
    for i in range(d):
        mu[i] = (y * x_inv_y[i] - x[i]) / D
        gamma[i] = (inv_y * x[i] - x_inv_y[i]) / D
    return True


@compact_device
def normal_parameters(
    means: FloatArray, held: Held, frame: Frame, broad: float, out: Model, sigma: FloatArray
) -> bool:
    """Fill mu, gamma, L and Sigma (lower triangle) in the frame; whether these are proper.

    Maximises E[log N(x; mu + gamma Y, Sigma Y)] over what is free. Sigma is the mean of
    (x - mu - gamma Y)(x - mu - gamma Y)' / Y; it is improper where it is singular or, next to
    that, rounding, as where gamma Y varies by far more. There heavy tails of Y count up to `broad`.
    """
    d, inv_y, y = out.mu.size, means[1], means[2]
    x, x_inv_y = means[3 : 3 + d], means[3 + d : 3 + 2 * d]
    mu, gamma = out.mu, out.gamma
    if not _location_and_skewness(means, held, frame, mu, gamma):
        return False
    for i in range(d):
        for j in range(i + 1):
            sigma[i, j] = (
                means[3 + (2 + i) * d + j]
                - x_inv_y[i] * mu[j]
                - mu[i] * (x_inv_y[j] - inv_y * mu[j])
            )
            if not held.symmetric:
                cross = gamma[i] * (x[j] - mu[j]) + (x[i] - mu[i]) * gamma[j]
                sigma[i, j] += y * gamma[i] * gamma[j] - cross
        if not sigma[i, i] > _ROUNDING * means[3 + (2 + i) * d + i]:
            return False
    if not cholesky(sigma, out.L):
        return False
    if held.symmetric:
        return True
    inverse, g = np.empty((d, d)), np.empty(d)
    invert_lower(out.L, inverse)
    apply(inverse, gamma, g)
    square = 0.0
    for i in range(d):
        square += g[i] * g[i]
    D, most = y * inv_y - 1.0, broad * inv_y * math.exp(means[0])
    return not square * y * (most if most < D else D) > COLLAPSED


@compact_device
def from_frame(frame: Frame, held: Held, model: Model) -> None:
    """Turn mu, gamma and L of a model from the frame to the coordinates of the data."""
    d = model.mu.size
    x, L = np.empty(d), np.empty((d, d))
    apply(frame.L, model.mu, x)
    for i in range(d):
        model.mu[i] = frame.origin[i] + x[i] if held.mu.size == 0 else held.mu[i]
    apply(frame.L, model.gamma, x)
    multiply(frame.L, model.L, L)
    for i in range(d):
        model.gamma[i] = x[i]
        for j in range(d):
            model.L[i, j] = L[i, j]


@compact_device
def is_proper(model: Model) -> bool:
    """Whether all parameters are finite, and (p, a, b) those of a law."""
    p, a, b = model.theta
    total = p + a + b
    for i in range(model.mu.size):
        total += model.mu[i] + model.gamma[i]
        for j in range(i + 1):
            total += model.L[i, j]
    proper = (a > 0.0 or p < 0.0) and (b > 0.0 or p > 0.0) and a >= 0.0 and b >= 0.0
    return proper and math.isfinite(total)
