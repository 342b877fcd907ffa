"""Chunks that this process reads ahead of the one that it works on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from nvmix.foundation.exceptions import ReadError
from nvmix.foundation.pairwise_sum import PairwiseSum
from nvmix.foundation.typing import FloatArray
from nvmix.sources.columns import column_names, same_columns
from nvmix.sources.observations import chunk_values, chunk_weights
from nvmix.sources.prefetch import prefetch
from nvmix.sources.readers import arrow_names, table_values
from nvmix.sources.source import Chunk

S = TypeVar("S")


@dataclass
class ChunkedSource:
    """Rows from a function that reads them anew for each pass.

    Parameters
    ----------
    read : callable
        Returns an iterable of (m, d) arrays, or of pairs of them with (m,) weights, in a thread
        that reads ahead.
    d : int or None
        Columns there must be; None is those of the first chunk.
    columns : tuple of str or None
        Their names; None is those of the first chunk.
    missing : {"raise", "em"}
        Whether nan is refused or stands for a missing value.
    weights : (n,) array or None
        Weights of all rows.
    name : str
        What messages call it.
    lasting : bool
        Whether an array is left as it is until two more are asked for; else it is copied.
    """

    read: Callable[[], Iterable[Any]]
    d: int | None
    columns: tuple[str, ...] | None
    missing: str
    weights: FloatArray | None
    name: str
    lasting: bool = False

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Sum of a function of each chunk; see `Source.reduce`."""
        total, count = PairwiseSum(add), 0
        with closing(self.chunks()) as chunks:
            for chunk in chunks:
                total.push(count, function(chunk))
                count += 1
        if count == 0:
            msg = f"X must not be empty, got no rows from {self.name}; each pass reads it anew"
            raise ValueError(msg)
        return total.total()

    def chunks(self) -> Generator[Chunk, None, None]:
        """The chunks of one pass, in order; see `Source.chunks`."""
        return prefetch(self._chunks())

    def close(self) -> None:
        """Each pass closes what it has opened."""

    def _chunks(self) -> Generator[Chunk, None, None]:
        """Validated chunks that have rows."""
        first, d = 0, self.d
        for number, raw in enumerate(self._read()):
            values, weights = raw if isinstance(raw, tuple) and len(raw) == 2 else (raw, None)
            name = f"chunk {number} of {self.name}"
            rows = self._rows(name, values, d)
            m, d = len(rows), rows.shape[1] if rows.size else d
            omega = self._weights_of(name, first, m, weights)
            if m:
                yield Chunk(rows, omega, first, number)
            first += m
        if self.weights is not None and first != len(self.weights):
            self._refuse_weights()

    def _rows(self, name: str, values: Any, d: int | None) -> FloatArray:
        """(m, d) rows of a chunk, of which the reader keeps nothing that it may fill anew."""
        names, fresh = column_names(values), self.lasting
        if type(values).__module__.partition(".")[0] == "pyarrow":
            names, fresh = arrow_names(values.schema), True
            values = table_values(values, names)
        self.columns = self.columns or names
        same_columns(name, names, self.columns)
        rows = chunk_values(name, values, d)
        viewed = rows is values or rows.base is not None
        return rows.copy() if viewed and not fresh else rows

    def _read(self) -> Iterator[Any]:
        """What is read; an error names the chunk."""
        number = 0
        try:
            chunks = self.read()
            if hasattr(chunks, "__array__"):
                chunks = [chunks]
            for raw in chunks:
                yield raw
                number += 1
        except MemoryError:
            raise
        # Whatever else a reader raises is raised again, with the chunk's number.
        except Exception as error:
            msg = f"chunk {number} of {self.name} could not be read: {error!r}"
            raise ReadError(msg) from error

    def _weights_of(self, name: str, first: int, m: int, own: Any) -> FloatArray | None:
        """Weights of the m rows of a chunk."""
        if self.weights is None:
            return None if own is None else chunk_weights(f"weights of {name}", own, m).copy()
        if own is not None:
            msg = f"weights must be given once, got them with X and with {name}"
            raise ValueError(msg)
        if first + m > len(self.weights):
            self._refuse_weights()
        return self.weights[first : first + m]

    def _refuse_weights(self) -> NoReturn:
        """Raise ValueError: there are not as many weights as rows."""
        count = 0 if self.weights is None else len(self.weights)
        msg = f"weights must have shape (n,), one for each row of X, got ({count},)"
        raise ValueError(msg)
