"""How far an iteration moved: what convergence is measured by."""

from __future__ import annotations

import math

import numpy as np

from nvmix.foundation.linalg import inverse_lower
from nvmix.mixture.em_maps import Mixture


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
