"""Batches of rows in random order, and the generator that a key stands for."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix._arrays import on_jax, traced
from nvmix._validation import finite_rows, generator
from nvmix.sources import Whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nvmix._typing import FloatArray
    from nvmix.sources import Chunk, Source


@dataclass
class Batches:
    """Endless batches of equal size, in which each pass meets every row once (reshuffling).

    Rows in memory come in a new random order in each pass; those of a source chunk by chunk, in
    random order within each. What a pass, or a chunk, leaves over begins the next batch.

    Parameters
    ----------
    source : Source
        Rows.
    size : int
        Rows of a batch; all rows if there are fewer.
    rng : numpy.random.Generator
        Source of the orders.

    References
    ----------
    M. Gürbüzbalaban, A. Ozdaglar and P. A. Parrilo, Why random reshuffling beats stochastic
    gradient descent, Mathematical Programming 186 (2021), 49-84.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix.fitting.batches import Batches
    >>> from nvmix.sources import Whole
    >>> source = iter(Batches(Whole(np.arange(6.0)[:, None]), 3, np.random.default_rng(0)))
    >>> sorted(x for _ in range(2) for x in next(source).ravel().tolist())
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """

    source: Source
    size: int
    rng: np.random.Generator
    n_rows: float = field(default=math.nan, init=False)

    def __post_init__(self) -> None:
        """Count rows in memory; of others a whole pass tells, and before it `n_rows` is nan."""
        if isinstance(self.source, Whole):
            self.n_rows = float(len(self.source.values))

    def __iter__(self) -> Iterator[FloatArray]:
        """(min(size, n), d) arrays, copied."""
        if isinstance(self.source, Whole):
            return self._of_array(self.source.values)
        return self._of_chunks()

    def _of_array(self, X: FloatArray) -> Iterator[FloatArray]:
        """Batches of rows in memory."""
        size, rest = min(self.size, len(X)), np.empty(0, np.intp)
        while True:
            order = np.concatenate([rest, self.rng.permutation(len(X))])
            whole = len(order) - len(order) % size
            for first in range(0, whole, size):
                yield X[order[first : first + size]]
            rest = order[whole:]

    def _of_chunks(self) -> Iterator[FloatArray]:
        """Batches of rows that are read chunk by chunk."""
        rest: FloatArray | None = None
        while True:
            count, found = 0, False
            for chunk in self.source.chunks():
                rows = _validated(chunk)[self.rng.permutation(len(chunk.values))]
                count += len(rows)
                rows = rows if rest is None else np.concatenate([rest, rows])
                whole = len(rows) - len(rows) % self.size
                for first in range(0, whole, self.size):
                    found = True
                    yield rows[first : first + self.size]
                rest = rows[whole:]
            if rest is None and math.isnan(self.n_rows):
                msg = f"X must not be empty, got no rows from {self.source}"
                raise ValueError(msg)
            check_same_rows(self.n_rows, count, self.source)
            self.n_rows = float(count)
            if not found and rest is not None:
                yield rest
                rest = None


def check_same_rows(here: float, there: float, source: Source) -> None:
    """Check that two passes over a source met as many rows.

    Parameters
    ----------
    here, there : float
        How many each met; nan where that is not known.
    source : Source
        The rows.

    Raises
    ------
    ValueError
        If these are two different numbers.
    """
    if here != there and not math.isnan(here) and not math.isnan(there):
        msg = (
            f"X must have the same rows in each pass, got {here:.0f} and {there:.0f} from {source}"
            "; a verbose fit makes passes of its own while batches are read"
        )
        raise ValueError(msg)


def _validated(chunk: Chunk) -> FloatArray:
    """Finite rows of a chunk without weights."""
    if chunk.weights is not None:
        msg = "X must have no weights in incremental fits, got some with its chunks"
        raise ValueError(msg)
    finite_rows(chunk.values, "raise", chunk.first, chunk.number)
    rows: FloatArray = chunk.values
    return rows


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
