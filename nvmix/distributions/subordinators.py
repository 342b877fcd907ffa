"""Positive laws of the mixing variable Y: the GIG family and its named members.

Each is a GIG(p, a, b) with some coordinates fixed, and an exponential family in the matching
members of the statistics (log y, 1/y, y), whose natural parameters are (p - 1, -b/2, -a/2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from nvmix._validation import (
    generator,
    integer,
    nonnegative,
    one_of,
    positive,
    real,
    real_or_nan,
    vector,
)
from nvmix.backends import M_STEP_METHODS, get_backend, get_sampler
from nvmix.backends._protocol import Fixed, GIGStatus

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import GIGParameters

_STATISTICS = ("log_y", "inv_y", "y")


@dataclass(frozen=True)
class Subordinator(ABC):
    """A law of Y > 0 that is GIG(p, a, b) with some coordinates fixed."""

    fixed: ClassVar[Fixed]
    statistics: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def gig(self) -> GIGParameters:
        """The law as (p, a, b): density proportional to y^(p-1) exp(-(a y + b / y) / 2)."""

    @classmethod
    @abstractmethod
    def from_gig(cls, p: float, a: float, b: float) -> Self:
        """Make the law from its (p, a, b).

        Parameters
        ----------
        p, a, b : float
            GIG parameters; those the family fixes are ignored.

        Returns
        -------
        Subordinator
            The law.
        """

    @classmethod
    def _index(cls) -> list[int]:
        """Positions of the family's statistics in (log y, 1/y, y)."""
        return [_STATISTICS.index(name) for name in cls.statistics]

    @cached_property
    def _moments(self) -> tuple[float, ...]:
        """(lnZ, E log Y, E 1/Y, E Y)."""
        return get_backend().gig_law(self.gig)

    @property
    def gig_expectations(self) -> tuple[float, float, float]:
        """(E[log Y], E[1/Y], E[Y]), some of which may be infinite."""
        _, log_y, inv_y, y = self._moments
        return log_y, inv_y, y

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def natural_params(self) -> FloatArray:
        """Natural parameters, in the order of `statistics`.

        Returns
        -------
        (k,) array
            Members of (p - 1, -b/2, -a/2).
        """
        p, a, b = self.gig
        return np.array([p - 1.0, -0.5 * b, -0.5 * a])[self._index()]

    def expectation_params(self) -> FloatArray:
        """Expectations of the statistics.

        Returns
        -------
        (k,) array
            Members of (E[log Y], E[1/Y], E[Y]).
        """
        return np.array(self.gig_expectations)[self._index()]

    def log_partition(self) -> float:
        """Log-partition A, the log of the integral of exp(theta . t(y)) against the base measure.

        Returns
        -------
        float
            lnZ(p, a, b), the log of the integral of y^(p-1) exp(-(a y + b / y) / 2).
        """
        return self._moments[0]

    def fisher_information(self) -> FloatArray:
        """Hessian of the log-partition: the covariance of the statistics.

        Returns
        -------
        (k, k) array
            Fisher information of the natural parameters.
        """
        index = self._index()
        return get_backend().gig_covariance(self.gig)[np.ix_(index, index)]

    @classmethod
    def from_natural(cls, theta: Any) -> Self:
        """Make the law from its natural parameters.

        Parameters
        ----------
        theta : (k,) array_like
            As returned by `natural_params`.

        Returns
        -------
        Subordinator
            The law.

        Raises
        ------
        ValueError
            If theta is outside the natural parameter space.
        """
        theta = vector("theta", theta, len(cls.statistics))
        full = np.zeros(3)
        full[cls._index()] = theta
        p = full[0] + 1.0 if cls.fixed.p is None else cls.fixed.p
        try:
            return cls.from_gig(p, -2.0 * full[2], -2.0 * full[1])
        except ValueError as error:
            msg = f"theta must be natural parameters of a {cls.__name__}, got {theta}: {error}"
            raise ValueError(msg) from None

    @classmethod
    def from_expectation(cls, eta: Any, *, backend: str = "cpu", method: str = "newton") -> Self:
        """Make the law from the expectations of its statistics: its maximum-likelihood fit.

        Parameters
        ----------
        eta : (k,) array_like
            As returned by `expectation_params`.
        backend : {"cpu", "jax"}
            Where to solve.
        method : {"newton", "lbfgs", "bfgs"}
            How to solve, where there is no closed form.

        Returns
        -------
        Subordinator
            The law. A GIG whose optimum is a limit comes back with a = 0 or b = 0.

        Raises
        ------
        ValueError
            If no law of positive spread has these expectations (Jensen's inequality violated).
        """
        eta = vector("eta", eta, len(cls.statistics))
        one_of("method", method, M_STEP_METHODS)
        full = [np.nan] * 3
        for i, value in zip(cls._index(), eta, strict=True):
            full[i] = float(value)
        theta, status = get_backend(backend).gig_fit(
            (full[0], full[1], full[2]), cls.fixed, method, None
        )
        if status is GIGStatus.NOT_CONVERGED:
            msg = f"method {method!r} did not converge for eta = {eta}; try another method"
            raise ValueError(msg)
        if status > GIGStatus.INVERSE_GAMMA:
            values = dict(zip(cls.statistics, eta.tolist(), strict=True))
            found = f"the expectations of a law in {cls.__name__}, got {values}"
            if status is GIGStatus.DEGENERATE:
                msg = f"eta must be {found}, which leave Y no spread"
            else:
                msg = f"eta must be {found}, against Jensen's inequality"
            raise ValueError(msg)
        return cls.from_gig(*theta)

    def log_prob(self, y: Any) -> FloatArray:
        """Log-density.

        Parameters
        ----------
        y : array_like
            Points of any shape; the density is 0 where y <= 0 or y is inf.

        Returns
        -------
        array or float
            Log-densities, of the shape of y.
        """
        y = real_or_nan("y", y)
        p, a, b = self.gig
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (p - 1.0) * np.log(y) - 0.5 * (a * y + b / y) - self.log_partition()
        return np.where((y <= 0.0) | (y == np.inf), -np.inf, value)[()]

    def mean(self) -> float:
        """Mean of Y.

        Returns
        -------
        float
            E[Y], possibly inf.
        """
        return self._moments[3]

    def var(self) -> float:
        """Variance of Y.

        Returns
        -------
        float
            Var[Y], possibly inf.
        """
        return float(get_backend().gig_covariance(self.gig)[2, 2])

    def rvs(self, n: int, seed: int | np.random.Generator | None = None) -> FloatArray:
        """Draw variates.

        Parameters
        ----------
        n : int
            How many.
        seed : int, numpy.random.Generator or None
            Source of randomness; the same seed gives the same bits.

        Returns
        -------
        (n,) array
            Independent draws.
        """
        return get_sampler().gig_variates(self.gig, integer("n", n, 0), generator(seed))

    def scaled(self, c: float) -> Self:
        """Law of c Y.

        Parameters
        ----------
        c : float
            Positive factor.

        Returns
        -------
        Subordinator
            GIG(p, a / c, b c), in the same family.
        """
        p, a, b = self.gig
        c = positive("c", c)
        return self.from_gig(p, a / c, b * c)

    def _set(self, name: str, value: float) -> None:
        """Store a validated parameter on the frozen instance."""
        object.__setattr__(self, name, value)


