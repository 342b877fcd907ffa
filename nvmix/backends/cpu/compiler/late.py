"""Kernels with a compile of their own, which the first call that reaches them begins.

numba compiles what a function calls into it, so that each loop has a copy of all it may come to,
and waits for that to compile. A late kernel is called through a slot in memory instead, which
machine code finds by name, cached code too. While the slot is empty, the caller asks Python to
compile, or to load from the cache. So what few fits need is compiled for those alone, what many
loops share once, and with the same bits everywhere.
"""

import ctypes
import signal
from collections.abc import Callable
from typing import Any, Final

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, sigutils
from numba.core.typing.templates import infer_global, make_concrete_template
from numba.extending import lower_builtin

_POINTER: Final = ir.IntType(8).as_pointer()
_COMPILE: Final = ir.FunctionType(ir.VoidType(), [])
_FAILED: Final = "a kernel could not be compiled; the cause is printed above"


class LateKernel:
    """A kernel of one signature in a library of its own, which other kernels call by its slot."""

    def __init__(self, function: Callable[..., Any], compiled: Any, signature: Any) -> None:
        self.compiled = compiled
        self._arguments, result = sigutils.normalize_signature(signature)
        # The address of the machine code, and that of a function that finds it.
        self._slot = (ctypes.c_void_p * 2)()
        self._resolve = ctypes.CFUNCTYPE(None)(self.compile)
        self._slot[1] = ctypes.cast(self._resolve, ctypes.c_void_p).value
        name = f"{function.__module__}.{function.__qualname__}"
        binding.add_symbol(name, ctypes.addressof(self._slot))
        template = make_concrete_template("Late", function, [result(*self._arguments)])
        infer_global(function, types.Function(template))
        lower_builtin(function, *self._arguments)(_call_by_slot(name))

    def compile(self) -> None:
        """Fill the slot; an interrupt waits until it is filled, for its caller cannot go on."""
        interrupted = False
        while not self._slot[0]:
            try:
                self.compiled.compile(self._arguments)
                result = self.compiled.overloads[self._arguments]
                name = result.fndesc.llvm_func_name
                self._slot[0] = result.library.get_pointer_to_function(name)
            except KeyboardInterrupt:
                interrupted = True
        if interrupted:
            signal.raise_signal(signal.SIGINT)


def _call_by_slot(name: str) -> Callable[..., Any]:
    """The code of a call of the function whose address is in the slot of that name."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        convention = context.call_conv
        function = convention.get_function_type(signature.return_type, signature.args)
        places = ir.ArrayType(_POINTER, 2)
        slot = builder.module.globals.get(name) or ir.GlobalVariable(builder.module, places, name)
        place, resolver = (cgutils.gep_inbounds(builder, slot, 0, i) for i in range(2))
        with builder.if_then(cgutils.is_null(builder, builder.load(place)), likely=False):
            builder.call(builder.bitcast(builder.load(resolver), _COMPILE.as_pointer()), [])
            with builder.if_then(cgutils.is_null(builder, builder.load(place)), likely=False):
                convention.return_user_exc(builder, RuntimeError, (_FAILED,))
        callee = builder.bitcast(builder.load(place), function.as_pointer())
        status, result = convention.call_function(
            builder, callee, signature.return_type, signature.args, arguments
        )
        with builder.if_then(status.is_error, likely=False):
            convention.return_status_propagate(builder, status)
        return result

    return codegen
