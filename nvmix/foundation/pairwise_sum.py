"""Sums of many terms with small rounding errors and reproducible bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

S = TypeVar("S")


class PairwiseSum(Generic[S]):
    """Sum of numbered terms, added in a binary tree over the numbers 0, 1, 2, ....

    The tree depends on the numbers alone. So the bits of the sum do not depend on the order in
    which terms arrive, nor on which process adds which of them. Rounding errors grow with the
    logarithm of the number of terms. If terms arrive in order, so does the number of stored parts.
    """

    def __init__(self, add: Callable[[S, S], S]) -> None:
        self.add = add
        # Key (l, i) has the sum of terms i 2^l to (i + 1) 2^l - 1.
        self.parts: dict[tuple[int, int], S] = {}

    def push(self, number: int, term: S, level: int = 0) -> None:
        """Add the term of a number; at level l > 0, the part with the key (l, number)."""
        while (sibling := (level, number ^ 1)) in self.parts:
            other = self.parts.pop(sibling)
            term = self.add(term, other) if number % 2 == 0 else self.add(other, term)
            level, number = level + 1, number // 2
        self.parts[level, number] = term

    @staticmethod
    def merged(sums: Sequence[PairwiseSum[S]]) -> PairwiseSum[S]:
        """A new sum of the terms of several sums, which do not change."""
        total = PairwiseSum(sums[0].add)
        for one in sums:
            for (level, number), part in one.parts.items():
                total.push(number, part, level)
        return total

    def total(self) -> S:
        """The sum, once no number up to the last is missing; ValueError if there are no terms."""
        if not self.parts:
            msg = "there must be a term to add"
            raise ValueError(msg)
        # One part for each binary digit 1 of the number of terms, the smallest part last.
        *parts, total = [self.parts[key] for key in sorted(self.parts, reverse=True)]
        for part in reversed(parts):
            total = self.add(part, total)
        return total


def pairwise_sum(terms: Iterable[S], add: Callable[[S, S], S]) -> S:
    """Sum of at least one term, added as by `PairwiseSum`."""
    total = PairwiseSum(add)
    for number, term in enumerate(terms):
        total.push(number, term)
    return total.total()


def add_each(left: tuple[Any, ...], right: tuple[Any, ...]) -> tuple[Any, ...]:
    """Elementwise sum of two tuples of equal length."""
    return tuple(x + y for x, y in zip(left, right, strict=True))
