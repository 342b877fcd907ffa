"""Warnings and errors that a fit may raise."""


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
