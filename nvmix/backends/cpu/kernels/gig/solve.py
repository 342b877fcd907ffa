"""GIG eta -> theta: boundary tests, closed forms and a safeguarded Newton iteration.

eta = (E log Y, E 1/Y, E Y) is given. Solves are for T = Y / s with s = sqrt(E[Y] / E[1/Y]), so that
E[T] = E[1/T] = m >= 1. As m -> 1, T tends to 1 and log T, T and 1/T become linearly dependent. So
the statistics are (t, e^t - 1 - t, e^-t - 1 + t), t = log T, of the orders of t, t^2 and t^2, with
natural parameters k = (p - a/2 + b/2, -a/2, -b/2) and expectations tau. The solution maximises
k . tau - A(k), which is concave, A being the log-norm.

`gig_solve` first tests whether a boundary law is optimal, then starts Newton's method from the best
of several laws with nearly these moments. Where m is large, E[T] and E[1/T] vary over decades, and
log E[T] and log E[1/T] are nearly linear in log a and log b: the equations, and the steps, are then
taken in logarithms. Where m is moderate, a step that would nearly reach a = 0 or b = 0 is damped,
for the quadratic model knows nothing of the boundary. A step is halved until the objective rises
enough.
"""

import math
from typing import Final, TypeAlias

import numpy as np

from nvmix.backends.cpu.jit import device, late
from nvmix.backends.cpu.kernels.bessel.gamma import log_minus_digamma, trigamma
from nvmix.backends.cpu.kernels.bessel.quadrature import covariances, means, node
from nvmix.backends.cpu.kernels.bessel.small_argument import is_small
from nvmix.backends.cpu.kernels.gig.moments import gig_covariance, gig_moments, log_mode_terms
from nvmix.backends.tolerances import AT_LIMIT, NO_VARIANCE, ROUNDED
from nvmix.backends.types import GIGStatus

Triple: TypeAlias = tuple[float, float, float]
# (p, a, b, `GIGStatus`).
Solution: TypeAlias = tuple[float, float, float, int]

_INTERIOR, _GAMMA, _INVERSE_GAMMA, _DEGENERATE, _INFEASIBLE, _NOT_CONVERGED = map(int, GIGStatus)

_MAX_NEWTON: Final = 300
# Squared Newton decrement, a squared length in standard deviations of the statistics, at which a
# solve is done.
_DECREMENT: Final = 1e-26
# A solve is also done if its decrement is below this and no longer falls: what is left is rounding.
_STALLED: Final = 1e-14
# Largest relative error of E[Y] and E[1/Y] of a solve that is done.
_RESIDUAL: Final = 1e-10
# Largest relative error of the moments of a law that is returned where Newton's method failed.
_REPRODUCED: Final = 1e-9
# Lower bound of pivots of a covariance of unit diagonal: smaller ones are rounding.
_PIVOT: Final = 1e-15
# m above which steps to the boundary are damped (they always are at a fixed p), and above which
# equations and steps are in logarithms.
_BROAD: Final = 1.05
_WIDE: Final = 2.0
# Decrement below which full steps converge quadratically, while differences of the objective are
# rounding.
_QUADRATIC: Final = 1e-8
_MAX_HALVINGS: Final = 40
# Product a b below which the boundary is reached.
_VANISHING: Final = 1e-300


@device
def gamma_shape(c: float) -> float:
    """Alpha with log alpha - psi(alpha) = c > 0, by Newton's method in 1/alpha (Minka, 2002)."""
    alpha = (3.0 - c + math.sqrt((c - 3.0) ** 2 + 24.0 * c)) / (12.0 * c)
    for _ in range(50):
        f = log_minus_digamma(alpha) - c
        slope = 1.0 / alpha - trigamma(alpha)
        inverse = 1.0 / alpha + f / (alpha * alpha * slope)
        new = 1.0 / inverse if inverse > 0.0 else 0.5 * alpha
        if abs(new - alpha) <= 4e-16 * alpha:
            return new
        alpha = new
    return alpha


