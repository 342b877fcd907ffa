"""Additive sufficient statistics: the result of an E-step and the input of an M-step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from nvmix.foundation.arrays import is_number, namespace
from nvmix.foundation.files.pickles import PublicPickle
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.pytrees import pytree
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import positive

# Each expectation and the attribute that has its sum.
EXPECTATIONS: Final = {
    "E_log_Y": "log_y",
    "E_inv_Y": "inv_y",
    "E_Y": "y",
    "E_X": "x",
    "E_X_inv_Y": "x_inv_y",
    "E_XXT_inv_Y": "xx_inv_y",
}
_SUMS = ("weight", "log_likelihood", "log_y", "inv_y", "y", "x", "x_inv_y", "xx_inv_y")


@pytree((*_SUMS, "origin", "scale"))
@dataclass(frozen=True, eq=False, repr=False)
class SufficientStatistics(PublicPickle):
    r"""Weighted sums of E[t(X, Y) | X] over rows, and the log-likelihood of the same rows.

    Vectors and matrices are sums of the coordinates :math:`w = L^{-1}(x - o)` of a frame, which the
    E-step takes from its model. So no digits are lost where the data have a large mean or very
    different units. Statistics of disjoint rows add up; the ``E_*`` attributes are means in the
    coordinates of the data.

    Parameters
    ----------
    weight : float
        Sum of the weights of the observations (their number, when unweighted).
    log_likelihood : float
        Sum of the marginal log-densities.
    log_y, inv_y, y : float
        Sums of E[log Y], E[1/Y] and E[Y].
    x, x_inv_y : (d,) array
        Sums of w and of w E[1/Y].
    xx_inv_y : (d, d) array
        Sum of w w' E[1/Y].
    origin : (d,) array
        Origin o of the frame.
    scale : (d, d) array
        Lower-triangular scale L of the frame.

    References
    ----------
    A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 6.2.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix import VarianceGamma
    >>> X = np.random.default_rng(0).standard_normal((100, 2))
    >>> model = VarianceGamma.default_init(X)
    >>> halves = model.e_step(X[:50]) + model.e_step(X[50:])
    >>> bool(np.isclose(halves.E_Y, model.e_step(X).E_Y, rtol=1e-13))
    True
    """

    weight: float
    log_likelihood: float
    log_y: float
    inv_y: float
    y: float
    x: FloatArray
    x_inv_y: FloatArray
    xx_inv_y: FloatArray
    origin: FloatArray
    scale: FloatArray

    # A NumPy number on the left leaves the product to `__rmul__`.
    __array_ufunc__: ClassVar[None] = None

    def __repr__(self) -> str:
        """Weight and log-likelihood of the rows, which are what has no coordinates."""
        return f"SufficientStatistics(weight={self.weight}, log_likelihood={self.log_likelihood})"

    @property
    def d(self) -> int:
        """Number of columns."""
        return self.origin.size

    @property
    def mean_log_likelihood(self) -> float:
        """Mean marginal log-density per observation."""
        return self.log_likelihood / self.weight

    @property
    def E_log_Y(self) -> float:  # noqa: N802
        """Mean of E[log Y | X]."""
        return self.log_y / self.weight

    @property
    def E_inv_Y(self) -> float:  # noqa: N802
        """Mean of E[1/Y | X]."""
        return self.inv_y / self.weight

    @property
    def E_Y(self) -> float:  # noqa: N802
        """Mean of E[Y | X]."""
        return self.y / self.weight

    @property
    def E_X(self) -> FloatArray:  # noqa: N802
        """Mean of X, shape (d,)."""
        return self.origin + self.scale @ (self.x / self.weight)

    @property
    def E_X_inv_Y(self) -> FloatArray:  # noqa: N802
        """Mean of X E[1/Y | X], shape (d,)."""
        return self.origin * self.E_inv_Y + self.scale @ (self.x_inv_y / self.weight)

    @property
    def E_XXT_inv_Y(self) -> FloatArray:  # noqa: N802
        """Mean of X X' E[1/Y | X], shape (d, d)."""
        outer = namespace(self.scale, self.xx_inv_y).outer
        cross = outer(self.scale @ (self.x_inv_y / self.weight), self.origin)
        scatter = self.scale @ (self.xx_inv_y / self.weight) @ self.scale.T
        full: FloatArray = (
            scatter + cross + cross.T + self.E_inv_Y * outer(self.origin, self.origin)
        )
        return full

    def in_frame(self, origin: FloatArray, scale: FloatArray) -> SufficientStatistics:
        """Convert the statistics to another frame.

        Parameters
        ----------
        origin : (d,) array
            New origin.
        scale : (d, d) array
            New lower-triangular scale, with a positive diagonal; neither is validated.

        Returns
        -------
        SufficientStatistics
            Statistics of the same rows in the new frame.

        Examples
        --------
        >>> import numpy as np
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[1.0], gamma=[0.5], sigma=[[4.0]], mu_ig=1.0, lam=1.0)
        >>> eta = model.e_step([[0.0], [3.0]])
        >>> data = eta.in_frame(np.zeros(1), np.eye(1))  # sums of x itself
        >>> data.x.round(9), (eta.weight * eta.E_X).round(9)
        (array([3.]), array([3.]))
        """
        xp = namespace(origin, scale, self.origin, self.xx_inv_y)
        if xp is np and np.array_equal(origin, self.origin) and np.array_equal(scale, self.scale):
            return self
        inverse = inverse_lower(scale) if xp is np else xp.linalg.inv(scale)
        A, c = inverse @ self.scale, inverse @ (self.origin - origin)
        x_inv_y = A @ self.x_inv_y
        cross = xp.outer(x_inv_y, c)
        return replace(
            self,
            x=A @ self.x + self.weight * c,
            x_inv_y=x_inv_y + self.inv_y * c,
            xx_inv_y=A @ self.xx_inv_y @ A.T + cross + cross.T + self.inv_y * xp.outer(c, c),
            origin=origin,
            scale=scale,
        )

    def rescaled(self, c: float) -> SufficientStatistics:
        """Statistics with Y replaced by c Y, those of `NormalMixture.rescaled`.

        Parameters
        ----------
        c : float
            Positive factor.

        Returns
        -------
        SufficientStatistics
            In the same frame.

        Raises
        ------
        TypeError, ValueError
            If c is not a positive number.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0], gamma=[0.5], sigma=[[1.0]], mu_ig=2.0, lam=1.0)
        >>> eta = model.expectation_params().rescaled(4.0)
        >>> round(eta.E_Y, 12), round(model.rescaled(4.0).expectation_params().E_Y, 12)
        (8.0, 8.0)
        """
        c = positive("c", c)
        return replace(
            self,
            log_y=self.log_y + self.weight * namespace(c, self.log_y).log(c),
            inv_y=self.inv_y / c,
            y=self.y * c,
            x_inv_y=self.x_inv_y / c,
            xx_inv_y=self.xx_inv_y / c,
        )

    def __add__(self, other: SufficientStatistics) -> SufficientStatistics:
        """Statistics of the rows of both operands, in the frame of the left one."""
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        if other.d != self.d:
            msg = f"statistics of {self.d} and of {other.d} columns cannot be added"
            raise ValueError(msg)
        that = other.in_frame(self.origin, self.scale)
        sums = {name: getattr(self, name) + getattr(that, name) for name in _SUMS}
        return replace(self, **sums)

    def __radd__(self, other: object) -> SufficientStatistics:
        """The statistics themselves for 0, the first term of Python's ``sum``."""
        return self if is_number(other) and other == 0 else NotImplemented

    def __mul__(self, factor: float) -> SufficientStatistics:
        """Statistics with every row's weight multiplied by a factor."""
        if not is_number(factor):
            return NotImplemented
        return replace(self, **{name: getattr(self, name) * factor for name in _SUMS})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> SufficientStatistics:
        """Statistics with every row's weight divided by a number."""
        return self * (1.0 / divisor) if is_number(divisor) else NotImplemented


def infinite_expectations(eta: SufficientStatistics) -> tuple[str, ...]:
    """Names in `EXPECTATIONS` of the expectations that are not finite; eta is not on JAX."""
    return tuple(
        name for name, total in EXPECTATIONS.items() if not np.isfinite(getattr(eta, total)).all()
    )


def check_finite(name: str, eta: SufficientStatistics) -> None:
    """Raise ValueError if an expectation is not finite; the message calls eta by the name."""
    for expectation in infinite_expectations(eta):
        value = getattr(eta, EXPECTATIONS[expectation])
        msg = f"{name} must be finite, got {expectation} {value}"
        raise ValueError(msg)
