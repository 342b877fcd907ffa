"""Seconds of work, without those that compilation took meanwhile."""

import time
from typing import Final

# Seconds of compilation so far, in all threads.
_compilation: Final = {"seconds": 0.0}


class Stopwatch:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._begin, self._before = time.perf_counter(), _compilation["seconds"]

    @property
    def seconds(self) -> float:
        """Seconds since then in which no thread compiled."""
        passed = time.perf_counter() - self._begin
        return max(0.0, passed - (_compilation["seconds"] - self._before))


def add_compilation(begin: float) -> None:
    """Count the time since a moment of `time.perf_counter` as compilation.

    Such times must not overlap. numba compiles in one thread at a time.
    """
    _compilation["seconds"] += time.perf_counter() - begin