@device
def gig_boundary(log_y: float, inv_y: float, y: float, fixed_p: float) -> Solution:
    """The boundary law that maximises eta . theta - A, or INTERIOR.

    b = 0 is optimal where the gamma law fitted to E log Y and E Y has an E[1/Y] <= inv_y, which for
    D = E[Y] E[1/Y] - 1 is D (p - 1) >= 1; and likewise a = 0. A fixed_p of nan is free. INFEASIBLE
    says that no law has these expectations, DEGENERATE that Y is constant to rounding.
    """
    D = y * inv_y - 1.0
    if not (y > 0.0 and inv_y > 0.0 and -NO_VARIANCE <= D < np.inf):
        return np.nan, np.nan, np.nan, _INFEASIBLE
    free = math.isnan(fixed_p)
    c_gamma, c_inverse = math.log(y) - log_y, math.log(inv_y) + log_y
    if free and not (c_gamma > -NO_VARIANCE and c_inverse > -NO_VARIANCE):
        return np.nan, np.nan, np.nan, _INFEASIBLE
    if D <= NO_VARIANCE or (free and (c_gamma <= NO_VARIANCE or c_inverse <= NO_VARIANCE)):
        return np.nan, np.nan, np.nan, _DEGENERATE
    p = gamma_shape(c_gamma) if free else fixed_p
    if p > 1.0 and D * (p - 1.0) >= AT_LIMIT:
        return p, 2.0 * p / y, 0.0, _GAMMA
    p = -gamma_shape(c_inverse) if free else fixed_p
    if p < -1.0 and D * (-p - 1.0) >= AT_LIMIT:
        return p, 0.0, -2.0 * p / inv_y, _INVERSE_GAMMA
    return np.nan, np.nan, np.nan, _INTERIOR


@device
def _basis(t: float) -> Triple:
    """(t, e^t - 1 - t, e^-t - 1 + t)."""
    if t == 0.0:
        return 0.0, 0.0, 0.0
    _, up, down = node(abs(t))
    return (t, up, down) if t > 0.0 else (t, down, up)


@device
def gig_objective(p: float, a: float, b: float, tau: Triple) -> float:
    """k . tau - A(k), without the cancellation between lnZ and (a + b) / 2."""
    k = p - 0.5 * (a - b)
    if is_small(p, math.sqrt(a) * math.sqrt(b)):
        log_z = gig_moments(p, a, b)[0]
        return k * tau[0] - 0.5 * (a * tau[1] + b * tau[2] + a + b) - log_z
    _, alpha, mode = log_mode_terms(p, a, b)
    t, up, down = _basis(mode)
    log_integral = means(alpha, p)[0]
    return k * (tau[0] - t) - 0.5 * a * (tau[1] - up) - 0.5 * b * (tau[2] - down) - log_integral


@device
def gig_derivatives(p: float, a: float, b: float, tau: Triple) -> tuple[float, ...]:
    """(g1, g2, g3, h11, h12, h13, h22, h23, h33): gradient tau - E and Hessian Cov of A(k)."""
    if is_small(p, math.sqrt(a) * math.sqrt(b)):
        return _limit_derivatives(p, a, b, tau)
    _, alpha, mode = log_mode_terms(p, a, b)
    _, m1, m2, m3, c11, c12, c13, c22, c23, c33 = covariances(alpha, p)
    t, up, down = _basis(mode)
    e = math.exp(mode)
    f, g = e - 1.0, 1.0 - 1.0 / e
    # The statistics at t = mode + u are an affine image of the same statistics at u.
    return (
        tau[0] - (t + m1),
        tau[1] - (up + e * m2 + f * m1),
        tau[2] - (down + m3 / e + g * m1),
        c11,
        e * c12 + f * c11,
        c13 / e + g * c11,
        e * e * c22 + 2.0 * e * f * c12 + f * f * c11,
        c23 + e * g * c12 + f * c13 / e + f * g * c11,
        c33 / (e * e) + 2.0 * g * c13 / e + g * g * c11,
    )


