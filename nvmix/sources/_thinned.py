"""Rows to make a starting model from: all of them, or evenly spaced ones of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nvmix._validation import Data, finite_rows, starting_sample

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.sources._protocol import Chunk, Source

# The most rows that a start is made from.
_MOST: Final = 1 << 17


class Thinned(NamedTuple):
    """Rows whose numbers are multiples of a stride.

    Attributes
    ----------
    stride : int
        A power of 2.
    numbers : (k,) array
        Of the rows.
    values : (k, d) array
        The rows.
    """

    stride: int
    numbers: Any
    values: FloatArray

    def added(self, other: Thinned) -> Thinned:
        """Rows of both, thinned until they are few."""
        stride = max(self.stride, other.stride)
        numbers = np.concatenate([self.numbers, other.numbers])
        values = np.concatenate([self.values, other.values])
        return Thinned(stride, numbers, values).few()

    def few(self) -> Thinned:
        """Some of the rows, no more than the most."""
        kept = self
        while True:
            chosen = kept.numbers % kept.stride == 0
            kept = Thinned(kept.stride, kept.numbers[chosen], kept.values[chosen])
            if len(kept.numbers) <= _MOST:
                return kept
            kept = kept._replace(stride=2 * kept.stride)


@dataclass(frozen=True)
class _Thin:
    """Thins the rows of a chunk."""

    missing: str

    def __call__(self, chunk: Chunk) -> Thinned:
        """Rows of the chunk, copied."""
        finite_rows(chunk.values, self.missing, chunk.first, chunk.number)
        numbers = chunk.first + np.arange(len(chunk.values))
        stride = 1
        while len(numbers) > stride * _MOST:
            stride *= 2
        chosen = numbers % stride == 0
        return Thinned(stride, numbers[chosen], chunk.values[chosen])


def thinned(source: Source) -> Data:
    """Validated rows of a source, evenly spaced, to make a starting model from.

    Parameters
    ----------
    source : Source
        The rows; one pass is made.

    Returns
    -------
    Data
        All rows of a short source, and of any chunks of the same rows the same ones.

    Raises
    ------
    ValueError
        If there are no more rows than columns, or columns are constant or collinear.
    """
    rows = source.fold(_Thin(source.missing), Thinned.added)
    return Data(starting_sample(rows.values, source.missing).values, source.columns)
