"""Decorators that set the precision of a call, whatever the global `jax_enable_x64` is.

That flag belongs to the user and is never changed: precision is set in scopes.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from nvmix.foundation.arrays import on_jax, traced

F = TypeVar("F", bound="Callable[..., Any]")


def doubles(function: F) -> F:
    """Run in float64; results are float64."""

    @wraps(function)
    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        with jax.enable_x64(True):
            return function(*arguments, **keywords)

    return wrapped  # type: ignore[return-value]


def for_the_caller(function: F) -> F:
    """Run in float64; JAX arrays that come out have the caller's default precision."""

    @wraps(function)
    def wrapped(*arguments: Any, **static: Any) -> Any:
        is_double = jax.config.jax_enable_x64
        with jax.enable_x64(True):
            result = function(*arguments, **static)
            return result if is_double else jax.tree.map(_single, result)

    return wrapped  # type: ignore[return-value]


def of_the_caller(function: F) -> F:
    """As `for_the_caller`, but functions of traced arguments run in the caller's precision.

    JAX transposes derivatives after the scope of float64 has ended, where doubles do not exist.
    Arguments become floats of the precision of the call.
    """

    def with_defaults(*arguments: Any, **static: Any) -> Any:
        floats = jax.tree.map(lambda x: jnp.asarray(x, float), arguments)
        return function(*floats, **static)

    outside = for_the_caller(with_defaults)

    @wraps(function)
    def wrapped(*arguments: Any, **static: Any) -> Any:
        if traced(*jax.tree.leaves(arguments)):
            return with_defaults(*arguments, **static)
        return outside(*arguments, **static)

    return wrapped  # type: ignore[return-value]


def _single(x: Any) -> Any:
    """JAX arrays of doubles as singles, all else as it is."""
    return x.astype(jnp.float32) if on_jax(x) and x.dtype == jnp.float64 else x
