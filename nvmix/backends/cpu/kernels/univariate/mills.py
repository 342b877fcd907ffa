"""The scaled tail of the normal distribution, M(z) = e^{z^2/2} Phi(-z) for z >= 0.

With y = 4 / (4 + z), M / y is smooth on [0, 1] and between 0.1 and 0.5. It is a polynomial of
degree 8 on each of 64 equal intervals of y, interpolated at the Chebyshev nodes.
"""

from typing import Final

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from nvmix.backends.cpu.jit import device
from nvmix.foundation.typing import FloatArray

_SHIFT: Final = 4.0
_INTERVALS: Final = 64
_POWERS: Final = 9


def _scaled_tails(z: FloatArray) -> FloatArray:
    """M(z), the integral of e^{-z t - t^2/2} over t > 0 by (2 pi)^(1/2), to 5e-16.

    By the trapezoidal rule in s, t = exp(s - e^-s).
    """
    s = np.arange(-120, 121) / 32.0
    t = np.exp(s - np.exp(-s))
    weights = t * (1.0 + np.exp(-s)) / 32.0 / np.sqrt(2.0 * np.pi)
    tails: FloatArray = np.exp(-t * (z[..., None] + 0.5 * t)) @ weights
    return tails


def _coefficients() -> FloatArray:
    """(intervals, powers) coefficients of M / y in t, which runs over [-1, 1] on each interval."""
    angles = np.pi * (np.arange(_POWERS) + 0.5) / _POWERS
    centres = (np.arange(_INTERVALS) + 0.5) / _INTERVALS
    y = centres[:, None] + 0.5 / _INTERVALS * np.cos(angles)
    values, middle = (_scaled_tails(_SHIFT * (1.0 / x - 1.0)) / x for x in (y, centres))
    to_chebyshev = np.cos(np.outer(np.arange(_POWERS), angles)) * 2.0 / _POWERS
    to_chebyshev[0] /= 2.0
    # Differences from the centre are small, and so is their rounding.
    c = (values - middle[:, None]) @ to_chebyshev.T
    to_powers = np.array(
        [np.pad(cheb2poly(row), (0, _POWERS))[:_POWERS] for row in np.eye(_POWERS)]
    )
    rows = c @ to_powers
    rows[:, 0] += middle
    return np.ascontiguousarray(rows[:, ::-1])


_ROWS: Final = _coefficients()


@device
def scaled_tail(z: float) -> float:
    """M(z), z >= 0; relative error 1.2e-15."""
    y = _SHIFT / (_SHIFT + z)
    position = y * _INTERVALS
    i = min(int(position), _INTERVALS - 1)
    t = 2.0 * (position - i) - 1.0
    total: float = _ROWS[i, 0]
    for k in range(1, _POWERS):
        total = total * t + _ROWS[i, k]
    return y * total
