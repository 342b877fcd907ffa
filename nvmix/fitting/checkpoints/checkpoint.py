"""The setting that asks a fit to keep checkpoints."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvmix.foundation.validation import boolean, integer, nonnegative


@dataclass(frozen=True)
class Checkpoint:
    """File in which a fit keeps its state, to go on from after an interrupt.

    It is written completely or not at all: every so often, at the end, and when Ctrl-C, SIGTERM
    (which raises SystemExit) or an error interrupts the fit. If the file exists, a fit begins under
    ``resume=True`` only.

    Parameters
    ----------
    path : path
        The file, in a directory that exists.
    every : int or None
        Iterations, or steps of incremental EM, between two writes; None is 10 iterations or 1000
        steps.
    minutes : float
        Minutes after which a write is due before that.
    resume : bool
        Whether to go on from the file, where it exists, to the same bits that the fit would have
        come to on this kind of processor. The fit must have begun from the same start, with the
        same settings and rows. A fit that reached max_iter (or max_steps) goes on under a larger
        one, and one that is beyond max_iter ends as it is. An `eta_update` of your own is
        recognised by its name only, and its internal state is not written.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain.

    Examples
    --------
    >>> from nvmix import Checkpoint
    >>> Checkpoint("fit.checkpoint", every=5).path.name
    'fit.checkpoint'
    """

    path: Path
    every: int | None = None
    minutes: float = 5.0
    resume: bool = False

    def __post_init__(self) -> None:
        """Validate; the path is made absolute, so that a change of directory does not matter."""
        path: Any = self.path
        if not isinstance(path, str | os.PathLike):
            msg = f"path must be a path, got {path!r}"
            raise TypeError(msg)
        object.__setattr__(self, "path", Path(path).resolve())
        if self.every is not None:
            integer("every", self.every, 1)
        nonnegative("minutes", self.minutes)
        boolean("resume", self.resume)


def optional_checkpoint(value: Any) -> Checkpoint | None:
    """Return the checkpoint that a fitter's setting stands for: one, a path, or None."""
    if value is None or isinstance(value, Checkpoint):
        return value
    if isinstance(value, str | os.PathLike):
        return Checkpoint(Path(value))
    msg = f"checkpoint must be a Checkpoint, a path or None, got {value!r}"
    raise TypeError(msg)
