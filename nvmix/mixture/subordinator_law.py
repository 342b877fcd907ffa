"""Density, moments and variates of the law of Y, named as SciPy names them."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from nvmix.backends import get_backend, get_functions
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.forks import LazyProperty
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import generator, integer, real, real_or_nan
from nvmix.mixture.parts.mixing_moments import raw_moments
from nvmix.mixture.subordinator_tails import SubordinatorTails

# Largest whole order of a moment that is a product of as many means, which have more digits.
_BY_MEANS: Final = 32.0


class SubordinatorLaw(SubordinatorTails):
    """Distribution of Y > 0 that is GIG(p, a, b)."""

    @property
    def _moments(self) -> tuple[float, ...]:
        """(lnZ, E[log Y], E[1/Y], E[Y])."""
        if on_jax(*self.gig):
            # Not cached: tracers must not outlive their trace.
            return get_functions().gig_law(self.gig)  # type: ignore[no-any-return]
        return self._cached_moments

    @LazyProperty
    def _cached_moments(self) -> tuple[float, ...]:
        """`_moments` of parameters that are Python numbers."""
        return get_backend().gig_law(self.gig)

    def gig_covariance(self) -> FloatArray:
        """Covariance matrix of (log Y, 1/Y, Y), of any family.

        Returns
        -------
        (3, 3) array
            Covariances; entries may be infinite.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Gamma(alpha=3.0, beta=2.0).gig_covariance().round(3)
        array([[ 0.395, -0.5  ,  0.5  ],
               [-0.5  ,  1.   , -0.5  ],
               [ 0.5  , -0.5  ,  0.75 ]])
        """
        if on_jax(*self.gig):
            return get_functions().gig_covariance(self.gig)  # type: ignore[no-any-return]
        p, a, b = (np.array([float(x)]) for x in self.gig)
        covariance: FloatArray = get_backend().gig_covariances(p, a, b)[0]
        return covariance

    @property
    def gig_expectations(self) -> tuple[float, float, float]:
        """(E[log Y], E[1/Y], E[Y]), some of which may be infinite."""
        _, log_y, inv_y, y = self._moments
        return log_y, inv_y, y

    def log_prob(self, y: Any) -> FloatArray:
        """Log-density; also called `logpdf`.

        Parameters
        ----------
        y : array_like
            Points of any shape; inf and nan are allowed.

        Returns
        -------
        array or float
            Log-densities, of the shape of y; -inf where y <= 0 or y is inf.

        Raises
        ------
        TypeError, ValueError
            If y does not hold real numbers; JAX arrays are not validated.

        Examples
        --------
        >>> from nvmix import InverseGaussian
        >>> InverseGaussian(mu_ig=2.0, lam=1.0).log_prob([0.0, 1.0, 2.0]).round(6)
        array([     -inf, -1.043939, -1.958659])
        """
        xp = namespace(y, *self.gig)
        y = real_or_nan("y", y) if xp is np else xp.asarray(y, float)
        outside = (y <= 0.0) | (y == np.inf)
        # JAX's derivatives are finite also where the density is 0.
        value = xp.where(outside, -np.inf, self._log_density(xp.where(outside, 1.0, y)))
        return value[()] if xp is np else value  # type: ignore[no-any-return]

    logpdf = log_prob

    def _log_density(self, y: Any) -> Any:
        """Log-densities at an array y > 0."""
        if on_jax(y, *self.gig):
            return get_functions().gig_log_density(y, self.gig)
        return get_backend().gig_log_density(y, self.gig)

    def pdf(self, y: Any) -> FloatArray:
        """Density, exp of `log_prob`.

        Parameters
        ----------
        y : array_like
            As for `log_prob`.

        Returns
        -------
        array or float
            Densities, of the shape of y.

        Raises
        ------
        TypeError, ValueError
            As of `log_prob`.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> print(Gamma(alpha=1.0, beta=2.0).pdf(0.5).round(6))  # 2 exp(-1)
        0.735759
        """
        log_density = self.log_prob(y)
        return namespace(log_density).exp(log_density)  # type: ignore[no-any-return]

    def mean(self) -> float:
        """Mean of Y.

        Returns
        -------
        float
            E[Y], possibly inf.

        Examples
        --------
        >>> from nvmix import InverseGamma
        >>> InverseGamma(alpha=3.0, beta=2.0).mean(), InverseGamma(alpha=1.0, beta=2.0).mean()
        (1.0, inf)
        """
        return self._moments[3]

    def var(self) -> float:
        """Variance of Y.

        Returns
        -------
        float
            Var[Y], possibly inf.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> round(Gamma(alpha=3.0, beta=2.0).var(), 12)  # alpha / beta^2
        0.75
        """
        variance = self.gig_covariance()[2, 2]
        return variance if on_jax(variance) else float(variance)

    def std(self) -> float:
        """Standard deviation of Y.

        Returns
        -------
        float
            Square root of `var`, possibly inf.

        Examples
        --------
        >>> from nvmix import InverseGaussian
        >>> round(InverseGaussian(mu_ig=2.0, lam=2.0).std(), 12)  # sqrt(mu_ig^3 / lam)
        2.0
        """
        variance = self.var()
        return namespace(variance).sqrt(variance) if on_jax(variance) else math.sqrt(variance)

    def mode(self) -> float:
        """Mode of Y, 0 where the density falls from 0 on.

        Returns
        -------
        float
            (p - 1 + r) / a = b / (1 - p + r), r = sqrt((p - 1)^2 + a b).

        Raises
        ------
        TypeError
            If a parameter is a JAX array: it runs on NumPy alone.

        Examples
        --------
        >>> from nvmix import GIG
        >>> round(GIG(p=1.0, a=2.0, b=8.0).mode(), 12)
        2.0
        """
        p, a, b = self._on_numpy("mode")
        r = math.hypot(p - 1.0, math.sqrt(a) * math.sqrt(b))
        return (p - 1.0 + r) / a if p >= 1.0 else b / (1.0 - p + r)

    def entropy(self) -> float:
        """Differential entropy.

        Returns
        -------
        float
            -E[log f(Y)] with the density f of Y, in nats.

        Raises
        ------
        TypeError
            If a parameter is a JAX array: it runs on NumPy alone.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> round(Gamma(alpha=1.0, beta=2.0).entropy(), 12)  # 1 - log(2)
        0.30685281944
        """
        return get_backend().gig_entropy(self._on_numpy("entropy"))

    def raw_moment(self, k: float) -> float:
        """Moment of any real order.

        Parameters
        ----------
        k : float
            Order, which may be negative or fractional.

        Returns
        -------
        float
            E[Y^k] = Z(p + k, a, b) / Z(p, a, b), possibly inf.

        Raises
        ------
        TypeError, ValueError
            If k is not a finite number, or a parameter is a JAX array.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> print(round(Gamma(alpha=3.0, beta=2.0).raw_moment(-1), 12))
        1.0
        """
        k = real("k", k)
        p, a, b = self._on_numpy("raw_moment")
        if k.is_integer() and abs(k) <= _BY_MEANS:
            # 1 / Y ~ GIG(-p, b, a).
            theta = (p, a, b) if k >= 0.0 else (-p, b, a)
            return float(raw_moments(theta, int(abs(k)))[-1])
        if a == 0.0:
            p, a, b, k = -p, b, 0.0, -k
        if b == 0.0 and p + k <= 0.0:
            return math.inf
        with np.errstate(over="ignore"):
            return float(np.exp(get_backend().gig_log_moment((p, a, b), k)))

    def rvs(
        self,
        n: int | None = None,
        seed: int | np.random.Generator | None = None,
        *,
        size: int | tuple[int, ...] | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> FloatArray:
        """Draw variates.

        Parameters
        ----------
        n : int
            How many, at least 0.
        seed : int, numpy.random.Generator or None
            Source of randomness; the same seed gives the same bits.
        size : int, tuple of int or None
            In place of n, as SciPy names it: the shape of the result.
        random_state : int, numpy.random.Generator or None
            In place of seed, as SciPy names it.

        Returns
        -------
        (n,) array
            Independent draws; of the shape `size`, if that is given.

        Raises
        ------
        TypeError, ValueError
            If an argument is outside its domain, both of a pair are given, or neither n nor size.

        Examples
        --------
        >>> from nvmix import Gamma
        >>> Y = Gamma(alpha=3.0, beta=2.0).rvs(10_000, seed=0)
        >>> bool(abs(Y.mean() - 1.5) < 0.05)
        True
        >>> Gamma(alpha=3.0, beta=2.0).rvs(size=(4, 2), random_state=0).shape
        (4, 2)
        """
        if (n is None) == (size is None) or (seed is not None and random_state is not None):
            msg = (
                "rvs takes n or size, and seed or random_state, got "
                f"n={n!r}, size={size!r}, seed={seed!r}, random_state={random_state!r}"
            )
            raise TypeError(msg)
        rng = generator(seed) if random_state is None else generator(random_state, "random_state")
        if size is None:
            return self._variates(integer("n", n, 0), rng)
        lengths = [integer("size", x, 0) for x in (size if isinstance(size, tuple) else (size,))]
        return self._variates(math.prod(lengths), rng).reshape(lengths)

    def _variates(self, n: int, rng: np.random.Generator) -> FloatArray:
        """(n,) independent draws."""
        return get_backend().gig_variates(self.gig, n, rng)
