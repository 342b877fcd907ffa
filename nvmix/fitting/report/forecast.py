"""Forecast of the remaining iterations of a fit."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

# A forecast uses the last so many iterations.
_WINDOW: Final = 6
_ROUNDING: Final = 1e-9


class Forecast:
    """Number of remaining iterations, if parameter changes decrease geometrically down to tol.

    With by_likelihood it uses gains of the mean log-likelihood instead. With tol = 0 a fit always
    takes max_iter iterations.
    """

    def __init__(self, max_iter: int, tol: float = 0.0, *, by_likelihood: bool = False) -> None:
        self._max_iter, self._tol = max_iter, tol
        self._by_likelihood = by_likelihood
        self._value = math.nan
        self._sizes: deque[float] = deque(maxlen=_WINDOW)

    def left(self, i: int, log_likelihood: float, change: float) -> float:
        """Iterations after number i (from 1), at most those up to max_iter; nan if not yet known.

        log_likelihood is the mean log-likelihood before iteration i, change its parameter change.
        """
        size = abs(log_likelihood - self._value) if self._by_likelihood else change
        self._value = log_likelihood
        if self._tol == 0.0:
            return float(self._max_iter - i)
        if size > 0.0:
            self._sizes.append(math.log(size))
        if len(self._sizes) < 2:
            return math.nan
        fall = (self._sizes[0] - self._sizes[-1]) / (len(self._sizes) - 1)
        above = self._sizes[-1] - math.log(self._tol)
        steps = math.ceil(above / fall - _ROUNDING) if fall > 0.0 else math.inf
        return float(min(max(steps, 0), self._max_iter - i))
