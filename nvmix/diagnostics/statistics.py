"""Distances of a sample from its hypothetical law, by the logs of the tails at its points."""

from typing import Final

import numpy as np
from scipy.special import gammainc, gammaincc, ndtri_exp

from nvmix.diagnostics.transforms import Tails
from nvmix.foundation.typing import FloatArray

NAMES: Final = ("Kolmogorov-Smirnov", "Anderson-Darling", "Cramer-von Mises")
# Tails of the chi-squared distribution are probabilities, and may underflow.
_LEAST: Final = np.nextafter(0.0, 1.0)


def of_rows(tails: Tails) -> Tails:
    """Tails (n,) of rows with tails (n, d): those of one column, or of the radius.

    Independent uniform variables make s = z_1^2 + ... + z_d^2 with the normal quantiles z_j
    chi-squared with d degrees of freedom.
    """
    d = tails.log_lower.shape[1]
    if d == 1:
        return Tails(tails.log_lower[:, 0], tails.log_upper[:, 0])
    # The smaller tail has the digits of z^2.
    s = np.square(ndtri_exp(np.minimum(*tails))).sum(axis=1)
    lower, upper = (f(0.5 * d, 0.5 * s) for f in (gammainc, gammaincc))
    return Tails(np.log(np.maximum(lower, _LEAST)), np.log(np.maximum(upper, _LEAST)))


def statistics_of(tails: Tails) -> FloatArray:
    """Statistics of `NAMES` (3,) of points with tails (n,)."""
    n = tails.log_lower.size
    order = np.argsort(tails.log_lower)
    log_lower, log_upper = tails.log_lower[order], tails.log_upper[order]
    u, i = np.exp(log_lower), np.arange(1.0, n + 1.0)
    distance = max((i / n - u).max(), (u - (i - 1.0) / n).max())
    odd = (2.0 * i - 1.0) / n
    by_tails = -n - odd @ (log_lower + log_upper[::-1])
    squared = 1.0 / (12.0 * n) + np.square(u - 0.5 * odd).sum()
    return np.array([distance, by_tails, squared])
