"""Source of chunks that a function reads in this process, with prefetch."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from nvmix.foundation.exceptions import ReadError, warn_user
from nvmix.foundation.pairwise_sum import PairwiseSum
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.sources.frames import column_names, same_columns
from nvmix.sources.observations import chunk_values, chunk_weights
from nvmix.sources.prefetch import prefetch
from nvmix.sources.readers import arrow_names, table_values
from nvmix.sources.source import Chunk

S = TypeVar("S")


@dataclass
class ChunkedSource:
    """Rows that a function reads anew in each pass.

    `read` returns an iterable of chunks: (m, d) arrays, or pairs of them and (m,) weights. It is
    called and iterated in the prefetch thread. `stable` says whether an array of the reader keeps
    its values while the next two are read. Arrays of other readers, which may use one buffer for
    all chunks, are copied.
    """

    read: Callable[[], Iterable[Any]]
    d: int | None  # None takes the number of columns of the first chunk
    columns: Columns  # None takes those of the first chunk
    missing: str
    weights: FloatArray | None  # (n,), of all rows
    name: str  # in error messages
    stable: bool = False
    # The first row without any value, which missing "em" passes over; whether a warning said so.
    first_empty: int | None = None
    warned: bool = False

    def __str__(self) -> str:
        """Name of the source in error messages."""
        return self.name

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Apply a function to every chunk, and add the results; see `Source.reduce`."""
        total = PairwiseSum(add)
        with closing(self.chunks()) as chunks:
            for number, chunk in enumerate(chunks):
                total.push(number, function(chunk))
        if not total.parts:
            msg = f"X must not be empty, got no rows from {self.name}; each pass reads it anew"
            raise ValueError(msg)
        if self.first_empty is not None and not self.warned:
            self.warned = True
            warn_user(
                f"{self.name}: rows of missing values only, the first row {self.first_empty}, are "
                "passed over"
            )
        return total.total()

    def chunks(self) -> Generator[Chunk, None, None]:
        """The chunks of one pass, in order, prefetched; see `Source.chunks`."""
        return prefetch(self._chunks())

    def close(self) -> None:
        """Nothing to release: each pass closes the files that it opens."""

    def _chunks(self) -> Generator[Chunk, None, None]:
        """Validated chunks of one pass, without those that have no rows."""
        n_read, end, d, all_weights = 0, 0, self.d, self.weights
        for number, raw in enumerate(self._read()):
            values, weights = raw if isinstance(raw, tuple) and len(raw) == 2 else (raw, None)
            name = f"chunk {number} of {self.name}"
            rows = self._rows(name, values, d)
            d = rows.shape[1] if rows.size else d
            begin, n_read = n_read, n_read + len(rows)
            if weights is not None:
                if all_weights is not None:
                    msg = f"weights must be given once, got them with X and with {name}"
                    raise ValueError(msg)
                weights = chunk_weights(f"weights of {name}", weights, len(rows)).copy()
            elif all_weights is not None:
                if n_read > len(all_weights):
                    break
                weights = all_weights[begin:n_read]
            places = None
            if self.missing == "em":
                empty = np.isnan(rows).all(axis=1)
                if empty.any():
                    if self.first_empty is None:
                        self.first_empty = begin + int(empty.argmax())
                    rows, weights = rows[~empty], None if weights is None else weights[~empty]
                places = begin + np.flatnonzero(~empty)
            first, end = end, end + len(rows)
            if len(rows):
                yield Chunk(rows, weights, first, number, places)
        if all_weights is not None and n_read != len(all_weights):
            msg = f"weights must have shape (n,), one for each row of X, got ({len(all_weights)},)"
            raise ValueError(msg)

    def _rows(self, name: str, values: Any, d: int | None) -> FloatArray:
        """Rows (m, d) of a chunk, copied if the reader may overwrite them before they are used."""
        names, stable = column_names(values), self.stable
        if type(values).__module__.partition(".")[0] == "pyarrow":
            names, stable = arrow_names(values.schema), True
            values = table_values(values, names)
        self.columns = self.columns or names
        same_columns(name, names, self.columns)
        rows = chunk_values(name, values, d)
        may_be_view = rows is values or rows.base is not None
        return rows.copy() if may_be_view and not stable else rows

    def _read(self) -> Iterator[Any]:
        """Chunks as the reader gives them; ReadError, which names the chunk, if it fails."""
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
        # A reader is a user's function: it may raise any exception.
        except Exception as error:
            msg = f"chunk {number} of {self.name} could not be read: {error!r}"
            raise ReadError(msg) from error
