"""Rows of separated text, whose separator is found out."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

_SEPARATORS: Final = (",", ";", "\t", "|")
# A first line by which spreadsheets are told the separator.
_TOLD: Final = re.compile(r'"?sep=(.)"?')
# Rows by which the separator is found.
_FIRST: Final = 50


class Row(NamedTuple):
    """A row of fields, and its line in the file, from 1 on."""

    line: int
    fields: list[str]


class Rows(NamedTuple):
    """Rows, the first of which is the header, and what separates the fields."""

    separator: str
    rows: list[Row]


def rows_of(name: str, text: str) -> Rows:
    """All rows of a text but empty lines; ValueError, which names the file and the row."""
    told = _TOLD.fullmatch(text.partition("\n")[0].rstrip("\r"))
    separator = told.group(1) if told else _separator(text)
    rows: list[Row] = []
    try:
        rows.extend(_rows(text, separator))
    except csv.Error as error:
        line = rows[-1].line + 1 if rows else 1
        msg = f"{name}: cannot be read: row {line}: {error}"
        raise ValueError(msg) from None
    return Rows(separator, rows[1:] if told else rows)


def _rows(text: str, separator: str) -> Iterator[Row]:
    """Rows of a text, but for empty lines."""
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=separator, strict=True, skipinitialspace=True)
    return (Row(reader.line_num, fields) for fields in reader if fields)


def _separator(text: str) -> str:
    """What separates the fields: of all that do in the header, what rows agree on.

    A header of one name has no separator, so rows with a comma have a decimal comma.
    """
    widths = {separator: _widths(text, separator) for separator in _SEPARATORS}
    possible = [separator for separator, counts in widths.items() if counts[0] > 1]

    def key(separator: str) -> tuple[bool, int]:
        counts = widths[separator]
        return len(set(counts)) == 1, counts[0]

    return max(possible or [",", ";"], key=key)


def _widths(text: str, separator: str) -> list[int]:
    """Numbers of fields of the first rows, 0 of a row that is no such text."""
    widths: list[int] = []
    try:
        widths.extend(len(row.fields) for row in islice(_rows(text, separator), _FIRST))
    except csv.Error:
        widths.append(0)
    return widths or [0]
