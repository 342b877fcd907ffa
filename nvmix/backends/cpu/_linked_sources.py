"""The hash that ties numba's disk cache to the kernels: run as a script to print it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_KERNELS: Final = (
    "../_protocol",
    "../_tolerances",
    "_linkage",
    "_jit",
    "_intrinsics",
    "_exp",
    "_block",
    "_quadrature",
    "_peak",
    "_gamma",
    "_small",
    "_gig",
    "_solve",
    "_table",
    "_variates",
    "_matrices",
    "_e_step",
    "_patterns",
    "_anderson",
    "_m_step",
    "_em",
)


def linked_sources() -> str:
    """Hash of every kernel source compiled into the loops."""
    digest = hashlib.sha256()
    for name in _KERNELS:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"


if __name__ == "__main__":
    print(linked_sources())  # noqa: T201
