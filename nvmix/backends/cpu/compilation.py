"""What compilation takes: a word to who waits for it, and its time, which no fit counts as its own.

numba's events tell when it compiles. They are nested, for a function compiles what it calls.
"""

import sys
import time
from typing import Any, Final

from numba.core import event

from nvmix.foundation.stopwatch import add_preparation

# Seconds above which who waits is told.
_LONG: Final = 2.0


class _Timer(event.Listener):  # type: ignore[misc]
    """Counts what is between the start and the end of an outermost event as compilation."""

    def __init__(self) -> None:
        self._depth, self._begin = 0, 0.0

    def on_start(self, event: Any) -> None:  # noqa: ARG002
        """Begin, where no other is being compiled."""
        if self._depth == 0:
            self._begin = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:  # noqa: ARG002
        """End, where none is left."""
        self._depth -= 1
        if self._depth == 0:
            add_preparation(self._begin)


event.register("numba:compile", _Timer())


def announce(seconds: float) -> None:
    """Say on a terminal or in a notebook that a compile begins that usually takes so long."""
    watched = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    if watched and seconds > _LONG:
        sys.stderr.write(f"nvmix: compiling for this machine, once; about {seconds:.0f} seconds\n")
        sys.stderr.flush()
