"""Where a fit stands, in a file: written so that no interrupt leaves a damaged one."""

from __future__ import annotations

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
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from nvmix._exceptions import CheckpointError
from nvmix.fitting.standing import state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType, TracebackType

    from nvmix.fitting.steps import Track

# What tells the files of this module from others.
_FORMAT: Final = "nvmix checkpoint 1"
_SECONDS: Final = 60.0
# What the readers of zip files, arrays and JSON raise.
_DAMAGE: Final = (
    OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, struct.error, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
# Exit status of a process that a SIGTERM ended, as shells give it.
_TERMINATED: Final = 128 + signal.SIGTERM


class Checkpoint:
    """Writes where a fit stands every so often, and where it stood when it was interrupted.

    Used as a context: SIGTERM raises SystemExit in it, and whatever leaves it by an exception
    leaves a file of the last complete iteration behind.

    Parameters
    ----------
    path : Path
        The file.
    every : int
        Iterations between two writes.
    minutes : float
        Minutes after which one is due before that.
    identity : dict of str
        What a fit must have in common with one that goes on from the file.
    resume : bool
        Whether to go on from the file, where there is one.

    Raises
    ------
    FileExistsError
        If there is a file and the fit is not to go on from it.
    FileNotFoundError
        If the directory is not there.
    """

    def __init__(
        self,
        path: Path,
        every: int,
        minutes: float,
        identity: dict[str, str],
        *,
        resume: bool,
    ) -> None:
        self.path, self.every, self.minutes = path, every, minutes
        self.identity = identity
        if not path.parent.is_dir():
            msg = f"checkpoint {str(path)!r} must be in a directory that exists"
            raise FileNotFoundError(msg)
        if not os.access(path.parent, os.W_OK):
            msg = f"checkpoint {str(path)!r} must be in a directory that can be written to"
            raise PermissionError(msg)
        if path.exists() and not resume:
            msg = f"checkpoint {str(path)!r} is there: go on with resume=True, or move it away"
            raise FileExistsError(msg)
        self._state: dict[str, Any] | None = None
        self._count, self._time = 0, time.monotonic()
        self._restore: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        """Let SIGTERM raise."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._restore = lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, _terminate)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the last complete iteration, and leave signals as they were."""
        try:
            if self._state is not None:
                self._try_to_write(self._state)
        finally:
            if self._restore is not None:
                self._restore()

    def note(self, track: Track) -> None:
        """Take note of a complete iteration, and write it where that is due.

        Parameters
        ----------
        track : Track
            Where the fit stands.
        """
        # One assignment: an interrupt finds the state of this iteration or of the one before.
        self._state = state_of(track)
        self._count += 1
        due = time.monotonic() - self._time > self.minutes * _SECONDS
        if self._count >= self.every or due:
            written = self._try_to_write(self._state)
            self._state = None if written else self._state
            self._count, self._time = 0, time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The state in the file, or None where there is no file.

        Returns
        -------
        dict or None
            As of `state_of`.

        Raises
        ------
        CheckpointError
            If the file is damaged, or of something else.
        """
        if not self.path.exists():
            return None
        found = read_checkpoint(self.path)
        identity = found.pop("identity")
        for name, value in self.identity.items():
            if identity.get(name) != value:
                msg = (
                    f"checkpoint {str(self.path)!r} is of another fit: {name} is "
                    f"{identity.get(name)!r} there and {value!r} here"
                )
                raise CheckpointError(msg)
        return found

    def _try_to_write(self, state: dict[str, Any]) -> bool:
        """Write, or warn: a fit that goes on is worth more than its checkpoint."""
        try:
            self._write(state)
        except OSError as error:
            msg = f"checkpoint {str(self.path)!r} could not be written: {error}"
            warnings.warn(msg, RuntimeWarning, stacklevel=2)
            return False
        return True

    def _write(self, state: dict[str, Any]) -> None:
        """Replace the file by one of a state, at once or not at all."""
        numbers = {k: v for k, v in state.items() if not isinstance(v, np.ndarray)}
        arrays: dict[str, Any] = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
        head = json.dumps({"format": _FORMAT, "identity": self.identity, "numbers": numbers})
        buffer = io.BytesIO()
        np.savez(buffer, head=np.array(head), **arrays)
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}-{id(self)}.part")
        try:
            with beside.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """State in a file, with the identity of its fit.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        The state, and "identity".

    Raises
    ------
    CheckpointError
        If the file is damaged, or not a checkpoint.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop("head")))
        known = head["format"] == _FORMAT
        state = {**head["numbers"], **arrays, "identity": dict(head["identity"])} if known else {}
    except _DAMAGE as error:
        msg = f"{str(path)!r} is not a checkpoint of nvmix, or is damaged; it is left as it is"
        raise CheckpointError(msg) from error
    if not known:
        msg = f"checkpoint {str(path)!r} has format {head['format']!r}, not {_FORMAT!r}"
        raise CheckpointError(msg)
    return state


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Raise, so that what is open is closed."""
    raise SystemExit(_TERMINATED)