@dataclass(frozen=True)
class GIG(Subordinator):
    """Generalized inverse Gaussian law, density proportional to y^(p-1) exp(-(a y + b / y) / 2).

    Parameters
    ----------
    p : float
        Order.
    a, b : float
        Nonnegative; a = 0 needs p < 0 (inverse gamma), b = 0 needs p > 0 (gamma).

    References
    ----------
    B. Jorgensen, Statistical Properties of the Generalized Inverse Gaussian Distribution, 1982.

    Examples
    --------
    >>> from nvmix import GIG
    >>> round(GIG(p=1.0, a=1.0, b=1.0).mean(), 11)
    2.69948393559
    """

    p: float
    a: float
    b: float
    fixed: ClassVar[Fixed] = Fixed()
    statistics: ClassVar[tuple[str, ...]] = _STATISTICS

    def __post_init__(self) -> None:
        """Validate."""
        self._set("p", real("p", self.p))
        self._set("a", nonnegative("a", self.a))
        self._set("b", nonnegative("b", self.b))
        if self.a == 0.0 and not (self.p < 0.0 and self.b > 0.0):
            msg = f"a must be positive unless p < 0 and b > 0, got {self}"
            raise ValueError(msg)
        if self.b == 0.0 and not self.p > 0.0:
            msg = f"b must be positive unless p > 0 and a > 0, got {self}"
            raise ValueError(msg)

    @property
    def gig(self) -> GIGParameters:
        """(p, a, b)."""
        return self.p, self.a, self.b

    @classmethod
    def from_gig(cls, p: float, a: float, b: float) -> Self:
        """Make the law from its (p, a, b)."""
        return cls(p, a, b)


