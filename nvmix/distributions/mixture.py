"""The one model of the package: X | Y ~ N(mu + gamma Y, Sigma Y) with a GIG-type Y."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from nvmix._exceptions import DegenerateError, SolveError
from nvmix._linalg import inverse_lower
from nvmix._statistics import SufficientStatistics
from nvmix._validation import (
    cholesky,
    generator,
    instance,
    integer,
    lower_factor,
    observations,
    one_of,
    points,
    positive,
    sample,
    vector,
)
from nvmix.backends import M_STEP_METHODS, get_backend
from nvmix.backends._protocol import Gaussian, GIGStatus
from nvmix.distributions._normal_block import normal_block
from nvmix.fitting.em import BatchEMFitter, warn_unless_converged
from nvmix.fitting.initialization import SampleMoments, match_moments

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import Fixed, GIGParameters
    from nvmix.distributions.subordinators import Subordinator
    from nvmix.fitting.em import EMResult


@dataclass(frozen=True, eq=False, repr=False)
class NormalMixture(ABC):
    r"""Normal variance-mean mixture, the base of every family.

    :math:`X \mid Y \sim N(\mu + \gamma Y, \Sigma Y)` with Y ~ GIG(p, a, b) and
    :math:`q(x) = (x-\mu)^\top\Sigma^{-1}(x-\mu)` has the log-density

    .. math::

        -\tfrac d2 \ln 2\pi - \tfrac12 \ln|\Sigma| + \gamma^\top\Sigma^{-1}(x - \mu)
        + \ln Z(p - \tfrac d2, a + \gamma^\top\Sigma^{-1}\gamma, b + q(x)) - \ln Z(p, a, b),

    where Z is the norm of :math:`y^{p-1} e^{-(ay + b/y)/2}`. Make one with a family's
    ``from_classical`` or ``default_init``.

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

    mu: FloatArray
    gamma: FloatArray
    L_sigma: FloatArray
    subordinator: Subordinator
    columns: tuple[str, ...] | None = None

    _subordinator_type: ClassVar[type[Subordinator]]

    def __post_init__(self) -> None:
        """Validate, and keep read-only copies of the arrays."""
        mu = vector("mu", self.mu)
        L = lower_factor("L_sigma", self.L_sigma, mu.size)
        self._freeze(mu=mu, gamma=vector("gamma", self.gamma, mu.size), L_sigma=L)
        instance("subordinator", self.subordinator, self._subordinator_type)
        for name, fixed, value in zip(
            "pab", self._fixed(self.d), self.subordinator.gig, strict=True
        ):
            if fixed not in (None, value):
                msg = f"{name} of the subordinator must be {fixed}, got {self.subordinator}"
                raise ValueError(msg)

    def _freeze(self, **arrays: FloatArray) -> None:
        """Set attributes to read-only copies."""
        for name, array in arrays.items():
            copy = array.copy()
            copy.setflags(write=False)
            object.__setattr__(self, name, copy)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle, with the arrays frozen again."""
        self.__dict__.update(state)
        self._freeze(mu=self.mu, gamma=self.gamma, L_sigma=self.L_sigma)

    @classmethod
    def _fixed(cls, d: int) -> Fixed:  # noqa: ARG003
        """Coordinates of the subordinator's GIG that the family fixes in d dimensions."""
        return cls._subordinator_type.fixed

    @classmethod
    def _make(cls, mu: Any, gamma: Any, sigma: Any, subordinator: Subordinator) -> Self:
        """Validate the normal block and build."""
        mu = vector("mu", mu)
        gamma = vector("gamma", gamma, mu.size)
        return cls(mu, gamma, cholesky("sigma", sigma, mu.size), subordinator)

    @classmethod
    def default_init(cls, X: Any) -> Self:
        """Starting model by the method of moments: covariance, skewness and kurtosis, E[Y] = 1.

        Parameters
        ----------
        X : (n, d) array_like
            Observations; the names of a DataFrame's columns are kept.

        Returns
        -------
        NormalMixture
            A model to start a fit from.

        Raises
        ------
        TypeError, ValueError
            If X is not an array of n > d finite real rows, or has constant or collinear columns.
        """
        data = sample(X)
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

    @property
    def d(self) -> int:
        """Number of columns."""
        return self.mu.size

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, the scale shared by Sigma and Y counted once."""
        free = sum(value is None for value in self._fixed(self.d))
        return 2 * self.d + self.d * (self.d + 1) // 2 + free - 1

    @property
    def block(self) -> Gaussian:
        """mu, gamma and L_sigma as backends take them."""
        return Gaussian(self.mu, self.gamma, self.L_sigma)

    def sigma(self) -> FloatArray:
        """Scale matrix Sigma, shape (d, d); the covariance of X is `cov`."""
        return self.L_sigma @ self.L_sigma.T

    def log_det_sigma(self) -> float:
        """Log-determinant of Sigma."""
        return 2.0 * float(np.log(np.diag(self.L_sigma)).sum())

    def mean(self) -> FloatArray:
        """E[X] = mu + gamma E[Y], shape (d,); infinite where E[Y] is and gamma is not 0."""
        return self.mu + _times(self.gamma, self.subordinator.mean())

    def cov(self) -> FloatArray:
        """Cov[X] = Sigma E[Y] + gamma gamma' Var[Y], shape (d, d); inf or nan where undefined."""
        skewness = np.outer(self.gamma, self.gamma)
        mean, variance = self.subordinator.mean(), self.subordinator.var()
        with np.errstate(invalid="ignore"):
            return _times(self.sigma(), mean) + _times(skewness, variance)

    def log_prob(self, x: Any) -> Any:
        """Log-density of the mixture.

        Parameters
        ----------
        x : (d,) or (n, d) array_like
            A point or n points. A model of one column takes (n,) as n points.

        Returns
        -------
        float or (n,) array
            Log-densities; inf where the density is unbounded.

        Raises
        ------
        TypeError, ValueError
            If x is not finite real numbers of these shapes.
        """
        values, single = points(x, self.d, self.columns)
        backend = get_backend()
        result = backend.log_prob(backend.place(values), self.block, self.subordinator.gig)
        return float(result[0]) if single else result

    def pdf(self, x: Any) -> Any:
        """Density of the mixture: exp of `log_prob`.

        Parameters
        ----------
        x : (d,) or (n, d) array_like
            A point or n points.

        Returns
        -------
        float or (n,) array
            Densities.
        """
        density = np.exp(self.log_prob(x))
        return float(density) if np.ndim(density) == 0 else density

    def marginal_log_likelihood(self, X: Any) -> float:
        """Mean log-density over the rows of X.

        Parameters
        ----------
        X : (n, d) array_like
            Observations.

        Returns
        -------
        float
            Mean of ``log_prob(X)``.
        """
        values = observations(X, self.d, self.columns).values
        return float(np.mean(self.log_prob(values)))

    def rvs(self, n: int, seed: int | np.random.Generator | None = None) -> FloatArray:
        """Draw observations.

        Parameters
        ----------
        n : int
            How many.
        seed : int, numpy.random.Generator or None
            Source of randomness; the same seed gives the same bits.

        Returns
        -------
        (n, d) array
            Independent rows.
        """
        rng = generator(seed)
        y = self.subordinator.rvs(n, rng)[:, None]
        noise = rng.standard_normal((integer("n", n, 0), self.d)) @ self.L_sigma.T
        return self.mu + y * self.gamma + np.sqrt(y) * noise

    def e_step(self, X: Any, backend: str = "cpu") -> SufficientStatistics:
        """Conditional expectations of the sufficient statistics, with the log-likelihood.

        Parameters
        ----------
        X : (n, d) array_like
            Observations.
        backend : {"cpu", "jax"}
            Where to compute.

        Returns
        -------
        SufficientStatistics
            Sums over rows of E[t(X, Y) | X] under this model.
        """
        chosen = get_backend(backend)
        placed = chosen.place(observations(X, self.d, self.columns).values)
        return chosen.e_step(placed, self.block, self.subordinator.gig)

    def m_step(
        self, eta: SufficientStatistics, backend: str = "cpu", method: str = "newton"
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

        Returns
        -------
        NormalMixture
            The new model; this one's subordinator is where the solve starts.

        Raises
        ------
        ValueError
            If no model has these statistics: Sigma singular, or Y without spread.
        """
        instance("eta", eta, SufficientStatistics)
        if eta.d != self.d:
            msg = f"eta must be statistics of {self.d} columns, as the model has, got {eta.d}"
            raise ValueError(msg)
        model = self._from_statistics(eta, backend, method, self.subordinator.gig)
        return model if self.columns is None else replace(model, columns=self.columns)

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
        return cls._from_statistics(eta, backend, method, None)

    @classmethod
    def _from_statistics(
        cls, eta: SufficientStatistics, backend: str, method: str, start: GIGParameters | None
    ) -> Self:
        """Solve both blocks of the M-step, which are separate."""
        instance("eta", eta, SufficientStatistics)
        one_of("method", method, M_STEP_METHODS)
        block = normal_block(eta)
        theta, status = get_backend(backend).gig_fit(
            (eta.E_log_Y, eta.E_inv_Y, eta.E_Y), cls._fixed(eta.d), method, start
        )
        if status is GIGStatus.NOT_CONVERGED:
            msg = f"method {method!r} did not converge for the subordinator; try another method"
            raise SolveError(msg)
        if status > GIGStatus.INVERSE_GAMMA:
            msg = f"no {cls.__name__} subordinator has these expectations ({status.name})"
            raise DegenerateError(msg)
        try:
            return cls(*block, cls._subordinator_type.from_gig(*theta))
        except ValueError as error:
            msg = f"the statistics lead out of {cls.__name__}: {error}"
            raise DegenerateError(msg) from error

    def expectation_params(self) -> SufficientStatistics:
        """Expected sufficient statistics of one observation of the model itself.

        Returns
        -------
        SufficientStatistics
            With weight 1; its log-likelihood, an entropy, is nan. E[1/Y] may be inf.
        """
        log_y, inv_y, y = self.subordinator.gig_expectations
        g = inverse_lower(self.L_sigma) @ self.gamma
        return SufficientStatistics(
            weight=1.0,
            log_likelihood=np.nan,
            log_y=log_y,
            inv_y=inv_y,
            y=y,
            x=g * y,
            x_inv_y=g,
            xx_inv_y=np.eye(self.d) + y * np.outer(g, g),
            origin=self.mu,
            scale=self.L_sigma,
        )

    def rescaled(self, c: float) -> Self:
        """Equal law of X with Y replaced by c Y: Sigma / c, gamma / c.

        Parameters
        ----------
        c : float
            Positive factor.

        Returns
        -------
        NormalMixture
            The same distribution in another gauge.
        """
        c = positive("c", c)
        return replace(
            self,
            gamma=self.gamma / c,
            L_sigma=self.L_sigma / np.sqrt(c),
            subordinator=self.subordinator.scaled(c),
        )

    def fit(self, X: Any, **keywords: Any) -> EMResult:
        """Fit by EM from this model.

        Parameters
        ----------
        X : (n, d) array_like
            Observations.
        **keywords
            Of `nvmix.fitting.em.BatchEMFitter`.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit.
        """
        result = BatchEMFitter(**keywords).run(self, sample(X, self.d, self.columns))
        warn_unless_converged(result, stacklevel=3)
        return result

    def __repr__(self) -> str:
        """Parameters by name, one a line."""
        shown = {"mu": self.mu, "gamma": self.gamma, "sigma": self.sigma()}
        lines = [f"    {name}={np.array2string(x, prefix=' ' * (len(name) + 5), separator=', ')},"
                 for name, x in shown.items()]  # fmt: skip
        law = ", ".join(
            f"{name}={value:.6g}" for name, value in self.subordinator.parameters.items()
        )
        return "\n".join([f"{type(self).__name__}(", *lines, f"    {law},", ")"])


def _times(x: FloatArray, factor: float) -> FloatArray:
    """Product with a factor that may be inf, in which 0 stays 0."""
    return np.multiply(x, factor, where=x != 0.0, out=np.zeros_like(x))
