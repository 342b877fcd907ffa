"""What a file or standard input has: bytes, unpacked."""

import gzip
import os
import stat
import sys
import zlib
from contextlib import suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import Final

# The path that stands for standard input, and what messages call it.
STANDARD_INPUT: Final = "-"
# Options that errors advise.
MISSING: Final = "--missing"
COLUMNS: Final = "--columns"
OPTIONS: Final = (MISSING, COLUMNS)
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"


def name_of(path: str | Path) -> str:
    """What messages call a file."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def contents(path: str | Path) -> bytes:
    """All bytes of a file, or of standard input for "-", which are unpacked if they are gzip's.

    ValueError, which names the file, if it cannot be read.
    """
    if not str(path):
        msg = "DATA must be the name of a file, got ''"
        raise ValueError(msg)
    try:
        content = _standard_input() if path == STANDARD_INPUT else _bytes(path)
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except OSError as error:
        reason: object = error.strerror or error
    except (EOFError, zlib.error) as error:
        reason = f"damaged gzip data: {error}"
    msg = f"{name_of(path)}: cannot be read: {reason}"
    raise ValueError(msg)


def _standard_input() -> bytes:
    """All bytes of standard input; OSError if it is closed or has no end."""
    if sys.stdin is None:
        msg = "it is closed"
        raise OSError(msg)
    # It has no number where a program has replaced it.
    with suppress(UnsupportedOperation):
        number = sys.stdin.fileno()
        if not os.isatty(number):
            check_end(os.fstat(number).st_mode)
    return sys.stdin.buffer.read()


def _bytes(path: str | Path) -> bytes:
    """All bytes of a file; OSError if it cannot be read or has no end."""
    check_end(Path(path).stat().st_mode)
    return Path(path).read_bytes()


def check_end(mode: int) -> None:
    """Raise OSError for the mode of a device, which may have no end."""
    if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
        msg = "it is a device, and no file or pipe"
        raise OSError(msg)


def text_of(name: str, content: bytes) -> str:
    """Text in UTF-8, or in UTF-16 if it begins as such; ValueError, which names the file."""
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        what = f"not UTF-{16 if utf_16 else 8} text"
        if content.startswith(_ZIP):
            what = "an archive, as spreadsheets are: save it as CSV"
        msg = f"{name}: cannot be read: it is {what}"
        raise ValueError(msg) from None
