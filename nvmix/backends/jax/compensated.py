"""Sums and products with their rounding errors, on JAX arrays.

Products of halves are exact: it does not matter whether a compiler fuses them with sums.
"""

from typing import Any

import jax
import jax.numpy as jnp


def halves(x: Any) -> tuple[Any, Any]:
    """x as a sum of two numbers of half as many bits."""
    info = jnp.finfo(x.dtype)
    high = jax.lax.reduce_precision(x, info.nexp, (info.nmant + 1) // 2 - 1)
    return high, x - high


def exact_sum(x: Any, y: Any) -> tuple[Any, Any]:
    """x + y and what its rounding leaves."""
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


def less_product(x: Any, low: Any, t: Any, y: Any) -> Any:
    """x + low - t y, accurate where x and t y cancel; low is of the size of x's rounding errors."""
    (t_high, t_low), (y_high, y_low) = halves(t), halves(y)
    middle, middle_low = exact_sum(t_high * y_low, t_low * y_high)
    first, first_low = exact_sum(x, -(t_high * y_high))
    total, total_low = exact_sum(first, -middle)
    return total + (total_low + first_low - middle_low - t_low * y_low + low)
