"""Distribution function and quantiles of one real variable, named as SciPy names them."""

from abc import ABC, abstractmethod
from typing import Any

from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.validation import real_or_nan


class DistributionFunctions(ABC):
    """What follows from the tails and quantiles of one variable, elementwise on arrays.

    The variable is X of a mixture of one column, or Y of a subordinator.
    """

    @abstractmethod
    def _tail(self, x: Any, *, upper: bool, log: bool = False) -> Any:
        """P(X > x) if upper, else P(X <= x), or the log of that."""

    @abstractmethod
    def _quantile(self, q: Any, *, upper: bool) -> Any:
        """x with P(X > x) = q if upper, else P(X <= x) = q."""

    def cdf(self, x: Any) -> Any:
        """Distribution function.

        Parameters
        ----------
        x : array_like
            Points of any shape; inf and nan are allowed.

        Returns
        -------
        float or array
            P(X <= x), of the shape of x; nan where x is nan. The error of a mixture is 1e-13
            relative, down to 1e-300; that of a subordinator is 1e-15 (2 - log P), down to the
            smallest normal doubles, beside what a relative error of 1e-15 of x makes of it.

        Raises
        ------
        TypeError, ValueError
            If x does not hold real numbers, a mixture has several columns, or JAX arrays are given
            to a subordinator.

        Examples
        --------
        >>> from nvmix import NormalInverseGamma
        >>> student = NormalInverseGamma.from_classical(
        ...     mu=0.0, gamma=0.0, sigma=1.0, alpha=2.0, beta=2.0)
        >>> student.cdf([-2.0, 0.0])  # Student's t with 4 degrees of freedom
        array([0.05805826, 0.5       ])
        """
        return self._tail(x, upper=False)

    def sf(self, x: Any) -> Any:
        """Survival function P(X > x), which keeps its digits in the upper tail.

        Parameters
        ----------
        x : array_like
            Points of any shape; inf and nan are allowed.

        Returns
        -------
        float or array
            Probabilities, of the shape of x, with the errors of `cdf`.

        Raises
        ------
        TypeError, ValueError
            As of `cdf`.

        Examples
        --------
        >>> from nvmix import GIG
        >>> print(GIG(p=0.0, a=1.0, b=1.0).sf(20.0).round(12))
        4.82432e-06
        """
        return self._tail(x, upper=True)

    def logcdf(self, x: Any) -> Any:
        """Logarithm of `cdf`, finite also where that underflows.

        Parameters
        ----------
        x : array_like
            Points of any shape.

        Returns
        -------
        float or array
            Log-probabilities, of the shape of x.

        Raises
        ------
        TypeError, ValueError
            As of `cdf`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> model.cdf(-1000.0), round(model.logcdf(-1000.0), 6)
        (0.0, -1230.27473)
        """
        return self._tail(x, upper=False, log=True)

    def logsf(self, x: Any) -> Any:
        """Logarithm of `sf`, finite also where that underflows.

        Parameters
        ----------
        x : array_like
            Points of any shape.

        Returns
        -------
        float or array
            Log-probabilities, of the shape of x.

        Raises
        ------
        TypeError, ValueError
            As of `cdf`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> model.sf(1000.0), round(model.logsf(1000.0), 6)
        (0.0, -829.877948)
        """
        return self._tail(x, upper=True, log=True)

    def ppf(self, q: Any) -> Any:
        """Quantiles: the inverse of `cdf`.

        Parameters
        ----------
        q : array_like
            Probabilities of any shape.

        Returns
        -------
        float or array
            x with P(X <= x) = q, of the shape of q: the ends of the support at 0 and 1, nan outside
            [0, 1]. Next to q = 1 `isf` has the digits.

        Raises
        ------
        TypeError, ValueError
            As of `cdf`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> round(model.ppf(0.01), 6)  # the value at risk of 1 percent
        -2.250598
        >>> round(model.cdf(model.ppf(0.01)), 12)
        0.01
        >>> print(model.subordinator.ppf(0.99).round(9))
        4.984094843
        """
        return self._quantile(q, upper=False)

    def isf(self, q: Any) -> Any:
        """Inverse of `sf`: the quantile at 1 - q, accurate for small q.

        Parameters
        ----------
        q : array_like
            Probabilities of any shape, as for `ppf`.

        Returns
        -------
        float or array
            Quantiles, of the shape of q.

        Raises
        ------
        TypeError, ValueError
            As of `cdf`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> round(model.isf(1e-20), 9)
        49.346185902
        >>> model.ppf(1.0 - 1e-20)  # in doubles the quantile of 1
        inf
        """
        return self._quantile(q, upper=True)

    def median(self) -> Any:
        """Median.

        Returns
        -------
        float
            ``ppf(0.5)``.

        Raises
        ------
        TypeError, ValueError
            If the model has several columns, or is a subordinator with JAX arrays.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> round(model.median(), 6)
        0.139798
        """
        median = self.ppf(0.5)
        return median if on_jax(median) else float(median)

    def interval(self, confidence: Any) -> tuple[Any, Any]:
        """Ends of the interval with equal tails.

        Parameters
        ----------
        confidence : array_like
            Probability inside.

        Returns
        -------
        tuple of float or array
            Quantiles of (1 - confidence) / 2 and of 1 minus that; nan outside [0, 1], as of `ppf`.

        Raises
        ------
        TypeError, ValueError
            As of `cdf`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> [round(end, 6) for end in model.interval(0.9)]
        [-1.312616, 1.91847]
        """
        inside = confidence if on_jax(confidence) else real_or_nan("confidence", confidence)
        xp = namespace(inside)
        tail = xp.where(inside >= 0.0, 0.5 * (1.0 - inside), xp.nan)
        return self.ppf(tail), self.isf(tail)
