"""Conversions of a model to and from the parameters of other programs and of textbooks.

All describe X | Y ~ N(mu + gamma Y, Sigma Y), Y ~ GIG(p, a, b), in one of the equal forms
(c Sigma, Y / c). docs/parametrisations/index.md is a table of them.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from nvmix.backends.types import GIGParameters
from nvmix.distributions.parametrisations import law_of_scipy, theta_of_ghyp
from nvmix.foundation.validation import cholesky, nonnegative, positive, real, vector
from nvmix.mixture.em_maps import Mixture

# What to_alpha_beta_delta, to_scipy and to_madan_seneta need.
_ONE_COLUMN: Final = "{} is of models of one column, got {} columns: take a marginal first"


@dataclass(frozen=True, eq=False, repr=False)
class Convertible(Mixture):
    """Mixture with conversions; `NormalMixture` describes the attributes."""

    @classmethod
    def from_ghyp(
        cls,
        *,
        lambda_: float,
        alpha_bar: float | None = None,
        chi: float | None = None,
        psi: float | None = None,
        mu: Any = 0.0,
        sigma: Any = 1.0,
        gamma: Any = None,
    ) -> Self:
        r"""Make the model from the parameters of R's package ghyp.

        There Y ~ GIG(p = lambda, a = psi, b = chi). With alpha_bar in their place,
        :math:`\chi = \bar\alpha K_\lambda(\bar\alpha) / K_{\lambda+1}(\bar\alpha)` and
        :math:`\psi = \bar\alpha^2 / \chi`, so that E[Y] = 1; at alpha_bar = 0 their limits are
        (0, 2 lambda) for lambda > 0 and (-2 (lambda + 1), 0) for lambda < -1. Student's t and its
        skewed form with nu degrees of freedom have lambda = -nu / 2 and alpha_bar = 0.

        Parameters
        ----------
        lambda_ : float
            Order p.
        alpha_bar : float or None
            Shape sqrt(chi psi) of the law with E[Y] = 1, nonnegative.
        chi, psi : float or None
            Nonnegative, in the place of alpha_bar, or beside it if chi psi is its square.
        mu : float or (d,) array_like
            Location.
        sigma : float or (d, d) array_like
            As in ghyp: the dispersion matrix Sigma, but its square root in one column.
        gamma : float or (d,) array_like, or None
            Skewness; None is 0.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain, or the law of Y is not of the family.

        Examples
        --------
        >>> from nvmix import NormalInverseGamma
        >>> model = NormalInverseGamma.from_ghyp(
        ...     lambda_=-1.75, alpha_bar=0.0, mu=10.0, sigma=5.0, gamma=1.0)
        >>> round(model.pdf(10.0), 12)  # dghyp(10, student.t(nu=3.5, mu=10, sigma=5, gamma=1))
        0.112242728024
        """
        location = vector("mu", mu)
        d = location.size
        scale = [[positive("sigma", np.squeeze(sigma)) ** 2]] if d == 1 else sigma
        theta = theta_of_ghyp(real("lambda_", lambda_), alpha_bar, chi, psi)
        return cls.of_law(location, np.zeros(d) if gamma is None else gamma, scale, theta)

    def to_ghyp(self) -> dict[str, Any]:
        """Parameters of R's package ghyp, in the form with E[Y] = 1.

        Returns
        -------
        dict
            lambda_, alpha_bar, chi, psi, mu, sigma and gamma, which `from_ghyp` takes; as there,
            numbers for one column, and then sigma is the root of Sigma. ghyp takes either
            alpha_bar or chi and psi. Where E[Y] is infinite, alpha_bar is None and chi, psi, sigma
            and gamma are in the model's own form.

        Raises
        ------
        ValueError
            If the parameters with E[Y] = 1 leave the range of doubles, or Y is constant.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(
        ...     mu=0.0, gamma=0.5, sigma=4.0, alpha=2.0, beta=1.0)
        >>> parameters = model.to_ghyp()
        >>> parameters["psi"], round(parameters["sigma"], 9)
        (4.0, 2.828427125)
        """
        self._check_varying("to_ghyp")
        mean = self.subordinator.mean()
        has_mean = 0.0 < mean < math.inf
        unit = self.rescaled(1.0 / mean) if has_mean else self
        p, a, b = unit.subordinator.gig
        one = self.d == 1
        return {
            "lambda_": p,
            "alpha_bar": math.sqrt(a) * math.sqrt(b) if has_mean else None,
            "chi": b,
            "psi": a,
            "mu": float(unit.mu[0]) if one else unit.mu.copy(),
            "sigma": float(unit.L_sigma[0, 0]) if one else unit.sigma(),
            "gamma": float(unit.gamma[0]) if one else unit.gamma.copy(),
        }

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
            lambda_, alpha, beta, delta and mu, which `from_alpha_beta_delta` takes.

        Raises
        ------
        ValueError
            If the model has several columns, or Y is constant.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(
        ...     mu=0.0, gamma=0.0, sigma=4.0, alpha=2.0, beta=2.0)
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
        >>> model = VarianceGamma.from_classical(
        ...     mu=0.0, gamma=0.1, sigma=1.0, alpha=2.0, beta=0.5)
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
    def from_scipy(cls, frozen: Any) -> Self:
        """Make the model from a frozen distribution of scipy.stats.

        Parameters
        ----------
        frozen : frozen distribution
            norminvgauss, genhyperbolic, t, multivariate_t, norm or multivariate_normal with its
            parameters, as in ``scipy.stats.t(5, scale=2)``. With s its scale, the first two have
            alpha = a / s, beta = b / s and delta = s in `from_alpha_beta_delta`; t has Sigma =
            s^2 and Y ~ InverseGamma(df / 2, df / 2).

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        TypeError
            If frozen is no such distribution.
        ValueError
            If its law of Y is not of the family, or it is singular.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy import stats
        >>> from nvmix import NormalInverseGaussian
        >>> frozen = stats.norminvgauss(2.0, 1.0, scale=3.0)
        >>> model = NormalInverseGaussian.from_scipy(frozen)
        >>> bool(np.isclose(model.log_prob(1.0), frozen.logpdf(1.0)))
        True
        """
        return cls.of_law(*law_of_scipy(frozen))

    def to_scipy(self) -> Any:
        """Frozen distribution of scipy.stats with the law of X.

        Returns
        -------
        frozen distribution
            norminvgauss where p = -1/2, else genhyperbolic, for one column; t or multivariate_t
            where a = 0 and gamma = 0; norm or multivariate_normal of `MultivariateNormal`.

        Raises
        ------
        ValueError
            If SciPy has no such distribution; the message says why.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> print(StudentT.from_classical(mu=1.0, sigma=4.0, df=3.0).to_scipy().mean())
        1.0
        """
        stats = importlib.import_module("scipy.stats")
        p, a, b = self.subordinator.gig
        if a == 0.0 and not self.gamma.any():
            # Sigma Y = (Sigma b / (2 alpha)) (alpha / G), G ~ Gamma(alpha, 1).
            df, L = -2.0 * p, self.L_sigma * math.sqrt(b / (-2.0 * p))
            if self.d == 1:
                return stats.t(df, float(self.mu[0]), float(L[0, 0]))
            return stats.multivariate_t(self.mu, L @ L.T, df)
        if self.d > 1:
            msg = (
                "SciPy has no skewed, generalized hyperbolic or variance gamma distribution of "
                f"several columns, got {type(self).__name__} of {self.d}"
            )
            raise ValueError(msg)
        if a == 0.0 or b == 0.0:
            name = "GH skew-t, with a = 0" if a == 0.0 else "variance gamma, with b = 0"
            msg = f"SciPy has no {name} of Y: its genhyperbolic is nan at a = abs(b) and scale = 0"
            raise ValueError(msg)
        classical = self.to_alpha_beta_delta()
        s, mu = classical["delta"], classical["mu"]
        shapes = classical["alpha"] * s, classical["beta"] * s
        if p == -0.5:
            return stats.norminvgauss(*shapes, loc=mu, scale=s)
        return stats.genhyperbolic(p, *shapes, loc=mu, scale=s)

    @classmethod
    def of_law(cls, mu: Any, gamma: Any, sigma: Any, theta: GIGParameters) -> Self:
        """Model of this family with Y ~ GIG(p, a, b); ValueError if the family has no such Y."""
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
