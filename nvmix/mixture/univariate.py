"""The law of X in one column: distribution function, quantiles and entropy."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from nvmix.backends import get_backend, get_functions
from nvmix.backends.types import NormalParameters
from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import real_or_nan
from nvmix.mixture.parts.distribution_functions import DistributionFunctions
from nvmix.mixture.subordinator import Subordinator

# Half-width and step of the double-exponential rule of the entropy.
_REACH: Final = 3.8
_STEP: Final = 1.0 / 24.0


class Univariate(DistributionFunctions):
    r"""Methods of a mixture of one column, elementwise on arrays of any shape.

    With :math:`Z = (x - \mu - \gamma Y) / (\sigma \sqrt{Y})`, :math:`P(X \le x) = E\,\Phi(Z)`, the
    mean over Y of the normal distribution function. It is summed by the trapezoidal rule over
    log Y; many points, or many probabilities, are read from a table that is made by it.
    """

    mu: FloatArray
    gamma: FloatArray
    L_sigma: FloatArray
    subordinator: Subordinator

    def log_prob(self, x: Any, *, missing: str = "raise", keep_index: bool = False) -> Any:
        """Log-density."""
        raise NotImplementedError

    def entropy(self) -> float:
        """Differential entropy of X, -E log f(X), for a model of one column.

        Returns
        -------
        float
            Entropy in nats, to 1e-10 or better.

        Raises
        ------
        TypeError, ValueError
            If the model has several columns, or JAX traces it.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(mu=0.0, gamma=0.0, sigma=1.0, alpha=1.0, beta=1.0)
        >>> round(model.entropy(), 9)  # Laplace, with scale s = sqrt(1 / 2): 1 + log(2 s)
        1.34657359
        """
        normal, theta = self._column()
        if traced(*normal, *theta):
            msg = "entropy does not run under a JAX trace"
            raise TypeError(msg)
        normal = NormalParameters(*(np.asarray(x, np.float64) for x in normal))
        theta = (float(theta[0]), float(theta[1]), float(theta[2]))
        backend = get_backend()
        mu = normal.mu
        # The density may be infinite at mu, where the integral over probabilities is cut.
        t = np.arange(-_REACH, _REACH + 0.5 * _STEP, _STEP)
        total = 0.0
        for upper in (False, True):
            mass = backend.tails(mu, normal, theta, upper=upper, log=False)[0]
            if not mass > 0.0:
                continue
            with np.errstate(over="ignore"):
                share = 1.0 / (1.0 + np.exp(-math.pi * np.sinh(t)))
                weight = math.pi * np.cosh(t) * share / (1.0 + np.exp(math.pi * np.sinh(t)))
            x = backend.quantiles(mass * share, normal, theta, upper=upper)
            log_density = backend.log_prob(backend.place(x[:, None]), normal, theta)
            with np.errstate(invalid="ignore"):
                terms = weight * log_density
            total -= mass * _STEP * terms[np.isfinite(terms)].sum()
        return float(total)

    def logpdf(self, x: Any, *, missing: str = "raise", keep_index: bool = False) -> Any:
        """Log-density: another name of `log_prob`, as in SciPy.

        Parameters
        ----------
        x, missing, keep_index
            As for `log_prob`.

        Returns
        -------
        float or (n,) array
            Log-densities.

        Raises
        ------
        TypeError, ValueError
            As of `log_prob`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> model.logpdf(0.5) == model.log_prob(0.5)
        True
        """
        return self.log_prob(x, missing=missing, keep_index=keep_index)

    def _column(self) -> tuple[NormalParameters, Any]:
        """Parameters; ValueError unless there is one column."""
        if self.mu.ndim == 1 and self.mu.size != 1:
            msg = (
                f"this needs a model of one column, got d = {self.mu.size}: take model.linear(w) "
                "or model.marginal(column)"
            )
            raise ValueError(msg)
        return NormalParameters(self.mu, self.gamma, self.L_sigma), self.subordinator.gig

    def _tail(self, x: Any, *, upper: bool, log: bool = False) -> Any:
        """A tail, or its log, at validated points."""
        normal, theta = self._column()
        if on_jax(x, *normal, *theta):
            return get_functions().tails(x, normal, theta, upper=upper, log=log)
        values = _values("x", x)
        result = get_backend().tails(values, normal, theta, upper=upper, log=log)
        return result if result.ndim else float(result)

    def _quantile(self, q: Any, *, upper: bool) -> Any:
        """Quantiles at validated probabilities."""
        normal, theta = self._column()
        if on_jax(q, *normal, *theta):
            return get_functions().quantiles(q, normal, theta, upper=upper)
        values = _values("q", q)
        result = get_backend().quantiles(values, normal, theta, upper=upper)
        return result if result.ndim else float(result)


def _values(name: str, value: Any) -> Any:
    """Real numbers, which may be nan or inf, as an array; JAX arrays as they are."""
    return value if on_jax(value) else real_or_nan(name, value)
