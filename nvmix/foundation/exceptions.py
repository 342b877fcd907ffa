"""Warnings and errors of a fit."""


class ConvergenceWarning(UserWarning):
    """A fit ended without converging; the message says how and what to try."""


class DegenerateError(ValueError):
    """Statistics from which no model can be made: a singular Sigma, or Y without spread."""


class SolveError(ValueError):
    """A subordinator's eta -> theta that did not converge."""


class ReadError(OSError):
    """A chunk of data that could not be read; the message names it."""


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or of another fit; the file is left as it is."""
