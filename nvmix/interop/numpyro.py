"""A model as a distribution of numpyro."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import numpy as np
from jax import numpy as jnp
from numpyro.distributions import Distribution, constraints

from nvmix.mixture.em_maps import Mixture, check_mixture


class MixtureDistribution(Distribution):  # type: ignore[misc]
    """Law of a model, whose parameters JAX may trace, as a distribution of numpyro.

    Parameters
    ----------
    model : NormalMixture
        The model, such as ``NormalInverseGaussian.from_classical(...)`` of random parameters.
    validate_args : bool or None
        As in numpyro.

    Raises
    ------
    TypeError
        If model is not a model.

    Notes
    -----
    Its events are rows of d numbers, also where d = 1. `log_prob` has derivatives in x and in all
    parameters. `sample` draws by NumPy on the host.

    Examples
    --------
    >>> import jax
    >>> from nvmix import VarianceGamma
    >>> from nvmix.interop import MixtureDistribution
    >>> model = VarianceGamma.from_classical(
    ...     mu=[0.0, 1.0], gamma=[0.1, 0.0], sigma=[[1.0, 0.5], [0.5, 1.0]], alpha=2.0, beta=2.0)
    >>> MixtureDistribution(model).sample(jax.random.key(0), (3,)).shape
    (3, 2)
    """

    support = constraints.real_vector
    arg_constraints: ClassVar[dict[str, Any]] = {}
    pytree_data_fields = ("model",)

    def __init__(self, model: Mixture, *, validate_args: bool | None = None) -> None:
        check_mixture("model", model)
        self.model = model
        super().__init__((), (model.d,), validate_args=validate_args)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:  # noqa: ARG002
        """Log-densities (...) of rows in an array (..., d); intermediates are not used."""
        rows = jnp.reshape(value, (-1, *self.event_shape))
        return self.model.log_prob(rows).reshape(jnp.shape(value)[:-1])

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        r"""Draw rows, by NumPy on the host, also under a JAX trace.

        Parameters
        ----------
        key : JAX key
            Source of randomness.
        sample_shape : tuple of int
            Shape of the draws.

        Returns
        -------
        (\*sample_shape, d) array
            Independent rows.

        Examples
        --------
        >>> import jax
        >>> from nvmix import StudentT
        >>> from nvmix.interop import MixtureDistribution
        >>> law = MixtureDistribution(StudentT.from_classical(mu=0.0, sigma=1.0, df=4.0))
        >>> law.sample(jax.random.key(0), (2, 3)).shape
        (2, 3, 1)
        """
        shape = (*sample_shape, *self.event_shape)

        def draw(model: Any, words: Any) -> Any:
            rng = np.random.default_rng(np.asarray(words).tolist())
            return model.on_host().rvs(math.prod(sample_shape), rng).reshape(shape)

        result = jax.ShapeDtypeStruct(shape, jnp.result_type(float))
        words = jax.random.bits(key, (4,), "uint32")
        return jax.pure_callback(draw, result, self.model, words, vmap_method="sequential")

    @property
    def mean(self) -> Any:
        """Mean, (d,)."""
        return self.model.mean()

    @property
    def variance(self) -> Any:
        """Variances of the columns, (d,)."""
        return self.model.var()
