"""Conversions of a model to and from the parameters of R's package ghyp and of scipy.stats."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nvmix.distributions.parametrisations import law_of_scipy, theta_of_ghyp
from nvmix.distributions.textbooks import InTextbooks
from nvmix.foundation.validation import positive, real, vector


@dataclass(frozen=True, eq=False, repr=False)
class Convertible(InTextbooks):
    """Mixture with all conversions; `NormalMixture` describes the attributes."""

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

        See Also
        --------
        nvmix.from_ghyp : The same, with the family that the parameters belong to.

        References
        ----------
        D. Lüthi and W. Breymann, ghyp: Generalized Hyperbolic Distribution and Its Special Cases, a
        package of R.

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
            ``lambda_``, alpha_bar, chi, psi, mu, sigma, gamma, which `from_ghyp` takes; as there,
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
        >>> model = VarianceGamma.from_classical(mu=0.0, gamma=0.5, sigma=4.0, alpha=2.0, beta=1.0)
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
