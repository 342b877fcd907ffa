"""Batches of rows in random order, and the generator that a key stands for."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.exceptions import CheckpointError
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import generator
from nvmix.sources.observations import finite_rows
from nvmix.sources.source import ArraySource, Chunk, Source


class BatchCursor(NamedTuple):
    """Position of a sampler of batches: the pass, and how many of its batches are drawn.

    Attributes
    ----------
    rng : str
        State of the generator before the pass.
    rest : array or None
        What the pass before has left over: numbers of rows in memory, or rows; None is nothing.
    taken : int
        Batches of the pass.
    n_rows : float
        Rows of a pass; nan where that is not known.
    last : (m, d) array
        The last batch, by which the rows are recognised.
    """

    rng: str
    rest: Any
    taken: int
    n_rows: float
    last: FloatArray


@dataclass
class Batches:
    """Endless batches of equal size, in which each pass has every row once (reshuffling).

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

    """

    source: Source
    size: int
    rng: np.random.Generator
    n_rows: float = field(default=math.nan, init=False)
    _begun: tuple[str, Any] = field(default=("", None), init=False)
    _taken: int = field(default=0, init=False)
    _last: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Count rows in memory; of others a whole pass tells, and before it `n_rows` is nan."""
        if isinstance(self.source, ArraySource):
            self.n_rows = float(len(self.source.values))

    def __iter__(self) -> Iterator[FloatArray]:
        """(min(size, n), d) arrays, copied."""
        return self.after(None)

    def cursor(self) -> BatchCursor:
        """Position after the last batch, from which a sampler of the same rows can go on."""
        return BatchCursor(*self._begun, self._taken, self.n_rows, self._last)

    def after(self, cursor: BatchCursor | None) -> Generator[FloatArray, None, None]:
        """The batches that follow on a cursor, None before the first, to the same bits.

        Those of its pass that came before it are drawn again. CheckpointError if there are other
        rows, as far as their number and the last batch show, or the generator is of another kind.
        """
        if cursor is None:
            return self._drawn(None)
        try:
            self.rng.bit_generator.state = json.loads(cursor.rng)
        except (TypeError, ValueError) as error:
            kind = type(self.rng.bit_generator).__name__
            msg = f"checkpoint is of a fit by another generator than key, a {kind}"
            raise CheckpointError(msg) from error
        same = math.isnan(self.n_rows) or self.n_rows == cursor.n_rows
        if same:
            self.n_rows, drawn = cursor.n_rows, self._drawn(cursor.rest)
            for _ in range(cursor.taken):
                next(drawn)
            same = np.array_equal(self._last, cursor.last)
        if not same:
            msg = (
                "checkpoint is of a fit to other rows, or to rows in other chunks, than those of "
                f"{self.source}"
            )
            raise CheckpointError(msg)
        return drawn

    def _drawn(self, rest: Any) -> Generator[FloatArray, None, None]:
        """Batches of pass after pass, the first of which begins with what is left over."""
        source = self.source
        while True:
            self._begun, self._taken = (state_of_generator(self.rng), rest), 0
            if isinstance(source, ArraySource):
                rest = yield from self._of_array(source.values, rest)
            else:
                rest = yield from self._of_chunks(rest)

    def _of_array(self, X: FloatArray, rest: Any) -> Generator[FloatArray, None, Any]:
        """Batches of one pass over rows in memory; numbers of those that are left over."""
        size, order = min(self.size, len(X)), self.rng.permutation(len(X))
        order = order if rest is None else np.concatenate([rest, order])
        end = len(order) - len(order) % size
        for first in range(0, end, size):
            yield self._drawn_batch(X[order[first : first + size]])
        return order[end:]

    def _of_chunks(self, rest: Any) -> Generator[FloatArray, None, Any]:
        """Batches of one pass over rows that are read chunk by chunk; those left over."""
        count, found = 0, False
        with closing(self.source.chunks()) as chunks:
            for chunk in chunks:
                rows = _validated(chunk)[self.rng.permutation(len(chunk.values))]
                count += len(rows)
                rows = rows if rest is None else np.concatenate([rest, rows])
                end = len(rows) - len(rows) % self.size
                for first in range(0, end, self.size):
                    found = True
                    yield self._drawn_batch(rows[first : first + self.size])
                rest = rows[end:]
        if rest is None and math.isnan(self.n_rows):
            msg = f"X must not be empty, got no rows from {self.source}"
            raise ValueError(msg)
        check_same_rows(self.n_rows, count, self.source)
        self.n_rows = float(count)
        if not found and rest is not None:
            yield self._drawn_batch(rest)
            rest = None
        return rest

    def _drawn_batch(self, batch: FloatArray) -> FloatArray:
        """Note the batch for the cursor, and return it."""
        self._last, self._taken = batch, self._taken + 1
        return batch


def check_same_rows(here: float, there: float, source: Source) -> None:
    """Raise ValueError if two passes had different numbers of rows; nan is unknown."""
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


def state_of_generator(rng: np.random.Generator) -> str:
    """JSON text of the state of a generator, which its bit generator can be set to."""
    return json.dumps(rng.bit_generator.state, default=np.ndarray.tolist)


def generator_of_key(key: Any) -> np.random.Generator:
    """Random generator that a key stands for: an integer, a Generator, a key of JAX, or None.

    A JAX key, typed or of uint32, seeds by its data. TypeError or ValueError if key is none of
    these, an array of keys, or traced by JAX.
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
