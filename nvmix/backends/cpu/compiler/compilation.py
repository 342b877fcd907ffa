"""What there is to compile, a word to who waits, and the time, which no fit counts as its own.

numba's events tell when it compiles. They are nested, for a function compiles what it calls.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, Final

from numba.core import event

from nvmix.backends.cpu.compiler.late import LateKernel
from nvmix.foundation.stopwatch import add_preparation

# All kernels that have a cache, and the late ones among them by function.
KERNELS: Final[list[Any]] = []
LATE_KERNELS: Final[dict[Callable[..., Any], LateKernel]] = {}
# Seconds of a compile above which it is announced.
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


def compiled_kernels() -> set[str]:
    """Names of the kernels that this process has compiled, rather than loaded from the cache."""
    return {kernel.__name__ for kernel in KERNELS if sum(kernel.stats.cache_misses.values())}


def compile_late_kernels() -> None:
    """Compile, or load from the cache, the kernels that wait for a call to reach them."""
    for kernel in LATE_KERNELS.values():
        kernel.compile()
