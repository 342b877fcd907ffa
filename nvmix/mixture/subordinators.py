"""The subordinators: GIG, gamma, inverse gamma and inverse Gaussian distributions of Y."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
import scipy

from nvmix.backends.types import Fixed, GIGParameters
from nvmix.foundation.arrays import namespace, on_jax, traced
from nvmix.foundation.pytrees import pytree
from nvmix.foundation.typing import BoolArray, FloatArray
from nvmix.foundation.validation import nonnegative, real, real_or_nan
from nvmix.mixture.subordinator import STATISTICS, Subordinator

# (p, a, b) of Y = 1: the limit of inverse Gaussian laws of mean 1.
POINT_MASS: Final = (-0.5, math.inf, math.inf)


@pytree(())
@dataclass(frozen=True)
class PointMass(Subordinator):
    """Y = 1, with which a mixture is the normal distribution; it has no parameters.

    Examples
    --------
    >>> from nvmix.mixture.subordinators import PointMass
    >>> PointMass().mean(), PointMass().var()
    (1.0, 0.0)
    """

    fixed: ClassVar[Fixed] = Fixed(*POINT_MASS)
    statistics: ClassVar[tuple[str, ...]] = ()
    is_constant: ClassVar[bool] = True

    @property
    def gig(self) -> GIGParameters:
        """(-1/2, inf, inf), a limit of which no density is."""
        return POINT_MASS

    @staticmethod
    def _parameters_of(p: float, a: float, b: float) -> tuple[float, ...]:
        if (p, a, b) != POINT_MASS:
            msg = f"Y = 1 has no parameters, got GIG({p}, {a}, {b})"
            raise ValueError(msg)
        return ()

    def __post_init__(self) -> None:
        """There is nothing to validate."""

    @property
    def _moments(self) -> tuple[float, ...]:
        return math.nan, 0.0, 1.0, 1.0

    def gig_covariance(self) -> FloatArray:
        """Covariance matrix (3, 3) of (log Y, 1/Y, Y): zeros."""
        return np.zeros((3, 3))

    def _log_density(self, y: Any) -> Any:
        return np.where(y == 1.0, np.inf, -np.inf)

    def _log_tails(self, y: FloatArray) -> tuple[FloatArray, BoolArray]:
        return np.full(np.shape(y), -np.inf), np.asarray(y >= 1.0)

    def _quantile(self, q: Any, *, upper: bool) -> FloatArray:  # noqa: ARG002
        q = real_or_nan("q", q)
        return np.where((q >= 0.0) & (q <= 1.0), 1.0, np.nan)[()]

    def _variates(self, n: int, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        return np.ones(n)

    def mode(self) -> float:
        """The mode, 1."""
        return 1.0

    def entropy(self) -> float:
        """Minus infinity, the limit of narrow laws."""
        return -math.inf

    def raw_moment(self, k: float) -> float:
        """E[Y^k], 1 for any real k."""
        real("k", k)
        return 1.0

    def scaled(self, c: float) -> Self:
        """Y itself for c = 1; ValueError for another number, of which this law is none."""
        if c != 1.0:
            msg = f"c must be 1 for Y = 1, got {c!r}"
            raise ValueError(msg)
        return self


@pytree(("p", "a", "b"))
@dataclass(frozen=True)
class GIG(Subordinator):
    """Generalized inverse Gaussian, density proportional to y^(p-1) exp(-(a y + b / y) / 2).

    Parameters
    ----------
    p : float
        Order.
    a, b : float
        Nonnegative; a = 0 needs p < 0 (inverse gamma), b = 0 needs p > 0 (gamma).

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number, or outside the domain.

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
    statistics: ClassVar[tuple[str, ...]] = STATISTICS

    def __post_init__(self) -> None:
        """Validate; a = 0 and b = 0 put conditions on the other parameters."""
        self._set("p", real("p", self.p))
        self._set("a", nonnegative("a", self.a))
        self._set("b", nonnegative("b", self.b))
        if traced(self.p, self.a, self.b):
            return
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

    @staticmethod
    def _parameters_of(p: float, a: float, b: float) -> tuple[float, ...]:
        return p, a, b


