"""Which of the numba internals that `linkage` overrides are where it expects them.

They are no interface, so another numba may move them. The kernels then compile by numba's own
pipeline, which takes twice as long, and a test tells what moved.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Final, NamedTuple


class _Internal(NamedTuple):
    """A function of numba, its parameters, and names that its code has to mention."""

    module: str
    name: str
    parameters: tuple[str, ...]
    mentions: tuple[str, ...] = ()


_CODEGEN: Final = "numba.core.codegen"
# What `PrivateKernels` relies on.
LOOPS: Final = (
    _Internal("numba.core.compiler", "Compiler.define_pipelines", ("self",)),
    _Internal(
        "numba.core.typed_passes",
        "BaseNativeLowering.run_pass",
        ("self", "state"),
        ("library", "get_executable", "insert_user_function"),
    ),
    _Internal(_CODEGEN, "JITCodeLibrary.__init__", ("self", "codegen", "name"), ("_codegen",)),
    _Internal(_CODEGEN, "JITCodeLibrary.enable_object_caching", ("self",)),
    _Internal(
        _CODEGEN,
        "JITCodeLibrary.finalize",
        ("self",),
        ("link_in", "_optimize_final_module", "_finalize_final_module"),
    ),
    _Internal(_CODEGEN, "JITCodeLibrary._optimize_final_module", ("self",), ("_final_module",)),
    _Internal(
        _CODEGEN,
        "JITCodeLibrary._finalize_final_module",
        ("self",),
        ("_finalize_dynamic_globals", "_finalize_specific", "_finalized"),
    ),
    _Internal(_CODEGEN, "JITCodeLibrary._finalize_specific", ("self",)),
    _Internal(_CODEGEN, "JITCPUCodegen.set_env", ("self", "env_name", "env")),
    _Internal("numba.core.environment", "lookup_environment", ("env_name",)),
)
# What `LinkedDevices` relies on besides.
DEVICES: Final = (
    *LOOPS,
    _Internal(_CODEGEN, "JITCodeLibrary._ensure_finalized", ("self",), ("_finalized", "finalize")),
    _Internal(_CODEGEN, "JITCodeLibrary._finalize_dynamic_globals", ("self",), ("_final_module",)),
    _Internal(
        _CODEGEN, "JITCodeLibrary.add_linking_library", ("self", "library"), ("_ensure_finalized",)
    ),
    _Internal(_CODEGEN, "JITCodeLibrary._get_module_for_linking", ("self",), ("_final_module",)),
    _Internal(_CODEGEN, "JITCodeLibrary.get_pointer_to_function", ("self", "name")),
    _Internal(
        "numba.core.cpu",
        "CPUContext.get_executable",
        ("self", "library", "fndesc", "env"),
        ("get_pointer_to_function", "codegen", "set_env"),
    ),
)


def moved(internals: tuple[_Internal, ...]) -> list[str]:
    """What of `internals` the installed numba has otherwise, in words."""
    return [words for internal in internals if (words := _moved(internal))]


def _moved(internal: _Internal) -> str:
    where = f"{internal.module}.{internal.name}"
    try:
        found = importlib.import_module(internal.module)
        for part in internal.name.split("."):
            found = getattr(found, part)
        code = inspect.unwrap(found).__code__  # type: ignore[arg-type]
    except (ImportError, AttributeError):
        return f"{where} is gone"
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if parameters != internal.parameters:
        return f"{where} takes {parameters}, not {internal.parameters}"
    missing = [name for name in internal.mentions if name not in code.co_names]
    return f"{where} has no more to do with {', '.join(missing)}" if missing else ""
