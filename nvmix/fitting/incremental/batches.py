"""Batches of rows in random order, and conversion of a key to a random generator."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nvmix.fitting.checkpoints.contents import array_from, count_from, number_from
from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.exceptions import CheckpointError
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import generator
from nvmix.sources.observations import finite_rows
from nvmix.sources.source import ArraySource, Chunk, Source


class Position(NamedTuple):
    """After how many batches of a pass a fit goes on, and how that pass began."""

    rng: dict[str, Any]  # state of the generator
    rest: Any  # what the pass before had left over
    taken: int
    n_rows: float  # of a pass; nan where it is not known
    last: FloatArray  # batch

    @classmethod
    def of(cls, contents: dict[str, Any], d: int) -> Position:
        """The position in a checkpoint's contents."""
        rest, n_rows = contents.get("cursor.rest"), number_from(contents, "cursor.n_rows")
        if n_rows < 1.0 or math.isinf(n_rows) or not isinstance(rest, np.ndarray | None):
            msg = f"a pass must have rows, got {n_rows} and {rest!r} left over"
            raise ValueError(msg)
        rng, taken = json.loads(contents["cursor.rng"]), count_from(contents, "cursor.taken", 1)
        return cls(rng, rest, taken, n_rows, array_from(contents, "cursor.last", None, d))


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

    def after(self, position: Position | None) -> Generator[FloatArray, None, None]:
        """The batches after a position, or all for None, to the same bits.

        Its pass is drawn again from the beginning. CheckpointError if the number of rows or the
        last batch differs, or the generator is of another kind.
        """
        if position is None:
            return self._drawn(None)
        try:
            self.rng.bit_generator.state = position.rng
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            kind = type(self.rng.bit_generator).__name__
            msg = f"checkpoint is of a fit by another generator than key, a {kind}"
            raise CheckpointError(msg) from error
        d = position.last.shape[1]
        same = self._fits(position.rest, d) and (
            math.isnan(self.n_rows) or self.n_rows == position.n_rows
        )
        if same:
            self.n_rows, drawn, n = position.n_rows, self._drawn(position.rest), 0
            # In its pass batches are counted from 1.
            while n < position.taken and self._taken == n:
                next(drawn)
                n += 1
            same = self._taken == n and np.array_equal(self._last, position.last)
        if not same:
            msg = (
                "checkpoint is of a fit to other rows, or to rows in other chunks, than those of "
                f"{self.source}"
            )
            raise CheckpointError(msg)
        return drawn

    def _fits(self, rest: Any, d: int) -> bool:
        """Whether a pass may have left this over: numbers of rows in memory, or rows."""
        if rest is None:
            return True
        if not isinstance(self.source, ArraySource):
            rows = rest.ndim == 2 and rest.shape[1] == d and rest.dtype == np.float64
            return bool(rows and len(rest) < self.size and np.isfinite(rest).all())
        numbers = rest.ndim == 1 and rest.dtype == np.int64 and len(rest) < self.size
        return bool(numbers and ((rest >= 0) & (rest < self.n_rows)).all())

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
