"""What a file or standard input has: bytes, unpacked."""

import gzip
import sys
import zlib
from pathlib import Path
from typing import Final

# The path that stands for standard input, and what messages call it.
STANDARD_INPUT: Final = "-"
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
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except OSError as error:
        reason: object = error.strerror or error
    except (EOFError, zlib.error) as error:
        reason = f"damaged gzip data: {error}"
    msg = f"{name_of(path)}: cannot be read: {reason}"
    raise ValueError(msg)


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
