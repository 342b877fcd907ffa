"""The two numba decorators of the package, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def device(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a scalar kernel; it is compiled into, and cached with, the loops that call it."""
    return cast("Callable[P, R]", numba.njit(error_model="numpy")(function))


def reducing_device(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel whose sums may be reordered into SIMD lanes; inf and nan keep meaning."""
    flags = {"reassoc", "contract", "nsz"}
    return cast("Callable[P, R]", numba.njit(error_model="numpy", fastmath=flags)(function))


def inlined_device(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a reducing device that LLVM must inline into its loop."""
    flags = {"reassoc", "contract", "nsz"}
    decorated = numba.njit(error_model="numpy", fastmath=flags, forceinline=True)(function)
    return cast("Callable[P, R]", decorated)


def loop(function: Callable[P, R]) -> Callable[P, R]:
    """Compile an entry point over arrays; machine code is cached on disk, the GIL is released."""
    return cast("Callable[P, R]", numba.njit(error_model="numpy", cache=True, nogil=True)(function))
