"""The named families: each binds a subordinator to `NormalMixture` and names its parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import Fixed
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.distributions.starts import fitted, likeliest
from nvmix.foundation.validation import vector
from nvmix.mixture.subordinators import (
    GIG,
    Gamma,
    InverseGamma,
    InverseGaussian,
)
from nvmix.sources.factory import starting_rows

if TYPE_CHECKING:
    from nvmix.backends.types import GIGParameters
    from nvmix.fitting.starts.moments import SampleMoments
    from nvmix.mixture.subordinator import Subordinator

# Iterations of the generalized hyperbolic that starts a variance gamma, and the largest alpha of
# such a start.
_SMOOTHING_STEPS = 10
_NARROWEST = 20.0
# Iterations of each special case, and of the generalized hyperbolic from each, that start a
# generalized hyperbolic.
_SPECIAL_STEPS = 200
_WIDE_STEPS = 20


@dataclass(frozen=True, eq=False, repr=False)
class VarianceGamma(NormalMixture):
    """Variance gamma: Y ~ Gamma(alpha, beta), GIG(alpha, 2 beta, 0).

    The density is infinite at mu when alpha <= d / 2. See `NormalMixture` for the attributes.

    References
    ----------
    D. B. Madan and E. Seneta, The variance gamma model for share market returns, Journal of
    Business 63 (1990), 511-524.

    Examples
    --------
    >>> from nvmix import VarianceGamma
    >>> model = VarianceGamma.from_classical(
    ...     mu=[0.0], gamma=[0.2], sigma=[[1.0]], alpha=2.0, beta=2.0)
    >>> model.mean()
    array([0.2])
    """

    _subordinator_type: ClassVar[type[Subordinator]] = Gamma

    @classmethod
    def from_classical(cls, *, mu: Any, gamma: Any, sigma: Any, alpha: float, beta: float) -> Self:
        """Make the model from classical parameters.

        Parameters
        ----------
        mu, gamma : (d,) array_like
            Location and skewness.
        sigma : (d, d) array_like
            Scale, symmetric positive definite.
        alpha, beta : float
            Shape and rate of the gamma law of Y, positive.

        Returns
        -------
        VarianceGamma
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain.
        """
        return cls._make(mu, gamma, sigma, Gamma(alpha, beta))

    @classmethod
    def default_init(cls, X: Any, *, missing: str = "raise") -> Self:
        """Starting model: a short generalized hyperbolic fit with its Y made a gamma law.

        Where alpha < d / 2 + 1 every row of the data near mu holds mu fast. The generalized
        hyperbolic, which has no such cusps, first takes mu to where it belongs.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations, as of `fit`; the names of columns are kept. Of many rows 131,072 at the
            most, evenly spaced, make the start, fewer of more than 32 columns, without weights.
        missing : {"raise", "em"}
            Whether nan is refused, or left out with its row.

        Returns
        -------
        VarianceGamma
            A model to start a fit from.

        Raises
        ------
        TypeError, ValueError
            If X is not an array of n > d finite real rows, or has constant or collinear columns.
        """
        data = starting_rows(X, missing)
        start = NormalInverseGaussian.default_init(data.values)
        wide = GeneralizedHyperbolic._widened(start)  # noqa: SLF001
        smooth = fitted([wide], data.values, max_iter=_SMOOTHING_STEPS)[0]
        log_y, _, y = smooth.subordinator.gig_expectations
        law = Gamma.from_expectation([log_y, y]) if np.isfinite(y) else Gamma(1.0, 1.0)
        if law.alpha > _NARROWEST:
            law = Gamma(_NARROWEST, _NARROWEST / y)
        return cls(smooth.mu, smooth.gamma, smooth.L_sigma, law, data.columns)

    @property
    def alpha(self) -> float:
        """Shape of the gamma law of Y."""
        return self.subordinator.parameters["alpha"]

    @property
    def beta(self) -> float:
        """Rate of the gamma law of Y."""
        return self.subordinator.parameters["beta"]


@dataclass(frozen=True, eq=False, repr=False)
class NormalInverseGamma(NormalMixture):
    """GH skew-t: Y ~ InverseGamma(alpha, beta), GIG(-alpha, 0, 2 beta).

    With gamma = 0 it is Student's t with 2 alpha degrees of freedom. The Bayesian prior of the
    same name, a law of a mean and a variance, is something else. See `NormalMixture` for the
    attributes.

    References
    ----------
    K. Aas and I. H. Haff, The generalized hyperbolic skew Student's t-distribution, Journal of
    Financial Econometrics 4 (2006), 275-309.

    Examples
    --------
    >>> from nvmix import NormalInverseGamma
    >>> student = NormalInverseGamma.from_classical(
    ...     mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=2.0, beta=2.0)
    >>> round(student.pdf(0.0), 12)  # Student's t with 4 degrees of freedom
    0.375
    """

    _subordinator_type: ClassVar[type[Subordinator]] = InverseGamma

    @classmethod
    def from_classical(cls, *, mu: Any, gamma: Any, sigma: Any, alpha: float, beta: float) -> Self:
        """Make the model from classical parameters.

        Parameters
        ----------
        mu, gamma : (d,) array_like
            Location and skewness.
        sigma : (d, d) array_like
            Scale, symmetric positive definite.
        alpha, beta : float
            Shape and scale of the inverse gamma law of Y, positive.

        Returns
        -------
        NormalInverseGamma
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain.
        """
        return cls._make(mu, gamma, sigma, InverseGamma(alpha, beta))

    @classmethod
    def _moment_start(cls, moments: SampleMoments, d: int) -> GIGParameters:  # noqa: ARG003
        alpha = 2.0 + 1.0 / moments.mixing
        return -alpha, 0.0, 2.0 * (alpha - 1.0)

    @property
    def alpha(self) -> float:
        """Shape of the inverse gamma law of Y."""
        return self.subordinator.parameters["alpha"]

    @property
    def beta(self) -> float:
        """Scale of the inverse gamma law of Y."""
        return self.subordinator.parameters["beta"]


@dataclass(frozen=True, eq=False, repr=False)
class NormalInverseGaussian(NormalMixture):
    """Normal-inverse Gaussian: Y ~ InverseGaussian(mu_ig, lam), GIG(-1/2, lam / mu_ig^2, lam).

    See `NormalMixture` for the attributes.

    References
    ----------
    O. E. Barndorff-Nielsen, Normal inverse Gaussian distributions and stochastic volatility
    modelling, Scandinavian Journal of Statistics 24 (1997), 1-13.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian
    >>> true = NormalInverseGaussian.from_classical(
    ...     mu=[0.0, 0.0], gamma=[0.4, -0.3], sigma=[[1.0, 0.3], [0.3, 1.0]], mu_ig=1.0, lam=1.5)
    >>> X = true.rvs(2000, seed=0)
    >>> result = NormalInverseGaussian.default_init(X).fit(X)
    >>> result.converged
    True
    """

    _subordinator_type: ClassVar[type[Subordinator]] = InverseGaussian

    @classmethod
    def from_classical(cls, *, mu: Any, gamma: Any, sigma: Any, mu_ig: float, lam: float) -> Self:
        """Make the model from classical parameters.

        Parameters
        ----------
        mu, gamma : (d,) array_like
            Location and skewness.
        sigma : (d, d) array_like
            Scale, symmetric positive definite.
        mu_ig, lam : float
            Mean and shape of the inverse Gaussian law of Y, positive.

        Returns
        -------
        NormalInverseGaussian
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain.
        """
        return cls._make(mu, gamma, sigma, InverseGaussian(mu_ig, lam))

    @classmethod
    def _moment_start(cls, moments: SampleMoments, d: int) -> GIGParameters:  # noqa: ARG003
        return -0.5, 1.0 / moments.mixing, 1.0 / moments.mixing

    @property
    def mu_ig(self) -> float:
        """Mean of the inverse Gaussian law of Y."""
        return self.subordinator.parameters["mu_ig"]

    @property
    def lam(self) -> float:
        """Shape of the inverse Gaussian law of Y."""
        return self.subordinator.parameters["lam"]


@dataclass(frozen=True, eq=False, repr=False)
class GeneralizedHyperbolic(NormalMixture):
    """Generalized hyperbolic: Y ~ GIG(p, a, b).

    The limits b = 0 (variance gamma) and a = 0 (GH skew-t) belong to the family, and a fit may
    end there. See `NormalMixture` for the attributes.

    References
    ----------
    A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 6.2.

    Examples
    --------
    >>> from nvmix import GeneralizedHyperbolic
    >>> model = GeneralizedHyperbolic.from_classical(
    ...     mu=[0.1, -0.2, 0.3], gamma=[0.3, -0.2, 0.1],
    ...     sigma=[[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]], p=0.5, a=1.5, b=1.5)
    >>> round(model.log_prob([0.0, 0.0, 0.0]), 12)
    -2.87749461087
    """

    _subordinator_type: ClassVar[type[Subordinator]] = GIG

    @classmethod
    def from_classical(
        cls, *, mu: Any, gamma: Any, sigma: Any, p: float, a: float, b: float
    ) -> Self:
        """Make the model from classical parameters.

        Parameters
        ----------
        mu, gamma : (d,) array_like
            Location and skewness.
        sigma : (d, d) array_like
            Scale, symmetric positive definite.
        p : float
            Order of the GIG law of Y.
        a, b : float
            Its other parameters, nonnegative: a = 0 needs p < 0, b = 0 needs p > 0.

        Returns
        -------
        GeneralizedHyperbolic
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain.
        """
        return cls._make(mu, gamma, sigma, GIG(p, a, b))

    @classmethod
    def default_init(cls, X: Any, *, missing: str = "raise") -> Self:
        """Starting model: the likeliest of short fits from the fitted special cases.

        The likelihood never falls, so that a fit from here ends at least as high as the fits of
        `NormalInverseGaussian`, `VarianceGamma`, `NormalInverseGamma` and `Hyperbolic` from their
        own starts, to the rows that make the start. It costs those four fits.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations, as of `fit`; the names of columns are kept. Of many rows 131,072 at the
            most, evenly spaced, make the start, fewer of more than 32 columns, without weights.
        missing : {"raise", "em"}
            Whether nan is refused, or left out with its row.

        Returns
        -------
        GeneralizedHyperbolic
            A model to start a fit from.

        Raises
        ------
        TypeError, ValueError
            If X is not an array of n > d finite real rows, or has constant or collinear columns.
        """
        data = starting_rows(X, missing)
        special = (NormalInverseGaussian, VarianceGamma, NormalInverseGamma, Hyperbolic)
        starts = [family.default_init(data.values) for family in special]
        fits = fitted(starts, data.values, max_iter=_SPECIAL_STEPS)
        wide = [cls._widened(model) for model in fits]
        best = likeliest([*fitted(wide, data.values, max_iter=_WIDE_STEPS), *wide], data.values)
        return replace(best, columns=data.columns)

    @classmethod
    def _widened(cls, model: NormalMixture) -> Self:
        """Return the same law as a member of this family."""
        return cls(model.mu, model.gamma, model.L_sigma, GIG(*model.subordinator.gig))

    @property
    def p(self) -> float:
        """Order of the GIG law of Y."""
        return self.subordinator.parameters["p"]

    @property
    def a(self) -> float:
        """Coefficient of -y / 2 in the exponent of the GIG law of Y."""
        return self.subordinator.parameters["a"]

    @property
    def b(self) -> float:
        """Coefficient of -1 / (2 y) in the exponent of the GIG law of Y."""
        return self.subordinator.parameters["b"]


@dataclass(frozen=True, eq=False, repr=False)
class Hyperbolic(NormalMixture):
    """Hyperbolic: Y ~ GIG((d + 1) / 2, a, b), the generalized hyperbolic with linear log-tails.

    See `NormalMixture` for the attributes.

    References
    ----------
    O. E. Barndorff-Nielsen, Exponentially decreasing distributions for the logarithm of particle
    size, Proceedings of the Royal Society of London A 353 (1977), 401-419.

    Examples
    --------
    >>> from nvmix import Hyperbolic
    >>> model = Hyperbolic.from_classical(mu=[0.0], gamma=[0.0], sigma=[[1.0]], a=1.0, b=1.0)
    >>> model.p
    1.0
    """

    _subordinator_type: ClassVar[type[Subordinator]] = GIG

    @classmethod
    def from_classical(cls, *, mu: Any, gamma: Any, sigma: Any, a: float, b: float) -> Self:
        """Make the model from classical parameters.

        Parameters
        ----------
        mu, gamma : (d,) array_like
            Location and skewness.
        sigma : (d, d) array_like
            Scale, symmetric positive definite.
        a, b : float
            Parameters of the GIG law of Y: a positive, b nonnegative.

        Returns
        -------
        Hyperbolic
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is outside its domain.
        """
        p = 0.5 * (vector("mu", mu).size + 1)
        return cls._make(mu, gamma, sigma, GIG(p, a, b))

    @classmethod
    def _fixed(cls, d: int) -> Fixed:
        return Fixed(p=0.5 * (d + 1))

    @classmethod
    def _moment_start(cls, moments: SampleMoments, d: int) -> GIGParameters:
        p = 0.5 * (d + 1)
        # E[Y] E[1/Y] - 1 reaches 1 / (p - 1) at b = 0; start well inside.
        spread = min(moments.mixing, 0.5 / (p - 1.0)) if p > 1.0 else moments.mixing
        return get_backend().gig_fit((np.nan, 1.0 + spread, 1.0), Fixed(p=p), "newton", None)[0]

    @property
    def p(self) -> float:
        """Order of the GIG law of Y, (d + 1) / 2."""
        return self.subordinator.parameters["p"]

    @property
    def a(self) -> float:
        """Coefficient of -y / 2 in the exponent of the GIG law of Y."""
        return self.subordinator.parameters["a"]

    @property
    def b(self) -> float:
        """Coefficient of -1 / (2 y) in the exponent of the GIG law of Y."""
        return self.subordinator.parameters["b"]
