"""What rows say of what is hidden: the law of Y given x, and of missing values given the others."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from nvmix.backends import get_backend, get_functions
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.forks import LazyProperty
from nvmix.foundation.pytrees import pytree
from nvmix.foundation.typing import FloatArray, IntArray
from nvmix.mixture.moments import Moments
from nvmix.mixture.parts.normal_maps import given_columns, others_of
from nvmix.mixture.subordinators import GIG
from nvmix.sources.observations import observations, points
from nvmix.sources.patterns import patterns_of, values_of


@pytree(("p", "a", "b"))
@dataclass(frozen=True, eq=False)
class Posterior:
    """Law of Y given each of n rows, or given one: GIG(p, a, b).

    ``posterior[i]`` is the `GIG` of a row, and a slice or mask gives a `Posterior` of some.

    Parameters
    ----------
    p, a, b : (n,) arrays or floats
        Parameters for each row.

    Examples
    --------
    >>> from nvmix import NormalInverseGamma
    >>> student = NormalInverseGamma.from_classical(
    ...     mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=2.0, beta=2.0)
    >>> posterior = student.posterior([0.0, 1.0, 6.0])
    >>> posterior.mean_inverse()  # (df + 1) / (df + x^2): outliers have small weights
    array([1.25 , 1.   , 0.125])
    >>> posterior[2]
    GIG(p=-2.5, a=0.0, b=40.0)
    """

    p: Any
    a: Any
    b: Any

    def __len__(self) -> int:
        """Number of rows."""
        if np.ndim(self.b) == 0:
            msg = "the posterior of one point has no length"
            raise TypeError(msg)
        return len(self.b)

    def __getitem__(self, rows: Any) -> Any:
        """The `GIG` of the row with this number, or the `Posterior` of rows."""
        p, a, b = (x[rows] for x in (self.p, self.a, self.b))
        return GIG.from_gig(p, a, b) if np.ndim(b) == 0 else Posterior(p, a, b)

    def mean(self) -> Any:
        """E[Y | x] for each row, possibly inf.

        Returns
        -------
        (n,) array or float
            Means.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> posterior = StudentT.from_classical(mu=0.0, sigma=1.0, df=4.0).posterior([0.0, 6.0])
        >>> posterior.mean().round(6)
        array([ 1.333333, 13.333333])
        """
        return self._moments[3]

    def var(self) -> Any:
        """Var[Y | x] for each row, possibly inf.

        Returns
        -------
        (n,) array or float
            Variances.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> posterior = StudentT.from_classical(mu=0.0, sigma=1.0, df=4.0).posterior([0.0, 6.0])
        >>> posterior.var().round(6)
        array([  3.555556, 355.555556])
        """
        if on_jax(self.p, self.a, self.b):
            covariance, theta = get_functions().gig_covariance, (self.p, self.a, self.b)
            if self.b.ndim == 0:
                return covariance(theta)[2, 2]
            return sys.modules["jax"].vmap(covariance)(theta)[:, 2, 2]
        p, a, b = (np.array(np.atleast_1d(x)) for x in (self.p, self.a, self.b))
        variance = get_backend().gig_covariances(p, a, b)[:, 2, 2]
        return float(variance[0]) if np.ndim(self.b) == 0 else variance

    def mean_inverse(self) -> Any:
        """E[1/Y | x] for each row: the weight of the row in the M-step, small for outliers.

        Compare with E[1/Y] of the model: ``model.subordinator.gig_expectations[1]``.

        Returns
        -------
        (n,) array or float
            Means of 1 / Y, inf at a row at which the density has a pole or cusp.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> posterior = StudentT.from_classical(mu=0.0, sigma=1.0, df=4.0).posterior([0.0, 6.0])
        >>> posterior.mean_inverse().round(6)
        array([1.25 , 0.125])
        """
        return self._moments[2]

    def mean_log(self) -> Any:
        """E[log Y | x] for each row.

        Returns
        -------
        (n,) array or float
            Means of log Y.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> posterior = StudentT.from_classical(mu=0.0, sigma=1.0, df=4.0).posterior([0.0, 6.0])
        >>> posterior.mean_log().round(6)
        array([-0.010009,  2.292576])
        """
        return self._moments[1]

    @property
    def _moments(self) -> Any:
        """(lnZ, E[log Y], E[1/Y], E[Y]), arrays or floats."""
        if on_jax(self.p, self.a, self.b):
            # Not cached: tracers must not outlive their trace.
            return get_functions().gig_law((self.p, self.a, self.b))
        return self._cached_moments

    @LazyProperty
    def _cached_moments(self) -> Any:
        """`_moments` of NumPy arrays or Python numbers."""
        if np.ndim(self.b) == 0:
            return get_backend().gig_law((self.p, self.a, self.b))
        return get_backend().gig_moments(self.p, self.a, self.b)


@dataclass(frozen=True, eq=False, repr=False)
class Hidden(Moments):
    """The law of X with the laws of what a row does not show: Y, and missing values."""

    def posterior(self, x: Any, *, missing: str = "raise") -> Posterior:
        r"""Law of Y given x.

        It is :math:`GIG(p - \tfrac d2, a + \gamma^\top\Sigma^{-1}\gamma, b + q(x))`; see
        `NormalMixture` for q.

        Parameters
        ----------
        x : (d,) or (n, d) array_like
            A point or n points, as for `log_prob`.
        missing : {"raise", "em"}
            Whether nan is an error, or stands for a missing value.

        Returns
        -------
        Posterior
            Parameters and moments for each row.

        Raises
        ------
        TypeError, ValueError
            As of `log_prob`.

        References
        ----------
        A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 6.2.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> model = NormalInverseGaussian.default_init(X).fit(X).model
        >>> weights = model.posterior(X).mean_inverse()
        >>> int(weights.argmin())  # the month that is farthest out
        261
        """
        values, single = points(x, self.d, self.columns, missing)
        theta = self.subordinator.gig
        if self._on_jax or on_jax(values):
            law = given_columns(self.normal, theta, range(self.d), values)
            b = law.b[0] if single else law.b
            return Posterior(*namespace(b).broadcast_arrays(law.p + 0.0 * b, law.a, b))
        if not np.isnan(values).any():
            laws = self._given(values, np.arange(self.d))
        else:
            laws = Posterior(*(np.full(len(values), x) for x in theta))
            for columns, rows in patterns_of(values):
                some = self._given(values_of(values, columns, rows), columns)
                laws.p[rows], laws.a[rows], laws.b[rows] = some.p, some.a, some.b
        return Posterior(*(float(x[0]) for x in (laws.p, laws.a, laws.b))) if single else laws

    def _given(self, x: FloatArray, columns: IntArray) -> Posterior:
        """Laws of Y given rows x (n, k) of these columns."""
        p, a, b = self.subordinator.gig
        if columns.size == 0:
            return _of_one_order(p, a, np.full(len(x), b))
        return _of_one_order(*given_columns(self.normal, (p, a, b), columns, x)[:3])

    def impute(self, X: Any) -> Any:
        """X with conditional means in the place of missing values.

        A missing value has mean mu1 + B (x2 - mu2) + (gamma1 - B gamma2) E[Y | x2], where x2 are
        the values of its row and B = Sigma12 Sigma22^-1. In a row without values it is that of X.

        Parameters
        ----------
        X : (n, d) array_like or DataFrame
            Observations; nan stands for a missing value.

        Returns
        -------
        (n, d) array or DataFrame
            A copy without nan, as X is; an entry is infinite where its mean is.

        Raises
        ------
        TypeError, ValueError
            If X is not (n, d) finite real numbers or nan, or has other columns than the model, or
            X or the model is on JAX.

        Examples
        --------
        >>> import numpy as np
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(
        ...     mu=[0.0, 0.0], gamma=[0.0, 0.0], sigma=[[1.0, 0.5], [0.5, 1.0]],
        ...     alpha=2.0, beta=2.0)
        >>> model.impute([[1.0, np.nan], [2.0, 3.0]])
        array([[1. , 0.5],
               [2. , 3. ]])
        """
        if self._on_jax or on_jax(X):
            msg = "impute takes NumPy arrays and models on the host: use model.on_host()"
            raise TypeError(msg)
        values = observations(X, self.d, self.columns, "em").values.copy()
        theta = self.subordinator.gig
        for columns, rows in patterns_of(values):
            others = others_of(columns, self.d)
            if columns.size == 0:
                values[rows] = self.mean()
            elif others:
                x = values_of(values, columns, rows)
                law = given_columns(self.normal, theta, columns, x)
                y = _of_one_order(law.p, law.a, law.b).mean()
                skew = np.flatnonzero(law.gamma)
                law.mu[:, skew] += law.gamma[skew] * y[:, None]
                values[rows[:, None], others] = law.mu
        if hasattr(X, "index") and hasattr(X, "columns"):
            return type(X)(values, index=X.index, columns=X.columns)
        return values.reshape(np.shape(X))


def _of_one_order(p: float, a: float, b: FloatArray) -> Posterior:
    """Posterior of n rows whose p and a are one number, by which backends tabulate moments."""
    return Posterior(np.broadcast_to(p, b.shape), np.broadcast_to(a, b.shape), b)
