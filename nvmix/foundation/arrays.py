"""Detection of JAX arrays without importing JAX."""

import sys
from typing import Any

import numpy as np


def on_jax(*values: Any) -> bool:
    """Whether any of the values is a JAX array or tracer."""
    kind = getattr(sys.modules.get("jax"), "Array", None)
    return kind is not None and any(isinstance(value, kind) for value in values)


def is_number(value: Any) -> bool:
    """Whether a value is one real number, from Python, NumPy or JAX."""
    if on_jax(value):
        return int(value.ndim) == 0
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"


def traced(*values: Any) -> bool:
    """Whether any of the values is a JAX tracer, which has a shape but no numbers."""
    core = getattr(sys.modules.get("jax"), "core", None)
    return core is not None and any(isinstance(value, core.Tracer) for value in values)


def batched(value: Any) -> bool:
    """Whether `jax.vmap` maps over a value, of which derivatives may be taken."""
    while value is not None and type(value).__name__ != "BatchTracer":
        value = getattr(value, "primal", None)
    return value is not None


def with_auto_axes(sharding: Any) -> Any:
    """The same sharding on a mesh of Auto axes, along which XLA shards intermediate results."""
    mesh = getattr(sharding, "mesh", None)
    if mesh is None:
        return sharding
    kinds = sys.modules["jax"].sharding
    return kinds.NamedSharding(kinds.Mesh(mesh.devices, mesh.axis_names), sharding.spec)


def namespace(*values: Any) -> Any:
    """The module jax.numpy if any of the values is a JAX array, else numpy."""
    return sys.modules["jax"].numpy if on_jax(*values) else np
