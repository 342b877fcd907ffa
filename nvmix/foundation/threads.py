"""A thread pool. Callers split work in the same way for any number of threads: equal bits."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numba

from nvmix.foundation.validation import integer

R = TypeVar("R")
T = TypeVar("T")


class _Pool:
    """A thread pool that is created at its first use, and anew in a forked child process."""

    def __init__(self) -> None:
        # The default of numba: NUMBA_NUM_THREADS, or the processors available to this process.
        self.threads = int(numba.config.NUMBA_NUM_THREADS)
        self.executor: ThreadPoolExecutor | None = None

    def resize(self, threads: int) -> None:
        """Change the number of threads."""
        # Running tasks keep the old executor alive until they finish.
        self.threads, self.executor = threads, None

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:
        """Results of a function of each item, in order.

        The calling thread works too, so an idle pool needs one thread less, and a call from within
        a task of the pool cannot wait for itself.
        """
        threads = self.threads
        others = min(threads, len(items)) - 1
        if others <= 0 or getattr(_local, "single", False):
            return [function(item) for item in items]
        executor = self.executor = self.executor or ThreadPoolExecutor(threads - 1, "nvmix")
        waiting, results = deque(enumerate(items)), dict[int, R]()
        futures = [executor.submit(_work, waiting, function, results) for _ in range(others)]
        try:
            _work(waiting, function, results)
        except BaseException:
            # An interrupt may have left a lock of the executor taken: do not use it again.
            self.executor = None
            raise
        finally:
            waiting.clear()
            for future in futures:
                # A task that has not started yet is cancelled: the queue is empty.
                if not future.cancel():
                    future.result()
        return [results[i] for i in range(len(items))]


def _work(waiting: deque[tuple[int, T]], function: Callable[[T], R], results: dict[int, R]) -> None:
    """Take numbered items from a queue shared by threads, and store the function's results."""
    while waiting:
        try:
            i, item = waiting.popleft()
        except IndexError:
            return
        results[i] = function(item)


_pool = _Pool()
# Results of a function of each item, in order, computed by the shared pool.
map_threads = _pool.map
if sys.platform != "win32":
    os.register_at_fork(after_in_child=lambda: _pool.resize(_pool.threads))
_local = threading.local()


def get_num_threads() -> int:
    """Number of threads that the CPU backend uses.

    Returns
    -------
    int
        The number of the last `set_num_threads`; before, ``NUMBA_NUM_THREADS`` or the number of
        processors.

    Examples
    --------
    >>> import nvmix
    >>> nvmix.get_num_threads() >= 1
    True
    """
    return _pool.threads


def set_num_threads(threads: int) -> None:
    """Set the number of threads that the CPU backend uses.

    Results have the same bits for any number of threads.

    Parameters
    ----------
    threads : int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If threads is not an integer of at least 1.

    Examples
    --------
    >>> import nvmix
    >>> nvmix.set_num_threads(nvmix.get_num_threads())
    """
    _pool.resize(integer("threads", threads, 1))


@contextmanager
def single_thread() -> Iterator[None]:
    """Use the calling thread only, within the context: for callers that run threads themselves."""
    before, _local.single = getattr(_local, "single", False), True
    try:
        yield
    finally:
        _local.single = before
