"""Reading ahead: a thread reads the next items while one is worked on."""

from __future__ import annotations

import atexit
import threading
from contextlib import closing, suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")

# Items that are read ahead of the one in use.
AHEAD: Final = 2
# Seconds that the end of a pass, and of the interpreter, waits for a read that is under way.
_PATIENCE: Final = 5.0
_END: Final = object()


class _Reader(Generic[T]):
    """A thread that reads items into a queue, or why there are no more."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        # One is in the queue and one in the reader's hands.
        self.ready: Queue[tuple[Any, BaseException | None]] = Queue(AHEAD - 1)
        self._items = items
        self._gone = threading.Event()
        # A daemon: what blocks for good must not keep the interpreter.
        self._thread = threading.Thread(target=self._read, name="nvmix-reader", daemon=True)
        _readers.add(self)
        self._thread.start()

    def _read(self) -> None:
        """Read until there is no more, or nobody to read for."""
        error: BaseException | None = None
        try:
            with closing(self._items) as items:
                for item in items:
                    self.ready.put((item, None))
                    if self._gone.is_set():
                        return
        # It is raised where the items are asked for.
        except BaseException as caught:  # noqa: BLE001
            error = caught
        self.ready.put((_END, error))

    def stop(self, seconds: float) -> None:
        """Have it end, and wait for that no longer than so many seconds."""
        self._gone.set()
        with suppress(Empty):
            self.ready.get_nowait()
        self._thread.join(seconds)


_readers: WeakSet[_Reader[Any]] = WeakSet()


@atexit.register
def _stop_all() -> None:
    """A thread that the interpreter's end meets in a library of C++ would abort the process."""
    for reader in list(_readers):
        reader.stop(_PATIENCE)


def ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Items of a generator, `AHEAD` of which a thread reads while one is worked on.

    Parameters
    ----------
    items : generator
        Is used in that thread only, and closed.

    Yields
    ------
    object
        The items; closing the generator ends the thread.
    """
    reader, waits = _Reader(items), True
    try:
        while True:
            item, error = reader.ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            waits = False
            yield item
            waits = True
    finally:
        # An interrupt of the wait itself is not to wait for what may never come.
        reader.stop(0.0 if waits else _PATIENCE)
