"""Chunks that stay on the workers of a Dask cluster: functions go there and sums come back."""

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
from nvmix.foundation.typing import FloatArray
from nvmix.sources.observations import chunk_values
from nvmix.sources.prefetch import prefetch
from nvmix.sources.source import Chunk

S = TypeVar("S")

# Sums that one task adds, and the most that come to the client.
_FAN_IN: Final = 16
# Seconds for which it is taken for granted who has which block.
_TRUSTED: Final = 1.0
# One in so many of a worker's memory, for each of its threads, is what the blocks of a task take.
_SHARE: Final = 8
# Bytes from which a function is sent to each worker once, rather than with each task.
_LARGE: Final = 1 << 16


@dataclass
class ClusterSource:
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
    d : int
        Columns there must be.
    columns : tuple of str or None
        Their names.
    missing : {"raise", "em"}
        Whether nan is refused or stands for a missing value.
    n_rows : int
        How many there are.
    """

    client: Any
    blocks: list[Any]
    places: list[tuple[Any, int, int]]
    d: int
    columns: tuple[str, ...] | None
    missing: str
    n_rows: int
    _groups: list[list[int]] = field(default_factory=list, init=False)
    _seen: float = field(default=-math.inf, init=False)

    def __str__(self) -> str:
        """Number of blocks."""
        return f"{len(self.blocks)} blocks on {self.client.scheduler.address}"

    @classmethod
    def of(
        cls,
        client: Any,
        delayed: list[Any],
        d: int,
        columns: tuple[str, ...] | None,
        missing: str,
        weights: FloatArray | None,
    ) -> ClusterSource:
        """Compute delayed blocks where the cluster wants them, and leave them there."""
        blocks = client.compute(delayed)
        held = list(blocks)
        with _giving_up(dict(enumerate(blocks)), held):
            lengths = client.map(len, blocks, pure=False)
            held += lengths
            sizes = client.gather(lengths)
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
        ready = [blocks[k] for *_, k in kept]
        return cls(client, ready, kept, d, columns, missing, bounds[-1])

    def close(self) -> None:
        """Let go of the blocks: what nobody else wants leaves the workers."""
        for block, (weights, *_) in zip(self.blocks, self.places, strict=True):
            block.release()
            if weights is not None:
                weights.release()

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Sum of a function of each chunk, by a tree of tasks; see `Source.reduce`."""
        client, sent = self.client, function
        held: list[Any] = []
        with _giving_up(self._numbered(), held):
            if len(pickle.dumps(function)) > _LARGE:
                # As a task it reaches each worker once, and outlives the worker that had it.
                sent = client.submit(_itself, function, pure=False)
            groups = [[(k, self.blocks[k], *self.places[k]) for k in g] for g in self._grouped()]
            sums = client.map(_summed, groups, function=sent, add=add, d=self.d, pure=False)
            held += sums
            while len(sums) > _FAN_IN:
                nearby = [sums[i : i + _FAN_IN] for i in range(0, len(sums), _FAN_IN)]
                sums = client.map(_merged, nearby, pure=False)
                held += sums
            parts: list[PairwiseSum[S]] = client.gather(sums)
        return _merged(parts).total()

    def _grouped(self) -> list[list[int]]:
        """Numbers of the blocks of each task, as of a moment ago: one for each thread, or more."""
        if time.monotonic() - self._seen > _TRUSTED:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
            holders = self.client.who_has(self.blocks)
            at: dict[str, list[int]] = {worker: [] for worker in workers}
            # What no worker has is made again, each block wherever there is room.
            self._groups = []
            for k, block in enumerate(self.blocks):
                having = [at[w] for w in holders.get(block.key, ()) if w in at]
                min(having, key=len).append(k) if having else self._groups.append([k])
            for worker, numbers in sorted(at.items()):
                parts = np.array_split(numbers, self._tasks(workers[worker], len(numbers)))
                self._groups += [part.tolist() for part in parts if part.size]
            self._seen = time.monotonic()
        return self._groups

    def _tasks(self, worker: dict[str, Any], blocks: int) -> int:
        """Tasks for so many blocks of a worker, which needs all blocks of a task in memory."""
        threads, limit = worker["nthreads"], worker["memory_limit"] or math.inf
        size = 8 * self.d * self.n_rows * blocks / len(self.blocks)
        return int(max(1, min(blocks, max(threads, _SHARE * threads * size / limit))))

    def _numbered(self) -> dict[int, Any]:
        """The blocks by number."""
        return {place[2]: block for place, block in zip(self.places, self.blocks, strict=True)}

    def chunks(self) -> Generator[Chunk, None, None]:
        """The chunks of one pass, in order, which come here; see `Source.chunks`."""
        return prefetch(self._chunks())

    def _chunks(self) -> Generator[Chunk, None, None]:
        """The chunks one by one."""
        numbered = self._numbered()
        for block, place in zip(self.blocks, self.places, strict=True):
            weights, first, number = place
            with _giving_up(numbered, []):
                values = chunk_values(f"chunk {number} of X", block.result(), self.d)
                omega = None if weights is None else weights.result()
            yield Chunk(values, omega, first, number)


def _itself(value: S) -> S:
    """The value."""
    return value


def _summed(
    group: list[tuple[int, Any, FloatArray | None, int, int]],
    function: Callable[[Chunk], S],
    add: Callable[[S, S], S],
    d: int,
) -> PairwiseSum[S]:
    """Sums of the function of chunks, on a worker, which has threads of its own."""
    sums = PairwiseSum(add)
    with single_thread():
        for k, block, weights, first, number in group:
            values = chunk_values(f"chunk {number} of X", block, d)
            sums.push(k, function(Chunk(values, weights, first, number)))
    return sums


def _merged(parts: list[PairwiseSum[S]]) -> PairwiseSum[S]:
    """Sums of the chunks of all."""
    return parts[0].merged(parts[1:])


@contextmanager
def _giving_up(blocks: dict[int, Any], held: list[Any]) -> Iterator[None]:
    """On an error release futures; raise ReadError if a block could not be read, which names it.

    An error lives as long as its future, and what its traceback refers to as long as the error.
    """
    try:
        yield
    except BaseException as error:
        broken = [(k, block.exception()) for k, block in blocks.items() if block.status == "error"]
        for future in held:
            future.release()
        for number, reason in broken:
            msg = f"chunk {number} of X could not be read: {reason!r}"
            raise ReadError(msg) from error
        raise
