"""The numba decorators of the package, and nothing else."""

import importlib
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar, cast

import numba

from nvmix.backends.cpu.compiler.cache import KernelCache
from nvmix.backends.cpu.compiler.compilation import KERNELS, LATE_KERNELS
from nvmix.backends.cpu.compiler.late import LateKernel
from nvmix.backends.cpu.compiler.numba_internals import DEVICES, LATE, LOOPS, moved

F = TypeVar("F", bound="Callable[..., Any]")


def _pipelines() -> dict[str, dict[str, Any]]:
    """Options by kind of function that give it its compiler, numba's where its internals moved.

    Loops would then still be right, but round as what was compiled before them.
    """
    kinds: dict[str, dict[str, Any]] = {"device": {}, "outlined": {}, "compact": {}, "loop": {}}
    if moved(LOOPS):
        return kinds
    # Not imported above: it cannot be where numba's internals moved.
    linkage = importlib.import_module("nvmix.backends.cpu.compiler.linkage")
    kinds["loop"] = {"pipeline_class": linkage.PrivateKernels}
    if not moved(DEVICES):
        kinds["device"] = {"pipeline_class": linkage.LinkedDevices}
        kinds["outlined"] = {"pipeline_class": linkage.OutlinedDevices}
        kinds["compact"] = {"pipeline_class": linkage.CompactDevices}
    return kinds


_PIPELINES: Final = _pipelines()
_LATE_MOVED: Final = bool(moved(LATE))
# Device functions are called by compiled code only: wrappers for other callers would cost a third
# of the compile time.
_DEVICE: Final = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    **_PIPELINES["device"],
}
_ENTRY: Final = {"error_model": "numpy", "no_cfunc_wrapper": True, **_PIPELINES["loop"]}
_LOOP: Final = {**_ENTRY, "nogil": True}
# Functions and methods that make objects. Devices without them need not count references to arrays.
_ALLOCATING: Final = {"empty", "copy", "random", "standard_exponential", "ValueError"}
# Sums may be reordered into SIMD lanes; inf and nan keep meaning.
_REDUCING: Final = {"reassoc", "contract", "nsz"}
# Sums keep their order; a product and a sum may become one fused operation.
_CONTRACTING: Final = {"contract"}


def device(function: F) -> F:
    """Compile a scalar kernel; it is compiled into, and cached with, the loops that call it.

    A plain numba function may call it too, unless it prints, or raises with values.
    """
    return _compiled(function)


def compact_device(function: F) -> F:
    """Compile a kernel that an iteration calls once to small code, which takes less time."""
    return _compiled(function, **_PIPELINES["compact"])


def outlined_device(function: F) -> F:
    """Compile a kernel whose loops are the same in every function that calls it."""
    return _compiled(function, **_PIPELINES["outlined"])


def reducing_device(function: F) -> F:
    """Compile a kernel whose sums may be reordered, in one way in every function that calls it."""
    return _compiled(function, fastmath=_REDUCING, **_PIPELINES["outlined"])


def contracting_device(function: F) -> F:
    """Compile a kernel whose sums keep their order, and that LLVM must inline."""
    return _compiled(function, fastmath=_CONTRACTING, forceinline=True)


def inlined_device(function: F) -> F:
    """Compile a reducing device that LLVM must inline into its loop."""
    return _compiled(function, fastmath=_REDUCING, forceinline=True)


def late(signature: Any) -> Callable[[F], F]:
    """Compile a kernel by itself, for this numba signature, when a call first reaches it.

    Where numba's internals moved it is a device.
    """

    def decorate(function: F) -> F:
        if _LATE_MOVED:
            return device(function)
        if not numba.config.DISABLE_JIT:
            compiled = _cached(function, _ENTRY)
            LATE_KERNELS[function] = LateKernel(function, compiled, signature)
        return function

    return decorate


def loop(function: F, seconds: float = 0.0) -> F:
    """Compile an entry point over arrays; machine code is cached on disk, the GIL is released.

    A compile that usually takes many seconds is announced on a terminal, with their number.

    The cache lies beside the function's file, or in the user's cache directory where that is
    read-only. A device may be an entry point, too, and is then compiled once more.
    """
    return _cached(function, _LOOP, seconds)


def entry(function: F) -> F:
    """Compile an entry point of microseconds, for which to release the GIL would cost more.

    A late kernel is an entry point as it is.
    """
    if function in LATE_KERNELS:
        return cast("F", LATE_KERNELS[function].compiled)
    return _cached(function, _ENTRY)


def _compiled(function: F, **options: Any) -> F:
    """Compile a device."""
    allocates = not _ALLOCATING.isdisjoint(function.__code__.co_names)
    return cast("F", numba.njit(**{**_DEVICE, "_nrt": allocates, **options})(function))


def _cached(function: F, options: dict[str, Any], seconds: float = 0.0) -> F:
    """Compile with a cache on disk, or without where there can be none."""
    plain = getattr(function, "py_func", function)
    compiled = numba.njit(**options)(plain)
    if not numba.config.DISABLE_JIT:
        try:
            compiled._cache = KernelCache(plain, seconds)  # noqa: SLF001
        except RuntimeError:
            _warn_of_no_cache()
        KERNELS.append(compiled)
    return cast("F", compiled)


@cache
def _warn_of_no_cache() -> None:
    """Say once that every process will compile."""
    warnings.warn(
        "no directory is writable for nvmix's compiled code, so each process spends seconds on "
        "compiling; set NUMBA_CACHE_DIR to one that is",
        RuntimeWarning,
        stacklevel=2,
    )
