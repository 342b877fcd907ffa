"""Fields of a record that was read: each is taken with a check, and errors name it."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from nvmix.foundation.files.json_text import NON_FINITE
from nvmix.foundation.typing import FloatArray


class Fields:
    """What is left of a mapping of names to values, the fields of which are taken one by one.

    A method raises ValueError, with the field's name, for a field that is missing or has a value of
    another kind.
    """

    def __init__(self, record: Any, path: str = "") -> None:
        self._path = path
        if not isinstance(record, Mapping):
            self.refuse("", "an object", record)
        self._left = dict(record)

    def _name(self, name: str) -> str:
        """Full name of a field."""
        return f"{self._path}.{name}" if self._path and name else self._path + name

    def refuse(self, name: str, kind: str, value: Any) -> NoReturn:
        """Raise ValueError for a value of another kind."""
        full = self._name(name)
        field = f"field {full!r}" if full else "the record"
        msg = f"{field} must be {kind}, got {reprlib.repr(value)}"
        raise ValueError(msg)

    @property
    def where(self) -> str:
        """What an error calls these fields together."""
        return f"field {self._path!r}" if self._path else "the record"

    def take(self, name: str) -> Any:
        """The value of a field, of any kind."""
        if name not in self._left:
            msg = f"field {self._name(name)!r} is missing"
            raise ValueError(msg)
        return self._left.pop(name)

    def has(self, name: str) -> bool:
        """Whether there is a field that has not been taken."""
        return name in self._left

    def close(self) -> None:
        """Raise ValueError if a field has not been taken."""
        if self._left:
            msg = f"field {self._name(next(iter(map(str, self._left))))!r} is unknown"
            raise ValueError(msg)

    def section(self, name: str) -> Fields:
        """The fields of a record in this one."""
        return Fields(self.take(name), self._name(name))

    def text(self, name: str, options: Collection[str] | None = None) -> str:
        """A text, one of the options if there are any."""
        value = self.take(name)
        if not isinstance(value, str) or (options is not None and value not in options):
            kind = "a text" if options is None else f"one of {', '.join(map(repr, options))}"
            self.refuse(name, kind, value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(
            self._each(name, "a list of texts", self.take(name), lambda x: isinstance(x, str))
        )

    def count(self, name: str, least: int = 0) -> int:
        """An integer from `least` on."""
        value = self.take(name)
        if not _is_count(value, least):
            self.refuse(name, f"an integer from {least} on", value)
        count: int = value
        return count

    def counts(self, name: str) -> tuple[int, ...]:
        """A list of nonnegative integers."""
        kind, value = "a list of nonnegative integers", self.take(name)
        return tuple(self._each(name, kind, value, lambda x: _is_count(x, 0)))

    def is_null(self, name: str) -> bool:
        """Whether a field is null, and if so take it."""
        is_null = name in self._left and self._left[name] is None
        if is_null:
            del self._left[name]
        return is_null

    def plain_pairs(self, name: str) -> tuple[tuple[str, Any], ...]:
        """Names and values of an object whose values are numbers, texts, flags or null."""
        value = self.take(name)
        kinds = str | bool | int | float | None
        plain = isinstance(value, Mapping) and all(isinstance(x, kinds) for x in value.values())
        if not plain:
            self.refuse(name, "an object of numbers, texts, flags and null", value)
        return tuple(value.items())

    def flag(self, name: str) -> bool | None:
        """True, False or None."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "true, false or null", value)
        return value

    def number(self, name: str) -> float:
        """A double, which may be inf or nan."""
        value = self.take(name)
        number = _number(value)
        if number is None:
            self.refuse(name, "a number", value)
        return number

    def numbers(self, name: str, n: int | None = None) -> FloatArray:
        """Doubles (n,); None is any number of them."""
        return self._row(name, self.take(name), n)

    def square(self, name: str, n: int) -> FloatArray:
        """Doubles (n, n)."""
        kind, value = f"{n} lists of {n} numbers", self.take(name)
        rows = self._each(name, kind, value, lambda x: isinstance(x, list | tuple))
        if len(rows) != n:
            self.refuse(name, kind, value)
        return np.stack([self._row(f"{name}[{i}]", row, n) for i, row in enumerate(rows)])

    def _row(self, name: str, value: Any, n: int | None) -> FloatArray:
        """Doubles (n,) of a list."""
        kind = "a list of numbers" if n is None else f"a list of {n} numbers"
        if not isinstance(value, list | tuple) or n not in (None, len(value)):
            self.refuse(name, kind, value)
        numbers = [x if type(x) is float else _number(x) for x in value]
        if None in numbers:
            self.refuse(f"{name}[{numbers.index(None)}]", "a number", value)
        return np.array(numbers, np.float64)

    def _each(self, name: str, kind: str, value: Any, is_kind: Any) -> Sequence[Any]:
        """The items of a list, each of a kind."""
        if not isinstance(value, list | tuple) or not all(map(is_kind, value)):
            self.refuse(name, kind, value)
        items: Sequence[Any] = value
        return items


def _is_count(value: Any, least: int) -> bool:
    """Whether a value is an integer from `least` on, and no flag."""
    return type(value) is int and value >= least


def _number(value: Any) -> float | None:
    """A double; None for what is no number, or beyond the range of doubles."""
    if isinstance(value, str):
        return NON_FINITE.get(value)
    try:
        return float(value) if type(value) in (int, float) else None
    except OverflowError:
        return None
