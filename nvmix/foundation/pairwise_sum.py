"""Sums of many terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

S = TypeVar("S")


class PairwiseSum(Generic[S]):
    """Adds terms in a binary tree over their numbers, in whatever order and places they come.

    Rounding grows with the logarithm of the number of terms, and of terms that come in order as
    many parts are held. Sums of parts of the terms merge to the same bits.

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

    def merged(self, others: Iterable[PairwiseSum[S]]) -> PairwiseSum[S]:
        """Sum of the terms of all; none of them changes."""
        sums = PairwiseSum(self._add)
        for source in (self, *others):
            for (level, place), part in source.parts.items():
                sums.put(level, place, part)
        return sums

    def total(self) -> S:
        """The sum, once all terms up to the last are here; ValueError if there are none."""
        if not self.parts:
            msg = "there must be a term to add"
            raise ValueError(msg)
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
    for number, term in enumerate(terms):
        total.push(number, term)
    return total.total()


def add_each(left: tuple[Any, ...], right: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sums of the members of two tuples."""
    return tuple(x + y for x, y in zip(left, right, strict=True))
