"""How far a step moves a model: its parameter change, and the gain that it predicts."""

import math

import numpy as np

from nvmix.backends.cpu.jit import outlined_device
from nvmix.backends.cpu.kernels.em.e_step import Model
from nvmix.backends.cpu.kernels.em.matrices import apply, invert_lower, multiply
from nvmix.foundation.typing import FloatArray


@outlined_device
def parameter_change(
    old: Model, old_moments: FloatArray, new: Model, new_moments: FloatArray, y: float
) -> tuple[float, float]:
    """Largest relative change of mu, gamma, Sigma and the subordinator, and the predicted gain.

    mu, gamma and Sigma change relative to the old Sigma, the subordinator by its Jeffreys
    divergence. The predicted gain is half the Jeffreys divergence between the laws of (X, Y). To
    second order a step to the maximum gains at most that in mean log-likelihood, and EM's own step
    once to twice that. With e^E[log Y] as the unit of Y neither depends on the gauge.
    Moments are (lnZ, E log Y, E 1/Y, E Y). y is the mean of Y by the statistics of the step, to
    which gamma gains in proportion: with an outlier it is far above that of a law.
    """
    d = old.mu.size
    s, t = math.exp(old_moments[1]), math.exp(new_moments[1])
    inverse, w = np.empty((d, d)), np.empty((d, d))
    invert_lower(old.L, inverse)
    mu, gamma, shift = np.empty(d), np.empty(d), np.empty(d)
    for i in range(d):
        shift[i] = new.mu[i] - old.mu[i]
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
    if gamma_square > 0.0 and y > s:
        total += 2.0 * gamma_square * (y / s - 1.0)
    return (math.nan if math.isnan(total) else change), 0.5 * total
