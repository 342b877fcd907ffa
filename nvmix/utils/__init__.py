"""Plots of fits; the module `plotting` is loaded when first used."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Load `plotting`, which needs matplotlib."""
    if name == "plotting":
        return importlib.import_module("nvmix.utils.plotting")
    msg = f"module 'nvmix.utils' has no attribute {name!r}"
    raise AttributeError(msg)
