"""A cache that loads machine code without numba's compilers.

numba first imports all that it can compile, which takes a process longer than a fit. Machine code
needs its memory management alone, and what compiles asks for the rest.
"""

from typing import Any, Final

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.runtime import rtsys

from nvmix.backends.cpu.compiler.numba_internals import LOADING, moved

_MOVED: Final = bool(moved(LOADING))


class CodeFiles(CompileResultCacheImpl):  # type: ignore[misc]
    """What of a compiled function is saved."""

    def reduce(self, cres: Any) -> Any:
        """Leave out environments without constants, for which numba would import their modules."""
        reduced = super().reduce(cres)
        if _MOVED:
            return reduced
        *parts, environments = reduced
        return (*parts, tuple(each for each in environments if each.consts))

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """The compiled function; to link it into others is an error: its code is not saved."""
        found = super().rebuild(target_context, payload)
        if not _MOVED:
            found.library._shared_module = None  # noqa: SLF001
        return found


class CodeCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, which is quick to load from."""

    _impl_class = CodeFiles

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function, or None where the cache has none."""
        if _MOVED:
            return super().load_overload(sig, target_context)
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)
