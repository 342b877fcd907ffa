"""The M-step: mu, gamma, Sigma and the subordinator from the means of the statistics."""

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device
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
_INFEASIBLE: Final = int(GIGStatus.INFEASIBLE)


class SubordinatorKind(NamedTuple):
    """Kind of subordinator to solve for, its p where that is fixed, else nan, and a bound of p."""

    kind: int
    p: float
    least_p: float


class Frame(NamedTuple):
    """Coordinates of extrapolation: L^-1 (x - origin) / sqrt(s) and Y / s; inverse is L^-1."""

    origin: FloatArray
    L: FloatArray
    inverse: FloatArray
    s: float


def subordinator_of(fixed: Fixed, least_p: float) -> SubordinatorKind:
    """The subordinator with those coordinates fixed and p >= least_p."""
    p = math.nan if fixed.p is None else float(fixed.p)
    if fixed.b == 0.0:
        return SubordinatorKind(_GAMMA, p, least_p)
    if fixed.a == 0.0:
        return SubordinatorKind(_INVERSE_GAMMA, p, least_p)
    return SubordinatorKind(_INVERSE_GAUSSIAN if p == -0.5 else _GIG, p, least_p)


@device
def _gamma(log_y: float, y: float, p: float, least_p: float) -> tuple[float, float, int]:
    """(p, a) and `GIGStatus` of the gamma law with these E log Y and E Y.

    p is the given one or, if that is nan, solved for and at least least_p.
    """
    c = math.log(y) - log_y if y > 0.0 else math.nan
    if not c > 0.0:
        return math.nan, math.nan, _DEGENERATE if c == 0.0 else _INFEASIBLE
    order = max(gamma_shape(c), least_p) if math.isnan(p) else p
    return order, 2.0 * order / y, _INTERIOR


@device
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
        if NO_VARIANCE < D < math.inf:
            return -0.5, 1.0 / (y * D), y / D, _INTERIOR
        status = _DEGENERATE if abs(D) <= NO_VARIANCE else _INFEASIBLE
        return math.nan, math.nan, math.nan, status
    fixed_p = family.p
    while True:
        p, a, b, status = gig_solve(log_y, inv_y, y, fixed_p, start)
        if not (p < family.least_p and math.isnan(fixed_p)):
            return p, a, b, status
        fixed_p = family.least_p


