"""Prefetch: a thread reads the next items of a generator while the caller works on one."""

import _thread
import atexit
from collections.abc import Generator
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

# Items read in advance: one is ready when the next read starts, and memory for few is needed.
PREFETCHED: Final = 2
# Seconds to wait, at the end of a pass or of the interpreter, for a read that is in progress.
_PATIENCE: Final = 5.0
_END: Final = object()


class _Reader(Generic[T]):
    """A thread that puts the items of a generator into a queue, followed by an error or an end.

    Ctrl-C may raise KeyboardInterrupt between any two bytecodes of the caller's thread. A lock of
    `threading` or `queue.Queue`, written in Python, could then stay locked for ever, and so could
    `threading.Thread.start`. So the two threads share only `SimpleQueue`s, written in C, and a
    flag, and `_thread` starts the reader.
    """

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items
        self._stopped = False
        self._ready: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        # One None for each item that may be read in advance.
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(PREFETCHED):
            self._permits.put(None)
        self._ended: SimpleQueue[None] = SimpleQueue()
        readers.add(self)
        # A thread of `_thread` that blocks for ever does not keep the interpreter from exiting.
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            readers.discard(self)
            raise

    def _run(self) -> None:
        """Read items, each after a permit, until the last, an error or `stop`."""
        try:
            with closing(self._items) as items:
                while True:
                    self._permits.get()
                    if self._stopped:
                        return
                    self._ready.put((next(items), None))
        except StopIteration:
            self._ready.put((_END, None))
        # `take` raises it in the thread that asks for items.
        except BaseException as caught:  # noqa: BLE001
            self._ready.put((_END, caught))
        finally:
            readers.discard(self)
            self._ended.put(None)

    def take(self) -> T:
        """The next item; StopIteration after the last, or the error that ended the reading."""
        item, error = self._ready.get()
        self._permits.put(None)
        if error is not None:
            raise error
        if item is _END:
            raise StopIteration
        return item  # type: ignore[no-any-return]

    def stop(self, seconds: float) -> None:
        """Ask the thread to end, and wait at most so many seconds for it."""
        self._stopped = True
        self._permits.put(None)
        with suppress(Empty):
            self._ended.get(timeout=seconds)
            # For another call of `stop`.
            self._ended.put(None)


# The readers whose threads run.
readers: set[_Reader[Any]] = set()


@atexit.register
def _stop_all() -> None:
    """Stop all readers: a thread in a C++ library at interpreter exit would abort the process."""
    for reader in list(readers):
        reader.stop(_PATIENCE)


def prefetch(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """The items of a generator, of which a thread reads `PREFETCHED` in advance.

    Only that thread uses the given generator, and closes it. Closing the returned generator, also
    by an error in the loop over it, ends the thread. Where no thread can be started, as while the
    interpreter ends, the caller reads.
    """
    try:
        reader, waiting = _Reader(items), True
    except RuntimeError:
        with closing(items):
            yield from items
        return
    try:
        with suppress(StopIteration):
            while True:
                item = reader.take()
                waiting = False
                yield item
                waiting = True
    finally:
        # An interrupt while waiting for an item: its read may never end, so do not wait for it.
        reader.stop(0.0 if waiting else _PATIENCE)