@pytree(("alpha", "beta"))
@dataclass(frozen=True)
class Gamma(Subordinator):
    """Gamma distribution, density proportional to y^(alpha-1) exp(-beta y): GIG(alpha, 2 beta, 0).

    Parameters
    ----------
    alpha : float
        Shape, positive.
    beta : float
        Rate, positive.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a positive number.

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

    @property
    def gig(self) -> GIGParameters:
        """(alpha, 2 beta, 0)."""
        return self.alpha, 2.0 * self.beta, 0.0

    @staticmethod
    def _parameters_of(p: float, a: float, b: float) -> tuple[float, ...]:  # noqa: ARG004
        return p, 0.5 * a


@pytree(("alpha", "beta"))
@dataclass(frozen=True)
class InverseGamma(Subordinator):
    """Inverse gamma, density proportional to y^(-alpha-1) exp(-beta / y): GIG(-alpha, 0, 2 beta).

    Parameters
    ----------
    alpha : float
        Shape, positive; E[Y] is finite for alpha > 1.
    beta : float
        Scale, positive.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a positive number.

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

    @property
    def gig(self) -> GIGParameters:
        """(-alpha, 0, 2 beta)."""
        return -self.alpha, 0.0, 2.0 * self.beta

    @staticmethod
    def _parameters_of(p: float, a: float, b: float) -> tuple[float, ...]:  # noqa: ARG004
        return -p, 0.5 * b


@pytree(("mu_ig", "lam"))
@dataclass(frozen=True)
class InverseGaussian(Subordinator):
    """Inverse Gaussian distribution with mean mu_ig and shape lam: GIG(-1/2, lam / mu_ig^2, lam).

    Parameters
    ----------
    mu_ig : float
        Mean, positive.
    lam : float
        Shape, positive; the variance is mu_ig^3 / lam.
    mu : float or None
        Another name of mu_ig, as a keyword.

    Raises
    ------
    TypeError, ValueError
        If a parameter is missing, given twice, or not a positive number.

    Examples
    --------
    >>> from nvmix import InverseGaussian
    >>> Y = InverseGaussian(mu_ig=2.0, lam=4.0)
    >>> round(Y.mean(), 12), round(Y.var(), 12)
    (2.0, 2.0)
    """

    mu_ig: float
    lam: float
    fixed: ClassVar[Fixed] = Fixed(p=-0.5)
    statistics: ClassVar[tuple[str, ...]] = ("inv_y", "y")

    def __init__(
        self, mu_ig: float | None = None, lam: float | None = None, *, mu: float | None = None
    ) -> None:
        mean = mu if mu_ig is None else mu_ig
        if mean is None or lam is None or (mu_ig is not None and mu is not None):
            msg = f"InverseGaussian takes mu_ig (or mu) and lam, got {mu_ig=}, {mu=}, {lam=}"
            raise TypeError(msg)
        self._set("mu_ig", mean)
        self._set("lam", lam)
        self.__post_init__()

    @property
    def gig(self) -> GIGParameters:
        """(-1/2, lam / mu_ig^2, lam)."""
        return -0.5, self.lam / self.mu_ig / self.mu_ig, self.lam

    @staticmethod
    def _parameters_of(p: float, a: float, b: float) -> tuple[float, ...]:  # noqa: ARG004
        if on_jax(a, b):
            return (b / a) ** 0.5, b
        return float(np.sqrt(b) / np.sqrt(a)) if a > 0.0 else np.inf, b

    def _log_density(self, y: Any) -> Any:
        """The closed form; a of the GIG is rounded, which a narrow law would show."""
        xp = namespace(y, self.mu_ig, self.lam)
        with np.errstate(over="ignore"):
            deviation = (y - self.mu_ig) / xp.sqrt(y) * (xp.sqrt(self.lam) / self.mu_ig)
            log_scale = xp.log(self.lam) - math.log(2.0 * math.pi) - 3.0 * xp.log(y)
            return 0.5 * (log_scale - deviation * deviation)

    def _log_tails(self, y: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Closed forms of a narrow law near its mean, which do not need the rounded a of the GIG.

        With s, t = sqrt(lam / y) (y / mu -+ 1), the normal density phi and Mills' ratio M, P(Y < y)
        = phi(s) (M(-s) + M(t)) and P(Y > y) = phi(s) (M(s) - M(t)): J. Shuster, Journal of the
        American Statistical Association 63 (1968), 1514-1516, and exp(2 lam / mu) phi(t) = phi(s).
        """
        log_tail, upper = super()._log_tails(y)
        near = (y < 4.0 * self.mu_ig) & (self.lam > self.mu_ig)
        root = math.sqrt(self.lam) / np.sqrt(y)
        with np.errstate(over="ignore", invalid="ignore"):
            sides = ((y + sign * self.mu_ig) / self.mu_ig for sign in (-1.0, 1.0))
            s, t = (np.where(near, root * side, 1.0) for side in sides)
            log_density = -0.5 * s * s + np.log(0.5)
        above = s > 0.0
        # M(x) = sqrt(pi / 2) erfcx(x / sqrt(2)).
        first, second = (scipy.special.erfcx(x * math.sqrt(0.5)) for x in (np.abs(s), t))
        with np.errstate(divide="ignore", invalid="ignore"):
            closed = log_density + np.log(np.where(above, first - second, first + second))
        return np.where(near, closed, log_tail), np.where(near, above, upper)
