"""Which of the numba internals that `linkage`, `late` and `loading` use are where they expect them.

They are no interface, so another numba may move them. The kernels then compile by numba's own
pipeline, which takes twice as long, or load slowly, and a test tells what moved.
"""

import importlib
import inspect
from typing import Final, TypeAlias

# A function of numba: its module, its name, its parameters, and names that its code has to mention.
Internal: TypeAlias = tuple[str, str, str, str]

_CODEGEN: Final = "numba.core.codegen"
_CACHE: Final = "numba.core.caching"
_LOWERING: Final = "numba.core.typed_passes"
_CPU: Final = "numba.core.cpu"
_MACHINERY: Final = "numba.core.compiler_machinery"
_WRAPPER: Final = "self library fndesc env call_helper release_gil"
_TEMPLATES: Final = "numba.core.typing.templates"
# What `PrivateKernels` relies on.
LOOPS: Final[tuple[Internal, ...]] = (
    ("numba.core.compiler", "Compiler.define_pipelines", "self", ""),
    (_LOWERING, "BaseNativeLowering.run_pass", "self state", "library get_executable"),
    (_LOWERING, "BaseNativeLowering.run_pass", "self state", "insert_user_function"),
    (_CODEGEN, "JITCodeLibrary.__init__", "self codegen name", "_codegen"),
    (_CODEGEN, "JITCodeLibrary.enable_object_caching", "self", ""),
    (_CODEGEN, "JITCodeLibrary.finalize", "self", "link_in _optimize_final_module"),
    (_CODEGEN, "JITCodeLibrary.finalize", "self", "_finalize_final_module"),
    (_CODEGEN, "JITCodeLibrary._optimize_final_module", "self", "_final_module"),
    (_CODEGEN, "JITCodeLibrary._finalize_final_module", "self", "_finalize_dynamic_globals"),
    (_CODEGEN, "JITCodeLibrary._finalize_final_module", "self", "_finalize_specific _finalized"),
    (_CODEGEN, "JITCodeLibrary._finalize_specific", "self", ""),
    (_CODEGEN, "JITCPUCodegen.set_env", "self env_name env", ""),
    (_CODEGEN, "JITCodeLibrary.serialize_using_object_code", "self", "name as_bitcode"),
    (_CODEGEN, "JITCodeLibrary._unserialize", "cls codegen state", "_load_defined_symbols"),
    ("numba.core.environment", "lookup_environment", "env_name", ""),
    (_MACHINERY, "PassManager.__init__", "self pipeline_name", "passes"),
    (_MACHINERY, "PassManager.finalize", "self", ""),
    (_MACHINERY, "CompilerPass.name", "cls", ""),
)
# What `LinkedDevices` relies on besides.
DEVICES: Final = (
    *LOOPS,
    (_CODEGEN, "JITCodeLibrary._ensure_finalized", "self", "_finalized finalize"),
    (_CODEGEN, "JITCodeLibrary._finalize_dynamic_globals", "self", "_final_module"),
    (_CODEGEN, "JITCodeLibrary.add_linking_library", "self library", "_ensure_finalized"),
    (_CODEGEN, "JITCodeLibrary._get_module_for_linking", "self", "_final_module"),
    (_CODEGEN, "JITCodeLibrary.get_pointer_to_function", "self name", ""),
    (_CPU, "CPUContext.get_executable", "self library fndesc env", "get_pointer_to_function"),
    (_CPU, "CPUContext.get_executable", "self library fndesc env", "codegen set_env"),
    (_CODEGEN, "JITCodeLibrary.add_ir_module", "self ir_module", ""),
)
# What `LateKernel` relies on.
LATE: Final = (
    (
        "numba.core.callconv",
        "CPUCallConv.call_function",
        "self builder callee resty argtys args attrs",
        "function_type",
    ),
    ("numba.core.callconv", "CPUCallConv.get_function_type", "self restype argtypes", ""),
    (
        "numba.core.callconv",
        "CPUCallConv.return_user_exc",
        "self builder exc exc_args loc func_name",
        "",
    ),
    ("numba.core.callconv", "CPUCallConv.return_status_propagate", "self builder status", ""),
    (_CODEGEN, "JITCodeLibrary.get_pointer_to_function", "self name", ""),
    (_CPU, "CPUContext.create_cpython_wrapper", _WRAPPER, "llvm_func_name"),
    (_TEMPLATES, "make_concrete_template", "name key signatures", ""),
)
# What `CodeCache` relies on.
LOADING: Final = (
    (_CACHE, "Cache.load_overload", "self sig target_context", "refresh _load_overload"),
    (_CACHE, "Cache._load_overload", "self sig target_context", "_cache_file rebuild"),
    ("numba.core.compiler", "CompileResult._reduce", "self", "_find_referenced_environments"),
    (_CODEGEN, "JITCodeLibrary._get_module_for_linking", "self", "_shared_module RuntimeError"),
    ("numba.core.runtime", "rtsys.initialize", "self ctx", "add_symbol"),
    (_CPU, "CPUContext.load_additional_registries", "self", "rtsys initialize"),
)


def moved(internals: tuple[Internal, ...]) -> list[str]:
    """What of `internals` the installed numba has otherwise, in words."""
    return [words for internal in internals if (words := _moved(*internal))]


def _moved(module: str, name: str, parameters: str, mentions: str) -> str:
    where = f"{module}.{name}"
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        code = inspect.unwrap(found).__code__  # type: ignore[arg-type]
    except (ImportError, AttributeError):
        return f"{where} is gone"
    taken = " ".join(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    if taken != parameters:
        return f"{where} takes ({taken}), not ({parameters})"
    missing = [mention for mention in mentions.split() if mention not in code.co_names]
    return f"{where} has no more to do with {', '.join(missing)}" if missing else ""
