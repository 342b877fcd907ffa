"""The table of any file, by what it contains, whatever its name is."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from nvmix.foundation.typing import FloatArray
from nvmix.sources.tables.arrow import ARROW, PARQUET, STREAM, arrow_table
from nvmix.sources.tables.contents import OPTIONS, contents, name_of
from nvmix.sources.tables.csv import csv_table


class Table(Protocol):
    """Columns of a file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns but for an index; `numbers` refuses those that are not unique."""

    def notes(self, names: Iterable[str]) -> list[str]:
        """What a user who reads these columns should know."""

    def numbers(
        self, names: Sequence[str], missing: str, options: Sequence[str] = OPTIONS
    ) -> FloatArray:
        """Values (n, d) of the named columns; ValueError, which names row and column.

        Of options of the command line, errors advise these only.
        """


def read_table(path: str | Path) -> Table:
    """The table of a CSV, Parquet or Arrow file, plain or gzip's, or of standard input for "-".

    ValueError, which names the file, if it is none; ImportError if pyarrow is needed.
    """
    content = contents(path)
    if content.startswith((PARQUET, ARROW, STREAM)):
        return arrow_table(name_of(path), content)
    return csv_table(name_of(path), content)
