"""Rows that are passed over in chunks, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol, TypeVar

from nvmix.foundation.typing import FloatArray

S = TypeVar("S")


class Chunk(NamedTuple):
    """Consecutive rows.

    Attributes
    ----------
    values : (m, d) array
        The rows.
    weights : (m,) array or None
        Their weights; None is 1 for all.
    first : int
        Number of the first row in the whole data, from 0.
    number : int or None
        Number of the chunk, from 0; None of rows that are all in memory.
    """

    values: Any
    weights: FloatArray | None = None
    first: int = 0
    number: int | None = None


class Source(Protocol):
    """Rows that can be passed over again and again."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, where they have any."""

    @property
    def missing(self) -> str:
        """Whether nan is refused, "raise", or stands for a missing value, "em"."""

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Sum of a function of each chunk, in the order of the rows.

        Parameters
        ----------
        function : callable
            Of a `Chunk`, whose arrays it must not keep; it may be sent to other processes.
        add : callable
            Sum of two results, associative but for rounding.

        Returns
        -------
        object
            The sum over all chunks; the same bits each time.
        """

    def chunks(self) -> Generator[Chunk, None, None]:
        """The chunks of one pass, in order, here; an array may be filled anew later in the pass."""

    def close(self) -> None:
        """Let go of what is held elsewhere; no pass follows."""

    def __str__(self) -> str:
        """What messages call the source."""


class ArraySource(NamedTuple):
    """Rows that are all in memory, as one chunk.

    Attributes
    ----------
    values : (n, d) array
        The rows, of NumPy or JAX.
    weights : (n,) array or None
        Their weights.
    columns, missing : tuple of str or None, str
        As of any source.
    """

    values: Any
    weights: FloatArray | None = None
    columns: tuple[str, ...] | None = None
    missing: str = "raise"

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:  # noqa: ARG002
        """The function of all rows."""
        return function(Chunk(self.values, self.weights))

    def chunks(self) -> Generator[Chunk, None, None]:
        """All rows."""
        yield Chunk(self.values, self.weights)

    def close(self) -> None:
        """Nothing is held elsewhere."""

    def __str__(self) -> str:
        """Number of rows."""
        return f"{len(self.values)} rows"
