"""Files that a command writes: checked before the work, written beside and moved after it."""

import importlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from nvmix.foundation.files.replacing import replace_file
from nvmix.sources.tables.contents import STANDARD_INPUT

# Where systems have files that stand for devices and for open files, as standard output.
_DEVICES: Final = re.compile(r"/dev|/proc(/.*)?")


def check_target(target: str | None, sources: Iterable[str | None]) -> None:
    """Raise ValueError if a file could not be written, or is one of those that are read."""
    if target is None:
        return
    if not target:
        msg = "the file to write must have a name, got ''"
        raise ValueError(msg)
    path = Path(target)
    with naming(target), suppress(FileNotFoundError):
        path.stat()
    if (path.exists() and not path.is_file()) or _is_stream(path):
        msg = f"{target}: it is no regular file, and cannot be replaced"
        raise ValueError(msg)
    if not path.parent.is_dir():
        msg = f"{target}: its folder does not exist"
        raise ValueError(msg)
    if not os.access(path.resolve().parent, os.W_OK):
        msg = f"{target}: its folder cannot be written to"
        raise ValueError(msg)
    for source in sources:
        if source and source != STANDARD_INPUT and same_file(target, source):
            msg = f"{target}: it is read, and would be overwritten"
            raise ValueError(msg)


def _is_stream(path: Path) -> bool:
    """Whether a path is, or links to, an open file by its number, or a device."""
    folder = os.path.realpath(path.parent)
    if _DEVICES.fullmatch(folder):
        return True
    return path.is_symlink() and _is_stream(Path(folder, path.readlink()))


def same_file(path: str, other: str) -> bool:
    """Whether two paths are of one file, which need not exist."""
    both = Path(path).exists() and Path(other).exists()
    return Path(path).samefile(other) if both else os.path.realpath(path) == os.path.realpath(other)


def check_picture(target: str | None, sources: Iterable[str | None]) -> None:
    """Raise as `check_target`, or if its ending is of no picture; ImportError w/o matplotlib."""
    check_target(target, sources)
    if target is None:
        return
    importlib.import_module("nvmix.utils.plotting")
    canvas = importlib.import_module("matplotlib.backend_bases").FigureCanvasBase
    endings = canvas.get_supported_filetypes()
    if Path(target).suffix.lower().removeprefix(".") not in endings:
        known = ", ".join(f".{ending}" for ending in endings)
        msg = f"{target}: the file of a plot must end in one of {known}"
        raise ValueError(msg)


@contextmanager
def naming(target: str) -> Iterator[None]:
    """Errors of writing name the file that was meant, not that beside it."""
    try:
        yield
    except OSError as error:
        msg = f"{target}: cannot be written: {error.strerror or error}"
        raise OSError(msg) from error


def write(target: str, content: bytes) -> None:
    """Write a file completely, or leave the one that is there."""
    with naming(target):
        replace_file(Path(target).resolve(), content)


def write_picture(target: str, figure: Any) -> None:
    """Write a figure of matplotlib."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(target).suffix.lower().removeprefix("."))
    write(target, buffer.getvalue())
