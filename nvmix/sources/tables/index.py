"""Columns that are an index: dates, numbers of rows, and columns without a name."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from nvmix.foundation.typing import IntArray

# 2024-01-31, 31.1.2024 and 1/31/24, with or without a time; 2024-01 and 2024Q1; 31-Jan-2024,
# Jan 2024 and January 31, 2024.
_DATE: Final = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ]\d{1,2}:\d{2}.*)?"
    r"|\d{4}(-\d{2}|-?Q[1-4])"
    r"|(\d{1,2}[- ])?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*[-. ]*"
    r"(\d{1,2}, )?\d{2,4}"
)
# 1987, 198706 and 19870630 are numbers too, so the name of the column has to say what they are.
_NUMERIC_DATE: Final = re.compile(r"(1[5-9]|2[01])\d\d((0[1-9]|1[0-2])([0-2]\d|3[01])?)?")
_NAMES_OF_DATES: Final = ("date", "day", "month", "year", "datum")
# What people and programs call numbers of rows, where some rows may have been left out.
_NAMES_OF_NUMBERS: Final = (
    "index", "unnamed: 0", "rownames", "row.names", "row", "obs", "id", "n", "no", "t", "x",
)  # fmt: skip
_INTEGER: Final = re.compile(r"0|[1-9]\d{0,17}")
# Rows from which on 1, 2, 3 are no chance, whatever the name.
_COUNTED: Final = 3


def index_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[int, str]:
    """Positions of the columns that are an index, or empty, with a note of each.

    There are none if no column were left.
    """
    found = {}
    for j, name in enumerate(header):
        fields = [row[j].strip() for row in rows]
        if not name and not any(fields):
            found[j] = f"column {j + 1}, which has neither a name nor values, is set aside"
        elif fields and _is_index(j, name, fields):
            place = f"column {j + 1}" if j else "the first column"
            what = f"column {name!r}" if name else f"{place}, which has no name"
            kind = "row numbers" if name and not j and are_numbers(name, fields) else "an index"
            found[j] = f"{what}, from {fields[0]} to {fields[-1]}, is set aside as {kind}"
    return found if len(found) < len(header) else {}


def _is_index(j: int, name: str, fields: Sequence[str]) -> bool:
    """Whether a column has dates alone, or is the first and has numbers of rows or no name."""
    if j == 0 and not name:
        return True
    if all(map(_DATE.fullmatch, fields)):
        return True
    if name.lower() in _NAMES_OF_DATES:
        return all(map(_NUMERIC_DATE.fullmatch, fields))
    return j == 0 and are_numbers(name, fields)


def are_numbers(name: str, fields: Sequence[str]) -> bool:
    """Whether fields of the first column are numbers of rows."""
    are_integers = all(map(_INTEGER.fullmatch, fields))
    return are_integers and number_rows(name, np.array(list(map(int, fields))))


def number_rows(name: str, numbers: IntArray) -> bool:
    """Whether integers number the rows.

    They are all from 0 or 1 on, or rise if the name says what they are.
    """
    n = len(numbers)
    if not n or numbers[0] < 0:
        return False
    if name.lower() in _NAMES_OF_NUMBERS:
        return bool((numbers[1:] > numbers[:-1]).all())
    return n >= _COUNTED and numbers[0] <= 1 and bool((numbers == numbers[0] + np.arange(n)).all())


def are_names(header: Sequence[str]) -> bool:
    """Whether names that are all numbers are names all the same: years, or 0, 1, 2 and so on."""
    if len(header) < 2 or len(set(header)) < len(header):
        return False
    years = all(len(name) == 4 and _NUMERIC_DATE.fullmatch(name) for name in header)
    return years or list(header) == [str(j) for j in range(len(header))]
