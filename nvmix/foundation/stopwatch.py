"""Seconds of work, without those in which code was compiled or loaded."""

import time
from typing import Final

# Seconds of that so far, in all threads.
_preparation: Final = {"seconds": 0.0}


class Stopwatch:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._begin, self._before = time.perf_counter(), _preparation["seconds"]

    @property
    def seconds(self) -> float:
        """Seconds since then in which no thread did that."""
        passed = time.perf_counter() - self._begin
        return max(0.0, passed - (_preparation["seconds"] - self._before))


def add_preparation(begin: float) -> None:
    """Count the time since a moment of `time.perf_counter` as compiling or loading.

    Such times must not overlap: numba compiles in one thread at a time.
    """
    _preparation["seconds"] += time.perf_counter() - begin
