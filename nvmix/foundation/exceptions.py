"""Warnings and errors that a fit may raise."""

import sys
import warnings


class ConvergenceWarning(UserWarning):
    """A fit ended without converging; the message says how and what to try."""


class DegenerateError(ValueError):
    """Statistics that no model has: Sigma would be singular, or Y would have variance 0."""


class SolveError(ValueError):
    """The solver of a subordinator's M-step, eta -> theta, did not converge."""


class ReadError(OSError):
    """A chunk of the data could not be read; the message names the chunk."""


class CheckpointError(ValueError):
    """A checkpoint file is damaged, or belongs to another fit; the file is not changed."""


def warn_user(message: str, kind: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of the package from which it was called."""
    package, level, frame = __name__.partition(".")[0], 2, sys._getframe(1)  # noqa: SLF001
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, kind, stacklevel=level)
