"""Registration of classes as JAX pytrees, without importing JAX.

Importing JAX takes seconds, so nvmix does not do it for users of the CPU backend. If JAX is not yet
imported when a class is defined, the class is registered as soon as anybody imports JAX.
"""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, TypeVar

T = TypeVar("T", bound=type)

_pending: Final[list[tuple[type, tuple[str, ...], tuple[str, ...]]]] = []


def pytree(leaves: tuple[str, ...], static: tuple[str, ...] = ()) -> Callable[[T], T]:
    """Class decorator that names the attributes that are leaves, and those that are static."""

    def mark(cls: T) -> T:
        if hasattr(sys.modules.get("jax"), "tree_util"):
            _register(cls, leaves, static)
        else:
            _pending.append((cls, leaves, static))
        return cls

    return mark


def _register(cls: type, leaves: tuple[str, ...], static: tuple[str, ...]) -> None:
    """Register a class. Unflattening does not validate: JAX puts any object into the leaves."""
    util = sys.modules["jax"].tree_util
    keys = [util.GetAttrKey(name) for name in leaves]

    def flatten(value: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(value, name) for name in leaves], tuple(getattr(value, s) for s in static)

    def flatten_with_keys(value: Any) -> tuple[list[Any], tuple[Any, ...]]:
        members, rest = flatten(value)
        return list(zip(keys, members, strict=True)), rest

    def unflatten(rest: tuple[Any, ...], members: Sequence[Any]) -> Any:
        value: Any = object.__new__(cls)
        value.__dict__.update(zip(leaves, members, strict=True))
        value.__dict__.update(zip(static, rest, strict=True))
        return value

    util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


class _AfterJax(MetaPathFinder):
    """Import hook that registers the pending classes right after JAX is imported.

    It is the first of the import system's finders. For "jax" it asks the other finders for the
    module's loader, and wraps the loader's `exec_module`.
    """

    # True while this hook asks the other finders, which would otherwise call it again.
    _asking = False

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Module spec of JAX with a wrapped loader; None leaves a module to the other finders."""
        if fullname != "jax" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            sys.meta_path.remove(self)
            while _pending:
                _register(*_pending.pop())

        # This loader object loads nothing but JAX.
        vars(spec.loader)["exec_module"] = load_and_register
        return spec


if "jax" not in sys.modules:
    sys.meta_path.insert(0, _AfterJax())
