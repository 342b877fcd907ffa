"""Derivatives of functions whose slopes have formulas of their own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero


def times(x: Any, tangent: Any) -> Any:
    """x times a tangent; 0 where that is known to be 0, even if x is infinite."""
    return 0.0 if isinstance(tangent, SymbolicZero) else x * tangent


def differentiable(
    total: Callable[[Any, Any], Any], slopes_of: Callable[..., Any]
) -> Callable[[Callable[..., Any]], Any]:
    """Give a function derivatives by its arguments.

    slopes_of(values, *arguments) are the slopes of each value, and total(slopes, tangents) are
    their products with the tangents of the arguments.
    """

    def decorated(function: Callable[..., Any]) -> Any:
        result = jax.custom_jvp(function)

        def jvp(arguments: Any, tangents: Any) -> tuple[Any, Any]:
            values = result(*arguments)

            def tangent(value: Any, slopes: Any) -> Any:
                return jnp.broadcast_to(total(slopes, tangents), value.shape).astype(value.dtype)

            return values, jax.tree.map(tangent, values, slopes_of(values, *arguments))

        result.defjvp(jvp, symbolic_zeros=True)
        return result

    return decorated


@jax.custom_jvp
def with_value(plain: Any, value: Any) -> Any:  # noqa: ARG001
    """The value, with the derivatives of another expression of it."""
    return value


@with_value.defjvp
def _with_value_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Tangent of the plain expression."""
    return primals[1], tangents[0]
