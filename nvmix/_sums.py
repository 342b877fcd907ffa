"""Sums of a stream of terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

S = TypeVar("S")


class PairwiseSum(Generic[S]):
    """Adds terms as they come, equal numbers of them to each other.

    Rounding grows with the logarithm of the number of terms, and as many parts are held.

    Parameters
    ----------
    add : callable
        Sum of two terms.
    """

    def __init__(self, add: Callable[[S, S], S]) -> None:
        self._add = add
        self._parts: list[tuple[int, S]] = []

    def push(self, term: S) -> None:
        """Add a term."""
        level = 0
        while self._parts and self._parts[-1][0] == level:
            term = self._add(self._parts.pop()[1], term)
            level += 1
        self._parts.append((level, term))

    def total(self) -> S | None:
        """The sum so far, in the order of the terms; None of none."""
        if not self._parts:
            return None
        _, total = self._parts[-1]
        for _, part in reversed(self._parts[:-1]):
            total = self._add(part, total)
        return total


def pairwise_sum(terms: Iterable[S], add: Callable[[S, S], S]) -> S:
    """Sum of at least one term; see `PairwiseSum`."""
    total = PairwiseSum(add)
    for term in terms:
        total.push(term)
    result = total.total()
    if result is None:
        msg = "there must be a term to add"
        raise ValueError(msg)
    return result
