"""Rows cut into groups, each a task for a thread, and the tables that each thread stores.

Groups depend on the shape of the data alone, so that sums have the same bits for any number of
threads.
"""

import threading
from itertools import pairwise
from typing import Final

import numpy as np

from nvmix.backends.cpu.kernels.em.products import BLOCK
from nvmix.backends.cpu.kernels.gig.table import LEAST_ROWS, NO_TABLE, new_table
from nvmix.foundation.typing import FloatArray

# A row costs about as much as 64 + d^2 multiplications. A group costs 2^19 of them at least, some
# hundred microseconds, beside which starting a task costs little.
_FIXED_COST: Final = 64
_GROUP_COST: Final = 1 << 19
# The most groups: the sums of all are in memory until they are added in order.
_MOST_GROUPS: Final = 64
# The most rows that are summed one after the other rather than pairwise, for less rounding.
_MOST_ROWS: Final = 1 << 16
# Tables that each thread stores: those of the orders used last.
_TABLES: Final = 4

_local = threading.local()


def groups_of(shape: tuple[int, int]) -> list[slice]:
    """Groups of the rows of an (n, d) array, each large enough to be a task for a thread."""
    rows, d = shape
    blocks = -(-rows // BLOCK)
    groups = max(1, min(_MOST_GROUPS, blocks, rows * (_FIXED_COST + d * d) // _GROUP_COST))
    bounds = [min(rows, blocks * k // groups * BLOCK) for k in range(groups + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


def pieces_of(group: slice) -> list[slice]:
    """The rows of a group in pieces whose sums are added pairwise."""
    bounds = [*range(group.start, group.stop, _MOST_ROWS), group.stop]
    return [slice(*pair) for pair in pairwise(bounds)]


def table_of(kind: str, order: float, rows: int, count: int = 0) -> FloatArray:
    """The calling thread's table of a kind and an order: the next pass uses what one pass builds.

    With a count, a stack of that many tables. For fewer than `LEAST_ROWS` rows, a table that covers
    nothing. An order of nan gets an empty table that is not stored.
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
