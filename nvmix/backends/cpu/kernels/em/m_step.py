"""The M-step: mu, gamma, Sigma and the law of Y from the means of the statistics."""

from __future__ import annotations

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
from nvmix.backends.cpu.kernels.gig.solve import gamma_shape, gig_solve
from nvmix.backends.tolerances import COLLAPSED, NO_MIXING, NO_VARIANCE
from nvmix.backends.types import Fixed, GIGStatus
from nvmix.foundation.typing import FloatArray

# Laws of Y by how eta -> theta is solved.
_GIG: Final = 0
_GAMMA: Final = 1
_INVERSE_GAMMA: Final = 2
_INVERSE_GAUSSIAN: Final = 3

_INTERIOR: Final = int(GIGStatus.INTERIOR)
_DEGENERATE: Final = int(GIGStatus.DEGENERATE)
_INFEASIBLE: Final = int(GIGStatus.INFEASIBLE)


class Law(NamedTuple):
    """Which law of Y to solve for, its p where that is held (else nan), and a bound of p."""

    kind: int
    p: float
    least_p: float


class Held(NamedTuple):
    """mu in the coordinates of the data where it is held, else empty, and whether gamma is 0."""

    mu: FloatArray
    symmetric: bool


class Frame(NamedTuple):
    """Coordinates in which statistics are extrapolated: (x - origin) / (sqrt(s) L) and Y / s."""

    origin: FloatArray
    L: FloatArray
    inverse: FloatArray
    s: float


def law_of(fixed: Fixed, least_p: float) -> Law:
    """The law of Y that holds those coordinates."""
    p = math.nan if fixed.p is None else float(fixed.p)
    if fixed.b == 0.0:
        return Law(_GAMMA, p, least_p)
    if fixed.a == 0.0:
        return Law(_INVERSE_GAMMA, p, least_p)
    return Law(_INVERSE_GAUSSIAN if p == -0.5 else _GIG, p, least_p)


@device
def _gamma_order(c: float, p: float, least_p: float) -> tuple[float, int]:
    """Order of a gamma law with log E[Y] - E[log Y] = c, unless it is held or bounded."""
    if not c > 0.0:
        return math.nan, _DEGENERATE if c == 0.0 else _INFEASIBLE
    return (max(gamma_shape(c), least_p) if math.isnan(p) else p), _INTERIOR


@device
def fit_law(
    log_y: float, inv_y: float, y: float, law: Law, start: tuple[float, float, float]
) -> tuple[float, float, float, int]:
    """(p, a, b, status) that maximises theta . eta - A(theta); start may be nan."""
    if law.kind == _GAMMA:
        c = math.log(y) - log_y if y > 0.0 else math.nan
        p, status = _gamma_order(c, law.p, law.least_p)
        return p, 2.0 * p / y, 0.0, status
    if law.kind == _INVERSE_GAMMA:
        c = math.log(inv_y) + log_y if inv_y > 0.0 else math.nan
        p, status = _gamma_order(c, -law.p, -math.inf)
        return -p, 0.0, 2.0 * p / inv_y, status
    if law.kind == _INVERSE_GAUSSIAN:
        spread = y * inv_y - 1.0 if y > 0.0 and inv_y > 0.0 else math.nan
        if NO_VARIANCE < spread < math.inf:
            return -0.5, 1.0 / (y * spread), y / spread, _INTERIOR
        status = _DEGENERATE if abs(spread) <= NO_VARIANCE else _INFEASIBLE
        return math.nan, math.nan, math.nan, status
    held = law.p
    while True:
        p, a, b, status = gig_solve(log_y, inv_y, y, held, start)
        if not (p < law.least_p and math.isnan(held)):
            return p, a, b, status
        held = law.least_p


@device
def _subtract(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """out = x - y."""
    for i in range(x.size):
        out[i] = x[i] - y[i]


@device
def to_frame(
    sums: FloatArray, scatter: FloatArray, model: Model, frame: Frame, means: FloatArray
) -> None:
    """Means of the statistics in the frame, from sums in w = L^-1 (x - mu) of the model."""
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
    # Infinite where mu is held at a row of the data and b = 0, where nothing asks for it.
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
def _normal_parameters(means: FloatArray, held: Held, frame: Frame, out: Model) -> bool:
    """Fill mu, gamma and L in the frame; whether they exist, with a Sigma that is not rounding.

    Maximises E[log N(x; mu + gamma Y, Sigma Y)] over what is not held.
    """
    d = out.mu.size
    inv_y, y = means[1], means[2]
    x, x_inv_y = means[3 : 3 + d], means[3 + d : 3 + 2 * d]
    mu, gamma = out.mu, out.gamma
    D = y * inv_y - 1.0
    if held.mu.size == 0 and not NO_MIXING < D < math.inf:
        return False
    if held.mu.size > 0:
        _subtract(held.mu, frame.origin, gamma)
        apply(frame.inverse, gamma, mu)
        for i in range(d):
            mu[i] /= math.sqrt(frame.s)
            gamma[i] = 0.0 if held.symmetric else (x[i] - mu[i]) / y
    elif held.symmetric:
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
def m_step(means: FloatArray, frame: Frame, held: Held, law: Law, model: Model) -> int:
    """Replace the model by the maximiser for means in the frame; how the solve for Y ended."""
    d = model.mu.size
    s = frame.s
    p, a, b = model.theta
    if not _normal_parameters(means, held, frame, model):
        return _DEGENERATE
    p, a, b, status = fit_law(means[0], means[1], means[2], law, (p, a * s, b / s))
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
        if held.mu.size > 0:
            model.mu[i] = held.mu[i]
        total += model.mu[i] + model.gamma[i]
        for j in range(i + 1):
            model.L[i, j] = L[i, j]
            total += L[i, j]
    proper = (a > 0.0 or p < 0.0) and (b > 0.0 or p > 0.0) and a >= 0.0 and b >= 0.0
    return status if proper and math.isfinite(total) else _DEGENERATE


@device
def parameter_change(
    old: Model, old_law: tuple[float, ...], new: Model, new_law: tuple[float, ...]
) -> tuple[float, float]:
    """Largest relative change of mu, gamma, Sigma and the law of Y, and the gain it predicts.

    The second is half the Jeffreys divergence between the complete-data laws, to second order.
    """
    d = old.mu.size
    s, t = math.exp(old_law[1]), math.exp(new_law[1])
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
    # (theta - theta') . (eta - eta') of GIG(p, a s, b / s), the law of Y / s; E[log] cancels.
    law = 0.0
    if a != a1:
        law -= 0.5 * (a - a1) * (old_law[3] / s - new_law[3] / t)
    if b != b1:
        law -= 0.5 * (b - b1) * (old_law[2] * s - new_law[2] * t)
    law = 0.0 if law < 0.0 else law
    change = math.sqrt(max(mu_square, gamma_square, sigma_square / d, law))
    total = law + 2.0 * mu_square + 2.0 * gamma_square + 0.5 * sigma_square
    return (math.nan if math.isnan(total) else change), 0.5 * total
