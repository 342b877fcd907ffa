"""Classes that are JAX pytrees once JAX is loaded, whoever loads it and when."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, TypeVar

T = TypeVar("T", bound=type)

_waiting: Final[list[tuple[type, tuple[str, ...], tuple[str, ...]]]] = []


def pytree(leaves: tuple[str, ...], static: tuple[str, ...] = ()) -> Callable[[T], T]:
    """Class decorator: attributes that are leaves, and those that are compared instead."""

    def mark(cls: T) -> T:
        if hasattr(sys.modules.get("jax"), "tree_util"):
            _register(cls, leaves, static)
        else:
            _waiting.append((cls, leaves, static))
        return cls

    return mark


def _register(cls: type, leaves: tuple[str, ...], static: tuple[str, ...]) -> None:
    """Register a class; unflattening does not validate, as JAX puts anything into the leaves."""
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
    """Registers the classes that wait as soon as somebody has imported JAX."""

    _asking = False

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Find JAX with the other finders, and follow its loading."""
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
            while _waiting:
                _register(*_waiting.pop())

        # Of this loader object alone, which serves JAX alone.
        vars(spec.loader)["exec_module"] = load_and_register
        return spec


if "jax" not in sys.modules:
    sys.meta_path.insert(0, _AfterJax())
