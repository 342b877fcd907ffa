"""How kernels reach machine code: devices wait to be linked, loops have what they link in alone.

numba optimises every device with its callees linked in and loads its machine code, level by level
of the call tree, although only loops are called from Python. That would be half of the compile
time, so devices stop where they can be linked, and each loop optimises its whole tree once.

numba links kernels into every loop that calls them under names that loops share, and a process runs
the copy that it met first. Copies with reordered sums differ in the last bit, so what a loop gives
would depend on what else had been run. Kernels are made private to each loop instead.
"""

from types import SimpleNamespace
from typing import Any, Final

from llvmlite import ir
from llvmlite.binding import Linkage, parse_assembly
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager
from numba.core.environment import lookup_environment

_BYTE: Final = ir.IntType(8)
_NOTHING: Final = ir.FunctionType(ir.VoidType(), [])
# Passes of numba's for what kernels do not have: closures, array expressions, literal loops,
# parallel loops, functions to inline or to lift, messages with values. They cost a tenth.
_UNNEEDED: Final = {
    *("with_lifting", "inline_closure_likes", "rewrite_semantic_constants", "dead_branch_prune"),
    *("inline_inlinables", "find_literally", "literal_unroll", "LiteralPropagation"),
    *("make_function_op_code_to_jit_function", "inline_overloads", "pre_parfor_pass"),
    *("nopython_rewrites", "dump_parfor_diagnostics"),
}


def _names_alone(module: Any) -> bytes:
    """Bitcode that defines all that the module does, as nothing."""
    names = ir.Module()
    for function in module.functions:
        if not function.is_declaration:
            block = ir.Function(names, _NOTHING, function.name).append_basic_block()
            ir.IRBuilder(block).unreachable()
    for variable in module.global_variables:
        if not variable.is_declaration:
            ir.GlobalVariable(names, _BYTE, variable.name).initializer = _BYTE(0)
    bitcode: bytes = parse_assembly(str(names)).as_bitcode()
    return bitcode


class _PrivateLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Machine code of one loop, in which what was linked in has no symbol.

    Internal linkage would leave local symbols, which the just-in-time linker finds by name too.
    """

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.private
        super()._optimize_final_module()

    def serialize_using_object_code(self) -> tuple[str, str, tuple[bytes, bytes]]:
        """What is cached: machine code, and the names in it without code to link, which none is."""
        name, kind, (machine_code, _) = super().serialize_using_object_code()
        return name, kind, (machine_code, _names_alone(self._final_module))

    def _finalize_specific(self) -> None:
        super()._finalize_specific()
        # What devices print or raise with is found through their environments, which no device
        # could set, having no machine code. Loops that come from the cache set them likewise.
        for variable in self._final_module.global_variables:
            environment = lookup_environment(variable.name)
            if environment is not None:
                self._codegen.set_env(variable.name, environment)


class _DeviceLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code of one device and its callees, each optimised by itself, to be linked and not run."""

    # numba would set a device's environment, which has no address yet: that is left to the loops.
    codegen = SimpleNamespace(set_env=lambda _name, _environment: None)

    def _optimize_final_module(self) -> None:
        """Leave it to the loops."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, _name: str) -> int:
        """Null, numba's word for no such function."""
        return 0


class _OutlinedLibrary(_DeviceLibrary):
    """Code of a device that is not inlined: it is the same in every loop, and there once."""

    attributes: tuple[str, ...] = ("noinline",)

    def add_ir_module(self, ir_module: Any) -> None:
        """Take the device's code, with the attributes."""
        for function in ir_module.functions:
            if function.blocks:
                for attribute in self.attributes:
                    function.attributes.add(attribute)
        super().add_ir_module(ir_module)


class _CompactLibrary(_OutlinedLibrary):
    """The same for a device that is called seldom, whose code is small and so soon compiled."""

    attributes = ("noinline", "optsize")


class LinkedDevices(Compiler):  # type: ignore[misc]
    """numba's compiler of devices, with fewer passes, and a library that only links."""

    library = _DeviceLibrary

    def define_pipelines(self) -> list[PassManager]:
        """Give the function its library before numba makes one."""
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        pipelines: list[PassManager] = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [each for each in pipeline.passes if each[0].name() not in _UNNEEDED]
            pipeline.finalize()
        return pipelines


class OutlinedDevices(LinkedDevices):
    """numba's compiler of devices, with a library that does not inline them."""

    library = _OutlinedLibrary


class CompactDevices(LinkedDevices):
    """numba's compiler of devices, with a library that makes little code of them."""

    library = _CompactLibrary


class PrivateKernels(LinkedDevices):
    """numba's compiler of loops, with a library that keeps their kernels private."""

    library = _PrivateLibrary
