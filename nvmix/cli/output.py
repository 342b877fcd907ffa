"""Standard output and standard error, whatever characters they take."""

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from nvmix.cli.targets import write
from nvmix.foundation.tables import printable


def show(text: str) -> None:
    """Print on standard output."""
    _print(text, sys.stdout)


def show_json(record: dict[str, Any]) -> None:
    """Print one JSON object; inf and nan are texts in it."""
    show(json.dumps(record, allow_nan=False))


def note(text: str) -> None:
    """Print a line on standard error, with control characters escaped."""
    _print(printable(text), sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    """Print, with what the stream cannot encode escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def flush() -> None:
    """Write out what has been printed, so that a pipe without reader shows itself here."""
    if sys.stdout is not None:
        sys.stdout.flush()


def without_reader() -> None:
    """Print to nowhere from here on, so that the interpreter's own flush at its end succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_data(target: str | None, names: Sequence[str], rows: Sequence[Sequence[float]]) -> None:
    """Rows of numbers as CSV, whose digits bring them back, to a file or to standard output."""
    text = io.StringIO()
    if target is None and sys.stdout.isatty():
        names = [printable(name) for name in names]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    if target is None:
        show(text.getvalue().removesuffix("\n"))
    else:
        write(target, text.getvalue().encode())
        note(f"{len(rows)} rows written to {target}")
