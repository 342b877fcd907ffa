"""The one model of the package: a mixture's law with its starts, its E-step and its M-step."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nvmix.backends import M_STEP_METHODS, get_backend, get_functions
from nvmix.backends.source_e_step import PassedOver
from nvmix.backends.types import GIGStatus
from nvmix.fitting.em import BatchEMFitter
from nvmix.fitting.outcome.result import warn_unless_converged
from nvmix.fitting.starts.moments import SampleMoments, match_moments
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.validation import instance, one_of
from nvmix.mixture.law import MixtureLaw
from nvmix.mixture.normal_block import FREE, normal_block
from nvmix.sources.factory import source_of, starting_rows
from nvmix.sources.observations import observations, row_weights

if TYPE_CHECKING:
    from nvmix.backends.types import Fixed, Gaussian, GIGParameters, Restriction
    from nvmix.fitting.em import EMResult
    from nvmix.mixture.subordinator import Subordinator


@dataclass(frozen=True, eq=False, repr=False)
class NormalMixture(MixtureLaw):
    r"""Normal variance-mean mixture, the base of every family.

    :math:`X \mid Y \sim N(\mu + \gamma Y, \Sigma Y)` with Y ~ GIG(p, a, b); `MixtureLaw` has the
    density. Make one with a family's ``from_classical`` or ``default_init``.

    Parameters
    ----------
    mu : (d,) array
        Location.
    gamma : (d,) array
        Skewness.
    L_sigma : (d, d) array
        Lower Cholesky factor of the scale Sigma.
    subordinator : Subordinator
        Law of Y.
    columns : tuple of str or None
        Names of the columns of the data, where it had any.

    References
    ----------
    A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 6.2.
    """

    @classmethod
    def default_init(cls, X: Any, *, missing: str = "raise") -> Self:
        """Starting model by the method of moments: covariance, skewness and kurtosis, E[Y] = 1.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations, as of `fit`; the names of columns are kept. Of many rows 131,072 at the
            most, evenly spaced, make the start, fewer of more than 32 columns, without weights.
        missing : {"raise", "em"}
            Whether nan is refused, or left out with its row.

        Returns
        -------
        NormalMixture
            A model to start a fit from.

        Raises
        ------
        TypeError, ValueError
            If X is not an array of n > d finite real rows, or has constant or collinear columns.
        """
        data = starting_rows(X, missing)
        moments = match_moments(data.values)
        p, a, b = cls._moment_start(moments, data.values.shape[1])
        return cls(
            moments.mu,
            moments.gamma,
            moments.cholesky,
            cls._subordinator_type.from_gig(p, a, b),
            data.columns,
        )

    @classmethod
    def _moment_start(cls, moments: SampleMoments, d: int) -> GIGParameters:  # noqa: ARG003
        """(p, a, b) with E[Y] = 1 and Var[Y] near the excess kurtosis of the data."""
        msg = f"{cls.__name__} is not a family: use NormalInverseGaussian or another"
        raise TypeError(msg)

    def e_step(self, X: Any, backend: str = "cpu", *, weights: Any = None) -> SufficientStatistics:
        """Conditional expectations of the sufficient statistics, with the log-likelihood.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations, as of `fit`.
        backend : {"cpu", "jax"}
            Where to compute with NumPy arrays; those of JAX stay with JAX.
        weights : (n,) array_like or None
            Weight of each row; of JAX arrays only None.

        Returns
        -------
        SufficientStatistics
            Sums over rows of E[t(X, Y) | X] under this model.

        Raises
        ------
        TypeError, ValueError
            If X is not (n, d) finite real numbers, or has other columns than the model.
        """
        chosen = get_backend(backend)
        source = source_of(X, self.d, self.columns, weights=weights)
        if source is not None:
            with closing(source):
                return PassedOver(source, backend).sums(self.block, self.subordinator.gig)
        values = observations(X, self.d, self.columns).values
        if self._on_jax or on_jax(values):
            gig = self.subordinator.gig
            return get_functions().e_step(values, self.block, gig)  # type: ignore[no-any-return]
        placed = chosen.place(values, weights=row_weights(weights, len(values)))
        return chosen.e_step(placed, self.block, self.subordinator.gig)

    def m_step(
        self,
        eta: SufficientStatistics,
        backend: str = "cpu",
        method: str = "newton",
        *,
        fixed: Fixed | None = None,
        restriction: Restriction = FREE,
    ) -> Self:
        """Model of this family that maximises the expected complete log-likelihood.

        Parameters
        ----------
        eta : SufficientStatistics
            As returned by `e_step`.
        backend : {"cpu", "jax"}
            Where to solve for the subordinator.
        method : {"newton", "lbfgs", "bfgs"}
            How to solve for it, where there is no closed form.
        fixed : Fixed or None
            Coordinates of the subordinator's GIG that are held; None is those of the family.
        restriction : Restriction
            What else is held.

        Returns
        -------
        NormalMixture
            The new model; this one's subordinator is where the solve starts.

        Raises
        ------
        TypeError
            If something is held with statistics of JAX arrays.
        ValueError
            If no model has these statistics: Sigma singular, or Y without spread.
        """
        instance("eta", eta, SufficientStatistics)
        if eta.d != self.d:
            msg = f"eta must be statistics of {self.d} columns, as the model has, got {eta.d}"
            raise ValueError(msg)
        one_of("method", method, M_STEP_METHODS)
        start, columns = self.subordinator.gig, self.columns
        if on_jax(*vars(eta).values()):
            if fixed is not None or restriction != FREE:
                msg = "an M-step of JAX arrays holds nothing: fixed and restriction must be default"
                raise TypeError(msg)
            return self._from_jax(eta, method, start, columns)
        block = normal_block(eta, restriction)
        held = self.fixed if fixed is None else fixed
        law = self._law(eta, backend, method, start, held)
        if law.gig[0] < restriction.least_p:
            held = held._replace(p=restriction.least_p)
            law = self._law(eta, backend, method, start, held)
        return self._finite(block, law, columns)

    @classmethod
    def from_expectation(
        cls, eta: SufficientStatistics, backend: str = "cpu", method: str = "newton"
    ) -> Self:
        """Model with the given expectations: the map eta -> theta.

        Parameters
        ----------
        eta : SufficientStatistics
            Expected sufficient statistics.
        backend : {"cpu", "jax"}
            Where to solve for the subordinator.
        method : {"newton", "lbfgs", "bfgs"}
            How to solve for it, where there is no closed form.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        ValueError
            If no model has these statistics.
        """
        return cls._from_statistics(eta, backend, method, None, None)

    @classmethod
    def _from_statistics(
        cls,
        eta: SufficientStatistics,
        backend: str,
        method: str,
        start: GIGParameters | None,
        columns: tuple[str, ...] | None,
    ) -> Self:
        """Solve both blocks of the M-step, which are separate."""
        instance("eta", eta, SufficientStatistics)
        one_of("method", method, M_STEP_METHODS)
        if on_jax(*vars(eta).values()):
            return cls._from_jax(eta, method, start, columns)
        law = cls._law(eta, backend, method, start, cls._fixed(eta.d))
        return cls._finite(normal_block(eta), law, columns)

    @classmethod
    def _law(
        cls,
        eta: SufficientStatistics,
        backend: str,
        method: str,
        start: GIGParameters | None,
        fixed: Fixed,
    ) -> Subordinator:
        """Solve for the law of Y."""
        theta, status = get_backend(backend).gig_fit(
            (eta.E_log_Y, eta.E_inv_Y, eta.E_Y), fixed, method, start
        )
        if status is GIGStatus.NOT_CONVERGED:
            msg = f"method {method!r} did not converge for the subordinator; try another method"
            raise SolveError(msg)
        if status > GIGStatus.INVERSE_GAMMA:
            msg = f"no {cls.__name__} subordinator has these expectations ({status.name})"
            raise DegenerateError(msg)
        try:
            return cls._subordinator_type.from_gig(*theta)
        except ValueError as error:
            msg = f"the statistics lead out of {cls.__name__}: {error}"
            raise DegenerateError(msg) from error

    @classmethod
    def _finite(cls, block: Gaussian, law: Subordinator, columns: tuple[str, ...] | None) -> Self:
        """Model of both solves."""
        try:
            return cls._solved(block, law, columns)
        except ValueError as error:
            msg = f"the statistics lead out of {cls.__name__}: {error}"
            raise DegenerateError(msg) from error

    @classmethod
    def _from_jax(
        cls,
        eta: SufficientStatistics,
        method: str,
        start: GIGParameters | None,
        columns: tuple[str, ...] | None,
    ) -> Self:
        """`_from_statistics` of JAX arrays: where no model has the statistics, one of nan."""
        functions = get_functions()
        expectations = (eta.E_log_Y, eta.E_inv_Y, eta.E_Y)
        first = start or (np.nan, np.nan, np.nan)
        theta = functions.gig_fit(expectations, first, fixed=cls._fixed(eta.d), method=method)
        law = cls._subordinator_type.from_gig(*theta)
        return cls._solved(functions.normal_block(eta), law, columns)

    def expectation_params(self) -> SufficientStatistics:
        """Expected sufficient statistics of one observation of the model itself.

        Returns
        -------
        SufficientStatistics
            With weight 1; its log-likelihood, an entropy, is nan. E[1/Y] may be inf, and so may
            E[Y], whose products with a gamma of 0 are nan.
        """
        log_y, inv_y, y = self.subordinator.gig_expectations
        xp = namespace(*self.block, y)
        inverse = xp.linalg.inv(self.L_sigma) if xp is not np else inverse_lower(self.L_sigma)
        g = inverse @ self.gamma
        with np.errstate(invalid="ignore"):
            x, spread = g * y, y * xp.outer(g, g)
        return SufficientStatistics(
            weight=1.0,
            log_likelihood=np.nan,
            log_y=log_y,
            inv_y=inv_y,
            y=y,
            x=x,
            x_inv_y=g,
            xx_inv_y=xp.eye(self.d) + spread,
            origin=self.mu,
            scale=self.L_sigma,
        )

    def fit(self, X: Any, *, weights: Any = None, **keywords: Any) -> EMResult:
        """Fit by EM from this model.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations; see `nvmix.fitting.em.BatchEMFitter.fit`.
        weights : (n,) array_like or None
            Weight of each row.
        **keywords
            Of `nvmix.fitting.em.BatchEMFitter`.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, or a keyword is unknown or outside its domain.

        Warns
        -----
        ConvergenceWarning
            If the fit ends without converging; the message says how and what to try.
        """
        result = BatchEMFitter(**keywords).run_on(self, X, weights)
        warn_unless_converged(result, stacklevel=3)
        return result
