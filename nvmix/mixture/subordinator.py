"""Base class of the subordinators: distributions of the mixing variable Y > 0.

Each is a GIG(p, a, b), density proportional to y^(p-1) exp(-(a y + b / y) / 2), with some of p, a
and b fixed by the family. So each is an exponential family with statistics among (log y, 1/y, y)
and natural parameters among (p - 1, -b/2, -a/2).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from nvmix.backends import M_STEP_METHODS, get_backend, get_functions
from nvmix.backends.types import Fixed, GIGStatus
from nvmix.foundation.arrays import namespace, on_jax, traced
from nvmix.foundation.files.json_text import encoded
from nvmix.foundation.files.storable import Storable
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import one_of, positive, real_or_nan, vector, with_article
from nvmix.mixture.subordinator_law import SubordinatorLaw

STATISTICS = ("log_y", "inv_y", "y")
_NO_START = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Subordinator(SubordinatorLaw, Storable):
    """A distribution of Y > 0 that is GIG(p, a, b) with some parameters fixed.

    A subclass is a dataclass whose fields are its parameters.

    Attributes
    ----------
    fixed : Fixed
        Which of p, a and b the family fixes, and at what; None is free.
    statistics : tuple of str
        Names of its k sufficient statistics among "log_y", "inv_y" and "y".
    is_constant : bool
        Whether Y is a constant, as of the normal distribution.
    """

    fixed: ClassVar[Fixed]
    statistics: ClassVar[tuple[str, ...]]
    # Whether Y is a constant.
    is_constant: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Validate that all parameters and those of the GIG are positive; `GIG` overrides this."""
        for field in fields(self):
            self._set(field.name, positive(field.name, getattr(self, field.name)))
        _, a, b = self.gig
        for name, value, fixed in (("a", a, self.fixed.a), ("b", b, self.fixed.b)):
            if fixed is None and not (traced(value) or 0.0 < value < np.inf):
                names = " and ".join(self.parameters)
                msg = f"{names} must leave {name} of the GIG in the range of doubles, got {self}"
                raise ValueError(msg)

    @staticmethod
    @abstractmethod
    def _parameters_of(p: float, a: float, b: float) -> tuple[float, ...]:
        """Values of the fields of this class, in order, for the distribution GIG(p, a, b)."""

    @classmethod
    def from_gig(cls, p: float, a: float, b: float) -> Self:
        """Make the subordinator that is GIG(p, a, b).

        Parameters
        ----------
        p, a, b : float
            Parameters of the GIG; those that the family fixes are ignored. JAX arrays are not
            validated.

        Returns
        -------
        Subordinator
            With these parameters.

        Raises
        ------
        TypeError, ValueError
            If one that is not fixed is outside its domain.

        Examples
        --------
        >>> from nvmix import InverseGaussian
        >>> InverseGaussian.from_gig(-0.5, 1.0, 4.0)
        InverseGaussian(mu_ig=2.0, lam=4.0)
        """
        values = cls._parameters_of(p, a, b)
        if not on_jax(p, a, b):
            return cls(*values)
        subordinator = object.__new__(cls)
        names = (field.name for field in fields(cls))
        subordinator.__dict__.update(zip(names, values, strict=True))
        return subordinator

    @classmethod
    def _index(cls) -> list[int]:
        """Positions of the family's statistics in (log y, 1/y, y)."""
        return [STATISTICS.index(name) for name in cls.statistics]

    @classmethod
    def _with_absent(cls, values: Any, absent: float) -> tuple[float, float, float]:
        """Values for (log y, 1/y, y) from those for `statistics`, and `absent` for the others."""
        full = [absent] * 3
        for i, value in zip(cls._index(), values, strict=True):
            full[i] = value
        return full[0], full[1], full[2]

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _record(self) -> dict[str, Any]:
        """Family and parameters."""
        if traced(*self.gig):
            msg = f"{with_article(type(self).__name__)} that JAX traces has no numbers to save"
            raise TypeError(msg)
        numbers = {name: encoded(x) for name, x in self.parameters.items()}
        return {"kind": "subordinator", "family": type(self).__name__, "parameters": numbers}

    def natural_params(self) -> FloatArray:
        """Natural parameters, in the order of ``statistics``.

        Returns
        -------
        (k,) array
            Members of (p - 1, -b/2, -a/2).

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Gamma(alpha=3.0, beta=2.0).natural_params()  # alpha - 1 and -beta
        array([ 2., -2.])
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

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Gamma(alpha=3.0, beta=2.0).expectation_params().round(6)
        array([0.229637, 1.5     ])
        """
        expectations = self.gig_expectations
        xp = namespace(*expectations)
        eta: FloatArray = xp.array(expectations)[xp.array(self._index())]
        return eta

    def log_partition(self) -> float:
        """Log-partition A, the log of the integral of exp(theta . t(y)) against the base measure.

        Returns
        -------
        float
            lnZ(p, a, b), the log of the integral of y^(p-1) exp(-(a y + b / y) / 2).

        Examples
        --------
        >>> from nvmix import Gamma
        >>> round(Gamma(alpha=3.0, beta=2.0).log_partition(), 12)  # log(Gamma(3) / 2^3)
        -1.38629436112
        """
        return self._moments[0]

    def fisher_information(self) -> FloatArray:
        """Hessian of the log-partition: the covariance of the statistics.

        Returns
        -------
        (k, k) array
            Fisher information of the natural parameters.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Gamma(alpha=3.0, beta=2.0).fisher_information().round(6)
        array([[0.394934, 0.5     ],
               [0.5     , 0.75    ]])
        """
        index = self._index()
        return self.gig_covariance()[np.ix_(index, index)]

    @classmethod
    def from_natural(cls, theta: Any) -> Self:
        """Make the subordinator from its natural parameters.

        Parameters
        ----------
        theta : (k,) array_like
            As returned by `natural_params`.

        Returns
        -------
        Subordinator
            With these natural parameters.

        Raises
        ------
        ValueError
            If theta is outside the natural parameter space.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Gamma.from_natural([2.0, -2.0])
        Gamma(alpha=3.0, beta=2.0)
        """
        theta = vector("theta", theta, len(cls.statistics))
        log_y, inv_y, y = cls._with_absent(theta, 0.0)
        p = log_y + 1.0 if cls.fixed.p is None else cls.fixed.p
        try:
            return cls.from_gig(p, -2.0 * y, -2.0 * inv_y)
        except ValueError as error:
            name = with_article(cls.__name__)
            msg = f"theta must be natural parameters of {name}, got {theta}: {error}"
            raise ValueError(msg) from None

    @classmethod
    def from_expectation(cls, eta: Any, *, backend: str = "cpu", method: str = "newton") -> Self:
        """Make the subordinator from expectations: the maximum-likelihood fit to a sample of Y.

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
            With these expectations. A GIG whose optimum is a limit has a = 0 or b = 0.

        Raises
        ------
        ValueError
            If eta violates Jensen's inequality or leaves Y no variance, or the method does not
            converge. Where eta is a JAX array, the parameters are nan instead.

        Examples
        --------
        >>> from nvmix import InverseGaussian
        >>> law = InverseGaussian.from_expectation([1.0, 2.0])  # E[1/Y] and E[Y]
        >>> round(law.mu_ig, 12), round(law.lam, 12)
        (2.0, 2.0)
        """
        one_of("method", method, M_STEP_METHODS)
        if on_jax(eta):
            full = cls._with_absent(eta, np.nan)
            theta = get_functions().gig_fit(full, _NO_START, fixed=cls.fixed, method=method)
            return cls.from_gig(*theta)
        eta = vector("eta", eta, len(cls.statistics))
        full = cls._with_absent(eta.tolist(), np.nan)
        theta, status = get_backend(backend).gig_fit(full, cls.fixed, method, None)
        if status is GIGStatus.NOT_CONVERGED:
            msg = f"method {method!r} did not converge for eta = {eta}; try another method"
            raise ValueError(msg)
        if status > GIGStatus.INVERSE_GAMMA:
            values = dict(zip(cls.statistics, eta.tolist(), strict=True))
            degenerate = status is GIGStatus.DEGENERATE
            why = "which leave Y no variance" if degenerate else "against Jensen's inequality"
            msg = f"eta must be expectations of {with_article(cls.__name__)}, got {values}, {why}"
            raise ValueError(msg)
        return cls.from_gig(*theta)

    def sufficient_statistics(self, y: Any) -> FloatArray:
        """Values of the family's statistics at points.

        Parameters
        ----------
        y : array_like
            Positive numbers of any shape.

        Returns
        -------
        (..., k) array
            For each point the members of (log y, 1/y, y), in the order of ``statistics``.

        Raises
        ------
        TypeError, ValueError
            If y is not positive numbers; JAX arrays are not validated.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Gamma(alpha=3.0, beta=2.0).sufficient_statistics([1.0, 2.0]).round(3)
        array([[0.   , 1.   ],
               [0.693, 2.   ]])
        """
        xp = namespace(y)
        y = y if xp is not np else _positive_values("y", y)
        values = {"log_y": xp.log, "inv_y": lambda x: 1.0 / x, "y": lambda x: x}
        statistics: FloatArray = xp.stack([values[name](y) for name in self.statistics], axis=-1)
        return statistics

    @classmethod
    def fit(cls, y: Any) -> Self:
        """Fit to observations of Y by maximum likelihood.

        Parameters
        ----------
        y : (n,) array_like
            Positive numbers, not all equal, at least as many as the family has parameters.

        Returns
        -------
        Subordinator
            `from_expectation` of the means of the statistics. A GIG may end at a = 0 or b = 0.

        Raises
        ------
        TypeError, ValueError
            If y is not such numbers, or they leave Y no variance but that of rounding.

        Examples
        --------
        >>> from nvmix import InverseGaussian
        >>> law = InverseGaussian.fit([1.0, 2.0, 4.0])
        >>> round(law.mu_ig, 12), round(law.lam, 12)
        (2.333333333333, 6.461538461538)
        """
        y = _positive_values("y", y)
        if y.ndim != 1 or y.size < len(cls.statistics):
            msg = f"y must have shape (n,), n at least {len(cls.statistics)}, got {y.shape}"
            raise ValueError(msg)
        if y.max() == y.min():
            msg = f"y must not be constant, got {y.size} times {y[0]}"
            raise ValueError(msg)
        means = {"log_y": np.log(y).mean(), "inv_y": (1.0 / y).mean(), "y": y.mean()}
        try:
            return cls.from_expectation([means[name] for name in cls.statistics])
        except ValueError as error:
            msg = f"y has no {cls.__name__} of maximum likelihood: {error}"
            raise ValueError(msg) from None

    def scaled(self, c: float) -> Self:
        """Distribution of c Y, in the same family: GIG(p, a / c, b c).

        Parameters
        ----------
        c : float
            Positive factor.

        Returns
        -------
        Subordinator
            Distribution of c Y.

        Raises
        ------
        TypeError, ValueError
            If c is not a positive number, or parameters leave the range of doubles.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Gamma(alpha=3.0, beta=2.0).scaled(4.0)
        Gamma(alpha=3.0, beta=0.5)
        """
        p, a, b = self.gig
        c = positive("c", c)
        return self.from_gig(p, a / c, b * c)

    def _set(self, name: str, value: float) -> None:
        """Set a validated parameter of the frozen dataclass."""
        object.__setattr__(self, name, value)


def _positive_values(name: str, value: Any) -> FloatArray:
    """Array of positive finite numbers; ValueError that names the first other."""
    y = real_or_nan(name, value)
    bad = y[~((y > 0.0) & (y < np.inf))]
    if bad.size:
        msg = f"{name} must be positive and finite, got {bad[0]}"
        raise ValueError(msg)
    return y