@device
def _subtract(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """out = x - y."""
    for i in range(x.size):
        out[i] = x[i] - y[i]


@device
def to_frame(
    sums: FloatArray, scatter: FloatArray, model: Model, frame: Frame, means: FloatArray
) -> None:
    """Fill means, (k,), in the frame from sums over w = L^-1 (x - mu) of the model.

    Their order is E log Y, E 1/Y, E Y, E X, E X/Y and the rows of E XX'/Y.
    """
    d = model.mu.size
    n, s = sums[0], frame.s
    root = math.sqrt(s)
    T, half, full = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    shift, c = np.empty(d), np.empty(d)
    multiply(frame.inverse, model.L, T)
    _subtract(model.mu, frame.origin, shift)
    apply(frame.inverse, shift, c)
    multiply(T, scatter, half)
    multiply_transposed(half, T, full)
    # Infinite where mu is held at a row of the data and b = 0; the M-step does not use it there.
    inv_y = sums[3] / n * s if sums[3] < math.inf else 0.0
    means[0], means[1], means[2] = sums[2] / n - math.log(s), inv_y, sums[4] / n / s
    for i in range(d):
        c[i] /= root
        x, x_inv_y = 0.0, 0.0
        for j in range(i + 1):
            x += T[i, j] * sums[SCALARS + j]
            x_inv_y += T[i, j] * sums[SCALARS + d + j]
        means[3 + i] = x / (n * root) + c[i]
        means[3 + d + i] = x_inv_y / n * root
    for i in range(d):
        for j in range(d):
            cross = means[3 + d + i] * c[j] + c[i] * means[3 + d + j]
            means[3 + (2 + i) * d + j] = full[i, j] / n + cross + c[i] * c[j] * inv_y
    for i in range(d):
        means[3 + d + i] += c[i] * inv_y


@device
def _normal_parameters(
    means: FloatArray, held_mu: FloatArray, symmetric: bool, frame: Frame, out: Model
) -> bool:
    """Fill mu, gamma and L in the frame; whether they exist and Sigma is more than rounding.

    Maximises E[log N(x; mu + gamma Y, Sigma Y)] over what is free. With D = E[Y] E[1/Y] - 1,
    mu = (E[Y] E[X/Y] - E[X]) / D and gamma = (E[1/Y] E[X] - E[X/Y]) / D where both are. Sigma is
    the mean of (x - mu - gamma Y)(x - mu - gamma Y)' / Y.
    """
    d = out.mu.size
    inv_y, y = means[1], means[2]
    x, x_inv_y = means[3 : 3 + d], means[3 + d : 3 + 2 * d]
    mu, gamma = out.mu, out.gamma
    D = y * inv_y - 1.0
    if held_mu.size == 0 and not NO_MIXING < D < math.inf:
        return False
    if held_mu.size > 0:
        _subtract(held_mu, frame.origin, gamma)
        apply(frame.inverse, gamma, mu)
        for i in range(d):
            mu[i] /= math.sqrt(frame.s)
            gamma[i] = 0.0 if symmetric else (x[i] - mu[i]) / y
    elif symmetric:
        for i in range(d):
            mu[i], gamma[i] = x_inv_y[i] / inv_y, 0.0
    else:
        for i in range(d):
            mu[i] = (y * x_inv_y[i] - x[i]) / D
            gamma[i] = (inv_y * x[i] - x_inv_y[i]) / D
    sigma = np.empty((d, d))
    for i in range(d):
        for j in range(i + 1):
            about_mu = (
                means[3 + (2 + i) * d + j]
                - x_inv_y[i] * mu[j]
                - mu[i] * (x_inv_y[j] - inv_y * mu[j])
            )
            cross = gamma[i] * (x[j] - mu[j]) + (x[i] - mu[i]) * gamma[j]
            sigma[i, j] = about_mu - cross + y * gamma[i] * gamma[j]
    if not cholesky(sigma, out.L):
        return False
    inverse, g = np.empty((d, d)), np.empty(d)
    invert_lower(out.L, inverse)
    apply(inverse, gamma, g)
    square = 0.0
    for i in range(d):
        square += g[i] * g[i]
    return not square * y * D > COLLAPSED


@device
def m_step(
    means: FloatArray, frame: Frame, held_mu: FloatArray, symmetric: bool, family: SubordinatorKind,
    model: Model,
) -> int:  # fmt: skip
    """Replace the model by the maximiser for means in the frame, and return a `GIGStatus`.

    DEGENERATE if mu, gamma and Sigma do not exist or some parameter is no finite, proper number.
    held_mu is mu in the coordinates of the data where it is held fixed, else empty; symmetric holds
    gamma at 0. The subordinator's solve starts from that of the model.
    """
    d = model.mu.size
    s = frame.s
    p, a, b = model.theta
    if not _normal_parameters(means, held_mu, symmetric, frame, model):
        return _DEGENERATE
    p, a, b, status = fit_subordinator(means[0], means[1], means[2], family, (p, a * s, b / s))
    if status >= _DEGENERATE:
        return status
    model.theta[0], model.theta[1], model.theta[2] = p, a / s, b * s
    x, L = np.empty(d), np.empty((d, d))
    apply(frame.L, model.mu, x)
    for i in range(d):
        model.mu[i] = frame.origin[i] + math.sqrt(s) * x[i]
    apply(frame.L, model.gamma, x)
    for i in range(d):
        model.gamma[i] = x[i] / math.sqrt(s)
    multiply(frame.L, model.L, L)
    total = p + model.theta[1] + model.theta[2]
    for i in range(d):
        if held_mu.size > 0:
            model.mu[i] = held_mu[i]
        total += model.mu[i] + model.gamma[i]
        for j in range(i + 1):
            model.L[i, j] = L[i, j]
            total += L[i, j]
    proper = (a > 0.0 or p < 0.0) and (b > 0.0 or p > 0.0) and a >= 0.0 and b >= 0.0
    return status if proper and math.isfinite(total) else _DEGENERATE


@device
def parameter_change(
    old: Model, old_moments: tuple[float, ...], new: Model, new_moments: tuple[float, ...]
) -> tuple[float, float]:
    """Largest relative change of mu, gamma, Sigma and the subordinator, and the predicted gain.

    mu, gamma and Sigma change relative to the old Sigma, the subordinator by its Jeffreys
    divergence. The predicted gain is half the Jeffreys divergence between the laws of (X, Y), to
    second order: an upper bound of what the step gains in mean log-likelihood. With e^E[log Y] as
    the unit of Y neither depends on the gauge. Moments are (lnZ, E log Y, E 1/Y, E Y).
    """
    d = old.mu.size
    s, t = math.exp(old_moments[1]), math.exp(new_moments[1])
    inverse, w = np.empty((d, d)), np.empty((d, d))
    invert_lower(old.L, inverse)
    mu, gamma, shift = np.empty(d), np.empty(d), np.empty(d)
    _subtract(new.mu, old.mu, shift)
    apply(inverse, shift, mu)
    for i in range(d):
        shift[i] = new.gamma[i] * t - old.gamma[i] * s
    apply(inverse, shift, gamma)
    multiply(inverse, new.L, w)
    mu_square, gamma_square, sigma_square = 0.0, 0.0, 0.0
    for i in range(d):
        mu_square += mu[i] * mu[i] / s
        gamma_square += gamma[i] * gamma[i] / s
        for j in range(d):
            product = 0.0
            for k in range(d):
                product += w[i, k] * w[j, k]
            product = product * t / s - (1.0 if i == j else 0.0)
            sigma_square += product * product
    a, b = old.theta[1] * s, old.theta[2] / s
    a1, b1 = new.theta[1] * t, new.theta[2] / t
    # (theta - theta') . (eta - eta') of Y / s ~ GIG(p, a s, b / s); E[log] is 0 for both.
    divergence = 0.0
    if a != a1:
        divergence -= 0.5 * (a - a1) * (old_moments[3] / s - new_moments[3] / t)
    if b != b1:
        divergence -= 0.5 * (b - b1) * (old_moments[2] * s - new_moments[2] * t)
    divergence = 0.0 if divergence < 0.0 else divergence
    change = math.sqrt(max(mu_square, gamma_square, sigma_square / d, divergence))
    total = divergence + 2.0 * mu_square + 2.0 * gamma_square + 0.5 * sigma_square
    return (math.nan if math.isnan(total) else change), 0.5 * total
