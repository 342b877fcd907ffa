"""What laws of the mixing variable Y have in common.

Each is a GIG(p, a, b) with some coordinates fixed, and an exponential family in the matching
members of the statistics (log y, 1/y, y), whose natural parameters are (p - 1, -b/2, -a/2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import numpy as np

from nvmix.backends import M_STEP_METHODS, get_backend, get_functions
from nvmix.backends.types import Fixed, GIGParameters, GIGStatus
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import generator, integer, one_of, positive, real_or_nan, vector

STATISTICS = ("log_y", "inv_y", "y")
_NO_START = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Subordinator(ABC):
    """A law of Y > 0 that is GIG(p, a, b) with some coordinates fixed."""

    fixed: ClassVar[Fixed]
    statistics: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def gig(self) -> GIGParameters:
        """The law as (p, a, b): density proportional to y^(p-1) exp(-(a y + b / y) / 2)."""

    @staticmethod
    @abstractmethod
    def _parameters_of(p: float, a: float, b: float) -> tuple[float, ...]:
        """The parameters, in their order, of the law that is GIG(p, a, b)."""

    @classmethod
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
        values = cls._parameters_of(p, a, b)
        if not on_jax(p, a, b):
            return cls(*values)
        law = object.__new__(cls)
        law.__dict__.update(zip((field.name for field in fields(cls)), values, strict=True))
        return law

    @classmethod
    def _index(cls) -> list[int]:
        """Positions of the family's statistics in (log y, 1/y, y)."""
        return [STATISTICS.index(name) for name in cls.statistics]

    @property
    def _moments(self) -> tuple[float, ...]:
        """(lnZ, E log Y, E 1/Y, E Y)."""
        if on_jax(*self.gig):
            # Never kept: a trace must not leave its tracers behind.
            return get_functions().gig_law(self.gig)  # type: ignore[no-any-return]
        return self._known_moments

    @classmethod
    def _full(cls, eta: Any) -> tuple[float, float, float]:
        """(E log Y, E 1/Y, E Y), nan where the family has no such statistic."""
        full = [np.nan] * 3
        for i, value in zip(cls._index(), eta, strict=True):
            full[i] = value
        return full[0], full[1], full[2]

    @cached_property
    def _known_moments(self) -> tuple[float, ...]:
        """`_moments` of numbers."""
        return get_backend().gig_law(self.gig)

    def gig_covariance(self) -> FloatArray:
        """Covariance of (log Y, 1/Y, Y), whichever of them are statistics of the family.

        Returns
        -------
        (3, 3) array
            Symmetric; entries may be infinite.
        """
        if on_jax(*self.gig):
            return get_functions().gig_covariance(self.gig)  # type: ignore[no-any-return]
        return get_backend().gig_covariance(self.gig)

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
        xp = namespace(p, a, b)
        natural: FloatArray = xp.array([p - 1.0, -0.5 * b, -0.5 * a])[xp.array(self._index())]
        return natural

    def expectation_params(self) -> FloatArray:
        """Expectations of the statistics.

        Returns
        -------
        (k,) array
            Members of (E[log Y], E[1/Y], E[Y]).
        """
        expectations = self.gig_expectations
        xp = namespace(*expectations)
        own: FloatArray = xp.array(expectations)[xp.array(self._index())]
        return own

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
        return self.gig_covariance()[np.ix_(index, index)]

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
        full = [0.0] * 3
        for i, value in zip(cls._index(), theta, strict=True):
            full[i] = value
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
            If no law of positive spread has these expectations (Jensen's inequality violated); of a
            JAX array, the parameters are nan instead.
        """
        one_of("method", method, M_STEP_METHODS)
        if on_jax(eta):
            found = get_functions().gig_fit(
                cls._full(eta), _NO_START, fixed=cls.fixed, method=method
            )
            return cls.from_gig(*found)
        eta = vector("eta", eta, len(cls.statistics))
        full = cls._full(eta.tolist())
        theta, status = get_backend(backend).gig_fit(full, cls.fixed, method, None)
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
        p, a, b = self.gig
        if on_jax(y, p, a, b):
            return cast("FloatArray", self._log_prob_on_jax(y))
        y = real_or_nan("y", y)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (p - 1.0) * np.log(y) - 0.5 * (a * y + b / y) - self.log_partition()
        return np.where((y <= 0.0) | (y == np.inf), -np.inf, value)[()]

    def _log_prob_on_jax(self, y: Any) -> Any:
        """`log_prob` in JAX, with derivatives on the inside."""
        p, a, b = self.gig
        log_partition = self.log_partition()
        xp = namespace(y, log_partition)
        y = xp.asarray(y, float)
        outside = (y <= 0.0) | (y == xp.inf)
        inner = xp.where(outside, 1.0, y)
        value = (p - 1.0) * xp.log(inner) - 0.5 * (a * inner + b / inner) - log_partition
        return xp.where(outside, -xp.inf, value)

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
        variance = self.gig_covariance()[2, 2]
        return variance if on_jax(variance) else float(variance)

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
        return get_backend().gig_variates(self.gig, integer("n", n, 0), generator(seed))

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
