"""Tables of Parquet and Arrow files, read by pyarrow."""

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from nvmix.foundation.tables import listed
from nvmix.foundation.typing import FloatArray
from nvmix.sources.readers import arrow_names
from nvmix.sources.tables.contents import COLUMNS, MISSING, OPTIONS
from nvmix.sources.tables.index import number_rows

# How files begin: Parquet, Arrow, and a stream of Arrow batches.
PARQUET: Final = b"PAR1"
ARROW: Final = b"ARROW1"
STREAM: Final = b"\xff\xff\xff\xff"
_NUMBERS: Final = ("is_floating", "is_integer", "is_boolean", "is_decimal")


class ArrowTable(NamedTuple):
    """Columns of a Parquet or Arrow file."""

    name: str  # of the file, in messages
    data: Any  # pyarrow.Table
    aside: dict[str, str]  # index columns and dates by name, with notes

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are not set aside, which may not be unique."""
        return tuple(name for name in self.data.column_names if name not in self.aside)

    def notes(self, names: Iterable[str]) -> list[str]:
        """What a user who reads these columns should know."""
        asked = set(names)
        return [note for name, note in self.aside.items() if name not in asked]

    def numbers(
        self, names: Sequence[str], missing: str, options: Sequence[str] = OPTIONS
    ) -> FloatArray:
        """Values (n, d) of the named columns; nan for nulls if missing is "em".

        For any invalid content there is a ValueError, which names the row, from 1 on, and the
        column.
        """
        counts = Counter(self.data.column_names)
        values = np.column_stack([self._column(name, counts[name], options) for name in names])
        bad = np.isinf(values) if missing == "em" else ~np.isfinite(values)
        if bad.any():
            i, j = (int(k) for k in np.argwhere(bad)[0])
            got = f"{values[i, j]} is not finite"
            told = np.isnan(values[i, j]) and MISSING in options
            hint = " (--missing em takes it for a missing value)" if told else ""
            msg = f"{self.name}: row {i + 1}, column {names[j]!r}: {got}{hint}"
            raise ValueError(msg)
        return values

    def _column(self, name: str, count: int, options: Sequence[str]) -> FloatArray:
        """Values (n,) of a column, with nan for nulls; ValueError unless one has the name."""
        if count != 1:
            what = f"no column {name!r}, the columns are {listed(self.data.column_names)}"
            if count:
                what = f"{count} columns have the name {name!r}, which must be unique"
            msg = f"{self.name}: {what}"
            raise ValueError(msg)
        column = self.data.column(name)
        if not _is(column.type, *_NUMBERS):
            hint = " (choose columns with --columns)" if COLUMNS in options else ""
            what = f"is of type {column.type} and not of numbers{hint}"
            msg = f"{self.name}: column {name!r} {what}"
            raise ValueError(msg)
        # Integers beyond 2^53 are rounded, as anywhere else.
        values: FloatArray = np.asarray(column.cast("float64", safe=False).to_numpy(), np.float64)
        return values


def arrow_table(name: str, content: bytes) -> ArrowTable:
    """The table of a Parquet or Arrow file; ValueError, which names the file, if it is damaged."""
    try:
        pyarrow = importlib.import_module("pyarrow")
    except ImportError as error:
        msg = f"{name}: pyarrow is not installed: pip install 'nvmix[arrow]'"
        raise ImportError(msg) from error
    try:
        data = _read(pyarrow, content)
    except (OSError, pyarrow.ArrowException) as error:
        msg = f"{name}: cannot be read: {error}"
        raise ValueError(msg) from None
    aside = _aside(data)
    if not data.num_rows or len(aside) == data.num_columns:
        msg = f"{name}: no {'columns of numbers' if data.num_rows else 'rows'}"
        raise ValueError(msg)
    return ArrowTable(name, data, aside)


def _aside(data: Any) -> dict[str, str]:
    """Index columns, dates and row numbers by name, with a note of each."""
    counts, aside = Counter(data.column_names), {}
    index = set(data.column_names) - set(arrow_names(data.schema))
    for j, field in enumerate(data.schema):
        if counts[field.name] > 1:
            continue
        if field.name in index or _is(field.type, "is_temporal"):
            aside[field.name] = f"column {field.name!r} is set aside as an index"
        elif j == 0 < data.num_columns - 1 and _has_row_numbers(field, data.column(j)):
            aside[field.name] = f"column {field.name!r} is set aside as row numbers"
    return aside


def _has_row_numbers(field: Any, column: Any) -> bool:
    """Whether the first column is of integers that number the rows."""
    is_full = _is(field.type, "is_integer") and not column.null_count
    return is_full and number_rows(field.name, column.to_numpy())


def _read(pyarrow: Any, content: bytes) -> Any:
    """The pyarrow.Table of the bytes of a file."""
    buffer = pyarrow.BufferReader(content)
    if content.startswith(PARQUET):
        return importlib.import_module("pyarrow.parquet").ParquetFile(buffer).read()
    ipc = importlib.import_module("pyarrow.ipc")
    return (ipc.open_file if content.startswith(ARROW) else ipc.open_stream)(buffer).read_all()


def _is(kind: Any, *names: str) -> bool:
    """Whether a type is one of those that pyarrow.types names so."""
    types = importlib.import_module("pyarrow.types")
    return any(getattr(types, name)(kind) for name in names)
