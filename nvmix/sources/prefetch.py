"""Reading ahead: a thread reads the next items while one is worked on."""

from __future__ import annotations

import _thread
import atexit
from collections.abc import Generator
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

# Items that are read ahead of the one in use.
PREFETCHED: Final = 2
# Seconds that the end of a pass, and of the interpreter, waits for a read that is under way.
_PATIENCE: Final = 5.0
_END: Final = object()


class _Reader(Generic[T]):
    """A thread that reads items into a queue, or why there are no more.

    What it shares with others are queues in C and one flag, and `threading` does not start it: an
    interrupt, which may come between any two bytecodes, leaves no lock of theirs behind.
    """

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items
        self._gone = False
        self._ready: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(PREFETCHED):
            self._room.put(None)
        self._ended: SimpleQueue[None] = SimpleQueue()
        readers.add(self)
        # What blocks for good does not keep the interpreter.
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        """Read, and tell when that is over."""
        try:
            self._read()
        finally:
            readers.discard(self)
            self._ended.put(None)

    def _read(self) -> None:
        """Read, as there is room, until there is no more, or nobody to read for."""
        error: BaseException | None = None
        try:
            with closing(self._items) as items:
                while True:
                    self._room.get()
                    if self._gone:
                        return
                    self._ready.put((next(items), None))
        except StopIteration:
            pass
        # It is raised where the items are asked for.
        except BaseException as caught:  # noqa: BLE001
            error = caught
        self._ready.put((_END, error))

    def take(self) -> T:
        """The next item; StopIteration after the last, or what has ended the reading."""
        item, error = self._ready.get()
        self._room.put(None)
        if error is not None:
            raise error
        if item is _END:
            raise StopIteration
        return item  # type: ignore[no-any-return]

    def stop(self, seconds: float) -> None:
        """Have it end, and wait for that no longer than so many seconds."""
        self._gone = True
        self._room.put(None)
        with suppress(Empty):
            self._ended.get(timeout=seconds)
            self._ended.put(None)


# Those that read, or wait for room.
readers: set[_Reader[Any]] = set()


@atexit.register
def _stop_all() -> None:
    """A thread that the interpreter's end meets in a library of C++ would abort the process."""
    for reader in list(readers):
        reader.stop(_PATIENCE)


def prefetch(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Items of a generator, `PREFETCHED` of which a thread reads while one is worked on.

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
        with suppress(StopIteration):
            while True:
                item = reader.take()
                waits = False
                yield item
                waits = True
    finally:
        # An interrupt of the wait itself is not to wait for what may never come.
        reader.stop(0.0 if waits else _PATIENCE)
