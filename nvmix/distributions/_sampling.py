"""Exact GIG variates by rejection from a log-concave density in log Y.

L. Devroye, Random variate generation for the generalized inverse Gaussian distribution,
Statistics and Computing 24 (2014), 239-246.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from nvmix._typing import FloatArray


class _Envelope(NamedTuple):
    """A flat centre on (-left, right) and exponential tails, above exp(psi)."""

    left: float
    right: float
    left_scale: float
    right_scale: float


def _psi(u: FloatArray, alpha: float, v: float) -> FloatArray:
    """Log-density of u = log Y - log mode, 0 at u = 0."""
    return -alpha * 2.0 * np.sinh(u / 2.0) ** 2 - v * (np.expm1(u) - u)


def _psi_slope(u: float, alpha: float, v: float) -> float:
    """Derivative of psi."""
    return float(-alpha * np.sinh(u) - v * np.expm1(u))


def _reach_right(alpha: float, v: float) -> float:
    """Point t > 0 at which psi is about -1."""
    depth = -float(_psi(np.array(1.0), alpha, v))
    if depth > 2.0:
        return float(np.sqrt(2.0 / (alpha + v)))
    return 1.0 if depth >= 0.5 else float(np.log(4.0 / (alpha + 2.0 * v)))


def _reach_left(alpha: float, v: float) -> float:
    """Point s > 0 at which psi(-s) is about -1."""
    depth = -float(_psi(np.array(-1.0), alpha, v))
    if depth > 2.0:
        return float(np.sqrt(4.0 / (alpha * np.cosh(1.0) + v)))
    if depth >= 0.5:
        return 1.0
    plateau = np.log1p(1.0 / alpha + np.sqrt(1.0 / alpha) * np.sqrt(1.0 / alpha + 2.0))
    return float(min(1.0 / v, plateau) if v > 0.0 else plateau)


def _envelope(alpha: float, v: float) -> _Envelope:
    """Tangents to psi at the two reaches, cut where they meet height 0."""
    t, s = _reach_right(alpha, v), _reach_left(alpha, v)
    right_scale = -1.0 / _psi_slope(t, alpha, v)
    left_scale = 1.0 / _psi_slope(-s, alpha, v)
    right = t + right_scale * float(_psi(np.array(t), alpha, v))
    left = s + left_scale * float(_psi(np.array(-s), alpha, v))
    return _Envelope(left, right, left_scale, right_scale)


def _propose(n: int, e: _Envelope, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """n proposals and the logs of the envelope at them."""
    flat = e.left + e.right
    side = rng.random(n) * (e.left_scale + flat + e.right_scale)
    tail = rng.standard_exponential(n)
    u = np.where(side < flat, side - e.left, e.right + e.right_scale * tail)
    height = np.where(side < flat, 0.0, -tail)
    on_left = side >= flat + e.right_scale
    return np.where(on_left, -e.left - e.left_scale * tail, u), height


def gig_variates(p: float, a: float, b: float, n: int, rng: np.random.Generator) -> FloatArray:
    """n independent GIG(p, a, b) variates; a = 0 or b = 0 draw the gamma limits."""
    if b == 0.0:
        return rng.standard_gamma(p, n) * (2.0 / a)
    if a == 0.0:
        with np.errstate(divide="ignore"):
            return 0.5 * b / rng.standard_gamma(-p, n)
    v, omega = abs(p), np.sqrt(a) * np.sqrt(b)
    r = np.hypot(v, omega)
    alpha = float(omega * (omega / (r + v)))
    envelope = _envelope(alpha, v)
    u = np.empty(n)
    missing = np.arange(n)
    while missing.size:
        proposal, height = _propose(missing.size, envelope, rng)
        accepted = height - rng.standard_exponential(missing.size) <= _psi(proposal, alpha, v)
        u[missing[accepted]] = proposal[accepted]
        missing = missing[~accepted]
    if p >= 0.0:
        return np.asarray((p + r) / a * np.exp(u))
    return np.asarray(b / (r - p) * np.exp(-u))
