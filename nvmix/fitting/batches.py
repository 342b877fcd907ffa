"""Batches of rows in random order, and the generator that a key stands for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix._arrays import on_jax, traced
from nvmix._validation import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nvmix._typing import FloatArray


def batches(X: FloatArray, size: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Endless batches of equal size, in which each pass meets every row once (reshuffling).

    What a pass leaves over, less than a batch, begins the first batch of the next.

    Parameters
    ----------
    X : (n, d) array
        Rows.
    size : int
        Rows of a batch; all of X if it has fewer.
    rng : numpy.random.Generator
        Source of the permutations, one for each pass.

    Yields
    ------
    (min(size, n), d) array
        A copy of rows.

    References
    ----------
    M. Gürbüzbalaban, A. Ozdaglar and P. A. Parrilo, Why random reshuffling beats stochastic
    gradient descent, Mathematical Programming 186 (2021), 49-84.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix.fitting.batches import batches
    >>> source = batches(np.arange(6.0)[:, None], 3, np.random.default_rng(0))
    >>> sorted(x for _ in range(2) for x in next(source).ravel().tolist())
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    size = min(size, len(X))
    rest = np.empty(0, np.intp)
    while True:
        order = np.concatenate([rest, rng.permutation(len(X))])
        whole = len(order) - len(order) % size
        for first in range(0, whole, size):
            yield X[order[first : first + size]]
        rest = order[whole:]


def generator_of_key(key: Any) -> np.random.Generator:
    """Random generator that a key stands for.

    Parameters
    ----------
    key : int, numpy.random.Generator, JAX key or None
        A JAX key, typed or of uint32, seeds by its data; None is unpredictable.

    Returns
    -------
    numpy.random.Generator
        The same stream for the same key.

    Raises
    ------
    TypeError, ValueError
        If key is none of these, an array of keys, or traced by JAX.

    Examples
    --------
    >>> from nvmix.fitting.batches import generator_of_key
    >>> bool(generator_of_key(3).random() == generator_of_key(3).random())
    True
    """
    if not on_jax(key):
        return generator(key, "key")
    if traced(key):
        msg = "key must be concrete, got one that JAX traces"
        raise TypeError(msg)
    jax = sys.modules["jax"]
    typed = jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
    data = np.asarray(jax.random.key_data(key) if typed else key)
    if key.ndim != (0 if typed else 1) or data.dtype != np.uint32:
        msg = f"key must be one key of JAX, got {data.dtype} data of shape {data.shape}"
        raise ValueError(msg)
    return np.random.default_rng(data.tolist())
