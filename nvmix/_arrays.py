"""Telling NumPy from JAX, without loading JAX."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def on_jax(*values: Any) -> bool:
    """Whether any of the values is a JAX array or tracer."""
    kind = getattr(sys.modules.get("jax"), "Array", None)
    return kind is not None and any(isinstance(value, kind) for value in values)


def traced(*values: Any) -> bool:
    """Whether any of the values is a JAX tracer, which has a shape and no numbers."""
    core = getattr(sys.modules.get("jax"), "core", None)
    return core is not None and any(isinstance(value, core.Tracer) for value in values)


def namespace(*values: Any) -> Any:
    """jax.numpy where any of the values is of JAX, else numpy."""
    return sys.modules["jax"].numpy if on_jax(*values) else np
