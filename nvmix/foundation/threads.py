"""A pool of threads; work is cut the same way for any number of them, so the bits are the same."""

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
    """A thread pool made when first needed, and again in a forked child."""

    def __init__(self) -> None:
        # numba's own default: NUMBA_NUM_THREADS, or the processors that this process may use.
        self.threads = int(numba.config.NUMBA_NUM_THREADS)
        self.executor: ThreadPoolExecutor | None = None

    def resize(self, threads: int) -> None:
        """Use that many threads from now on."""
        # Tasks under way keep the old pool alive until they end.
        self.threads, self.executor = threads, None

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:
        """Apply to each, in threads where there is more than one of each; results in order."""
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
            # An interrupt may have come while the executor had a lock of its own.
            self.executor = None
            raise
        finally:
            waiting.clear()
            for future in futures:
                # A thread that is busy elsewhere has not begun, and no item is waiting for it.
                if not future.cancel():
                    future.result()
        return [results[i] for i in range(len(items))]


def _work(waiting: deque[tuple[int, T]], function: Callable[[T], R], results: dict[int, R]) -> None:
    """Apply a function to numbered items, which several threads take from one queue."""
    while waiting:
        try:
            i, item = waiting.popleft()
        except IndexError:
            return
        results[i] = function(item)


_pool = _Pool()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=lambda: _pool.resize(_pool.threads))
_local = threading.local()


def get_num_threads() -> int:
    """Number of threads that the CPU backend works with.

    Returns
    -------
    int
        The number set last; at first ``NUMBA_NUM_THREADS``, or the number of processors.

    Examples
    --------
    >>> import nvmix
    >>> nvmix.get_num_threads() >= 1
    True
    """
    return _pool.threads


def set_num_threads(threads: int) -> None:
    """Set the number of threads that the CPU backend works with.

    Results are the same bits for any number.

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
    """Work in the calling thread only, for callers that run threads themselves."""
    before, _local.single = getattr(_local, "single", False), True
    try:
        yield
    finally:
        _local.single = before


def map_threads(function: Callable[[T], R], items: list[T]) -> list[R]:
    """Results of a function of each item, in order, computed in threads."""
    return _pool.map(function, items)
