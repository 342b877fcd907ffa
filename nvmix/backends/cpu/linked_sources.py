"""The hash that ties numba's disk cache to the kernels: run as a script to print it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_CPU: Final = Path(__file__).parent


def linked_sources() -> str:
    """Hash of every kernel source compiled into the entry points."""
    constants = [_CPU.parent / f"{name}.py" for name in ("types", "tolerances")]
    kernels = [p for p in (_CPU / "kernels").rglob("*.py") if p.name != "entry_points.py"]
    digest = hashlib.sha256()
    for path in sorted([*constants, *kernels, _CPU / "jit.py", _CPU / "linkage.py"]):
        digest.update(path.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"


if __name__ == "__main__":
    print(linked_sources())  # noqa: T201
