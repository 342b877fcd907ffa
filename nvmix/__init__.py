"""Normal variance-mean mixtures, fitted by EM.

Names are loaded when first used: ``import nvmix`` loads NumPy only.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def _modules() -> dict[str, str]:
    """Module of each public name, by the imports in the stub `__init__.pyi`."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


_MODULE_OF = _modules()
__all__ = sorted(_MODULE_OF)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _MODULE_OF:
        msg = f"module 'nvmix' has no attribute {name!r}"
        raise AttributeError(msg)
    if _MODULE_OF[name] == "nvmix":
        return importlib.import_module(f"nvmix.{name}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """Public names."""
    return __all__
