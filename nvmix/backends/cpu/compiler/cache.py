"""numba's disk cache of the entry points, out of date as soon as any kernel has changed.

numba stamps the machine code of a function by the file that defines it. Kernels in other files are
compiled into it too, so the version of numba is extended by a hash of all of them.
"""

import hashlib
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from nvmix.backends.cpu.compiler.cache_files import CheckedFiles, warn_of_damage, warn_of_saving
from nvmix.backends.cpu.compiler.compilation import announce
from nvmix.backends.cpu.compiler.loading import CodeCache
from nvmix.backends.cpu.compiler.shipped import ShippedCache
from nvmix.foundation.stopwatch import add_preparation

_CPU = Path(__file__).parents[1]


def hashed_files() -> list[Path]:
    """The kernels, how they are compiled, and the constants that are compiled into them."""
    constants = (_CPU.parent / f"{name}.py" for name in ("status", "tolerances", "types"))
    compilers = (*_CPU.glob("*.py"), *(_CPU / "compiler").glob("*.py"))
    return sorted([*(_CPU / "kernels").rglob("*.py"), *compilers, *constants])


@cache
def kernels_hash() -> str:
    """Hash of the contents of `hashed_files`."""
    digest = hashlib.sha256()
    for path in hashed_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()


class KernelCache(CodeCache):
    """Cache of one entry point; RuntimeError where no directory is writable.

    To compile it usually takes so many seconds.
    """

    def __init__(self, function: Callable[..., Any], seconds: float = 0.0) -> None:
        self._seconds, self._function = seconds, function
        super().__init__(function)
        # The version is compared before the rest of an index is unpickled, which would fail where a
        # class of the kernels has gone since.
        stamp = self._impl.locator.get_source_stamp()
        index = CheckedFiles(self._cache_path, self._impl.filename_base, stamp)
        index._version = (index._version, kernels_hash())  # noqa: SLF001
        self._cache_file = index

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function; None where there is none that can be loaded: it is compiled."""
        begin, found = time.perf_counter(), None
        try:
            found = super().load_overload(sig, target_context)
        # Rebuilding what another numba has saved may raise anything.
        except Exception as error:  # noqa: BLE001
            warn_of_damage(self._cache_file._index_path, error)  # noqa: SLF001
        if found is None:
            shipped = ShippedCache(self._function, kernels_hash())
            found = shipped.load_overload(sig, target_context)
        add_preparation(begin)
        if found is None:
            announce(self._seconds)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save machine code, or warn: a full disk must not stop a fit."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            warn_of_saving(self._cache_path, error)
