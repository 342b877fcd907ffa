"""Batches of rows in random order, and conversion of a key to a random generator."""

import json
import math
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.exceptions import CheckpointError
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import generator
from nvmix.sources.observations import finite_rows
from nvmix.sources.source import ArraySource, Chunk, Source


@dataclass
class Batches:
    """Endless batches of `size` rows, in which each pass has every row once (reshuffling).

    Each pass over rows in memory has a new random order. A source is read chunk by chunk, with a
    random order within each chunk. Rows left over by a pass or a chunk begin the next batch. If
    there are fewer rows than `size`, a batch has all of them.

    References
    ----------
    M. Gürbüzbalaban, A. Ozdaglar and P. A. Parrilo, Why random reshuffling beats stochastic
    gradient descent, Mathematical Programming 186 (2021), 49-84.
    """

    source: Source
    size: int
    rng: np.random.Generator
    # Rows of a pass; nan before the first complete pass over a source.
    n_rows: float = field(default=math.nan, init=False)
    # State of the generator before this pass, and what the previous one has left over: numbers of
    # rows in memory, or rows of a source, or None.
    _begun: tuple[str, Any] = field(default=("", None), init=False)
    _taken: int = field(default=0, init=False)  # batches of this pass
    _last: Any = field(default=None, init=False)  # the last batch

    def __post_init__(self) -> None:
        """Count rows that are in memory."""
        if isinstance(self.source, ArraySource):
            self.n_rows = float(len(self.source.values))

    def __iter__(self) -> Iterator[FloatArray]:
        """(min(size, n), d) arrays, copied."""
        return self.after(None)

    def contents(self) -> dict[str, Any]:
        """Position after the last batch as contents of a checkpoint, for `after`."""
        rng, rest = self._begun
        names = {"rng": rng, "taken": self._taken, "n_rows": self.n_rows, "last": self._last}
        names |= {} if rest is None else {"rest": rest}
        return {f"cursor.{name}": value for name, value in names.items()}

    def after(self, contents: dict[str, Any] | None) -> Generator[FloatArray, None, None]:
        """The batches after those of a checkpoint, or all for None, to the same bits.

        Its pass is drawn again from the beginning. CheckpointError if the number of rows or the
        last batch differs, or the generator is of another kind; KeyError if something is missing.
        """
        if contents is None:
            return self._drawn(None)
        names = ("rng", "taken", "n_rows", "last")
        rng, taken, n_rows, last = (contents[f"cursor.{name}"] for name in names)
        try:
            self.rng.bit_generator.state = json.loads(rng)
        except (TypeError, ValueError) as error:
            kind = type(self.rng.bit_generator).__name__
            msg = f"checkpoint is of a fit by another generator than key, a {kind}"
            raise CheckpointError(msg) from error
        same = math.isnan(self.n_rows) or self.n_rows == n_rows
        if same:
            self.n_rows, drawn = n_rows, self._drawn(contents.get("cursor.rest"))
            for _ in range(taken):
                next(drawn)
            same = np.array_equal(self._last, last)
        if not same:
            msg = (
                "checkpoint is of a fit to other rows, or to rows in other chunks, than those of "
                f"{self.source}"
            )
            raise CheckpointError(msg)
        return drawn

    def _drawn(self, rest: Any) -> Generator[FloatArray, None, None]:
        """Batches of pass after pass; `rest` of an earlier pass begins the first batch."""
        source = self.source
        while True:
            self._begun, self._taken = (state_of_generator(self.rng), rest), 0
            if isinstance(source, ArraySource):
                rest = yield from self._of_array(source.values, rest)
            else:
                rest = yield from self._of_chunks(rest)

    def _of_array(self, X: FloatArray, rest: Any) -> Generator[FloatArray, None, Any]:
        """Batches of one pass over rows X (n, d) in memory; returns numbers of rows left over."""
        size, order = min(self.size, len(X)), self.rng.permutation(len(X))
        order = order if rest is None else np.concatenate([rest, order])
        end = len(order) - len(order) % size
        for first in range(0, end, size):
            yield self._drawn_batch(X[order[first : first + size]])
        return order[end:]

    def _of_chunks(self, rest: Any) -> Generator[FloatArray, None, Any]:
        """Batches of one pass over a source, chunk by chunk; returns the rows left over."""
        count, has_batch = 0, False
        with closing(self.source.chunks()) as chunks:
            for chunk in chunks:
                _check_chunk(chunk)
                rows = chunk.values[self.rng.permutation(len(chunk.values))]
                count += len(rows)
                rows = rows if rest is None else np.concatenate([rest, rows])
                end = len(rows) - len(rows) % self.size
                for first in range(0, end, self.size):
                    has_batch = True
                    yield self._drawn_batch(rows[first : first + self.size])
                rest = rows[end:]
        if rest is None and math.isnan(self.n_rows):
            msg = f"X must not be empty, got no rows from {self.source}"
            raise ValueError(msg)
        check_same_rows(self.n_rows, count, self.source)
        self.n_rows = float(count)
        if not has_batch and rest is not None:
            yield self._drawn_batch(rest)
            rest = None
        return rest

    def _drawn_batch(self, batch: FloatArray) -> FloatArray:
        """Record a batch for the cursor, and return it."""
        self._last, self._taken = batch, self._taken + 1
        return batch


def check_same_rows(first: float, second: float, source: Source) -> None:
    """Raise ValueError if two passes had different numbers of rows; nan is unknown."""
    if first != second and not math.isnan(first) and not math.isnan(second):
        msg = (
            f"X must have the same rows in each pass, got {first:.0f} and {second:.0f} from "
            f"{source}; a verbose fit makes further passes while batches are read"
        )
        raise ValueError(msg)


def _check_chunk(chunk: Chunk) -> None:
    """Raise ValueError if a chunk has weights, or values that are not finite."""
    if chunk.weights is not None:
        msg = "X must have no weights in incremental fits, got some with its chunks"
        raise ValueError(msg)
    finite_rows(chunk.values, "raise", chunk.first, chunk.number)


def state_of_generator(rng: np.random.Generator) -> str:
    """State of a generator as JSON text; `bit_generator.state` can be set to what it parses to."""
    return json.dumps(rng.bit_generator.state, default=np.ndarray.tolist)


def generator_of_key(key: Any) -> np.random.Generator:
    """Random generator from an integer, a Generator, a JAX key (typed or uint32 data) or None.

    TypeError or ValueError if key is none of these, an array of keys, or traced by JAX.
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
