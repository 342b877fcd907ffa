"""Results as text and as HTML: aligned tables, and arrays in a line."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import numpy as np

# Names that a message lists of many.
_LISTED: Final = 10


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Table as text: the first column is aligned left, the others right."""
    cells = [[printable(x) for x in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *others = zip(row, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(x.rjust(width) for x, width in others)])

    return "\n".join(map(line, cells))


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Table as HTML, as notebooks display it."""

    def line(tag: str, row: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(printable(x))}</{tag}>" for x in row) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', header)}</thead><tbody>{body}</tbody></table>"


def printable(text: str) -> str:
    """Text in whose place control characters, such as those that move a cursor, are escaped."""
    if text.isprintable():
        return text
    return "".join(x if x.isprintable() else ascii(x)[1:-1] for x in text)


def listed(names: Sequence[str]) -> str:
    """Names in a line, of many the first ones and their number."""
    first = ", ".join(names[:_LISTED])
    return first if len(names) <= _LISTED else f"{first} and so on, {len(names)} in all"


def brief(values: Any) -> str:
    """Numbers of an array in a line, to four digits, without those in the middle of many."""
    text = np.array2string(
        np.asarray(values), precision=4, threshold=6, edgeitems=2, separator=", "
    )
    return " ".join(text.split())
