"""Compiled kernels that came with the package, for processors of a common level.

`tools/ship_kernels.py` puts numba's cache files into the folder `compiled`, with a list of their
hashes. Their index is stamped by the kernels and keyed by the level, the platform, and the versions
of numba and Python. What does not fit, or is not as it was shipped, is compiled as ever.
"""

import hashlib
import json
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import numba
from llvmlite import binding
from numba.core.caching import _CacheLocator

from nvmix.backends.cpu.compiler.loading import CodeCache, CodeFiles

FOLDER: Final = Path(__file__).parent / "compiled"
HASHES: Final = "hashes.json"
# What x86-64-v3 has: nearly all processors since 2015.
_OF_LEVEL: Final = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
# Names of LLVM's for the levels of which code is shipped, by machine.
LEVELS: Final = {"x86_64": "x86-64-v3", "aarch64": "generic", "arm64": "generic"}


@cache
def has_level() -> bool:
    """Whether this processor runs shipped code, and nobody has asked for code of another."""
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES is not None:
        return False
    if platform.machine() != "x86_64":
        return platform.machine() in LEVELS
    features = binding.get_host_cpu_features()
    return all(features.get(name, False) for name in _OF_LEVEL)


@cache
def _hashes() -> dict[str, str]:
    """SHA-256 of the shipped files by name; empty where none came with the package."""
    try:
        hashes: dict[str, str] = json.loads((FOLDER / HASHES).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return hashes


def _is_as_shipped(base: str) -> bool:
    """Whether there are files of that kernel, and all are as they were shipped."""
    names = [name for name in _hashes() if name.startswith(base + ".")]
    return bool(names) and all(sha256(FOLDER / name) == _hashes()[name] for name in names)


def sha256(path: Path) -> str:
    """Hash of a file, empty where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Finds every kernel's files in the folder."""

    def get_cache_path(self) -> str:
        """The folder."""
        return str(FOLDER)

    def get_source_stamp(self) -> str:
        """The version has all that files are stamped by."""
        return ""

    def get_disambiguator(self) -> str:
        """Nothing: kernels have names of their own."""
        return ""

    @classmethod
    def from_function(cls, _function: Any, _path: str) -> Self:
        """One locator serves all."""
        return cls()


class _Files(CodeFiles):
    _locator_classes = (_Locator,)


class ShippedCache(CodeCache):
    """Shipped code of one kernel, whose version has the hash of all."""

    _impl_class = _Files

    def __init__(self, function: Callable[..., Any], kernels_hash: str) -> None:
        super().__init__(function)
        index = self._cache_file
        index._version = (index._version, kernels_hash)  # noqa: SLF001

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled kernel, or None where none was shipped that fits."""
        if has_level() and _is_as_shipped(self._impl.filename_base):
            return super().load_overload(signature, target_context)
        return None

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        """That of numba with the level in the place of the processor."""
        signature, _, code = super()._index_key(signature, codegen)
        level = LEVELS.get(platform.machine(), "")
        return signature, (binding.get_process_triple(), level), code
