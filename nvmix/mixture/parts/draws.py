"""Draws of X: of Y by its own law, then of the normal distribution given Y."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np

from nvmix.foundation.arrays import traced
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import boolean, generator, integer
from nvmix.mixture.subordinator import Subordinator
from nvmix.sources.frames import data_frame

Seed: TypeAlias = int | np.random.Generator | np.random.RandomState | None


class Draws(ABC):
    """Sampling of a mixture with these attributes."""

    mu: FloatArray
    gamma: FloatArray
    L_sigma: FloatArray
    subordinator: Subordinator
    columns: Columns

    @property
    @abstractmethod
    def d(self) -> int:
        """Number of columns."""

    def rvs(
        self,
        n: int | None = None,
        seed: Seed = None,
        *,
        size: int | tuple[int, ...] | None = None,
        random_state: Seed = None,
        return_mixing: bool = False,
        as_frame: bool = False,
    ) -> Any:
        """Draw observations.

        Parameters
        ----------
        n : int
            How many, at least 0.
        seed : int, numpy.random.Generator, numpy.random.RandomState or None
            Source of randomness; the same seed gives the same bits.
        size : int or tuple of int
            In the place of n, as in SciPy: how many, or their shape.
        random_state : int, numpy.random.Generator, numpy.random.RandomState or None
            In the place of seed, as in SciPy.
        return_mixing : bool
            Whether to return the values of Y as well.
        as_frame : bool
            Whether rows are in a DataFrame of pandas, with the names of the model's columns.

        Returns
        -------
        (n, d) array, or tuple of (n, d) and (n,) arrays
            Independent rows, in one column too; with return_mixing, these and Y of each. Where size
            is a tuple, it stands in the place of n.

        Raises
        ------
        TypeError, ValueError
            If n, size or seed is outside its domain, both or neither of n and size are given, or
            JAX traces the model.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> model = NormalInverseGaussian.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
        >>> model.rvs(1000, seed=0).shape
        (1000, 2)
        >>> X, Y = model.rvs(1000, seed=0, return_mixing=True)
        >>> bool(abs(Y.mean() - 1.0) < 0.1)
        True
        """
        if traced(self.mu, self.gamma, self.L_sigma, *self.subordinator.gig):
            msg = "rvs draws by NumPy and does not run under a JAX trace"
            raise TypeError(msg)
        if (n is None) == (size is None) or (seed is not None and random_state is not None):
            msg = "rvs takes one of n and size, and one of seed and random_state"
            raise TypeError(msg)
        if random_state is not None:
            rng = generator(random_state, "random_state")
        else:
            rng = generator(seed)
        if isinstance(size, tuple):
            shape = tuple(integer("size", length, 0) for length in size)
        else:
            shape = (integer("n", n, 0) if size is None else integer("size", size, 0),)
        n = math.prod(shape)
        y = self.subordinator.rvs(n, rng)[:, None]
        noise = rng.standard_normal((n, self.d)) @ self.L_sigma.T
        rows = (self.mu + y * self.gamma + np.sqrt(y) * noise).reshape(*shape, self.d)
        rows = data_frame(rows, self.columns) if boolean("as_frame", as_frame) else rows
        return (rows, y.reshape(shape)) if boolean("return_mixing", return_mixing) else rows
