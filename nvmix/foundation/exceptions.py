"""Warnings and errors that a fit may raise."""

import sys
import warnings


class ConvergenceWarning(UserWarning):
    """A fit ended without converging; the message says how and what to try.

    Examples
    --------
    >>> import warnings
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> try:
    ...     with warnings.catch_warnings():
    ...         warnings.simplefilter("error", nvmix.ConvergenceWarning)
    ...         nvmix.fit(X, "nig", max_iter=1)
    ... except nvmix.ConvergenceWarning as warning:
    ...     print(str(warning).partition(":")[0])
    Stopped at max_iter before the fit settled
    """


class DegenerateError(ValueError):
    """Statistics that no model has: Sigma would be singular, or Y would have variance 0."""


class SolveError(ValueError):
    """The solver of a subordinator's M-step, eta -> theta, did not converge."""


class ReadError(OSError):
    """A chunk of the data could not be read; the message names the chunk.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> def chunks():
    ...     yield X[:200]
    ...     raise OSError("the disk is gone")
    >>> start = nvmix.NormalInverseGaussian.default_init(X)
    >>> try:
    ...     start.fit(chunks)
    ... except nvmix.ReadError as error:
    ...     print(error)
    chunk 1 of the chunks of chunks could not be read: OSError('the disk is gone')
    """


class CheckpointError(ValueError):
    """A checkpoint file is damaged, or belongs to another fit; the file is not changed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> path = Path(tempfile.mkdtemp()) / "fit.npz"
    >>> _ = path.write_text("not a checkpoint")
    >>> try:
    ...     nvmix.fit(X, "nig", checkpoint=nvmix.Checkpoint(path, resume=True))
    ... except nvmix.CheckpointError as error:
    ...     print(str(error).replace(str(path), "fit.npz"))
    'fit.npz' is not a checkpoint of nvmix, or is damaged; it is left as it is
    """


def warn_user(message: str, kind: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of the package from which it was called."""
    package, level, frame = __name__.partition(".")[0], 2, sys._getframe(1)  # noqa: SLF001
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, kind, stacklevel=level)
