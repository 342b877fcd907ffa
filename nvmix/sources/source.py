"""The protocol of sources: rows that each pass reads in chunks, wherever they are stored."""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol, TypeVar

from nvmix.foundation.typing import Columns, FloatArray, IntArray

S = TypeVar("S")


class Chunk(NamedTuple):
    """Consecutive rows (m, d) of a source with weights (m,), where None is 1 for all.

    `first` is the number of the first row among all rows, `number` that of the chunk, both from 0;
    the number is None if all rows are in memory. `places` (m,) are the numbers of its rows in X,
    which may also have rows without any value, that are no rows of the source; None if it has none.
    """

    values: Any
    weights: FloatArray | None = None
    first: int = 0
    number: int | None = None
    places: IntArray | None = None


class Source(Protocol):
    """Rows that can be read in any number of passes."""

    @property
    def columns(self) -> Columns:
        """Names of the columns, or None."""

    @property
    def missing(self) -> str:
        """Treatment of nan: "raise" refuses it, under "em" it stands for a missing value."""

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:
        """Apply a function to every chunk, and add the results in the order of the rows.

        The function must not keep the chunk's arrays, and may be sent to other processes. `add`
        must be associative up to rounding. The sum has the same bits in each pass.
        """

    def chunks(self) -> Generator[Chunk, None, None]:
        """The chunks of one pass, in order, in this process; their arrays may be reused later."""

    def close(self) -> None:
        """Release resources in other processes; no pass may follow."""

    def __str__(self) -> str:
        """Name of the source in error messages."""


class ArraySource(NamedTuple):
    """Rows that are all in memory: a source of one chunk."""

    values: Any  # (n, d), a NumPy or JAX array
    weights: FloatArray | None = None  # (n,); None is 1 for all
    columns: Columns = None
    missing: str = "raise"
    places: IntArray | None = None  # (n,), as in `Chunk`

    def reduce(self, function: Callable[[Chunk], S], add: Callable[[S, S], S]) -> S:  # noqa: ARG002
        """The function of the only chunk."""
        return function(next(self.chunks()))

    def chunks(self) -> Generator[Chunk, None, None]:
        """All rows as one chunk."""
        yield Chunk(self.values, self.weights, places=self.places)

    def close(self) -> None:
        """Nothing to release."""

    def __str__(self) -> str:
        """Number of rows."""
        return f"{len(self.values)} rows"
