"""JSON that has each double to the last bit, and a reader that refuses what is ambiguous or vast.

Standard JSON has no inf and nan, which stand there by name: ``"inf"``, ``"-inf"``, ``"nan"``.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

# Bytes of the largest file, which has some 2,000 columns.
MOST_BYTES: Final = 1 << 27
# Lists and objects in it, at most: a small text of brackets alone would fill the memory.
_MOST_BRACKETS: Final = 1 << 17
NON_FINITE: Final = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def encoded(value: float) -> float | str:
    """A double as JSON has it."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def all_encoded(values: Iterable[float]) -> list[float | str]:
    """Doubles as JSON has them."""
    return [encoded(value) for value in values]


def json_text(record: dict[str, Any]) -> str:
    """The text of a record, with a line for each of its fields and none inside a list of lists."""
    lines = (f" {json.dumps(k)}: {json.dumps(x, allow_nan=False)}" for k, x in record.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_json(path: Path) -> Any:
    """What the JSON text of a regular file stands for; ValueError, which says why, if it is none.

    FileNotFoundError and other OSErrors where it cannot be read.
    """
    if path.exists() and not path.is_file():
        msg = "it is no regular file"
        raise ValueError(msg)
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        msg = f"it is larger than {MOST_BYTES} bytes"
        raise ValueError(msg)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = "it is not UTF-8 text"
        raise ValueError(msg) from None
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        msg = f"it has more than {_MOST_BRACKETS} lists and objects"
        raise ValueError(msg)
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite
        )
    except json.JSONDecodeError as error:
        msg = f"it is not complete JSON: {error}"
        raise ValueError(msg) from None
    except RecursionError:
        msg = "its lists and objects are nested too deeply"
        raise ValueError(msg) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError for a key that it has twice."""
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"it has field {twice!r} twice"
        raise ValueError(msg)
    return record


def _constant(name: str) -> float:
    """ValueError for NaN and Infinity, which are no JSON."""
    msg = f"it has {name}, which is no JSON number"
    raise ValueError(msg)


def _finite(digits: str) -> float:
    """A double; ValueError for digits beyond the range of doubles."""
    value = float(digits)
    if not math.isfinite(value):
        msg = f"it has {digits[:40]}, which is beyond the range of doubles"
        raise ValueError(msg)
    return value
