"""Chunks that stay on the workers of a Dask cluster: functions go there and sums come back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from nvmix._exceptions import ReadError
from nvmix._sums import pairwise_sum
from nvmix._validation import chunk_values
from nvmix.backends.cpu._threads import alone
from nvmix.sources._protocol import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nvmix._typing import FloatArray

S = TypeVar("S")

# Sums that one task adds.
_FAN_IN: Final = 8


@dataclass(frozen=True)
class Cluster:
    """Rows of a Dask collection on the workers of a cluster.

    What a worker has lost is made again by the others, from the recipe that its scheduler keeps.

    Parameters
    ----------
    client : distributed.Client
        The cluster's.
    blocks : list of Future
        (m, d) arrays.
    places : list of (Future or None, int, int)
        Weights, number of the first row and number of each block.
    d : int or None
        Columns there must be.
    columns : tuple of str or None
        Their names.
    missing : {"raise", "em"}
        Whether nan is refused or stands for a missing value.
    """

    client: Any
    blocks: list[Any]
    places: list[tuple[Any, int, int]]
    d: int | None
    columns: tuple[str, ...] | None
    missing: str

    def __str__(self) -> str:
        """Number of blocks."""
        return f"{len(self.blocks)} blocks on {self.client.scheduler.address}"

    @classmethod
    def of(
        cls,
        client: Any,
        delayed: list[Any],
        d: int | None,
        columns: tuple[str, ...] | None,
        missing: str,
        weights: FloatArray | None,
    ) -> Cluster:
        """Compute delayed blocks where the cluster wants them, and leave them there."""
        blocks = client.compute(delayed)
        try:
            sizes = client.gather(client.map(len, blocks, pure=False))
        except Exception as error:
            raise _named(error, blocks) from error
        bounds = np.cumsum([0, *sizes]).tolist()
        omegas: list[Any] = [None] * len(blocks)
        if weights is not None:
            if len(weights) != bounds[-1]:
                msg = f"weights must have shape ({bounds[-1]},), got ({len(weights)},)"
                raise ValueError(msg)
            parts = [weights[slice(*pair)] for pair in pairwise(bounds)]
            omegas = client.map(np.array, parts, pure=False)
        kept = [(omegas[k], bounds[k], k) for k, size in enumerate(sizes) if size]
        if not kept:
            msg = "X must not be empty, got blocks without rows"
            raise ValueError(msg)
        return cls(client, [blocks[k] for *_, k in kept], kept, d, columns, missing)

    def fold(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Sum of a function of each chunk, by a tree of tasks; see `Source.fold`."""
        client = self.client
        # As a task the function reaches each worker once, and outlives the worker that had it.
        shared = client.submit(_itself, function, pure=False)
        sums = client.map(_applied, self.blocks, self.places, function=shared, d=self.d, pure=False)
        while len(sums) > 1:
            groups = [sums[i : i + _FAN_IN] for i in range(0, len(sums), _FAN_IN)]
            sums = client.map(pairwise_sum, groups, add=add, pure=False)
        try:
            result: S = sums[0].result()
        except Exception as error:
            raise _named(error, self.blocks) from error
        return result

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of one pass, in order, which come here one by one."""
        for block, place in zip(self.blocks, self.places, strict=True):
            weights, first, number = place
            values = chunk_values(f"chunk {number} of X", block.result(), self.d, None)
            yield Chunk(values, None if weights is None else weights.result(), first, number)


def _itself(value: S) -> S:
    """The value."""
    return value


def _applied(
    block: Any,
    place: tuple[FloatArray | None, int, int],
    function: Callable[[Chunk], S],
    d: int | None,
) -> S:
    """The function of a chunk, on a worker, which has threads of its own."""
    values = chunk_values(f"chunk {place[-1]} of X", block, d, None)
    with alone():
        return function(Chunk(values, *place))


def _named(error: Exception, blocks: list[Any]) -> Exception:
    """The error of a block that could not be read, or else the one there was."""
    for number, block in enumerate(blocks):
        if block.status == "error":
            failure = block.exception()
            return ReadError(f"chunk {number} of X could not be read: {failure!r}")
    return error