@dataclass(frozen=True)
class Gamma(Subordinator):
    """Gamma law, density proportional to y^(alpha-1) exp(-beta y): GIG(alpha, 2 beta, 0).

    Parameters
    ----------
    alpha : float
        Shape, positive.
    beta : float
        Rate, positive.

    Examples
    --------
    >>> from nvmix import Gamma
    >>> Gamma(alpha=3.0, beta=2.0).mean()
    1.5
    """

    alpha: float
    beta: float
    fixed: ClassVar[Fixed] = Fixed(b=0.0)
    statistics: ClassVar[tuple[str, ...]] = ("log_y", "y")

    def __post_init__(self) -> None:
        """Validate."""
        self._set("alpha", positive("alpha", self.alpha))
        self._set("beta", positive("beta", self.beta))

    @property
    def gig(self) -> GIGParameters:
        """(alpha, 2 beta, 0)."""
        return self.alpha, 2.0 * self.beta, 0.0

    @classmethod
    def from_gig(cls, p: float, a: float, b: float) -> Self:  # noqa: ARG003
        """Make the law from p = alpha and a = 2 beta."""
        return cls(p, 0.5 * a)


@dataclass(frozen=True)
class InverseGamma(Subordinator):
    """Inverse gamma law, density prop. to y^(-alpha-1) exp(-beta / y): GIG(-alpha, 0, 2 beta).

    Parameters
    ----------
    alpha : float
        Shape, positive; E[Y] is finite for alpha > 1.
    beta : float
        Scale, positive.

    Examples
    --------
    >>> from nvmix import InverseGamma
    >>> InverseGamma(alpha=3.0, beta=2.0).mean()
    1.0
    """

    alpha: float
    beta: float
    fixed: ClassVar[Fixed] = Fixed(a=0.0)
    statistics: ClassVar[tuple[str, ...]] = ("log_y", "inv_y")

    def __post_init__(self) -> None:
        """Validate."""
        self._set("alpha", positive("alpha", self.alpha))
        self._set("beta", positive("beta", self.beta))

    @property
    def gig(self) -> GIGParameters:
        """(-alpha, 0, 2 beta)."""
        return -self.alpha, 0.0, 2.0 * self.beta

    @classmethod
    def from_gig(cls, p: float, a: float, b: float) -> Self:  # noqa: ARG003
        """Make the law from p = -alpha and b = 2 beta."""
        return cls(-p, 0.5 * b)


@dataclass(frozen=True)
class InverseGaussian(Subordinator):
    """Inverse Gaussian law with mean mu_ig and shape lam: GIG(-1/2, lam / mu_ig^2, lam).

    Parameters
    ----------
    mu_ig : float
        Mean, positive.
    lam : float
        Shape, positive; the variance is mu_ig^3 / lam.

    Examples
    --------
    >>> from nvmix import InverseGaussian
    >>> law = InverseGaussian(mu_ig=2.0, lam=4.0)
    >>> round(law.mean(), 12), round(law.var(), 12)
    (2.0, 2.0)
    """

    mu_ig: float
    lam: float
    fixed: ClassVar[Fixed] = Fixed(p=-0.5)
    statistics: ClassVar[tuple[str, ...]] = ("inv_y", "y")

    def __post_init__(self) -> None:
        """Validate."""
        self._set("mu_ig", positive("mu_ig", self.mu_ig))
        self._set("lam", positive("lam", self.lam))

    @property
    def gig(self) -> GIGParameters:
        """(-1/2, lam / mu_ig^2, lam)."""
        return -0.5, self.lam / self.mu_ig / self.mu_ig, self.lam

    @classmethod
    def from_gig(cls, p: float, a: float, b: float) -> Self:  # noqa: ARG003
        """Make the law from a = lam / mu_ig^2 and b = lam."""
        return cls(float(np.sqrt(b) / np.sqrt(a)) if a > 0.0 else np.inf, b)
