"""Reader of CSV files, with error messages that name the row and the column."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nvmix.foundation.typing import FloatArray


def read_csv(
    path: str | Path, columns: Sequence[str] | None = None
) -> tuple[FloatArray, tuple[str, ...]]:
    """Observations (n, d) and column names of a CSV file of finite numbers with a header, in UTF-8.

    `columns` chooses columns by name, in that order; None is all. For any invalid content there is
    a ValueError, which names the row, as a line of the file with the header as row 1, and the
    column.
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
    positions = _positions(path, header, columns)
    values = [_numbers(path, header, positions, i, row) for i, row in rows[1:]]
    if not values:
        msg = f"{path}: no rows below the header"
        raise ValueError(msg)
    return np.array(values), tuple(header[j] for j in positions)


def _positions(path: str | Path, header: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    """Positions of the columns to read in the header; ValueError if the header is invalid."""
    if len(header) == 1 and any(separator in header[0] for separator in ";\t"):
        msg = f"{path}: row 1 has one column, {header[0]!r}: fields must be separated by commas"
        raise ValueError(msg)
    if all(_is_number(name) for name in header):
        msg = f"{path}: row 1 must name the columns, got numbers: {','.join(header)}"
        raise ValueError(msg)
    positions: dict[str, int] = {}
    for j, name in enumerate(header):
        if not name:
            msg = f"{path}: row 1 has no name for column {j + 1}; an index must not be written"
            raise ValueError(msg)
        if name in positions:
            msg = f"{path}: row 1 names column {name!r} twice"
            raise ValueError(msg)
        positions[name] = j
    if columns is None:
        return list(range(len(header)))
    for name in columns:
        if name not in positions:
            msg = f"{path}: no column {name!r}, the header has {', '.join(header)}"
            raise ValueError(msg)
    return [positions[name] for name in columns]


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
