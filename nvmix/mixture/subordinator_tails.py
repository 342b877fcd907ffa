"""Distribution function and quantiles of the law of Y, named as SciPy names them.

The smaller tail is summed (`gig.tails` of the CPU's kernels), so that both have all their digits
down to the smallest doubles, and their logs beyond.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters
from nvmix.foundation.arrays import on_jax
from nvmix.foundation.typing import BoolArray, FloatArray
from nvmix.foundation.validation import real_or_nan
from nvmix.mixture.parts.distribution_functions import DistributionFunctions


class SubordinatorTails(DistributionFunctions):
    """Distribution function of Y ~ GIG(p, a, b), and what follows from it."""

    @property
    @abstractmethod
    def gig(self) -> GIGParameters:
        """The parameters (p, a, b) of the distribution as a GIG."""

    def _on_numpy(self, method: str, *arguments: Any) -> GIGParameters:
        """(p, a, b); TypeError if one of them or of the arguments is a JAX array."""
        if on_jax(*arguments, *self.gig):
            msg = f"{method} runs on NumPy alone, got a JAX array: give it numpy.asarray of that"
            raise TypeError(msg)
        return self.gig

    def _log_tails(self, y: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Log-probability of the smaller tail at y, 0 < y < inf, and whether it is upper."""
        return get_backend().gig_log_tails(y, self.gig)

    def _tail(self, y: Any, *, upper: bool, log: bool = False) -> FloatArray:
        """P(Y > y) if upper, else P(Y <= y), or the log of that."""
        self._on_numpy("a distribution function", y)
        y = real_or_nan("y", y)
        inside = (y > 0.0) & (y < np.inf)
        log_tail, is_upper = self._log_tails(np.where(inside, y, 1.0))
        at_end = np.where((y <= 0.0) == upper, 1.0, 0.0)
        with np.errstate(divide="ignore", under="ignore"):
            if log:
                value = np.where(is_upper == upper, log_tail, np.log1p(-np.exp(log_tail)))
                at_end = np.log(at_end)
            else:
                value = np.where(is_upper == upper, np.exp(log_tail), -np.expm1(log_tail))
        return np.where(inside, value, np.where(np.isnan(y), np.nan, at_end))[()]

    def _quantile(self, q: Any, *, upper: bool) -> FloatArray:
        """y with P(Y > y) = q if upper, else P(Y <= y) = q."""
        theta = self._on_numpy("a quantile", q)
        q = real_or_nan("q", q)
        inside = (q > 0.0) & (q < 1.0)
        safe = np.where(inside, q, 0.5)
        logs = np.log(safe), np.log1p(-safe)
        value = get_backend().gig_quantiles(*(logs[::-1] if upper else logs), theta)
        at_end = np.where((q == 0.0) == upper, np.inf, 0.0)
        at_end = np.where((q == 0.0) | (q == 1.0), at_end, np.nan)
        return np.where(inside, value, at_end)[()]
