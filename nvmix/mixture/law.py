"""The distribution of X in a normal variance-mean mixture: density, moments and sampling."""

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nvmix.backends import get_backend, get_functions
from nvmix.backends.types import Fixed, GIGParameters, NormalParameters
from nvmix.foundation.arrays import namespace, on_jax, traced
from nvmix.foundation.files.storable import Storable
from nvmix.foundation.pytrees import pytree
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import (
    boolean,
    instance,
    lower_factor,
    one_of,
    optional_columns,
    vector,
    with_article,
)
from nvmix.mixture.parts.display import Displayed
from nvmix.mixture.parts.draws import Draws
from nvmix.mixture.parts.normal_maps import selected
from nvmix.mixture.subordinator import Subordinator
from nvmix.mixture.univariate import Univariate
from nvmix.sources.frames import with_index
from nvmix.sources.observations import MISSING, observations, points
from nvmix.sources.patterns import patterns_of, values_of


@dataclass(frozen=True, eq=False, repr=False)
class MixtureLaw(Univariate, Draws, Displayed, Storable, ABC):
    """Distribution of X in a normal variance-mean mixture.

    `NormalMixture` has the formula of the density, and describes the attributes.
    """

    mu: FloatArray
    gamma: FloatArray
    L_sigma: FloatArray
    subordinator: Subordinator
    columns: Columns = None

    _subordinator_type: ClassVar[type[Subordinator]]
    # Names of the parameters of Y in `from_classical`.
    law_names: ClassVar[tuple[str, ...]] = ()
    # Whether gamma is 0 in every model of the family.
    symmetric_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Validate, and store read-only copies of the arrays."""
        mu = vector("mu", self.mu)
        L = lower_factor("L_sigma", self.L_sigma, mu.size)
        self._freeze(mu=mu, gamma=vector("gamma", self.gamma, mu.size), L_sigma=L)
        object.__setattr__(self, "columns", optional_columns(self.columns, mu.size))
        instance("subordinator", self.subordinator, self._subordinator_type)
        for name, fixed, value in zip(
            "pab", self._fixed(self.d), self.subordinator.gig, strict=True
        ):
            if fixed not in (None, value):
                msg = f"{name} of the subordinator must be {fixed}, got {self.subordinator}"
                raise ValueError(msg)

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Register every subclass as a JAX pytree."""
        super().__init_subclass__(**keywords)
        pytree(("mu", "gamma", "L_sigma", "subordinator"), ("columns",))(cls)

    def _freeze(self, **arrays: FloatArray) -> None:
        """Set attributes to read-only copies."""
        for name, array in arrays.items():
            copy = array.copy()
            if not on_jax(copy):
                copy.setflags(write=False)
            object.__setattr__(self, name, copy)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle; arrays become read-only again."""
        self.__dict__.update(state)
        self._freeze(mu=self.mu, gamma=self.gamma, L_sigma=self.L_sigma)

    @classmethod
    def _solved(
        cls, normal: NormalParameters, subordinator: Subordinator, columns: Columns
    ) -> Self:
        """Model of an M-step's results; checks only that they are finite, else ValueError."""
        model = object.__new__(cls)
        if not on_jax(*normal, *subordinator.gig):
            if not math.isfinite((normal.mu + normal.gamma).sum() + normal.L.sum()):
                msg = "mu, gamma and L_sigma must be finite"
                raise ValueError(msg)
            for value in normal:
                value.setflags(write=False)
        mu, gamma, L = normal
        model.__dict__.update(
            mu=mu, gamma=gamma, L_sigma=L, subordinator=subordinator, columns=columns
        )
        return model

    @classmethod
    def _fixed(cls, d: int) -> Fixed:  # noqa: ARG003
        """Which of p, a and b the family fixes in d dimensions, and at what."""
        return cls._subordinator_type.fixed

    @property
    def d(self) -> int:
        """Number of columns."""
        if self.mu.ndim != 1:
            msg = f"mu has shape {self.mu.shape}, as in a stack of models: use jax.vmap over it"
            raise ValueError(msg)
        return self.mu.size

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, the scale shared by Sigma and Y counted once."""
        free = sum(value is None for value in self.fixed)
        return 2 * self.d + self.d * (self.d + 1) // 2 + free - 1

    @property
    def fixed(self) -> Fixed:
        """Which of p, a and b the family fixes, and at what; None is free."""
        return self._fixed(self.d)

    def at(self, normal: NormalParameters, theta: GIGParameters) -> Self:
        """Model of the same family and columns with other parameters, whose arrays are not copied.

        Parameters
        ----------
        normal : NormalParameters
            mu (d,), gamma (d,) and L (d, d), as in the attribute `normal`.
        theta : tuple of float
            p, a and b of Y, with what the family fixes.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        ValueError
            If a parameter is not finite, or theta is outside the domain of the family.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> model.at(model.normal, (-0.5, 4.0, 1.0)).subordinator
        InverseGaussian(mu_ig=0.5, lam=1.0)
        """
        subordinator = self._subordinator_type.from_gig(*theta)
        return self._solved(normal, subordinator, self.columns)

    def on_host(self) -> Self:
        """Equal model with NumPy arrays in the place of JAX arrays; this one, if it has none.

        Returns
        -------
        NormalMixture
            The model, whose methods run on the CPU.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=0.0, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=1.0)
        >>> model.on_host() is model
        True
        """
        if not self._on_jax:
            return self
        p, a, b = map(float, self.subordinator.gig)
        normal = NormalParameters(*(np.array(x, np.float64) for x in self.normal))
        return self.at(normal, (p, a, b))

    def _record(self) -> dict[str, Any]:
        """Family, columns and parameters."""
        if traced(*self.normal, *self.subordinator.gig):
            msg = f"{with_article(type(self).__name__)} that JAX traces has no numbers to save"
            raise TypeError(msg)
        columns = None if self.columns is None else list(self.columns)
        record = {"kind": "model", "family": type(self).__name__, "d": self.d, "columns": columns}
        mu, gamma, L = (np.asarray(x, np.float64) for x in self.normal)
        record |= {"mu": mu.tolist(), "gamma": gamma.tolist(), "L_sigma": L.tolist()}
        law = self.subordinator.to_dict()
        return record | {"law": {name: law[name] for name in ("family", "parameters")}}

    @property
    def _on_jax(self) -> bool:
        """Whether JAX computes with this model."""
        return on_jax(*self.normal, *self.subordinator.gig)

    @property
    def normal(self) -> NormalParameters:
        """mu, gamma and L_sigma as the record that backends take."""
        return NormalParameters(self.mu, self.gamma, self.L_sigma)

    def sigma(self) -> FloatArray:
        """Scale matrix Sigma; the covariance of X is `cov`.

        Returns
        -------
        (d, d) array
            L_sigma L_sigma'.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> model = StudentT.from_classical(mu=0.0, sigma=2.0, df=4.0)
        >>> model.sigma().round(12), model.cov().round(12)
        (array([[2.]]), array([[4.]]))
        """
        return self.L_sigma @ self.L_sigma.reshape(self.d, self.d).T

    def log_det_sigma(self) -> float:
        """Log-determinant of Sigma.

        Returns
        -------
        float
            Twice the sum of the logs of the diagonal of L_sigma.

        Examples
        --------
        >>> from nvmix import StudentT
        >>> model = StudentT.from_classical(mu=[0.0, 0.0], sigma=[[2.0, 0.0], [0.0, 2.0]], df=4.0)
        >>> round(model.log_det_sigma(), 9)  # log(4)
        1.386294361
        """
        xp = namespace(self.L_sigma)
        value = 2.0 * xp.log(xp.diag(self.L_sigma)).sum()
        return value if xp is not np else float(value)

    def log_prob(self, x: Any, *, missing: str = "raise", keep_index: bool = False) -> Any:
        """Log-density of the mixture.

        Parameters
        ----------
        x : (d,) or (n, d) array_like
            A point or n points. A model of one column takes (n,) as n points, and each row of
            (n, 1) as a point where `jax.vmap` maps over rows.
        missing : {"raise", "em"}
            Whether nan is an error, or stands for a missing value, over which the density is
            integrated: the log-density of the values that the row has, 0 if it has none.
        keep_index : bool
            Whether n points are a DataFrame or Series whose index the result has.

        Returns
        -------
        float or (n,) array
            Log-densities, in a Series with keep_index; inf where the density is infinite, nan where
            a JAX array has nan.

        Raises
        ------
        TypeError, ValueError
            If x is not finite real numbers of these shapes; of JAX arrays only shapes are checked,
            and missing must be "raise".

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> model.log_prob([[0.0, 1.0], [3.0, 0.0]]).round(6)
        array([-1.841411, -5.543594])
        >>> model.log_prob([[0.0, float("nan")]], missing="em").round(6)  # of the first column
        array([-0.864521])
        """
        values, single = points(x, self.d, self.columns, missing)
        if missing == "em":
            if self._on_jax or on_jax(values):
                msg = "missing='em' needs NumPy arrays and a model on the host: model.on_host()"
                raise TypeError(msg)
            result = self._of_patterns(values)
        else:
            result = self._log_densities(values, self.normal)
        if not single:
            return with_index("x", result, x) if boolean("keep_index", keep_index) else result
        return result[0] if on_jax(result) else float(result[0])

    def _log_densities(self, values: Any, normal: NormalParameters) -> Any:
        """Log-densities of complete rows under this law of Y and a normal part."""
        if on_jax(values, *normal, *self.subordinator.gig):
            return get_functions().log_prob(values, normal, self.subordinator.gig)
        backend = get_backend()
        return backend.log_prob(backend.place(values), normal, self.subordinator.gig)

    def _of_patterns(self, values: FloatArray) -> FloatArray:
        """Log-densities of the values that rows have, 0 of those without."""
        result = np.zeros(len(values))
        for columns, rows in patterns_of(values):
            if columns.size:
                normal = selected(self.normal, columns)
                result[rows] = self._log_densities(values_of(values, columns, rows), normal)
        return result

    def pdf(self, x: Any, *, missing: str = "raise", keep_index: bool = False) -> Any:
        """Density of the mixture: exp of `log_prob`.

        Parameters
        ----------
        x : (d,) or (n, d) array_like
            A point or n points, as for `log_prob`.
        missing, keep_index
            As for `log_prob`.

        Returns
        -------
        float or (n,) array
            Densities; inf where the density is infinite.

        Raises
        ------
        TypeError, ValueError
            As of `log_prob`.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> round(model.pdf([0.0, 1.0]), 6)
        0.158594
        """
        log_density = self.log_prob(x, missing=missing, keep_index=keep_index)
        density = namespace(log_density).exp(log_density)
        if on_jax(density):
            return density
        return float(density) if np.ndim(density) == 0 else density

    def marginal_log_likelihood(self, X: Any, *, missing: str = "raise") -> float:
        """Mean log-density over the rows of X.

        Parameters
        ----------
        X : (n, d) array_like
            Observations.
        missing : {"raise", "em"}
            As for `log_prob`.

        Returns
        -------
        float
            Mean of ``log_prob(X)``.

        Raises
        ------
        TypeError, ValueError
            If X is not (n, d) finite real numbers, or has other columns than the model.

        Examples
        --------
        >>> from nvmix import MultivariateNormal
        >>> model = MultivariateNormal.from_classical(mu=[0.0], sigma=[[1.0]])
        >>> round(model.marginal_log_likelihood([[-1.0], [0.0], [1.0]]), 6)
        -1.252272
        """
        one_of("missing", missing, MISSING)
        values = observations(X, self.d, self.columns, missing).values
        mean = self.log_prob(values, missing=missing).mean()
        return mean if on_jax(mean) else float(mean)
