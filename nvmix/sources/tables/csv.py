"""Tables of CSV files, with error messages that name the row and the column."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from nvmix.foundation.tables import listed
from nvmix.foundation.typing import FloatArray
from nvmix.sources.tables.contents import COLUMNS, MISSING, OPTIONS, text_of
from nvmix.sources.tables.index import are_names, index_columns
from nvmix.sources.tables.separated import Row, rows_of

_WITH_COMMA: Final = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
# What stands for a missing value, in lower case.
_MISSING: Final = ("", "na", "n/a", "#n/a", "#n/a n/a", "<na>", "nan", "-nan", "null", "none")


class CSVTable(NamedTuple):
    """Fields of a CSV file with a header."""

    name: str  # of the file, in messages
    header: list[str]
    line: int  # of the header in the file
    rows: list[Row]
    aside: dict[int, str]  # positions of index columns, with notes
    comma: bool  # whether fields may have a decimal comma

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are not set aside, which may be empty or not unique."""
        return tuple(name for j, name in enumerate(self.header) if j not in self.aside)

    def notes(self, names: Iterable[str]) -> list[str]:
        """What a user who reads these columns should know."""
        asked = set(names)
        notes = [text for j, text in self.aside.items() if self.header[j] not in asked]
        if self.comma and self._has_commas([j for j, x in enumerate(self.header) if x in asked]):
            notes.append("numbers have decimal commas")
        if all(_number(name, comma=False) is not None for name in self.header):
            notes.append(f"row {self.line} is taken for names of the columns")
        return notes

    def numbers(
        self, names: Sequence[str], missing: str, options: Sequence[str] = OPTIONS
    ) -> FloatArray:
        """Values (n, d) of the named columns; nan for missing ones if missing is "em".

        For any invalid content there is a ValueError, which names the row, as a line of the file,
        and the column.
        """
        positions = self._positions(names, options)
        comma = self.comma and self._has_commas(positions)
        values = np.empty((len(self.rows), len(positions)))
        for i, row in enumerate(self.rows):
            for k, j in enumerate(positions):
                field = row.fields[j].strip()
                number = _number(field, comma=comma)
                if missing == "em" and field.lower() in _MISSING:
                    number = math.nan
                elif number is None or not math.isfinite(number):
                    hint = self._hint(field, number, options)
                    self._refuse(row.line, self.header[j], field, number, hint, comma=comma)
                values[i, k] = number
        return values

    def _has_commas(self, positions: Sequence[int]) -> bool:
        """Whether a field of these columns is a number with a decimal comma."""
        fields = (row.fields[j] for row in self.rows for j in positions)
        return any("," in field and _WITH_COMMA.fullmatch(field.strip()) for field in fields)

    def _positions(self, names: Sequence[str], options: Sequence[str]) -> list[int]:
        """Positions of columns; ValueError unless one column has each name."""
        places, counts = {name: j for j, name in enumerate(self.header)}, Counter(self.header)
        for name in names:
            if name not in places:
                msg = f"{self.name}: no column {name!r}, the header has {listed(self.header)}"
                raise ValueError(msg)
            if not name:
                j = next(j for j, x in enumerate(self.header) if not x and j not in self.aside)
                hint = "; choose columns with --columns" if COLUMNS in options else ""
                msg = f"{self.name}: row {self.line} has no name for column {j + 1}{hint}"
                raise ValueError(msg)
            if counts[name] > 1:
                msg = f"{self.name}: row {self.line} names column {name!r} twice"
                raise ValueError(msg)
        return [places[name] for name in names]

    def _hint(self, field: str, number: float | None, options: Sequence[str]) -> str:
        """What to do about a field that is no finite number, in brackets."""
        hints = []
        if field.lower() in _MISSING and MISSING in options:
            hints.append("--missing em takes it for a missing value")
        if len(self.header) > 1 and number is None and COLUMNS in options:
            hints.append("choose columns with --columns")
        return f" ({'; '.join(hints)})" if hints else ""

    def _refuse(
        self, line: int, column: str, field: str, number: float | None, hint: str, *, comma: bool
    ) -> None:
        """Raise ValueError for a field that is no finite number."""
        got = f"{field!r} is not a number" if field else "the field is empty"
        if number is not None:
            got = f"{field} is not finite"
        elif comma and "." in field:
            got += " with a decimal comma, as others are"
        msg = f"{self.name}: row {line}, column {column!r}: {got}{hint}"
        raise ValueError(msg)


def csv_table(name: str, content: bytes) -> CSVTable:
    """The table of a CSV file; ValueError, which names the file, if it is none."""
    separator, rows = rows_of(name, text_of(name, content))
    if not rows:
        msg = f"{name}: empty, a header and rows of numbers are needed"
        raise ValueError(msg)
    line, header = rows[0].line, [field.strip() for field in rows[0].fields]
    comma = separator != ","
    if all(_number(x, comma=comma) is not None for x in header) and not are_names(header):
        msg = f"{name}: row {line} must name the columns, got numbers: {listed(header)}"
        raise ValueError(msg)
    if not rows[1:]:
        msg = f"{name}: no rows below the header"
        raise ValueError(msg)
    if all(len(row.fields) == len(header) + 1 and row.fields[-1] for row in rows[1:]):
        msg = (
            f"{name}: every row has one field more than the header, as R's write.table has with "
            "names of rows: write it with col.names=NA or row.names=FALSE"
        )
        raise ValueError(msg)
    for row in rows[1:]:
        _check_width(name, header, row)
    aside = index_columns(header, [row.fields for row in rows[1:]])
    return CSVTable(name, header, line, rows[1:], aside, comma)


def _check_width(name: str, header: Sequence[str], row: Row) -> None:
    """Raise ValueError unless a row has as many fields as the header."""
    width = len(row.fields)
    if width != len(header):
        place = "after" if width > len(header) else "at"
        column = header[min(width, len(header) - 1)]
        msg = (
            f"{name}: row {row.line} has {width} fields, the header {len(header)} "
            f"({place} column {column!r})"
        )
        raise ValueError(msg)


def _number(field: str, *, comma: bool) -> float | None:
    """The number of a field, None if it is none; 1_000, a number in Python, is none."""
    if comma and "." in field:
        return None
    try:
        return None if "_" in field else float(field.replace(",", ".") if comma else field)
    except ValueError:
        return None
