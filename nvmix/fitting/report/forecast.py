"""How many iterations a fit still takes, extrapolated from those so far."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

# Iterations that a forecast looks back on.
_WINDOW: Final = 6
_ROUNDING: Final = 1e-9


class Forecast:
    """Iterations that are left, if changes (or gains of likelihood) go on falling geometrically.

    Parameters
    ----------
    most : int
        Most iterations.
    tol : float
        Change, or gain, at which a fit has converged; with 0 all iterations are taken.
    by_likelihood : bool
        Whether gains of mean log-likelihood are compared with tol, rather than parameter changes.
    """

    def __init__(self, most: int, tol: float = 0.0, *, by_likelihood: bool = False) -> None:
        self._most, self._tol = most, tol
        self._by_likelihood = by_likelihood
        self._value = math.nan
        self._sizes: deque[float] = deque(maxlen=_WINDOW)

    def left(self, i: int, log_likelihood: float, change: float) -> float:
        """Iterations after number i (from 1), at most those up to the most; nan if unknown yet.

        log_likelihood is the mean one before the iteration, change its parameter change.
        """
        size = abs(log_likelihood - self._value) if self._by_likelihood else change
        self._value = log_likelihood
        if self._tol == 0.0:
            return float(self._most - i)
        if size > 0.0:
            self._sizes.append(math.log(size))
        if len(self._sizes) < 2:
            return math.nan
        fall = (self._sizes[0] - self._sizes[-1]) / (len(self._sizes) - 1)
        above = self._sizes[-1] - math.log(self._tol)
        steps = math.ceil(above / fall - _ROUNDING) if fall > 0.0 else math.inf
        return float(min(max(steps, 0), self._most - i))
