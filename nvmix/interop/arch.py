"""Mixtures of one column as the laws of innovations in the volatility models of arch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from arch.univariate.distribution import Distribution
from scipy.special import expit

from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.interop.standardized import StandardizedFamily

# Double-exponential rule for a mean over uniform probabilities, which is singular at 0.
_T: Final = np.arange(-6.0, 3.5, 1.0 / 16.0)
_SHARE: Final = expit(math.pi * np.sinh(_T))
_WEIGHT: Final = math.pi / 16.0 * np.cosh(_T) * _SHARE * expit(-math.pi * np.sinh(_T))


class MixtureInnovation(Distribution):  # type: ignore[misc]
    r"""Innovations with mean 0 and variance 1 of a family, for the volatility models of arch.

    :math:`X = \rho (Y - 1) / \sqrt{\operatorname{Var} Y} + \sqrt{(1 - \rho^2) Y} Z` with E[Y] = 1
    and a standard normal Z, so that :math:`\rho^2` is the part of the variance that is due to
    skewness.

    Parameters
    ----------
    family : str or type
        "nig", "vg", "skewt", "hyperbolic" or "gh", or the class.
    symmetric : bool
        Whether rho is 0, and is no parameter.
    seed : int, numpy.random.Generator, numpy.random.RandomState or None
        Source of randomness of simulations.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    The parameters are those of Y, then rho: xi of "nig" and "hyperbolic", p and xi of "gh", where
    :math:`\xi = (1 + \sqrt{ab})^{-1/2}` is 0 for the normal distribution; alpha of "vg"; and nu =
    2 alpha of "skewt", which is more than 4, or than 2 if symmetric. They start at a fit by EM to
    the residuals of the model with normal innovations.

    References
    ----------
    O. E. Barndorff-Nielsen, J. L. Jensen and M. Sorensen, Parametric modelling of turbulence,
    Philosophical Transactions of the Royal Society A 332 (1990), 439-455, for xi.

    Examples
    --------
    >>> from arch import arch_model
    >>> from arch.data import sp500
    >>> from nvmix.interop import MixtureInnovation
    >>> returns = 100.0 * sp500.load()["Adj Close"].pct_change().dropna()
    >>> garch = arch_model(returns)
    >>> garch.distribution = MixtureInnovation("nig")
    >>> result = garch.fit(disp="off")
    >>> round(result.loglikelihood, 1)  # arch's best law, "skewt", has -6825.8
    -6820.5
    """

    def __init__(
        self,
        family: str | type[NormalMixture] = "nig",
        *,
        symmetric: bool = False,
        seed: Any = None,
    ) -> None:
        super().__init__(seed=seed)
        self._family = StandardizedFamily(family, symmetric=symmetric)
        self._name = f"Standardized {'symmetric ' * symmetric}{self._family.family.__name__}"
        self.num_params = len(self._family.bounds)

    def model(self, parameters: Any) -> NormalMixture:
        """The standardized law with these parameters.

        Parameters
        ----------
        parameters : sequence of float
            In the order of `parameter_names`; they are the last ones of a result's `params`.

        Returns
        -------
        NormalMixture
            Model of one column with mean 0 and variance 1.

        Raises
        ------
        ValueError
            If a parameter is missing or outside its bounds.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> law = MixtureInnovation("nig").model([0.5, -0.2])
        >>> law.std().round(12), law.skewness().round(3)
        (array([1.]), array([-0.346]))
        """
        return self._family.model(self._check_constraints(parameters))

    def starting_values(self, std_resid: Any) -> Any:
        """Parameters of a fit by EM to residuals.

        Parameters
        ----------
        std_resid : (n,) array_like
            Residuals by their conditional standard deviations.

        Returns
        -------
        (k,) array
            Parameters within the bounds, in the order of `parameter_names`.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> import numpy as np
        >>> residuals = np.random.default_rng(0).standard_t(5, 1000)
        >>> MixtureInnovation("skewt").starting_values(residuals / residuals.std()).round(2)
        array([5.96, 0.14])
        """
        return self._family.start(std_resid)

    def parameter_names(self) -> list[str]:
        """Names of the parameters.

        Returns
        -------
        list of str
            Those of Y, then rho.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> MixtureInnovation("gh").parameter_names()
        ['p', 'xi', 'rho']
        """
        return list(self._family.bounds)

    def bounds(self, resids: Any) -> list[tuple[float, float]]:  # noqa: ARG002
        """Bounds of the parameters.

        Parameters
        ----------
        resids : array_like or None
            Not used.

        Returns
        -------
        list of (float, float)
            Lower and upper bound of each.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> MixtureInnovation("nig").bounds(None)
        [(0.02, 0.9995), (-0.995, 0.995)]
        """
        return list(self._family.bounds.values())

    def constraints(self) -> tuple[Any, Any]:
        """The bounds as linear constraints, A theta >= b, as arch takes them.

        Returns
        -------
        tuple of (2 k, k) and (2 k,) arrays
            A and b.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> A, b = MixtureInnovation("nig", symmetric=True).constraints()
        >>> A, b
        (array([[ 1.],
               [-1.]]), array([ 0.02  , -0.9995]))
        """
        lower, upper = np.array(self.bounds(None)).T
        identity = np.eye(self.num_params)
        return np.vstack([identity, -identity]), np.concatenate([lower, -upper])

    def loglikelihood(
        self,
        parameters: Any,
        resids: Any,
        sigma2: Any,
        individual: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        """Log-likelihood of residuals.

        Parameters
        ----------
        parameters : sequence of float
            In the order of `parameter_names`.
        resids, sigma2 : (n,) array_like
            Residuals and their conditional variances.
        individual : bool
            Whether to return the terms of the sum.

        Returns
        -------
        float or (n,) array
            The sum or its terms; -inf where a residual is not finite.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> import numpy as np
        >>> law = MixtureInnovation("nig")
        >>> residuals, variances = np.array([-1.0, 2.0]), np.array([1.0, 4.0])
        >>> print(law.loglikelihood([0.5, -0.2], residuals, variances).round(6))
        -3.693184
        """
        z = np.asarray(resids / np.sqrt(sigma2), np.float64)
        finite = np.isfinite(z)
        terms = np.full(z.shape, -np.inf)
        terms[finite] = self._family.model(parameters).log_prob(z[finite])
        terms -= 0.5 * np.log(sigma2)
        return terms if individual else terms.sum()

    def cdf(self, resids: Any, parameters: Any = None) -> Any:
        """Distribution function.

        Parameters
        ----------
        resids : array_like
            Points.
        parameters : sequence of float or None
            In the order of `parameter_names`.

        Returns
        -------
        float or array
            Probabilities, of the shape of resids.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> MixtureInnovation("nig").cdf([-2.0, 0.0], [0.5, -0.2]).round(6)
        array([0.031328, 0.479196])
        """
        return self.model(parameters).cdf(resids)

    def ppf(self, pits: Any, parameters: Any = None) -> Any:
        """Quantiles.

        Parameters
        ----------
        pits : array_like
            Probabilities.
        parameters : sequence of float or None
            In the order of `parameter_names`.

        Returns
        -------
        float or array
            Quantiles, of the shape of pits.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> MixtureInnovation("nig").ppf([0.01, 0.05], [0.5, -0.2]).round(6)
        array([-2.711325, -1.702756])
        """
        return self.model(parameters).ppf(pits)

    def moment(self, n: int, parameters: Any = None) -> float:
        """Moment E[X^n].

        Parameters
        ----------
        n : int
            Order, nonnegative.
        parameters : sequence of float or None
            In the order of `parameter_names`.

        Returns
        -------
        float
            The moment; nan where it is not finite.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> round(MixtureInnovation("nig").moment(3, [0.5, -0.2]), 6)
        -0.34641
        """
        moment = float(self.model(parameters).raw_moment(n)[0])
        return moment if math.isfinite(moment) else math.nan

    def partial_moment(self, n: int, z: float = 0.0, parameters: Any = None) -> float:
        """Moment of the lower tail, E[X^n; X <= z].

        Parameters
        ----------
        n : int
            Order, nonnegative.
        z : float
            End of the tail.
        parameters : sequence of float or None
            In the order of `parameter_names`.

        Returns
        -------
        float
            The moment, to about 1e-10; nan where E[X^n] is not finite.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> round(MixtureInnovation("nig").partial_moment(1, -2.0, [0.5, -0.2]), 6)
        -0.082133
        """
        model, total = self.model(parameters), self.moment(n, parameters)
        if math.isnan(total):
            return math.nan
        # From mu, where the density may have a cusp, it falls to both sides.
        upper = z > model.mu[0]
        mass, quantile = (model.sf(z), model.isf) if upper else (model.cdf(z), model.ppf)
        x = quantile(mass * _SHARE)
        tail = mass * (np.where(np.isfinite(x), x, 0.0) ** n @ _WEIGHT)
        return float(total - tail if upper else tail)

    def simulate(self, parameters: Any) -> Callable[..., Any]:
        """Function that draws from the law with these parameters.

        Parameters
        ----------
        parameters : sequence of float
            In the order of `parameter_names`.

        Returns
        -------
        callable
            From a size, an int or a tuple, to an array of draws.

        Examples
        --------
        >>> from nvmix.interop import MixtureInnovation
        >>> draw = MixtureInnovation("nig", seed=0).simulate([0.5, -0.2])
        >>> draw(3).shape, draw((2, 3)).shape
        ((3,), (2, 3))
        """
        self._parameters = self._check_constraints(parameters)
        return self._simulator

    def _simulator(self, size: Any) -> Any:
        size = tuple(np.atleast_1d(size).tolist())
        return self.model(self._parameters).rvs(size=size, random_state=self._generator)[..., 0]
