"""Conversions of a model of one column to and from the parameters of textbooks.

All describe X | Y ~ N(mu + gamma Y, Sigma Y), Y ~ GIG(p, a, b), in one of the equal forms
(c Sigma, Y / c). docs/parametrisations/index.md is a table of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Self

from nvmix.backends.types import GIGParameters
from nvmix.foundation.validation import cholesky, nonnegative, positive, real, vector
from nvmix.mixture.em_maps import Mixture

# What to_alpha_beta_delta, to_madan_seneta and to_scipy need.
_ONE_COLUMN: Final = "{} is of models of one column, got {} columns: take a marginal first"


@dataclass(frozen=True, eq=False, repr=False)
class InTextbooks(Mixture):
    """Mixture with the conversions; `NormalMixture` describes the attributes."""

    @classmethod
    def from_alpha_beta_delta(
        cls,
        *,
        alpha: float,
        beta: float,
        delta: float,
        mu: float = 0.0,
        lambda_: float | None = None,
    ) -> Self:
        """Make the model of one column from the classical parameters of Barndorff-Nielsen.

        gamma = beta, Sigma = 1, and Y ~ GIG(lambda, alpha^2 - beta^2, delta^2).

        Parameters
        ----------
        alpha, beta : float
            Steepness and skewness, abs(beta) <= alpha; equal for `NormalInverseGamma` alone.
        delta : float
            Scale, nonnegative; 0 for `VarianceGamma`.
        mu : float
            Location.
        lambda_ : float or None
            Order p; None where the family has one: -1/2 for `NormalInverseGaussian`, 1 for
            `Hyperbolic`.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain, or the law of Y is not of the family.

        References
        ----------
        O. E. Barndorff-Nielsen, Exponentially decreasing distributions for the logarithm of
        particle size, Proceedings of the Royal Society of London A 353 (1977), 401-419.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_alpha_beta_delta(
        ...     alpha=1.8, beta=1.2, delta=2.3, mu=1.7)
        >>> round(float(model.mean()[0]), 10)
        3.7571825393
        """
        alpha, beta = nonnegative("alpha", alpha), real("beta", beta)
        if abs(beta) > alpha:
            msg = f"beta must be between -alpha and alpha = {alpha}, got {beta}"
            raise ValueError(msg)
        p = cls._fixed(1).p if lambda_ is None else real("lambda_", lambda_)
        if p is None:
            msg = f"lambda_ must be given for {cls.__name__}, got None"
            raise TypeError(msg)
        a, b = (alpha - beta) * (alpha + beta), nonnegative("delta", delta) ** 2
        return cls.of_law(real("mu", mu), beta, 1.0, (p, a, b))

    def to_alpha_beta_delta(self) -> dict[str, float]:
        """Classical parameters of the model, which has one column.

        With s = sqrt(Sigma): beta = gamma / s^2, alpha^2 = a / s^2 + beta^2 and delta = s sqrt(b).

        Returns
        -------
        dict from str to float
            ``lambda_``, alpha, beta, delta and mu, which `from_alpha_beta_delta` takes.

        Raises
        ------
        ValueError
            If the model has several columns, or Y is constant.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(mu=0.0, gamma=0.0, sigma=4.0, alpha=2.0, beta=2.0)
        >>> model.to_alpha_beta_delta()["alpha"]
        1.0
        """
        self._check_varying("to_alpha_beta_delta")
        mu, gamma, s = self._one_column("to_alpha_beta_delta")
        p, a, b = self.subordinator.gig
        beta = gamma / s / s
        alpha, delta = math.hypot(math.sqrt(a) / s, beta), s * math.sqrt(b)
        if a > 0.0 and not alpha > abs(beta):
            msg = f"alpha must exceed |beta| in doubles to be converted, got both {alpha}"
            raise ValueError(msg)
        return {"lambda_": p, "alpha": alpha, "beta": beta, "delta": delta, "mu": mu}

    @classmethod
    def from_madan_seneta(cls, *, sigma: float, nu: float, theta: float, mu: float = 0.0) -> Self:
        """Make the variance gamma model of one column, X = mu + theta G + sigma sqrt(G) Z.

        G has mean 1 and variance nu: Y ~ Gamma(1 / nu, 1 / nu), gamma = theta, Sigma = sigma^2.

        Parameters
        ----------
        sigma, nu : float
            Scale of the normal Z and variance of G, positive.
        theta, mu : float
            Skewness and location.

        Returns
        -------
        NormalMixture
            The model, of `VarianceGamma` or `GeneralizedHyperbolic`.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain, or the family is another.

        References
        ----------
        D. B. Madan, P. P. Carr and E. C. Chang, The variance gamma process and option pricing,
        European Finance Review 2 (1998), 79-105.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_madan_seneta(sigma=0.5, nu=0.25, theta=-0.1)
        >>> model.alpha, model.beta
        (4.0, 4.0)
        """
        sigma, shape = positive("sigma", sigma), 1.0 / positive("nu", nu)
        theta = real("theta", theta)
        return cls.of_law(real("mu", mu), theta, sigma**2, (shape, 2.0 * shape, 0.0))

    def to_madan_seneta(self) -> dict[str, float]:
        """Madan and Seneta's parameters of a variance gamma model of one column.

        Returns
        -------
        dict from str to float
            sigma, nu, theta and mu, which `from_madan_seneta` takes.

        Raises
        ------
        ValueError
            If the model has several columns, or b of Y is not 0.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(mu=0.0, gamma=0.1, sigma=1.0, alpha=2.0, beta=0.5)
        >>> model.to_madan_seneta()
        {'sigma': 2.0, 'nu': 0.5, 'theta': 0.4, 'mu': 0.0}
        """
        mu, gamma, s = self._one_column("to_madan_seneta")
        p, a, b = self.subordinator.gig
        if b != 0.0:
            msg = f"to_madan_seneta is of variance gamma models, whose Y has b = 0, got b = {b}"
            raise ValueError(msg)
        mean = 2.0 * p / a
        return {"sigma": s * math.sqrt(mean), "nu": 1.0 / p, "theta": gamma * mean, "mu": mu}

    @classmethod
    def of_law(cls, mu: Any, gamma: Any, sigma: Any, theta: GIGParameters) -> Self:
        """Make the model from mu, gamma, Sigma and (p, a, b) of Y ~ GIG(p, a, b).

        Parameters
        ----------
        mu, gamma : float or (d,) array_like
            Location and skewness.
        sigma : float or (d, d) array_like
            Scale Sigma, symmetric positive definite.
        theta : tuple of float
            p, a and b.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain, or the family has no such Y.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.of_law(0.0, 0.5, 1.0, (-0.5, 1.0, 4.0))
        >>> model.mu_ig, model.lam
        (2.0, 4.0)
        """
        mu = vector("mu", mu)
        for name, held, value in zip("pab", cls._fixed(mu.size), theta, strict=True):
            if held not in (None, value):
                msg = f"{cls.__name__} has {name} = {held} of Y ~ GIG(p, a, b), got {value}"
                raise ValueError(msg)
        L = cholesky("sigma", sigma, mu.size)
        subordinator = cls._subordinator_type.from_gig(*theta)
        return cls(mu, vector("gamma", gamma, mu.size), L, subordinator)

    def _check_varying(self, method: str) -> None:
        """Raise ValueError if Y is constant."""
        if self.subordinator.is_constant:
            msg = f"{method} is of models whose Y varies, got {type(self).__name__}"
            raise ValueError(msg)

    def _one_column(self, method: str) -> tuple[float, float, float]:
        """mu, gamma and the root of Sigma of a model of one column; ValueError for others."""
        if self.d != 1:
            raise ValueError(_ONE_COLUMN.format(method, self.d))
        return float(self.mu[0]), float(self.gamma[0]), float(self.L_sigma[0, 0])
