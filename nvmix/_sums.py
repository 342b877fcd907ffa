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


class PartialSums(Generic[S]):
    """Sums of some terms of many, in the same tree as `PairwiseSum` whichever terms they are.

    Parameters
    ----------
    add : callable
        Sum of two terms.
    """

    def __init__(self, add: Callable[[S, S], S]) -> None:
        self._add = add
        # Key (l, i) has the sum of terms i 2^l to (i + 1) 2^l - 1.
        self.parts: dict[tuple[int, int], S] = {}

    def push(self, number: int, term: S) -> None:
        """Add the term of a number, from 0."""
        self.put(0, number, term)

    def merged(self, others: Iterable[PartialSums[S]]) -> PartialSums[S]:
        """Sums of the terms of all; none of them changes."""
        sums = PartialSums(self._add)
        for source in (self, *others):
            for (level, place), part in source.parts.items():
                sums.put(level, place, part)
        return sums

    def total(self) -> S:
        """The sum, once all terms up to the last are here."""
        # From the largest level on, as places grow: the binary digits of the number of terms.
        *parts, total = [self.parts[key] for key in sorted(self.parts, reverse=True)]
        for part in reversed(parts):
            total = self._add(part, total)
        return total

    def put(self, level: int, place: int, part: S) -> None:
        """Add the part of a key, with its sibling where that is here."""
        while (sibling := (level, place ^ 1)) in self.parts:
            other = self.parts.pop(sibling)
            part = self._add(part, other) if place % 2 == 0 else self._add(other, part)
            level, place = level + 1, place // 2
        self.parts[level, place] = part


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
