"""Loops compiled so that each has its kernels to itself.

numba links kernels into every loop that calls them under names that loops share, and a process runs
the copy that it met first. Copies with reordered sums differ in the last bit, so what a loop gives
would depend on what else had been run. Kernels are made private to each loop instead.
"""

from __future__ import annotations

from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager


class _PrivateLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Machine code of one loop, in which what was linked in has no symbol.

    Internal linkage would leave local symbols, which the just-in-time linker finds by name too.
    """

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.private
        super()._optimize_final_module()


class PrivateKernels(Compiler):  # type: ignore[misc]
    """numba's compiler, with a library that keeps its kernels private."""

    def define_pipelines(self) -> list[PassManager]:
        """Give the loop its library before numba makes one."""
        state = self.state
        state.library = _PrivateLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        pipelines: list[PassManager] = super().define_pipelines()
        return pipelines
