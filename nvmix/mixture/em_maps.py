"""EM maps of a mixture: E-step, M-step, and parameters to expectations and back."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nvmix.backends import M_STEP_METHODS, get_backend, get_engine, get_functions
from nvmix.backends.constrained_law import constrained_law
from nvmix.backends.e_step import EStep
from nvmix.backends.types import Constraints, GIGParameters, GIGStatus
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.exceptions import DegenerateError, SolveError
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.validation import instance, one_of
from nvmix.mixture.moments import Moments
from nvmix.mixture.posterior import Hidden
from nvmix.mixture.transforms import Transforms
from nvmix.sources.factory import source_of
from nvmix.sources.observations import observations, row_weights


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(Transforms, Hidden, Moments):
    """Normal variance-mean mixture with EM maps: the interface between models and fitters.

    `NormalMixture` has the density, and describes the attributes.
    """

    def e_step(self, X: Any, backend: str = "cpu", *, weights: Any = None) -> SufficientStatistics:
        """Conditional expectations of the sufficient statistics, with the log-likelihood.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations, as for `fit`.
        backend : {"cpu", "jax"}
            Where to compute with NumPy arrays; JAX arrays are always computed in JAX.
        weights : (n,) array_like or None
            Weight of each row, nonnegative; None for JAX arrays.

        Returns
        -------
        SufficientStatistics
            Sums over rows of E[t(X, Y) | X] under this model.

        Raises
        ------
        TypeError, ValueError
            If X is not (n, d) finite real numbers, or has other columns than the model.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> eta = model.e_step([[-1.0], [0.0], [2.0]])
        >>> round(eta.E_Y, 6), round(eta.mean_log_likelihood, 6)
        (1.191326, -1.798544)
        """
        get_backend(backend)
        normal, theta = self.normal, self.subordinator.gig
        source = source_of(X, self.d, self.columns, weights=weights)
        if source is None:
            source = observations(X, self.d, self.columns)
            if self._on_jax or on_jax(source.values):
                if weights is not None:
                    msg = "weights must be None where X or the model is on JAX: fit takes them"
                    raise ValueError(msg)
                functions = get_functions()
                return functions.e_step(source.values, normal, theta)  # type: ignore[no-any-return]
            if weights is not None:
                source = source._replace(weights=row_weights(weights, len(source.values), X))
        with closing(source):
            return EStep(source, backend).unchecked(normal, theta)

    def m_step(
        self,
        eta: SufficientStatistics,
        backend: str = "cpu",
        method: str = "newton",
        *,
        constraints: Constraints | None = None,
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
        constraints : Constraints or None
            What is held fixed; None is what the family fixes.

        Returns
        -------
        NormalMixture
            The new model. Iterative methods start from this model's subordinator.

        Raises
        ------
        TypeError
            If eta has JAX arrays and constraints are given.
        ValueError
            If no model has these statistics, because Sigma is singular or Y has no variance, or
            the method does not converge.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> start = NormalInverseGaussian.default_init(X)
        >>> step = start.m_step(start.e_step(X))  # an iteration of EM
        >>> step.marginal_log_likelihood(X) > start.marginal_log_likelihood(X)
        True
        """
        instance("eta", eta, SufficientStatistics)
        if eta.d != self.d:
            msg = f"eta must be statistics of {self.d} columns, as the model has, got {eta.d}"
            raise ValueError(msg)
        return self._solution(eta, backend, method, constraints, self)

    @classmethod
    def from_expectation(
        cls, eta: SufficientStatistics, backend: str = "cpu", method: str = "newton"
    ) -> Self:
        """Model with the given expectations: the map eta -> theta.

        Parameters
        ----------
        eta : SufficientStatistics
            Expected sufficient statistics.
        backend, method : str
            As for `m_step`.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        ValueError
            As for `m_step`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> NormalInverseGaussian.from_expectation(model.expectation_params()).mean().round(9)
        array([0.2])
        """
        instance("eta", eta, SufficientStatistics)
        return cls._solution(eta, backend, method, None, None)

    @classmethod
    def _solution(
        cls,
        eta: SufficientStatistics,
        backend: str,
        method: str,
        constraints: Constraints | None,
        start: Mixture | None,
    ) -> Self:
        """Model with the expectations in eta, under constraints; None is what the family fixes.

        The solver starts from the subordinator of `start`, and the model gets its columns. There is
        a DegenerateError or SolveError if no model is found; of JAX arrays, its parameters are nan.
        """
        one_of("method", method, M_STEP_METHODS)
        first, columns = (start.subordinator.gig, start.columns) if start else (None, None)
        expectations = eta.E_log_Y, eta.E_inv_Y, eta.E_Y
        if on_jax(*vars(eta).values()):
            if constraints is not None:
                msg = f"constraints must be None for statistics of JAX arrays, got {constraints}"
                raise TypeError(msg)
            functions, fixed = get_functions(), cls._fixed(eta.d)
            first = first or (np.nan, np.nan, np.nan)
            theta = functions.gig_fit(expectations, first, fixed=fixed, method=method)
            subordinator = cls._subordinator_type.from_gig(*theta)
            return cls._solved(functions.normal_parameters(eta), subordinator, columns)
        constraints = Constraints(cls._fixed(eta.d)) if constraints is None else constraints
        normal = get_engine().normal_parameters(eta, constraints)
        if normal is None:
            D = eta.E_Y * eta.E_inv_Y - 1.0
            msg = (
                "Sigma is not positive definite, or next to singular, or "
                f"E[Y] E[1/Y] - 1 = {D:.3g} does not separate mu from gamma"
            )
            raise DegenerateError(msg)
        theta = cls._gig_fit(expectations, constraints, backend, method, first)
        try:
            return cls._solved(normal, cls._subordinator_type.from_gig(*theta), columns)
        except ValueError as error:
            msg = f"the statistics lead out of {cls.__name__}: {error}"
            raise DegenerateError(msg) from error

    @classmethod
    def _gig_fit(
        cls,
        expectations: tuple[float, float, float],
        constraints: Constraints,
        backend: str,
        method: str,
        start: GIGParameters | None,
    ) -> GIGParameters:
        """(p, a, b) with the expectations of (log Y, 1/Y, Y); DegenerateError or SolveError."""
        theta, status = constrained_law(backend, expectations, constraints, method, start)
        if status is GIGStatus.NOT_CONVERGED:
            msg = f"method {method!r} did not converge for the subordinator; try another method"
            raise SolveError(msg)
        if status > GIGStatus.INVERSE_GAMMA:
            msg = f"no {cls.__name__} subordinator has these expectations ({status.name})"
            raise DegenerateError(msg)
        return theta

    def expectation_params(self) -> SufficientStatistics:
        """Expected sufficient statistics of one row drawn from the model.

        Returns
        -------
        SufficientStatistics
            With weight 1 and log-likelihood nan. E[1/Y] and E[Y] may be inf; the product of an
            infinite E[Y] with an entry 0 of gamma is nan.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> eta = model.expectation_params()
        >>> round(eta.E_Y, 12), round(eta.E_inv_Y, 12), eta.E_X
        (1.0, 2.0, array([0.2]))
        """
        log_y, inv_y, y = self.subordinator.gig_expectations
        xp = namespace(*self.normal, y)
        inverse = xp.linalg.inv(self.L_sigma) if xp is not np else inverse_lower(self.L_sigma)
        g = inverse @ self.gamma
        with np.errstate(invalid="ignore"):
            x, skewness = g * y, y * xp.outer(g, g)
        return SufficientStatistics(
            weight=1.0,
            log_likelihood=np.nan,
            log_y=log_y,
            inv_y=inv_y,
            y=y,
            x=x,
            x_inv_y=g,
            xx_inv_y=xp.eye(self.d) + skewness,
            origin=self.mu,
            scale=self.L_sigma,
        )


def check_mixture(name: str, value: Any, kind: str = "a model") -> None:
    """Raise TypeError, with the name of a public class, if value is not a model."""
    if not isinstance(value, Mixture):
        is_class = isinstance(value, type)
        got = f"the class {value.__name__}" if is_class else type(value).__name__
        msg = f"{name} must be {kind} such as a NormalInverseGaussian, got {got}"
        raise TypeError(msg)
