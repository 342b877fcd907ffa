"""Reader of CSV files, with error messages that name the row and the column."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from nvmix.foundation.typing import FloatArray

# Dates such as 2024-01-31, 31.1.2024 and 1/31/24, with or without a time.
_DATE: Final = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ]\d{1,2}:\d{2}.*)?")


class Table(NamedTuple):
    """Numbers of a CSV file."""

    values: FloatArray  # (n, d)
    columns: tuple[str, ...]
    note: str  # which column is set aside, empty if none is


def read_csv(path: str | Path, columns: Sequence[str] | None = None) -> Table:
    """Observations and column names of a CSV file of finite numbers with a header, in UTF-8.

    `columns` chooses columns by name, in that order; None is all, but for the first if it is an
    index: if it has no name, or dates alone. For any invalid content there is a ValueError, which
    names the row, as a line of the file with the header as row 1, and the column.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise ValueError(msg) from None
    except UnicodeDecodeError:
        msg = f"{path}: cannot be read: it is not UTF-8 text"
        raise ValueError(msg) from None
    except csv.Error as error:
        msg = f"{path}: cannot be read: row {reader.line_num}: {error}"
        raise ValueError(msg) from None
    if not rows:
        msg = f"{path}: empty, a header and rows of numbers are needed"
        raise ValueError(msg)
    header = [name.strip() for name in rows[0][1]]
    has_index = columns is None and _has_index(header, [row for _, row in rows[1:]])
    positions = _positions(path, header, columns, first=int(has_index))
    values = [_numbers(path, header, positions, i, row) for i, row in rows[1:]]
    if not values:
        msg = f"{path}: no rows below the header"
        raise ValueError(msg)
    note = ""
    if has_index:
        what = f"column {header[0]!r}" if header[0] else "the first column, which has no name"
        note = f"{what}, from {rows[1][1][0]} to {rows[-1][1][0]}, is set aside as an index"
    return Table(np.array(values), tuple(header[j] for j in positions), note)


def _has_index(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether there are other columns than the first, and that has no name or dates alone."""
    if len(header) < 2 or not rows:
        return False
    return not header[0] or all(_DATE.fullmatch(row[0].strip()) for row in rows)


def _positions(
    path: str | Path, header: Sequence[str], columns: Sequence[str] | None, first: int
) -> list[int]:
    """Positions of the columns to read in the header, None from the first on.

    ValueError if the header is invalid; names of columns that are not read do not matter.
    """
    if len(header) == 1 and any(separator in header[0] for separator in ";\t"):
        msg = f"{path}: row 1 has one column, {header[0]!r}: fields must be separated by commas"
        raise ValueError(msg)
    if all(_is_number(name) for name in header):
        msg = f"{path}: row 1 must name the columns, got numbers: {','.join(header)}"
        raise ValueError(msg)
    chosen = header[first:] if columns is None else columns
    for name in chosen:
        if name not in header:
            msg = f"{path}: no column {name!r}, the header has {', '.join(header)}"
            raise ValueError(msg)
        if not name:
            j = header.index(name, first)
            msg = f"{path}: row 1 has no name for column {j + 1}; choose columns with --columns"
            raise ValueError(msg)
        if header.count(name) > 1:
            msg = f"{path}: row 1 names column {name!r} twice"
            raise ValueError(msg)
    return [header.index(name) for name in chosen]


def _numbers(
    path: str | Path, header: Sequence[str], positions: Sequence[int], i: int, row: Sequence[str]
) -> list[float]:
    """Numbers of row i at the positions."""
    if len(row) != len(header):
        place = "after" if len(row) > len(header) else "at"
        column = header[min(len(row), len(header) - 1)]
        msg = (
            f"{path}: row {i} has {len(row)} fields, the header {len(header)} "
            f"({place} column {column!r})"
        )
        raise ValueError(msg)
    for j in positions:
        field = row[j].strip()
        if not _is_number(field):
            got = f"{field!r} is not a number" if field else "the field is empty"
            hint = "" if len(header) == 1 else " (choose columns with --columns)"
            msg = f"{path}: row {i}, column {header[j]!r}: {got}{hint}"
            raise ValueError(msg)
        if not np.isfinite(float(field)):
            msg = f"{path}: row {i}, column {header[j]!r}: {field} is not finite"
            raise ValueError(msg)
    return [float(row[j]) for j in positions]


def _is_number(field: str) -> bool:
    """Whether a field is a number; 1_000, a number in Python, is not."""
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field
