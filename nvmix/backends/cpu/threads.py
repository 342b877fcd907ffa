"""Threads over fixed groups of rows: the same groups, and so the same bits, for any number."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

import numba
import numpy as np

from nvmix.backends.cpu.kernels.em.products import BLOCK
from nvmix.backends.cpu.kernels.gig.table import LEAST_ROWS, NO_TABLE, new_table
from nvmix.foundation.validation import integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nvmix.foundation.typing import FloatArray

R = TypeVar("R")
T = TypeVar("T")

# A row costs about as much as 64 + d^2 products; a task is worth as many as this at least.
_FIXED_COST: Final = 64
_GROUP_COST: Final = 1 << 19
# The most tasks: their sums are held until all are added in order.
_MOST_GROUPS: Final = 64
# The most rows whose sums run on without a pairwise step.
_MOST_ROWS: Final = 1 << 16
_TABLES: Final = 4


def _default_threads() -> int:
    """numba's own default: NUMBA_NUM_THREADS, or the processors this process may use."""
    return int(numba.config.NUMBA_NUM_THREADS)


class _Pool:
    """A thread pool made when first needed, and again in a forked child."""

    def __init__(self) -> None:
        self.threads = _default_threads()
        self.executor: ThreadPoolExecutor | None = None

    def resize(self, threads: int) -> None:
        """Use that many threads from now on."""
        # Tasks under way keep the old pool alive until they end.
        self.threads, self.executor = threads, None

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:
        """Apply to each, in threads where there is more than one of each; results in order."""
        threads = self.threads
        others = min(threads, len(items)) - 1
        if others <= 0 or getattr(_local, "alone", False):
            return [function(item) for item in items]
        executor = self.executor = self.executor or ThreadPoolExecutor(threads - 1, "nvmix")
        left, results = deque(enumerate(items)), dict[int, R]()
        futures = [executor.submit(_take, left, function, results) for _ in range(others)]
        try:
            _take(left, function, results)
        except BaseException:
            # An interrupt may have come while the executor had a lock of its own.
            self.executor = None
            raise
        finally:
            left.clear()
            for future in futures:
                # A thread that is busy elsewhere has not begun, and nothing is left for it.
                if not future.cancel():
                    future.result()
        return [results[i] for i in range(len(items))]


def _take(left: deque[tuple[int, T]], function: Callable[[T], R], results: dict[int, R]) -> None:
    """Work off numbered items that threads share, each taking the next when it is done with one."""
    while left:
        try:
            i, item = left.popleft()
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
        The number set last; at first ``NUMBA_NUM_THREADS``, or the processors there are.

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


def groups_of(shape: tuple[int, int]) -> list[slice]:
    """Fixed groups of the rows of an (n, d) array, each worth a thread's while."""
    rows, d = shape
    blocks = -(-rows // BLOCK)
    groups = max(1, min(_MOST_GROUPS, blocks, rows * (_FIXED_COST + d * d) // _GROUP_COST))
    bounds = [min(rows, blocks * k // groups * BLOCK) for k in range(groups + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


def pieces_of(group: slice) -> list[slice]:
    """The rows of a group in pieces whose sums are added pairwise."""
    bounds = [*range(group.start, group.stop, _MOST_ROWS), group.stop]
    return [slice(*pair) for pair in pairwise(bounds)]


@contextmanager
def alone() -> Iterator[None]:
    """Work in the calling thread only, for callers that have threads of their own."""
    before, _local.alone = getattr(_local, "alone", False), True
    try:
        yield
    finally:
        _local.alone = before


def over(function: Callable[[T], R], items: list[T]) -> list[R]:
    """Results of a function of each item, in order, in threads."""
    return _pool.map(function, items)


def table_of(kind: str, order: float, rows: int, count: int = 0) -> FloatArray:
    """Table of the calling thread for a kind and an order: what one pass builds serves the next.

    With a count, a stack of that many; of order nan, an empty one that is not kept.
    """
    shape = (count,) if count else ()
    if rows < LEAST_ROWS:
        return np.empty((*shape, *NO_TABLE.shape))
    tables: dict[tuple[str, float, int], FloatArray] = _local.__dict__.setdefault("tables", {})
    table = tables.pop((kind, order, count), None)
    if table is None:
        table = np.zeros((*shape, *new_table().shape))
    if np.isnan(order):
        return table
    tables[kind, order, count] = table
    while len(tables) > _TABLES:
        del tables[next(iter(tables))]
    return table
