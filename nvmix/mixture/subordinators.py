"""The subordinators: GIG, gamma, inverse gamma and inverse Gaussian distributions of Y."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nvmix.backends.types import Fixed, GIGParameters
from nvmix.foundation.arrays import namespace, on_jax, traced
from nvmix.foundation.pytrees import pytree
from nvmix.foundation.validation import nonnegative, real
from nvmix.mixture.subordinator import STATISTICS, Subordinator


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