@device
def _limit_derivatives(p: float, a: float, b: float, tau: Triple) -> tuple[float, ...]:
    """`gig_derivatives` at very small a b, where T varies so much that no digits cancel."""
    _, log_y, inv_y, y = gig_moments(p, a, b)
    ll, li, ly, ii, iy, yy = gig_covariance(p, a, b)
    return (
        tau[0] - log_y,
        tau[1] - (y - 1.0 - log_y),
        tau[2] - (inv_y - 1.0 + log_y),
        ll,
        ly - ll,
        li + ll,
        yy - 2.0 * ly + ll,
        iy + ly - li - ll,
        ii + 2.0 * li + ll,
    )


@device
def _scaled_solve(
    g1: float, g2: float, g3: float,
    h11: float, h12: float, h13: float, h22: float, h23: float, h33: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """h^-1 g and g' h^-1 g by Cholesky of h scaled to unit diagonal, pivots at least `_PIVOT`."""
    d1, d2, d3 = math.sqrt(h11), math.sqrt(h22), math.sqrt(h33)
    l21, l31 = h12 / (d1 * d2), h13 / (d1 * d3)
    l22 = math.sqrt(max(1.0 - l21 * l21, _PIVOT))
    l32 = (h23 / (d2 * d3) - l31 * l21) / l22
    l33 = math.sqrt(max(1.0 - l31 * l31 - l32 * l32, _PIVOT))
    y1 = g1 / d1
    y2 = (g2 / d2 - l21 * y1) / l22
    y3 = (g3 / d3 - l31 * y1 - l32 * y2) / l33
    x3 = y3 / l33
    x2 = (y2 - l32 * x3) / l22
    x1 = y1 - l21 * x2 - l31 * x3
    return x1 / d1, x2 / d2, x3 / d3, y1 * y1 + y2 * y2 + y3 * y3


@device
def _newton_step(
    p: float, a: float, b: float, tau: Triple, fixed: bool, damped: bool
) -> tuple[float, float, float, float, float]:
    """Newton step in (p, a, b), squared decrement, and worst relative error of E[T] and E[1/T].

    With fixed, p does not move. With damped, the curvature is raised where a or b would shrink.
    """
    g1, g2, g3, h11, h12, h13, h22, h23, h33 = gig_derivatives(p, a, b, tau)
    m = 1.0 + 0.5 * (tau[1] + tau[2])
    residual = max(abs(g2 + g1), abs(g3 - g1)) / m
    if m > _WIDE:
        # Newton's method for log E[T] and log E[1/T], nearly linear in log a and log b.
        mean, inverse = m - g2 - g1, m - g3 + g1
        g2 = mean * math.log(m / mean) - g1
        g3 = inverse * math.log(m / inverse) + g1
    if damped:
        # In log a and log b the objective has this much more curvature, where its gradient would
        # shrink them: the step stops short of the boundary.
        h22 += 2.0 * max(0.0, g2 + g1) / a
        h33 += 2.0 * max(0.0, g3 - g1) / b
    if fixed:
        # dp = 0 is dk1 = dk2 - dk3: two free directions, along dk2 and dk3.
        g2, g3 = g2 + g1, g3 - g1
        h23 = h23 - h12 + h13 - h11
        h22, h33 = h22 + 2.0 * h12 + h11, h33 - 2.0 * h13 + h11
        g1, h11, h12, h13 = 0.0, 1.0, 0.0, 0.0
    k1, k2, k3, decrement = _scaled_solve(g1, g2, g3, h11, h12, h13, h22, h23, h33)
    return (0.0 if fixed else k1 - k2 + k3), -2.0 * k2, -2.0 * k3, decrement, residual


@device
def _moved(x: float, step: float, log: bool) -> float:
    """x + step; x e^(step / x), within factors e^-5 and e^5, where x would halve, or with log."""
    if step > -0.5 * x and not log:
        return x + step
    return x * math.exp(min(max(step / x, -5.0), 5.0))


@device
def _near_gamma(c: float, m: float) -> Triple:
    """(p, a, b) near the gamma law with E[T] = m and E[log T] = log m - c, such that E[1/T] = m.

    To first order in b, E[1/T] is that of the gamma law less b Var[1/T] / 2; nan where that
    variance is infinite.
    """
    p = gamma_shape(c)
    if not p > 2.0:
        return np.nan, np.nan, np.nan
    rate = p / m
    inverse = rate / (p - 1.0)
    return p, 2.0 * rate, 2.0 * (inverse - m) * (p - 2.0) / (inverse * inverse)


@device
def _best_start(tau: Triple, m: float, D: float, fixed_p: float) -> Triple:
    """(p, a, b) to start from: at a fixed p one law, else that of the largest objective.

    Those are the inverse Gaussian with E[T] = E[1/T] = m, its reciprocal, and laws near the gamma
    and inverse gamma limits.
    """
    lam = m / D
    small = lam / (m * m)
    if not math.isnan(fixed_p):
        a, b = (lam, small) if fixed_p > 0.0 else (small, lam)
        return fixed_p, a + abs(fixed_p) / m, b + abs(fixed_p) / m
    best = (-0.5, small, lam)
    value = gig_objective(best[0], best[1], best[2], tau)
    p, a, b = _near_gamma(math.log(m) - tau[0], m)
    q, b_inverse, a_inverse = _near_gamma(math.log(m) + tau[0], m)
    for start in ((0.5, lam, small), (p, a, b), (-q, a_inverse, b_inverse)):
        if start[1] > 0.0 and start[2] > 0.0:
            new = gig_objective(start[0], start[1], start[2], tau)
            if new > value:
                best, value = start, new
    return best


@device
def _ascent(
    start: Triple, step: Triple,
    tau: Triple, value: float, decrement: float, wide: bool,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Halve the step until the objective rises enough; (p, a, b, objective) there."""
    size = 1.0
    p, a, b, new = start[0], start[1], start[2], value
    for _ in range(_MAX_HALVINGS):
        p = start[0] + size * step[0]
        a = _moved(start[1], size * step[1], wide)
        b = _moved(start[2], size * step[2], wide)
        new = gig_objective(p, a, b, tau)
        if new >= value + 1e-4 * size * decrement or decrement <= _QUADRATIC:
            break
        size *= 0.5
    return p, a, b, new


@device
def _gig_interior(tau: Triple, p: float, a: float, b: float, fixed: bool) -> Solution:
    """Maximise k . tau - A(k) from (p, a, b) by Newton steps that ascend and leave a, b > 0."""
    m = 1.0 + 0.5 * (tau[1] + tau[2])
    wide = m > _WIDE
    value = gig_objective(p, a, b, tau)
    last, residual = np.inf, np.inf
    for _ in range(_MAX_NEWTON):
        dp, da, db, decrement, residual = _newton_step(p, a, b, tau, fixed, False)
        narrow = m <= _BROAD and not fixed
        if not (narrow or wide) and (a + da <= 0.1 * a or b + db <= 0.1 * b):
            dp, da, db, decrement, residual = _newton_step(p, a, b, tau, fixed, True)
        if not decrement >= 0.0:
            return p, a, b, _NOT_CONVERGED
        done = decrement <= _DECREMENT or (decrement <= _STALLED and decrement > 0.25 * last)
        if done and residual <= _RESIDUAL:
            return p, a, b, _INTERIOR
        last = decrement
        p, a, b, value = _ascent((p, a, b), (dp, da, db), tau, value, decrement, wide)
        if a * b < _VANISHING:
            return (
                (p, 2.0 * p / m, 0.0, _GAMMA) if a > b else (p, 0.0, -2.0 * p / m, _INVERSE_GAMMA)
            )
    return p, a, b, _INTERIOR if residual <= ROUNDED else _NOT_CONVERGED


@device
def _misfit(law: Triple, log_t: float, m: float, fixed: bool) -> float:
    """Worst error of a law's E log T, and relative ones of E T and E 1/T.

    A boundary law may have a smaller E[1/T] (b = 0) or E[T] (a = 0): it is optimal all the same.
    """
    _, log_mean, inverse, mean = gig_moments(law[0], law[1], law[2])
    error = 0.0 if fixed else abs(log_mean - log_t)
    error = max(error, inverse / m - 1.0, mean / m - 1.0)
    if law[1] > 0.0:
        error = max(error, 1.0 - mean / m)
    if law[2] > 0.0:
        error = max(error, 1.0 - inverse / m)
    return error


@device
def _reproducing(last: Triple, log_t: float, m: float, s: float, fixed: bool) -> Solution:
    """The law of Y where Newton's method ended at `last` without converging.

    The first law that has the moments to `_REPRODUCED`, of last and, at a free p, the inverse
    Gaussian, its reciprocal, gamma and inverse gamma. Rounding of the moments leaves p undetermined
    where m is nearly 1, and b where the gamma law nearly has them: any law that has them will do.
    """
    p, q = gamma_shape(math.log(m) - log_t), gamma_shape(math.log(m) + log_t)
    lam = m / (m * m - 1.0)
    gamma, inverse = (p, 2.0 * p / m, 0.0), (-q, 0.0, 2.0 * q / m)
    gaussian, reciprocal = (-0.5, lam / (m * m), lam), (0.5, lam, lam / (m * m))
    for i, law in enumerate((last, gaussian, reciprocal, gamma, inverse)):
        if (i == 0 or not fixed) and _misfit(law, log_t, m, fixed) <= _REPRODUCED:
            status = _GAMMA if law[2] == 0.0 else _INVERSE_GAMMA if law[1] == 0.0 else _INTERIOR
            return law[0], law[1] / s, law[2] * s, status
    # b is too small for doubles: the gamma law has all moments but E 1/T, which is infinite.
    if last[2] == 0.0 and last[0] <= 1.0:
        law = last if fixed else gamma
        return law[0], law[1] / s, 0.0, _GAMMA
    if last[1] == 0.0 and last[0] >= -1.0:
        law = last if fixed else inverse
        return law[0], 0.0, law[2] * s, _INVERSE_GAMMA
    return last[0], last[1] / s, last[2] * s, _NOT_CONVERGED


@late("Tuple((float64, float64, float64, int64))(" + 4 * "float64, " + "UniTuple(float64, 3))")
def gig_solve(log_y: float, inv_y: float, y: float, fixed_p: float, start: Triple) -> Solution:
    """The GIG law with E log Y, E 1/Y and E Y; see the module.

    A fixed_p of nan is free, and a start (p, a, b) of nan is none.
    """
    p, a, b, status = gig_boundary(log_y, inv_y, y, fixed_p)
    if status != _INTERIOR:
        return p, a, b, status
    D = y * inv_y - 1.0
    s = math.sqrt(y) / math.sqrt(inv_y)
    m = math.sqrt(y * inv_y)
    excess = D / (1.0 + m)
    fixed = not math.isnan(fixed_p)
    log_t = 0.0 if fixed else log_y - math.log(s)
    tau = (log_t, excess - log_t, excess + log_t)
    p, a, b = _best_start(tau, m, D, fixed_p)
    p0, a0, b0 = fixed_p if fixed else start[0], start[1] * s, start[2] / s
    if a0 > 0.0 and b0 > 0.0 and gig_objective(p0, a0, b0, tau) > gig_objective(p, a, b, tau):
        p, a, b = p0, a0, b0
    p, a, b, status = _gig_interior(tau, p, a, b, fixed)
    if status == _INTERIOR:
        return p, a / s, b * s, status
    return _reproducing((p, a, b), log_t, m, s, fixed)
