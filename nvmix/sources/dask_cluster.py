"""Source of chunks that stay on the workers of a Dask cluster, which return only sums."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np

from nvmix.foundation.exceptions import ReadError
from nvmix.foundation.pairwise_sum import PairwiseSum
from nvmix.foundation.threads import single_thread
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.sources.observations import chunk_values
from nvmix.sources.prefetch import prefetch
from nvmix.sources.source import Chunk

S = TypeVar("S")

# Partial sums that one task adds, and that the client adds at the end: with 16, the client receives
# few results, and there are few levels of tasks.
_FAN_IN: Final = 16
# Seconds for which the assignment of blocks to workers is reused: asking the scheduler for it costs
# milliseconds, and a pass over small data is not much longer.
_REUSE: Final = 1.0
# The blocks of one task take at most this fraction, 1 / 8, of a worker's memory per thread: Dask
# gives a task its blocks only if all are in memory, and the function needs memory too.
_MEMORY_SHARE: Final = 8
# Functions of at least so many bytes, 64 KiB, are sent once to each worker, not with each task.
_LARGE: Final = 1 << 16


@dataclass
class ClusterSource:
    """Rows of a Dask collection, in the memory of a cluster's workers.

    If a worker dies, Dask computes its blocks again on other workers. `blocks` are futures of
    (m, d) arrays, m > 0; `places` has for each block a future of its weights (m,) or None, the
    number of its first row, and its number in the collection. `ClusterSource.of` makes a source.
    """

    client: Any
    blocks: list[Any]
    places: list[tuple[Any, int, int]]
    d: int
    columns: Columns
    missing: str
    n_rows: int
    _groups: list[list[int]] = field(default_factory=list, init=False)
    _grouped_at: float = field(default=-math.inf, init=False)

    def __str__(self) -> str:
        """Number of blocks, and address of the cluster."""
        return f"{len(self.blocks)} blocks on {self.client.scheduler.address}"

    @classmethod
    def of(
        cls,
        client: Any,
        delayed: list[Any],
        d: int,
        columns: Columns,
        missing: str,
        weights: FloatArray | None,
    ) -> ClusterSource:
        """Compute delayed blocks on the workers that the scheduler chooses, where they stay."""
        blocks = client.compute(delayed)
        futures = list(blocks)
        with _released_on_error(dict(enumerate(blocks)), futures):
            lengths = client.map(len, blocks, pure=False)
            futures += lengths
            sizes = client.gather(lengths)
            bounds = np.cumsum([0, *sizes]).tolist()
            omegas: list[Any] = [None] * len(blocks)
            if weights is not None:
                if len(weights) != bounds[-1]:
                    msg = f"weights must have shape ({bounds[-1]},), got ({len(weights)},)"
                    raise ValueError(msg)
                parts = [weights[slice(*pair)] for pair in pairwise(bounds)]
                omegas = client.map(np.array, parts, pure=False)
            places = [(omegas[k], bounds[k], k) for k, size in enumerate(sizes) if size]
            if not places:
                msg = "X must not be empty, got blocks without rows"
                raise ValueError(msg)
        filled = [blocks[k] for *_, k in places]
        return cls(client, filled, places, d, columns, missing, bounds[-1])

    def close(self) -> None:
        """Release the blocks: workers then free those that no other future refers to."""
        for block, (weights, *_) in zip(self.blocks, self.places, strict=True):
            block.release()
            if weights is not None:
                weights.release()

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Apply a function to every chunk, and add the results; see `Source.reduce`.

        Each task applies the function to a group of blocks on one worker, further tasks merge the
        partial sums in a tree, and the client adds the last few. Groups depend on where blocks are,
        but the bits of the sum do not: `PairwiseSum` adds by the numbers of the blocks.
        """
        client, sent = self.client, function
        futures: list[Any] = []
        with _released_on_error(self._numbered(), futures):
            if len(pickle.dumps(function)) > _LARGE:
                # The result of a task is copied between workers, and recomputed if a worker dies.
                sent = client.submit(_identity, function, pure=False)
            groups = [[(k, self.blocks[k], *self.places[k]) for k in g] for g in self._grouped()]
            sums = client.map(_summed, groups, function=sent, add=add, d=self.d, pure=False)
            futures += sums
            while len(sums) > _FAN_IN:
                parts = [sums[i : i + _FAN_IN] for i in range(0, len(sums), _FAN_IN)]
                sums = client.map(PairwiseSum.merged, parts, pure=False)
                futures += sums
            total: PairwiseSum[S] = PairwiseSum.merged(client.gather(sums))
        return total.total()

    def _grouped(self) -> list[list[int]]:
        """Groups of indices of blocks, one group for each task; refreshed every second.

        All blocks of a group are on one worker, so none has to be sent. A block on several workers
        goes to the one with fewest so far; a block that no worker has, as after one died, is a
        group by itself, which the scheduler may put anywhere. A worker gets as many groups as it
        has threads, or more where a group would need too much memory.
        """
        if time.monotonic() - self._grouped_at > _REUSE:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
            holders = self.client.who_has(self.blocks)
            on_worker: dict[str, list[int]] = {worker: [] for worker in workers}
            self._groups = []
            for k, block in enumerate(self.blocks):
                choices = [on_worker[w] for w in holders.get(block.key, ()) if w in on_worker]
                min(choices, key=len).append(k) if choices else self._groups.append([k])
            for worker, indices in sorted(on_worker.items()):
                threads = workers[worker]["nthreads"]
                limit = workers[worker]["memory_limit"] or math.inf
                size = 8 * self.d * self.n_rows * len(indices) / len(self.blocks)
                wanted = max(threads, _MEMORY_SHARE * threads * size / limit)
                parts = np.array_split(indices, int(max(1, min(len(indices), wanted))))
                self._groups += [part.tolist() for part in parts if part.size]
            self._grouped_at = time.monotonic()
        return self._groups

    def _numbered(self) -> dict[int, Any]:
        """The blocks by their numbers among all blocks."""
        return {place[2]: block for place, block in zip(self.places, self.blocks, strict=True)}

    def chunks(self) -> Generator[Chunk, None, None]:
        """The chunks of one pass, in order, sent to this process; see `Source.chunks`."""
        return prefetch(self._chunks())

    def _chunks(self) -> Generator[Chunk, None, None]:
        """Chunks of one pass, without prefetch."""
        numbered = self._numbered()
        for block, place in zip(self.blocks, self.places, strict=True):
            weights, first, number = place
            with _released_on_error(numbered, []):
                values = chunk_values(f"chunk {number} of X", block.result(), self.d)
                omega = None if weights is None else weights.result()
            yield Chunk(values, omega, first, number)


def _identity(value: S) -> S:
    """Return the value: a task that makes it a future."""
    return value


def _summed(
    group: list[tuple[int, Any, FloatArray | None, int, int]],
    function: Callable[[Chunk], S],
    add: Callable[[S, S], S],
    d: int,
) -> PairwiseSum[S]:
    """Partial sum over a group of (index, block, weights, first row, number), in a task."""
    sums = PairwiseSum(add)
    # A worker runs several tasks at once, each in one thread.
    with single_thread():
        for k, block, weights, first, number in group:
            values = chunk_values(f"chunk {number} of X", block, d)
            sums.push(k, function(Chunk(values, weights, first, number)))
    return sums


@contextmanager
def _released_on_error(blocks: dict[int, Any], futures: list[Any]) -> Iterator[None]:
    """On an error, release futures; ReadError, which names the block, if a block has failed.

    Without the release, workers would keep the futures' data as long as the error exists: its
    traceback refers to them.
    """
    try:
        yield
    except BaseException as error:
        failed = [(k, block.exception()) for k, block in blocks.items() if block.status == "error"]
        for future in futures:
            future.release()
        for number, reason in failed:
            msg = f"chunk {number} of X could not be read: {reason!r}"
            raise ReadError(msg) from error
        raise
