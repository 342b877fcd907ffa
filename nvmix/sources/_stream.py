"""Chunks that this process reads, one while it works on the one before."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from nvmix._exceptions import ReadError
from nvmix._sums import PairwiseSum
from nvmix._validation import chunk_values, chunk_weights
from nvmix.sources._protocol import Chunk
from nvmix.sources._readers import AHEAD, table_values

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from nvmix._typing import FloatArray

S = TypeVar("S")
T = TypeVar("T")

_END: Final = object()


@dataclass(frozen=True)
class Stream:
    """Rows from a function that reads them anew for each pass.

    Parameters
    ----------
    read : callable
        Returns an iterable of (m, d) arrays, or of pairs of them with (m,) weights. An array is
        in use until `AHEAD` more are asked for.
    d : int or None
        Columns there must be; None is those of the first chunk.
    columns : tuple of str or None
        Their names.
    missing : {"raise", "em"}
        Whether nan is refused or stands for a missing value.
    weights : (n,) array or None
        Weights of all rows.
    name : str
        What messages call it.
    """

    read: Callable[[], Iterable[Any]]
    d: int | None
    columns: tuple[str, ...] | None
    missing: str
    weights: FloatArray | None
    name: str

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def fold(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Sum of a function of each chunk; see `Source.fold`."""
        total = PairwiseSum(add)
        with closing(self.chunks()) as chunks:
            for chunk in chunks:
                total.push(function(chunk))
        result = total.total()
        if result is None:
            msg = f"X must not be empty, got no rows from {self.name}; each pass reads it anew"
            raise ValueError(msg)
        return result

    def chunks(self) -> Generator[Chunk, None, None]:
        """The chunks of one pass, in order; see `Source.chunks`."""
        return _ahead(self._chunks())

    def _chunks(self) -> Iterator[Chunk]:
        """Validated chunks that have rows."""
        first, d = 0, self.d
        for number, raw in enumerate(self._read()):
            values, weights = raw if isinstance(raw, tuple) and len(raw) == 2 else (raw, None)
            name = f"chunk {number} of {self.name}"
            table = table_values(values) if hasattr(values, "schema") else values
            rows = chunk_values(name, table, d, self.columns)
            m, d = rows.shape
            omega = None if weights is None else chunk_weights(f"weights of {name}", weights, m)
            if self.weights is not None:
                omega = self._weights_of(first, m)
            if m:
                yield Chunk(rows, omega, first, number)
            first += m
        if self.weights is not None and first != len(self.weights):
            self._weights_of(first, 0)

    def _read(self) -> Iterator[Any]:
        """What is read; an error names the chunk."""
        number = 0
        try:
            for raw in self.read():
                yield raw
                number += 1
        except MemoryError:
            raise
        # Whatever else a reader raises is raised again, with the chunk's number.
        except Exception as error:
            msg = f"chunk {number} of {self.name} could not be read: {error!r}"
            raise ReadError(msg) from error

    def _weights_of(self, first: int, m: int) -> FloatArray:
        """Weights of m rows; ValueError if there are not as many weights as rows."""
        weights = self.weights
        if weights is None or first + m > len(weights) or (m == 0 and first != len(weights)):
            count = 0 if weights is None else len(weights)
            msg = f"weights must have shape (n,), one for each row of X, got ({count},)"
            raise ValueError(msg)
        return weights[first : first + m]


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Items of an iterator, two of which a thread reads while one is worked on."""
    reader = ThreadPoolExecutor(1, "nvmix-reader")
    try:
        pending = deque(reader.submit(next, items, _END) for _ in range(AHEAD))
        while (item := pending.popleft().result()) is not _END:
            pending.append(reader.submit(next, items, _END))
            yield item  # type: ignore[misc]
    finally:
        # An interrupt does not wait for a chunk that is being read.
        reader.shutdown(wait=False, cancel_futures=True)
