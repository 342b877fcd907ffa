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
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from nvmix.fitting.checkpoints.fit_state import identity_of
from nvmix.foundation.exceptions import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import FrameType, TracebackType

    from nvmix.distributions.normal_mixture import NormalMixture

# What tells the files of this module from others.
_FORMAT: Final = "nvmix checkpoint 1"
_MINUTE: Final = 60.0
# What the readers of zip files, arrays and JSON raise.
_DAMAGE: Final = (
    OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, struct.error, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
# What Python does about a signal, and what is raised; a process that SIGTERM has ended exits with
# the status that shells give it.
_INTERRUPTS: Final[dict[int, tuple[Any, Callable[[], BaseException]]]] = {
    signal.SIGINT: (signal.default_int_handler, KeyboardInterrupt),
    signal.SIGTERM: (signal.SIG_DFL, partial(SystemExit, 128 + signal.SIGTERM)),
}


class Checkpoint:
    """Writes where a fit stands every so often, and where it stood when it was interrupted.

    Used as a context: Ctrl-C and SIGTERM raise in it, again if something has swallowed that, and
    whatever leaves it by an exception leaves a file of the last complete iteration behind.

    Parameters
    ----------
    path : Path
        The file.
    every : int
        Iterations, or steps, between two writes.
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
        self._state: Callable[[], dict[str, Any]] | None = None
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
        """Raise, also what callbacks of compiled code, as while it loads, have only printed."""
        if self._interrupted is not None:
            error = _INTERRUPTS[self._interrupted][1]()
            raise error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the last complete iteration, and leave signals as they were."""
        try:
            if self._state is not None:
                # A warning that is an error must not take the place of what ended the fit.
                with nullcontext() if error is None else suppress(RuntimeWarning):
                    self._try_to_write(self._state)
        finally:
            for number in self._replaced:
                signal.signal(number, _INTERRUPTS[number][0])
        if error is None:
            self._raise_if_interrupted()

    def note(self, state: Callable[[], dict[str, Any]]) -> None:
        """Take note of a complete iteration, and write it where that is due.

        Parameters
        ----------
        state : callable
            Returns numbers, texts and arrays by name, which say where the fit stands now, when
            more iterations are done too.
        """
        # One assignment: an interrupt finds the state of this iteration or of the one before.
        self._state = state
        self._raise_if_interrupted()
        self._count += 1
        due = time.monotonic() - self._time > self.minutes * _MINUTE
        if self._count >= self.every or due:
            written = self._try_to_write(state)
            self._state = None if written else self._state
            self._count, self._time = 0, time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The state in the file, or None where there is no file.

        Returns
        -------
        dict or None
            As it was noted.

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
                verb = "are" if name.endswith("s") else "is"
                msg = (
                    f"checkpoint {str(self.path)!r} is of another fit: {name} {verb} "
                    f"{identity.get(name)} there and {value} here"
                )
                raise CheckpointError(msg)
        return found

    def _try_to_write(self, state: Callable[[], dict[str, Any]]) -> bool:
        """Write, or warn: a fit that goes on is worth more than its checkpoint."""
        try:
            self._write(state())
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
        content = _archived(head=np.array(head), **arrays)
        beside = self.path.with_name(f"{self.path.name}.part")
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)


def _archived(**arrays: Any) -> bytes:
    """Arrays as a file of NumPy."""
    buffer = io.BytesIO()
    try:
        np.savez(buffer, **arrays)
    except ValueError as error:
        # What an interrupt leaves half done, zipfile complains of in its place.
        interrupt = error.__context__
        if interrupt is None or isinstance(interrupt, Exception):
            raise
        raise interrupt from None
    return buffer.getvalue()


def check_resumable(checkpoint: Path | None, *, resume: bool) -> None:
    """Check that a checkpoint is named, where a fit is to go on from it.

    Parameters
    ----------
    checkpoint : Path or None
        Its file.
    resume : bool
        Whether to go on from it.

    Raises
    ------
    ValueError
        If none is.
    """
    if resume and checkpoint is None:
        msg = "resume=True needs a checkpoint to go on from, got None"
        raise ValueError(msg)


def checkpoint_of(
    fitter: Any, decisive: Iterable[str], model: NormalMixture, **more: str
) -> Checkpoint | None:
    """What keeps where a fit stands, if the fitter has a file for it.

    Parameters
    ----------
    fitter : BatchEMFitter or IncrementalEMFitter
        Has settings, among them `checkpoint`, `checkpoint_every`, `checkpoint_minutes`, `resume`.
    decisive : iterable of str
        Names of settings that a fit must share with the one that it goes on from.
    model : NormalMixture
        Starting model.
    **more : str
        What else it must share with it.

    Returns
    -------
    Checkpoint or None
        None without a file.

    Raises
    ------
    FileExistsError, FileNotFoundError, PermissionError
        If the file is there and the fit is not to go on from it, or none can be there.
    """
    if fitter.checkpoint is None:
        return None
    identity = {name: identity_of(getattr(fitter, name)) for name in decisive}
    identity |= {"family": type(model).__name__, "columns": repr(model.columns)}
    identity |= {"number of columns": repr(model.d), **more}
    return Checkpoint(
        fitter.checkpoint,
        fitter.checkpoint_every,
        fitter.checkpoint_minutes,
        identity,
        resume=fitter.resume,
    )


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
        # Sums of all bytes first: NumPy reads headers, and no more than arrays need, without them.
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as checked:
            damaged = checked.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(damaged)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
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
