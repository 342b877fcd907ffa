"""Student's t and the normal distribution as mixtures, which are symmetric."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import scipy

from nvmix.backends.types import Fixed, NormalParameters
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.starts.start import StartingRows
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.linalg import inverse_lower, standardized
from nvmix.foundation.typing import Columns
from nvmix.foundation.validation import positive, real_or_nan, vector
from nvmix.mixture.em_maps import Mixture, check_mixture
from nvmix.mixture.parts.normal_maps import GivenColumns
from nvmix.mixture.subordinator import Subordinator
from nvmix.mixture.subordinators import POINT_MASS, InverseGamma, PointMass
from nvmix.sources.source import ArraySource


@dataclass(frozen=True, eq=False, repr=False)
class _Symmetric(NormalMixture):
    """Mixture whose gamma is 0, and whose parameters fix the scale that Sigma and Y share."""

    symmetric_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Validate; gamma must be 0."""
        super().__post_init__()
        if not on_jax(self.gamma) and self.gamma.any():
            msg = f"gamma must be 0 in {type(self).__name__}, got {self.gamma.tolist()}"
            raise ValueError(msg)

    @classmethod
    def from_classical(cls, *, mu: Any, sigma: Any, gamma: Any = None, **law: float) -> Self:
        """Make the model from classical parameters.

        Parameters
        ----------
        mu : (d,) array_like
            Location.
        sigma : (d, d) array_like
            Scale, symmetric positive definite.
        gamma : (d,) array_like or None
            Zeros; None is the same.
        **law : float
            Parameters with the names in the family's docstring.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is missing, unknown or outside its domain.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> StudentT.from_classical(mu=0.0, sigma=2.0, df=4.0).df
        4.0
        """
        zeros = np.zeros(vector("mu", mu).size)
        gamma = zeros if gamma is None else gamma
        return super().from_classical(mu=mu, gamma=gamma, sigma=sigma, **law)

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return self.d + self.d * (self.d + 1) // 2 + len(self.law_names)


@dataclass(frozen=True, eq=False, repr=False)
class StudentT(_Symmetric):
    """Student's t with df degrees of freedom: Y ~ InverseGamma(df / 2, df / 2) and gamma = 0.

    ``from_classical`` takes mu, sigma and df, positive; sigma is the scale matrix, the covariance
    for df > 2 is df / (df - 2) times it. A fit holds gamma at 0, and ``fixed={"df": 4.0}`` holds
    df. It is `NormalInverseGamma` with gamma = 0 in the form in which Y has alpha = beta.

    References
    ----------
    S. Kotz and S. Nadarajah, Multivariate t Distributions and Their Applications, 2004.

    Examples
    --------
    >>> from nvmix import StudentT
    >>> model = StudentT.from_classical(mu=[0.0], sigma=[[1.0]], df=4.0)
    >>> round(model.pdf(0.0), 12), model.df
    (0.375, 4.0)
    """

    _subordinator_type: ClassVar[type[Subordinator]] = InverseGamma
    law_names: ClassVar[tuple[str, ...]] = ("df",)

    def __post_init__(self) -> None:
        """Validate; alpha and beta must be equal."""
        super().__post_init__()
        alpha, beta = self.subordinator.parameters.values()
        if not on_jax(alpha, beta) and alpha != beta:
            msg = f"subordinator must have alpha = beta in StudentT, got {self.subordinator}"
            raise ValueError(msg)

    @property
    def df(self) -> float:
        """Degrees of freedom."""
        return 2.0 * self.subordinator.parameters["alpha"]

    def _law_parameters(self) -> dict[str, float]:
        """df, where it is a number."""
        law = super()._law_parameters()
        return {"df": self.df} if type(law["alpha"]) is float else law

    @classmethod
    def _subordinator(cls, d: int, **law: float) -> Subordinator:  # noqa: ARG003
        half = 0.5 * positive("df", law["df"])
        return InverseGamma(half, half)

    @classmethod
    def of_law(cls, mu: Any, gamma: Any, sigma: Any, theta: Any) -> Self:
        """As `NormalMixture.of_law`, brought to the form with alpha = beta."""
        p, a, b = theta
        if a == 0.0 and p < 0.0 < b < math.inf:
            sigma, b = np.multiply(sigma, b / (-2.0 * p)), -2.0 * p
        return super().of_law(mu, gamma, sigma, (p, a, b))

    @classmethod
    def _solved(
        cls, normal: NormalParameters, subordinator: Subordinator, columns: Columns
    ) -> Self:
        """Model of an M-step's results, in the form with alpha = beta."""
        alpha, beta = subordinator.parameters.values()
        if not on_jax(alpha, beta) and alpha == beta:
            return super()._solved(normal, subordinator, columns)
        L = normal.L * (beta / alpha) ** 0.5
        return super()._solved(
            normal._replace(L=L), InverseGamma.from_gig(-alpha, 0.0, 2.0 * alpha), columns
        )

    @classmethod
    def _start(cls, rows: ArraySource) -> Self:
        """Starting model from validated rows: that of the skewed family, without its skewness."""
        d = rows.values.shape[1]
        start = StartingRows(rows.values).start(cls._fixed(d))
        normal = start.normal._replace(gamma=np.zeros(d))
        return cls._solved(normal, InverseGamma.from_gig(*start.theta), rows.columns)


