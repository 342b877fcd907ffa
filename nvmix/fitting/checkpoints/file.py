"""A file of the state of a fit, written so that no interrupt leaves a damaged one."""

import io
import json
import os
import signal
import struct
import threading
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Final, Self, TypeVar

import numpy as np

from nvmix.fitting.checkpoints.checkpoint import Checkpoint
from nvmix.fitting.checkpoints.contents import check_start, identity_of, model_contents
from nvmix.foundation.exceptions import CheckpointError
from nvmix.foundation.files.replacing import replace_file
from nvmix.mixture.em_maps import Mixture

T = TypeVar("T")

# What tells the files of this module from others.
_FORMAT: Final = "nvmix checkpoint 3"
_MINUTE: Final = 60.0
# What the readers of zip files, arrays, JSON and states raise on damaged or edited files.
_DAMAGE: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
# Python's default handler of a signal, and what is raised; a process ended by SIGTERM exits with
# the status that shells give it.
_INTERRUPTS: Final[dict[int, tuple[Any, Callable[[], BaseException]]]] = {
    signal.SIGINT: (signal.default_int_handler, KeyboardInterrupt),
    signal.SIGTERM: (signal.SIG_DFL, partial(SystemExit, 128 + signal.SIGTERM)),
}


class CheckpointFile:
    """Writes the state of a fit every so often, and its last complete one at an interrupt.

    Used as a context: Ctrl-C and SIGTERM raise inside it, and are raised again if compiled code has
    swallowed them; any exception that leaves it leaves a file of the last complete iteration.

    A fit that goes on from the file must have the same start, and the same identity: texts by name.
    A write is due after `every` iterations, or steps, unless the setting says.
    FileExistsError if the file exists and the fit is not to go on from it, FileNotFoundError or
    PermissionError if its directory does not exist or cannot be written to.
    """

    def __init__(
        self, setting: Checkpoint, every: int, start: Mixture, identity: dict[str, str]
    ) -> None:
        self.path, self.minutes, self.every = setting.path, setting.minutes, setting.every or every
        self.start, self.identity = start, identity
        name = f"checkpoint {str(self.path)!r}"
        check_kind(self.path)
        if not self.path.parent.is_dir():
            msg = f"{name} must be in a directory that exists"
            raise FileNotFoundError(msg)
        if not os.access(self.path.parent, os.W_OK):
            msg = f"{name} must be in a directory that can be written to"
            raise PermissionError(msg)
        if self.path.exists() and not setting.resume:
            msg = (
                f"{name} exists: go on from it with Checkpoint(path, resume=True), or move it away"
            )
            raise FileExistsError(msg)
        self._contents: Callable[[], dict[str, Any]] | None = None
        self._count, self._time = 0, time.monotonic()
        self._interrupted: int | None = None
        self._replaced: list[int] = []

    def __enter__(self) -> Self:
        """Let signals raise that nobody else handles."""
        if threading.current_thread() is threading.main_thread():
            for number, (default, _) in _INTERRUPTS.items():
                if signal.getsignal(number) == default:
                    self._replaced.append(number)
                    signal.signal(number, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Raise, so that what is open is closed."""
        self._interrupted = number
        self._raise_if_interrupted()

    def _raise_if_interrupted(self) -> None:
        """Raise an interrupt, also one that callbacks of compiled code have only printed."""
        if self._interrupted is not None:
            error = _INTERRUPTS[self._interrupted][1]()
            raise error

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write the last complete iteration, and leave signal handlers as they were."""
        try:
            if self._contents is not None:
                # A warning that is an error must not take the place of what ended the fit.
                with nullcontext() if error is None else suppress(RuntimeWarning):
                    self._try_to_write(self._contents)
        finally:
            for number in self._replaced:
                signal.signal(number, _INTERRUPTS[number][0])
        if error is None:
            self._raise_if_interrupted()

    def update(self, contents: Callable[[], dict[str, Any]]) -> None:
        """Take the state of a complete iteration, and write it where that is due.

        contents returns numbers, texts and arrays by name, which must be those of this iteration
        even if called after later ones.
        """
        # One assignment: an interrupt finds the state of this iteration or of the one before.
        self._contents = contents
        self._raise_if_interrupted()
        self._count += 1
        due = time.monotonic() - self._time > self.minutes * _MINUTE
        if self._count >= self.every or due:
            written = self._try_to_write(contents)
            self._contents = None if written else self._contents
            self._count, self._time = 0, time.monotonic()

    def restored(self, state_from: Callable[[dict[str, Any]], T]) -> T | None:
        """What a function makes of the contents of the file; None where the file does not exist.

        CheckpointError if the file is damaged, lacks something, is of another fit or start, or has
        been edited, so that the function raises.
        """
        if not self.path.exists():
            return None
        contents = read_checkpoint(self.path)
        identity = contents.pop("identity")
        for name, value in self.identity.items():
            if identity.get(name) != value:
                verb = "are" if name.endswith("s") else "is"
                msg = (
                    f"checkpoint {str(self.path)!r} is of another fit: {name} {verb} "
                    f"{identity.get(name)} there and {value} here"
                )
                raise CheckpointError(msg)
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                check_start(self.start, contents)
                return state_from(contents)
        except CheckpointError:
            raise
        except KeyError as error:
            msg = f"checkpoint has no {error}, which this version of nvmix needs"
            raise CheckpointError(msg) from error
        except _DAMAGE as error:
            msg = f"checkpoint {str(self.path)!r} has what no fit writes: {error}"
            raise CheckpointError(msg) from error

    def _try_to_write(self, contents: Callable[[], dict[str, Any]]) -> bool:
        """Write, or warn: a full disk must not end the fit."""
        try:
            self._write(contents())
        except OSError as error:
            msg = f"checkpoint {str(self.path)!r} could not be written: {error}"
            warnings.warn(msg, RuntimeWarning, stacklevel=2)
            return False
        return True

    def _write(self, contents: dict[str, Any]) -> None:
        """Replace the file, completely or not at all."""
        contents = {**model_contents("start", self.start), **contents}
        arrays = {name: x for name, x in contents.items() if isinstance(x, np.ndarray)}
        numbers = {name: x for name, x in contents.items() if name not in arrays}
        head = {"format": _FORMAT, "identity": self.identity, "numbers": numbers}
        head["arrays"] = list(arrays)
        replace_file(self.path, _archived(head=np.array(json.dumps(head)), **arrays))


def _archived(**arrays: Any) -> bytes:
    """Arrays as a file of NumPy."""
    buffer = io.BytesIO()
    try:
        np.savez(buffer, **arrays)
    except ValueError as error:
        # zipfile complains of what an interrupt has left half done, in its place.
        interrupt = error.__context__
        if interrupt is None or isinstance(interrupt, Exception):
            raise
        raise interrupt from None
    return buffer.getvalue()


def checkpoint_file(
    fitter: Any, every: int, decisive: Iterable[str], start: Mixture, **more: str
) -> CheckpointFile | None:
    """The file of a fitter's checkpoint, None without one.

    A fit that goes on from it must have the same values of the fitter's settings in decisive, the
    same family, columns and start, and the same texts in more.
    """
    if fitter.checkpoint is None:
        return None
    identity = {name: identity_of(getattr(fitter, name)) for name in decisive}
    identity |= {"family": type(start).__name__, "columns": repr(start.columns)}
    identity |= {"number of columns": repr(start.d), **more}
    return CheckpointFile(fitter.checkpoint, every, start, identity)


def check_kind(path: Path) -> None:
    """Raise CheckpointError for a pipe or a device, which may never end, and for a directory."""
    if path.exists() and not path.is_file():
        msg = f"{str(path)!r} is not a checkpoint of nvmix: it is no regular file"
        raise CheckpointError(msg)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Contents of a file, with "identity"; CheckpointError if it is damaged or something else."""
    check_kind(path)
    try:
        with path.open("rb") as file:
            _check_archive(file)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        head = json.loads(str(arrays.pop("head")))
        known = head["format"] == _FORMAT
        if known and head["arrays"] != list(arrays):
            # What a zip file says of itself has no checksum.
            raise zipfile.BadZipFile
        found = {**head["numbers"], **arrays, "identity": dict(head["identity"])} if known else {}
    except _DAMAGE as error:
        msg = f"{str(path)!r} is not a checkpoint of nvmix, or is damaged; it is left as it is"
        raise CheckpointError(msg) from error
    if not known:
        msg = f"checkpoint {str(path)!r} has format {head['format']!r}, not {_FORMAT!r}"
        raise CheckpointError(msg)
    return found


def _check_archive(file: BinaryIO) -> None:
    """Compare all checksums: NumPy checks neither headers nor what follows an array.

    BadZipFile if one is wrong, or if the contents are larger than the file: no fit compresses them,
    and they might fill the memory.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not plain or size > os.fstat(file.fileno()).st_size or archive.testzip() is not None:
            raise zipfile.BadZipFile
    file.seek(0)
