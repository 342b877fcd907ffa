"""A thread pool. Callers split work in the same way for any number of threads: equal bits."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import numba
from numba.core.compiler_lock import global_compiler_lock

from nvmix.foundation.forks import hold_in_forks
from nvmix.foundation.validation import integer

R = TypeVar("R")
T = TypeVar("T")


class ThreadPool:
    """A thread pool that is created at its first use.

    Where no thread can be started, as while the interpreter ends or at a limit of the system, the
    calling thread does the work.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
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
        waiting, results = deque(enumerate(items)), dict[int, R]()
        futures = self._submitted(threads - 1, others, lambda: _work(waiting, function, results))
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
        # A task whose thread could not be started may still have one of the items, in a thread
        # that was there already.
        return [results[i] if i in results else function(x) for i, x in enumerate(items)]

    def _submitted(self, threads: int, tasks: int, work: Callable[[], None]) -> list[Future[None]]:
        """Futures of so many tasks, or of fewer where no more threads can be started."""
        futures: list[Future[None]] = []
        executor = self.executor = self.executor or ThreadPoolExecutor(threads, "nvmix")
        try:
            for _ in range(tasks):
                futures.append(executor.submit(work))  # noqa: PERF401
        except RuntimeError:
            self.executor = None
        return futures


def _work(waiting: deque[tuple[int, T]], function: Callable[[T], R], results: dict[int, R]) -> None:
    """Take numbered items from a queue shared by threads, and store the function's results."""
    while waiting:
        try:
            i, item = waiting.popleft()
        except IndexError:
            return
        results[i] = function(item)


# The default of numba: NUMBA_NUM_THREADS, or the processors available to this process.
_pool = ThreadPool(int(numba.config.NUMBA_NUM_THREADS))
# Results of a function of each item, in order, computed by the shared pool.
map_threads = _pool.map
hold_in_forks(global_compiler_lock)
if sys.platform != "win32":
    # A forked child has no threads but one.
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


class _Limit:
    """The limit of BLAS to one thread, while anyone asks for it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users = 0
        self.limiter: Any = None

    def enter(self) -> None:
        """Limit BLAS, if nobody has."""
        with self.lock:
            if self.users == 0:
                self.limiter = _controller().limit(limits=1, user_api="blas")
            self.users += 1

    def leave(self) -> None:
        """Restore its threads, if nobody else asks for the limit."""
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.limiter.restore_original_limits()


@cache
def _controller() -> Any:
    """Control over the BLAS libraries of NumPy and SciPy, each of which brings its own."""
    # SciPy loads its own with this module, which callers would load within the limit.
    importlib.import_module("scipy.linalg")
    return importlib.import_module("threadpoolctl").ThreadpoolController()


_limit = _Limit()
hold_in_forks(_limit.lock)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread in this process, within the context.

    Its threads wait for each other longer than a decomposition of a small matrix takes, on a busy
    machine a hundred times as long.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


@contextmanager
def single_thread() -> Iterator[None]:
    """Use the calling thread only, within the context: for callers that run threads themselves."""
    before, _local.single = getattr(_local, "single", False), True
    try:
        yield
    finally:
        _local.single = before
