"""Moments of X: mean and covariance, skewness and kurtosis, by column and of all columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from nvmix.foundation.arrays import namespace, traced
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import integer
from nvmix.mixture.law import MixtureLaw
from nvmix.mixture.parts.mixing_moments import raw_moments
from nvmix.mixture.parts.shares import Shares, times

_STATS: Final = {"m": "mean", "v": "var", "s": "skewness", "k": "kurtosis"}


@dataclass(frozen=True, eq=False, repr=False)
class Moments(MixtureLaw):
    """Moments of X, exact. Those that do not exist are inf or nan, as SciPy has them.

    Y has finite moments of all orders, but for E[Y^k] of inverse gamma laws with alpha <= k.
    """

    def mean(self) -> FloatArray:
        """Mean of X.

        Returns
        -------
        (d,) array
            mu + gamma E[Y]. Where E[Y] is infinite, an entry with gamma not 0 is infinite; where
            E[sqrt(Y)] is too, one with gamma = 0 is nan.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> model.mean()
        array([0.5, 1. ])
        """
        mean = self.mu + times(self.gamma.reshape(self.d), self.subordinator.mean())
        none = self._without_mean()
        return mean if none is None else namespace(mean).where(none, np.nan, mean)

    def cov(self) -> FloatArray:
        """Covariance of X.

        Returns
        -------
        (d, d) array
            Sigma E[Y] + gamma gamma' Var[Y]; inf or nan where it does not exist.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> model.cov().round(12)
        array([[1.125, 0.3  ],
               [0.3  , 2.   ]])
        """
        skewness = self.gamma.reshape(self.d, 1) * self.gamma
        mean, variance = self.subordinator.mean(), self.subordinator.var()
        with np.errstate(invalid="ignore"):
            cov = times(self.sigma(), mean) + times(skewness, variance)
        none = self._without_mean()
        if none is None:
            return cov
        return namespace(cov).where(none | none[:, None], np.nan, cov)  # type: ignore[no-any-return]

    def _without_mean(self) -> Any:
        """Which columns (d,) have no mean, infinite or not; None if it is known that all have."""
        p, a, _ = self.subordinator.gig
        if not traced(p, a) and not (a == 0.0 and p >= -0.5):
            return None
        return (self.gamma == 0.0) & (a == 0.0) & (p >= -0.5)

    def var(self) -> FloatArray:
        """Variances of the columns.

        Returns
        -------
        (d,) array
            Diagonal of `cov`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> model.var().round(12)
        array([1.125, 2.   ])
        """
        cov = self.cov()
        xp = namespace(cov)
        return xp.array(xp.diag(cov))  # type: ignore[no-any-return]

    def std(self) -> FloatArray:
        """Standard deviations of the columns.

        Returns
        -------
        (d,) array
            Square roots of `var`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> model.std().round(6)
        array([1.06066 , 1.414214])
        """
        variance = self.var()
        return namespace(variance).sqrt(variance)  # type: ignore[no-any-return]

    def corr(self) -> FloatArray:
        """Correlation matrix of X.

        Returns
        -------
        (d, d) array
            `cov` divided by the products of standard deviations; nan where these are infinite.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> model.corr().round(6)
        array([[1. , 0.2],
               [0.2, 1. ]])
        """
        cov = self.cov()
        xp = namespace(cov)
        size = xp.sqrt(xp.diag(cov))
        with np.errstate(invalid="ignore"):
            corr = cov / size[:, None] / size
        return xp.where(xp.eye(self.d, dtype=bool) & xp.isfinite(corr), 1.0, corr)  # type: ignore[no-any-return]

    def skewness(self) -> FloatArray:
        """Skewness of each column, the third cumulant divided by the power 3/2 of the variance.

        Returns
        -------
        (d,) array
            Skewness; 0 where gamma is 0 and it exists.

        Raises
        ------
        TypeError
            If JAX traces the model.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0], gamma=[0.5], sigma=[[1.0]], mu_ig=1.0, lam=2.0)
        >>> model.skewness().round(6), model.kurtosis().round(6)
        (array([0.707107]), array([2.166667]))
        """
        return self._shares("skewness").skewness()

    def kurtosis(self) -> FloatArray:
        """Excess kurtosis of each column: the fourth cumulant divided by the squared variance.

        Returns
        -------
        (d,) array
            Excess kurtosis, 0 for a normal distribution; inf where only the variance is finite.

        Raises
        ------
        TypeError
            If JAX traces the model.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> model = StudentT.from_classical(mu=0.0, sigma=1.0, df=10.0)
        >>> model.kurtosis().round(12)  # 6 / (df - 4)
        array([1.])
        """
        return self._shares("kurtosis").kurtosis()

    def mardia_skewness(self) -> float:
        r"""Mardia's multivariate skewness of X.

        :math:`E[((X - m)^\top C^{-1} (X' - m))^3]` with mean m and covariance C of X and an
        independent copy X'. It is the square of `skewness` in one dimension, and does not change
        under invertible linear maps.

        Returns
        -------
        float
            Skewness of the distribution, 0 if gamma = 0.

        Raises
        ------
        TypeError
            If JAX traces the model.

        References
        ----------
        K. V. Mardia, Measures of multivariate skewness and kurtosis with applications, Biometrika
        57 (1970), 519-530.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> round(model.mardia_skewness(), 6)
        0.694444
        """
        along = self._shares("mardia_skewness", whitened=True)
        across = 3.0 * (self.d - 1) * times(np.square(along.u), along.law.second**2)
        return float(np.square(along.skewness()[0]) + across[0])

    def mardia_kurtosis(self) -> float:
        r"""Mardia's multivariate kurtosis of X.

        :math:`E[((X - m)^\top C^{-1} (X - m))^2]` with mean m and covariance C of X. It is
        d (d + 2) for a normal distribution, 3 + `kurtosis` in one dimension, and does not change
        under invertible linear maps.

        Returns
        -------
        float
            Kurtosis of the distribution.

        Raises
        ------
        TypeError
            If JAX traces the model.

        References
        ----------
        K. V. Mardia, Measures of multivariate skewness and kurtosis with applications, Biometrika
        57 (1970), 519-530.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> round(model.mardia_kurtosis(), 6)  # 8 for a normal distribution
        12.925926
        """
        along, d = self._shares("mardia_kurtosis", whitened=True), self.d
        second, third, _ = along.law
        excess = along.kurtosis()
        if d > 1:
            across = times(np.square(along.u), third) + times(along.h, second)
            excess += 2.0 * (d - 1) * across + (d * d - 1) * second
        return float(d * (d + 2) + excess[0])

    def raw_moment(self, k: int) -> FloatArray:
        """Moment E[X^k] of each column, about 0.

        Parameters
        ----------
        k : int
            Order, at least 0.

        Returns
        -------
        (d,) array
            Moments. An even one that is infinite is inf; an odd one is inf with the sign of gamma,
            and nan where gamma = 0.

        Raises
        ------
        TypeError, ValueError
            If k is not a nonnegative integer, or JAX traces the model.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> model = StudentT.from_classical(mu=0.0, sigma=1.0, df=10.0)
        >>> model.raw_moment(2).round(12)  # df / (df - 2)
        array([1.25])
        """
        k = integer("k", k, 0)
        model = self._concrete("raw_moment")
        p, a, _ = model.subordinator.gig
        if k == 0:
            return np.ones(self.d)
        with np.errstate(invalid="ignore"):
            if k <= 4:
                # Where mu and gamma E[Y] nearly cancel, a sum of cumulants keeps more digits.
                mean, var, skewness, kurtosis = model.stats("mvsk")
                central = mean, var, skewness * var**1.5, kurtosis * var * var
                moments = _from_cumulants(k, central)
            else:
                moments = _moments(model, k)
        symmetric = model.gamma == 0.0
        signed = np.where(symmetric, np.nan, np.copysign(np.inf, model.gamma))
        # E[Y^j] is finite for j below -p; with gamma = 0 that of X^k needs half the order.
        finite = np.where(symmetric, 0.5, 1.0) * k < (-p if a == 0.0 else np.inf)
        return np.where(finite, moments, np.inf if k % 2 == 0 else signed)

    def stats(self, moments: Any = "mv") -> Any:
        """Mean, variance, skewness and excess kurtosis by their letters, as SciPy's ``stats``.

        Parameters
        ----------
        moments : str
            Letters among "m", "v", "s" and "k".

        Returns
        -------
        tuple of (d,) arrays, or (d,) array
            Moments in the order m, v, s, k; of one letter, that moment alone.

        Raises
        ------
        TypeError, ValueError
            If moments is not a string of these letters, or JAX traces the model and it has "s" or
            "k".

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> laplace = VarianceGamma.from_classical(
        ...     mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=1.0, beta=1.0)
        >>> [float(x[0]) for x in laplace.stats("mvsk")]
        [0.0, 1.0, 0.0, 3.0]
        """
        if not isinstance(moments, str):
            msg = f"moments must be a string of letters among m, v, s and k, got {moments!r}"
            raise TypeError(msg)
        if not moments or not set(moments) <= set(_STATS):
            msg = f"moments must be letters among m, v, s and k, got {moments!r}"
            raise ValueError(msg)
        values = tuple(getattr(self, name)() for key, name in _STATS.items() if key in moments)
        return values if len(values) > 1 else values[0]

    def _concrete(self, name: str) -> Self:
        """The model on the host; TypeError, which names the method, under a JAX trace."""
        if traced(*self.normal, *self.subordinator.gig):
            msg = f"{name} computes in NumPy and does not run under a JAX trace"
            raise TypeError(msg)
        return self.on_host()

    def _shares(self, name: str, *, whitened: bool = False) -> Shares:
        """Shares of the variance of columns or, whitened, along gamma where Sigma = I."""
        model = self._concrete(name)
        mean, law = model.subordinator.mean(), model.subordinator.gig
        if whitened:
            size = np.array([np.linalg.norm(inverse_lower(model.L_sigma) @ model.gamma)])
        else:
            size = model.gamma / np.linalg.norm(model.L_sigma, axis=1)
        return Shares.of(times(size, math.sqrt(mean)), law)


def _from_cumulants(k: int, order: Sequence[FloatArray]) -> FloatArray:
    """E[X^k] from the mean and the cumulants up to order k, at least 1."""
    moments = [np.ones_like(order[0])]
    for n in range(1, k + 1):
        terms = (math.comb(n - 1, j) * order[j] * moments[n - 1 - j] for j in range(n))
        moments.append(sum(terms, np.zeros_like(order[0])))
    return moments[k]


def _moments(model: MixtureLaw, k: int) -> FloatArray:
    """E[X^k] of each column where it is finite, k >= 1.

    Its terms are k! / (i! j! l!) mu^i gamma^j (s^2 / 2)^l E[Y^(j+l)] with i + j + 2 l = k.
    """
    mean, theta = model.subordinator.mean(), model.subordinator.gig
    ratios = raw_moments(theta, k) / mean ** np.arange(k + 1.0)
    skew, half = times(model.gamma, mean), 0.5 * np.square(model.L_sigma).sum(axis=1) * mean
    total = np.zeros(model.d)
    for pairs in range(k // 2 + 1):
        for j in range(k - 2 * pairs + 1):
            i = k - j - 2 * pairs
            count = math.factorial(k) // (
                math.factorial(i) * math.factorial(j) * math.factorial(pairs)
            )
            total += times(count * model.mu**i * skew**j * half**pairs, ratios[j + pairs])
    return total
