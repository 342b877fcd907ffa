"""Writing a file completely or not at all."""

import os
import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside the path, and move it there when it is complete and on the disk.

    OSError, which names the path, where that fails.
    """
    try:
        _write_beside(path, content)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_beside(path: Path, content: bytes) -> None:
    """Write and move."""
    # Another job may write the same file, and "x" follows no link.
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with beside.open("xb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
