"""Distribution function and quantiles of the law of Y, named as SciPy names them.

The smaller tail is summed (`gig.tails` of the CPU's kernels), so that both have all their digits
down to the smallest doubles, and their logs beyond.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters
from nvmix.foundation.arrays import on_jax
from nvmix.foundation.typing import BoolArray, FloatArray
from nvmix.foundation.validation import real_or_nan


class SubordinatorTails(ABC):
    """Distribution function of Y ~ GIG(p, a, b), and what follows from it."""

    @property
    @abstractmethod
    def gig(self) -> GIGParameters:
        """The parameters (p, a, b) of the distribution as a GIG."""

    def cdf(self, y: Any) -> FloatArray:
        """Distribution function P(Y <= y).

        Its relative error is 1e-15 (2 + |log P|) down to the smallest normal doubles, beside what a
        relative error of 1e-15 of y makes of it.

        Parameters
        ----------
        y : array_like
            Points of any shape; nan gives nan.

        Returns
        -------
        array or float
            Probabilities, of the shape of y.

        Raises
        ------
        TypeError
            If y is not real numbers, or y or a parameter is a JAX array.

        Examples
        --------
        >>> from nvmix import GIG
        >>> print(GIG(p=0.0, a=1.0, b=1.0).sf(20.0).round(12))
        4.82432e-06
        """
        return self._tail(y, upper=False)

    def sf(self, y: Any) -> FloatArray:
        """Survival function P(Y > y); parameters, errors and accuracy as of `cdf`.

        Parameters
        ----------
        y : array_like
            Points of any shape.

        Returns
        -------
        array or float
            Probabilities, of the shape of y.
        """
        return self._tail(y, upper=True)

    def logcdf(self, y: Any) -> FloatArray:
        """Logarithm of `cdf`, finite also where that underflows.

        Parameters
        ----------
        y : array_like
            Points of any shape.

        Returns
        -------
        array or float
            Log-probabilities, of the shape of y.
        """
        return self._tail(y, upper=False, log=True)

    def logsf(self, y: Any) -> FloatArray:
        """Logarithm of `sf`, finite also where that underflows.

        Parameters
        ----------
        y : array_like
            Points of any shape.

        Returns
        -------
        array or float
            Log-probabilities, of the shape of y.
        """
        return self._tail(y, upper=True, log=True)

    def ppf(self, q: Any) -> FloatArray:
        """Quantile function, the inverse of `cdf`.

        Parameters
        ----------
        q : array_like
            Probabilities of any shape; what is not in [0, 1] gives nan.

        Returns
        -------
        array or float
            Quantiles, of the shape of q; 0 at q = 0 and inf at q = 1.

        Raises
        ------
        TypeError
            If q is not real numbers, or q or a parameter is a JAX array.

        Examples
        --------
        >>> from nvmix import InverseGaussian
        >>> print(InverseGaussian(mu_ig=1.0, lam=2.0).ppf(0.99).round(9))
        3.580930331
        """
        return self._quantile(q, upper=False)

    def isf(self, q: Any) -> FloatArray:
        """Inverse of `sf`: the quantile at 1 - q, accurate for small q.

        Parameters
        ----------
        q : array_like
            Probabilities of any shape, as for `ppf`.

        Returns
        -------
        array or float
            Quantiles, of the shape of q; inf at q = 0 and 0 at q = 1.
        """
        return self._quantile(q, upper=True)

    def median(self) -> float:
        """Median of Y.

        Returns
        -------
        float
            ``ppf(0.5)``.
        """
        return float(self.ppf(0.5))

    def interval(self, confidence: Any) -> tuple[FloatArray, FloatArray]:
        """Ends of the interval with equal tails.

        Parameters
        ----------
        confidence : array_like
            Probability inside, in [0, 1].

        Returns
        -------
        tuple of array or float
            Quantiles of (1 - confidence) / 2 and of 1 minus that.

        Raises
        ------
        TypeError, ValueError
            If confidence is not real numbers in [0, 1].
        """
        inside = real_or_nan("confidence", confidence)
        if not ((inside >= 0.0) & (inside <= 1.0)).all():
            msg = f"confidence must be in [0, 1], got {confidence}"
            raise ValueError(msg)
        tail = 0.5 * (1.0 - inside)
        return self.ppf(tail), self.isf(tail)

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