@dataclass(frozen=True, eq=False, repr=False)
class MultivariateNormal(_Symmetric):
    """Normal distribution N(mu, Sigma): the mixture with Y = 1 and gamma = 0.

    ``from_classical`` takes mu and sigma, the covariance. A fit is closed-form: the mean and the
    covariance of the rows, divided by n. It cannot have missing values.

    Examples
    --------
    >>> from nvmix import MultivariateNormal
    >>> model = MultivariateNormal.from_classical(mu=[0.0], sigma=[[4.0]])
    >>> print(round(model.cdf(2.0), 12), round(model.ppf(0.975), 12))
    0.841344746069 3.91992796908
    """

    _subordinator_type: ClassVar[type[Subordinator]] = PointMass

    @classmethod
    def _fixed(cls, d: int) -> Fixed:  # noqa: ARG003
        return Fixed(*POINT_MASS)

    @classmethod
    def from_model(cls, model: Mixture) -> Self:
        """Normal distribution with the mean and the covariance of a model.

        It is the law that a fit with `Status.GAUSSIAN_LIMIT` has reached, where Y is constant.

        Parameters
        ----------
        model : NormalMixture
            Any model with a finite covariance.

        Returns
        -------
        MultivariateNormal
            With the model's columns.

        Raises
        ------
        TypeError, ValueError
            If model is no model, or has no finite covariance.

        Examples
        --------
        >>> from nvmix import MultivariateNormal, VarianceGamma
        >>> model = VarianceGamma.from_classical(
        ...     mu=[1.0], gamma=[0.0], sigma=[[2.0]], alpha=3.0, beta=1.0)
        >>> print(MultivariateNormal.from_model(model).sigma().round(12))
        [[6.]]
        """
        check_mixture("model", model)
        normal = cls.from_classical(mu=model.mean(), sigma=model.cov())
        return cls(*normal.normal, normal.subordinator, model.columns)

    @classmethod
    def _start(cls, rows: ArraySource) -> Self:
        mean, size, covariance = standardized(rows.values)
        model = cls.from_classical(mu=mean, sigma=covariance * np.outer(size, size))
        return cls(*model.normal, model.subordinator, rows.columns)

    def to_scipy(self) -> Any:
        """Frozen norm or multivariate_normal of scipy.stats.

        Returns
        -------
        frozen distribution
            norm for one column, else multivariate_normal.

        Examples
        --------
        >>> from nvmix import MultivariateNormal
        >>> MultivariateNormal.from_classical(mu=1.0, sigma=4.0).to_scipy().args
        (1.0, 2.0)
        """
        stats = importlib.import_module("scipy.stats")
        if self.d == 1:
            return stats.norm(float(self.mu[0]), float(self.L_sigma[0, 0]))
        return stats.multivariate_normal(self.mu, self.sigma())

    def _log_densities(self, values: Any, normal: NormalParameters) -> Any:
        """Log-densities of complete rows under a normal part."""
        xp, d = namespace(values, *normal), normal.mu.size
        inverse = inverse_lower(normal.L) if xp is np else xp.linalg.inv(normal.L)
        with np.errstate(over="ignore"):
            q = xp.square((values - normal.mu) @ inverse.T).sum(axis=1)
        return -0.5 * (q + d * math.log(2.0 * math.pi)) - xp.log(xp.diag(normal.L)).sum()

    def posterior(self, x: Any, *, missing: str = "raise") -> Any:  # noqa: ARG002
        """TypeError: Y = 1, whatever x is."""
        msg = "MultivariateNormal has no posterior of Y, which is 1"
        raise TypeError(msg)

    def _mixing_given(self, laws: GivenColumns, x: Any) -> tuple[list[Subordinator], float | None]:
        """Y = 1, whatever x."""
        del laws
        return [self.subordinator] * len(x), self.fixed.p

    def horizon(self, t: float) -> Self:
        """N(t mu, t Sigma), the law of the sum of t independent copies; t is a positive number."""
        t = positive("t", t)
        normal = NormalParameters(t * self.mu, self.gamma, t**0.5 * self.L_sigma)
        return self._solved(normal, self.subordinator, self.columns)

    def rescaled(self, c: float) -> Self:
        """The model itself: its Sigma is the covariance in every gauge; c is a positive number."""
        positive("c", c)
        return self

    def e_step(self, X: Any, backend: str = "cpu", *, weights: Any = None) -> Any:  # noqa: ARG002
        """TypeError: with Y = 1 there is nothing to expect; `fit` is in closed form."""
        msg = "MultivariateNormal has no E-step: its fit is in closed form, by fit(X)"
        raise TypeError(msg)

    @classmethod
    def _solution(cls, *_: Any) -> Self:
        msg = "MultivariateNormal has no M-step: its fit is in closed form, by fit(X)"
        raise TypeError(msg)

    def _tail(self, x: Any, *, upper: bool, log: bool = False) -> Any:
        """A tail, or its log, at validated points."""
        (mu, _, L), _ = self._column()
        special, x = _special_functions("x", x, mu, L)
        z = (x - mu[0]) / L[0, 0]
        return _number((special.log_ndtr if log else special.ndtr)(-z if upper else z))

    def _quantile(self, q: Any, *, upper: bool) -> Any:
        """Quantiles; nan where q is not in [0, 1]."""
        (mu, _, L), _ = self._column()
        special, q = _special_functions("q", q, mu, L)
        z = special.ndtri(namespace(q).where((q >= 0.0) & (q <= 1.0), q, np.nan))
        return _number(mu[0] + L[0, 0] * (-z if upper else z))

    def entropy(self) -> float:
        """Differential entropy, of any number of columns.

        Returns
        -------
        float
            (d + d log 2 pi + `log_det_sigma`) / 2, in nats.

        Examples
        --------
        >>> from nvmix import MultivariateNormal
        >>> round(MultivariateNormal.from_classical(mu=0.0, sigma=1.0).entropy(), 9)
        1.418938533
        """
        return 0.5 * (self.d * (1.0 + math.log(2.0 * math.pi)) + self.log_det_sigma())


def _special_functions(name: str, x: Any, *parameters: Any) -> tuple[Any, Any]:
    """The module of special functions of NumPy or JAX arrays, and x as one."""
    if not on_jax(x, *parameters):
        return scipy.special, real_or_nan(name, x)
    special = importlib.import_module("jax.scipy.special")
    return special, namespace(x, *parameters).asarray(x)


def _number(value: Any) -> Any:
    """An array, or a float in the place of a NumPy scalar."""
    return value if on_jax(value) or value.ndim else float(value)
