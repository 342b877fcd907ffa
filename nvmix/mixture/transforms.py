"""Laws from laws: linear maps, marginals, conditionals, sums of independent copies, gauges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nvmix.backends.types import NormalParameters
from nvmix.foundation.arrays import traced
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import array, positive
from nvmix.mixture.law import MixtureLaw
from nvmix.mixture.parts.column_arguments import by_position, positions_of, rows_of, weights_of
from nvmix.mixture.parts.normal_maps import GivenColumns, given_columns, mapped, others_of, selected
from nvmix.mixture.subordinator import Subordinator
from nvmix.mixture.subordinators import GIG, InverseGaussian

# A row of A L is a combination of those before it if that leaves less than so many times d units of
# rounding of it.
_ROUNDING = 8.0 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False, repr=False)
class Transforms(MixtureLaw):
    """Laws from the law of X, exact and without integration.

    The class of a result follows from its Y: `VarianceGamma` for gamma, `NormalInverseGamma` for
    inverse gamma, `NormalInverseGaussian` for inverse Gaussian and `GeneralizedHyperbolic` for GIG
    laws. A `Hyperbolic` remains one where p = (d + 1) / 2 remains true of the new d, as it does of
    conditionals. In JAX, parameters may be traced, and the choice of columns is static.
    """

    # By type of Y, what makes a model of the family of all laws with such a Y.
    _families: ClassVar[dict[type[Subordinator], Callable[..., Transforms]]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Register a class as the family of the type of Y that it names.

        A class that holds parameters of Y by its number of columns, or gamma, is not all of these
        laws.
        """
        super().__init_subclass__(**keywords)
        is_special = "_fixed" in vars(cls) or cls.symmetric_only
        if "_subordinator_type" in vars(cls) and not is_special:
            cls._families.setdefault(cls._subordinator_type, cls._solved)

    def linear(self, A: Any, b: Any = 0.0) -> Any:
        r"""Law of A X + b, such as that of the returns of portfolios.

        :math:`A\mu + b`, :math:`A\gamma` and :math:`A\Sigma A^\top` with the same Y.

        Parameters
        ----------
        A : (k, d) or (d,) array_like, mapping, Series or DataFrame
            Matrix of rank k; (d,) are the weights of one portfolio. A mapping or Series has weights
            by column, by name or position, and those it does not name are 0. Rows of a DataFrame
            are portfolios, and its columns those of the model.
        b : float or (k,) array_like
            Shift.

        Returns
        -------
        NormalMixture
            Law of k columns. A DataFrame's index names them, and a Series' name its only one.

        Raises
        ------
        TypeError, ValueError
            If A is not real numbers of these shapes, names an unknown column, or has a rank below
            k, or b does not match.

        References
        ----------
        A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 6.2.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.1, 0.2], gamma=[0.0, -0.1], sigma=[[1.0, 0.5], [0.5, 2.0]],
        ...     mu_ig=1.0, lam=1.5)
        >>> portfolio = model.linear([0.6, 0.4])
        >>> portfolio.sigma().round(12)
        array([[0.92]])
        """
        A, columns = weights_of("A", A, self.columns, self.d)
        k, d = A.shape
        b = array("b", b)
        if b.ndim > 1 or b.size not in {1, k}:
            msg = f"b must be a number or have shape ({k},), got shape {b.shape}"
            raise ValueError(msg)
        if k > d:
            msg = f"A must have rank {k}, the number of its rows, got {d} columns"
            raise ValueError(msg)
        with np.errstate(over="ignore", invalid="ignore"):
            normal = mapped(self.normal, A, b)
        if not traced(A, normal.L):
            _check_rank(A, self.L_sigma, normal.L)
        return self._with_law(normal, self.subordinator, columns, self.fixed.p)

    # An array on the left leaves the product to `__rmatmul__`.
    __array_ufunc__: ClassVar[None] = None

    def __rmatmul__(self, A: Any) -> Any:
        """``A @ model`` is ``model.linear(A)``."""
        return self.linear(A)

    def marginal(self, columns: Any) -> Any:
        """Law of some columns.

        ``model[columns]`` is the same.

        Parameters
        ----------
        columns : int, str, slice, sequence of them or (d,) array of bool
            Positions or names in the order of the result, or which columns.

        Returns
        -------
        NormalMixture
            Law of these columns, with their names.

        Raises
        ------
        TypeError, ValueError
            If columns are unknown, repeated or none.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(
        ...     mu=[0.1, 0.2], gamma=[0.0, -0.1], sigma=[[1.0, 0.5], [0.5, 2.0]],
        ...     alpha=2.0, beta=2.0)
        >>> model.marginal(1).sigma(), model[::-1].mu
        (array([[2.]]), array([0.2, 0.1]))
        """
        chosen = positions_of("columns", columns, self.columns, self.d)
        normal = selected(self.normal, chosen)
        return self._with_law(normal, self.subordinator, self._names(chosen), self.fixed.p)

    def __getitem__(self, columns: Any) -> Any:
        """Law of some columns; see `marginal`."""
        return self.marginal(columns)

    # Without this, `__getitem__` would make a model iterable, and columns are not what it contains.
    __iter__ = None

    def conditional(self, given: Any) -> Any:
        r"""Law of the other columns given values of some.

        With k of them given, :math:`X_2 = x_2`, Y becomes
        :math:`GIG(p - \tfrac k2, a + \gamma_2^\top\Sigma_{22}^{-1}\gamma_2, b + q_2(x_2))`, and X
        has location :math:`\mu_1 + B (x_2 - \mu_2)`, skewness :math:`\gamma_1 - B\gamma_2` and
        scale :math:`\Sigma_{11} - B\Sigma_{21}`, where :math:`B = \Sigma_{12}\Sigma_{22}^{-1}`.

        Parameters
        ----------
        given : mapping or Series
            Values by name or position of the column: numbers, or arrays of n numbers.

        Returns
        -------
        NormalMixture or list of NormalMixture
            The law of the other columns; of arrays, one for each of the n rows. It is a
            `GeneralizedHyperbolic`, but that of a `Hyperbolic` is one, and so is that of a
            `NormalInverseGamma` given columns of skewness 0, as of Student's t.

        Raises
        ------
        TypeError, ValueError
            If given names unknown columns, none or all, its values are not finite numbers, or they
            are where the density of their columns is infinite.

        References
        ----------
        P. Blaesild and J. L. Jensen, Multivariate distributions of hyperbolic type, in Statistical
        Distributions in Scientific Work 4 (1981), 45-66.

        Examples
        --------
        >>> from nvmix import NormalInverseGamma
        >>> student = NormalInverseGamma.from_classical(
        ...     mu=[0.0, 0.0], gamma=[0.0, 0.0], sigma=[[1.0, 0.5], [0.5, 1.0]],
        ...     alpha=2.0, beta=2.0)
        >>> tail = student.conditional({0: -3.0})
        >>> tail.mu, tail.alpha, round(tail.beta, 12)
        (array([-1.5]), 2.5, 6.5)
        """
        chosen = by_position("given", given, self.columns, self.d)
        columns = list(chosen)
        if len(columns) == self.d:
            msg = f"given must leave at least one of {self.d} columns, got values of all"
            raise ValueError(msg)
        x, is_one = rows_of("given", chosen)
        with np.errstate(over="ignore", invalid="ignore"):
            laws = given_columns(self.normal, self.subordinator.gig, columns, x)
        names = self._names(others_of(chosen, self.d))
        mixing, order = self._mixing_given(laws, x)
        models = [
            self._with_law(NormalParameters(mu, laws.gamma, laws.L), law, names, order)
            for mu, law in zip(laws.mu, mixing, strict=True)
        ]
        return models[0] if is_one else models

    def _mixing_given(
        self, laws: GivenColumns, x: FloatArray
    ) -> tuple[list[Subordinator], float | None]:
        """Y given each of the rows x (n, k), and p of these laws if this class fixes p."""
        if not traced(laws.b):
            _check_density(x, laws)
        order = None if self.fixed.p is None else self.fixed.p - 0.5 * x.shape[1]
        # Given columns without skewness, an inverse gamma law of Y remains one.
        remains = self.subordinator.fixed.a == 0.0 and not traced(laws.a) and laws.a == 0.0
        kind = type(self.subordinator) if remains else GIG
        return [kind.from_gig(*theta) for theta in laws.thetas()], order

    def horizon(self, t: float) -> Any:
        """Law of the sum of t independent copies of X, as of log-returns over t periods.

        It has location t mu, the same gamma and Sigma, and the sum of t copies of Y in place of Y,
        which has a closed form where Y is gamma, Gamma(t alpha, beta), or inverse Gaussian,
        InverseGaussian(t mu_ig, t^2 lam). These laws are infinitely divisible: t may be any number.

        Parameters
        ----------
        t : float
            Number of copies, positive.

        Returns
        -------
        NormalMixture
            The law of the sum.

        Raises
        ------
        TypeError, ValueError
            If t is not a positive number, or the sum of Y has no closed form.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> day = NormalInverseGaussian.from_classical(
        ...     mu=[0.1], gamma=[-0.1], sigma=[[1.0]],
        ...     mu_ig=1.0, lam=1.5)
        >>> month = day.horizon(21)
        >>> month.mu, month.mu_ig, month.lam
        (array([2.1]), 21.0, 661.5)
        """
        t, law = positive("t", t), self.subordinator
        (p, a, b), order = law.gig, self.fixed.p
        if isinstance(law, InverseGaussian):
            law = InverseGaussian(t * law.mu_ig, t * t * law.lam)
        elif _is(b, 0.0):
            # Gamma laws of one rate: shapes add up.
            law = law.from_gig(t * p, a, b)
            order = None if order is None or traced(t) else t * order
        elif _is(p, -0.5):
            # Inverse Gaussian laws of one a, the limit a = 0 included: roots of b add up.
            law = law.from_gig(p, a, t * t * b)
        else:
            msg = (
                "horizon needs a law of Y whose sums have a closed form, gamma or inverse "
                f"Gaussian, got {law}"
            )
            raise ValueError(msg)
        normal = NormalParameters(t * self.mu, self.gamma, self.L_sigma)
        return self._with_law(normal, law, self.columns, order)

    def rescaled(self, c: float) -> Self:
        """Replace Y by c Y, gamma by gamma / c and Sigma by Sigma / c.

        Parameters
        ----------
        c : float
            Positive factor.

        Returns
        -------
        NormalMixture
            The same distribution of X in another gauge.

        Raises
        ------
        TypeError, ValueError
            If c is not a positive number, or parameters leave the range of doubles.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> other = model.rescaled(4.0)
        >>> round(other.subordinator.mean(), 12), float(other.gamma[0])
        (4.0, 0.05)
        >>> round(other.pdf(1.0), 9) == round(model.pdf(1.0), 9)
        True
        """
        c = positive("c", c)
        normal = NormalParameters(self.mu, self.gamma / c, self.L_sigma / c**0.5)
        return self._solved(normal, self.subordinator.scaled(c), self.columns)

    def _names(self, positions: Iterable[int]) -> Columns:
        """Names of the columns at these positions."""
        return None if self.columns is None else tuple(self.columns[i] for i in positions)

    def _with_law(
        self, normal: NormalParameters, law: Subordinator, columns: Columns, order: float | None
    ) -> Any:
        """Model of the family of these laws of Y, or of this one's class if it is one of it.

        order is p of the law if this class fixes p.
        """
        remains = isinstance(law, self._subordinator_type)
        if remains and self._fixed(normal.mu.size).p == order:
            return self._solved(normal, law, columns)
        return self._families[type(law)](normal, law, columns)


def _check_rank(A: FloatArray, L: FloatArray, factor: FloatArray) -> None:
    """Raise ValueError if the factor (k, k) of A L has a diagonal of rounding errors."""
    size = np.abs(A) @ np.sqrt(np.square(L).sum(axis=1))
    rank = int((factor.diagonal() > _ROUNDING * A.shape[1] * size).sum())
    if rank < len(A):
        msg = f"A must have rank {len(A)}, the number of its rows, got rank {rank}"
        raise ValueError(msg)


def _check_density(x: FloatArray, laws: GivenColumns) -> None:
    """Raise ValueError for the first row of x at which the density of its columns is infinite.

    Or where its squared distance from mu is not a number.
    """
    bad = ~(laws.b < np.inf)
    if not laws.p > 0.0:
        bad |= laws.b == 0.0
    if bad.any():
        row = int(bad.argmax())
        why = "infinite" if laws.b[row] == 0.0 else "0 in doubles"
        msg = f"given must not be where the density of its columns is {why}, got {x[row].tolist()}"
        raise ValueError(msg)


def _is(value: Any, number: float) -> bool:
    """Whether a parameter, if it is known, is the number."""
    return not traced(value) and bool(value == number)
