"""Chunks that this process reads ahead of the one that it works on."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import numpy as np

from nvmix._columns import column_names, same_columns
from nvmix._exceptions import ReadError
from nvmix._observations import chunk_values, chunk_weights
from nvmix._sums import PairwiseSum
from nvmix.sources._protocol import Chunk
from nvmix.sources._readers import AHEAD, table_values

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from nvmix._typing import FloatArray

S = TypeVar("S")
T = TypeVar("T")

_END: Final = object()


@dataclass
class Stream:
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
        Whether an array is left as it is until `AHEAD` more are asked for; else it is copied.
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

    def fold(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Sum of a function of each chunk; see `Source.fold`."""
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
        return _ahead(self._chunks())

    def _chunks(self) -> Iterator[Chunk]:
        """Validated chunks that have rows."""
        first, d = 0, self.d
        for number, raw in enumerate(self._read()):
            values, weights = raw if isinstance(raw, tuple) and len(raw) == 2 else (raw, None)
            name = f"chunk {number} of {self.name}"
            names = column_names(values)
            if type(values).__module__.partition(".")[0] == "pyarrow":
                names, values = tuple(map(str, values.schema.names)), table_values(values)
            self.columns = self.columns or names
            same_columns(name, names, self.columns)
            rows = chunk_values(name, values, d)
            if not self.lasting and np.may_share_memory(rows, values):
                rows = rows.copy()
            m, d = rows.shape
            omega = self._weights_of(name, first, m, weights)
            if m:
                yield Chunk(rows, omega, first, number)
            first += m
        if self.weights is not None and first != len(self.weights):
            self._refuse_weights()

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


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Items of an iterator, `AHEAD` of which a thread reads while one is worked on."""
    # One is in the queue and one in the reader's hands.
    ready: Queue[tuple[Any, BaseException | None]] = Queue(AHEAD - 1)
    gone = threading.Event()

    def read() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                ready.put((item, None))
                if gone.is_set():
                    return
        # It is raised where the items are asked for.
        except BaseException as caught:  # noqa: BLE001
            error = caught
        ready.put((_END, error))

    # A daemon: neither an interrupted fit nor the interpreter's end waits for what is being read.
    threading.Thread(target=read, name="nvmix-reader", daemon=True).start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        gone.set()
        with suppress(Empty):
            ready.get_nowait()
