"""Skewness and kurtosis of columns by the two parts of their variance, without cancellation."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np

from nvmix.backends.types import GIGParameters
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.parts.mixing_moments import Cumulants, cumulants


def times(x: FloatArray, factor: float) -> FloatArray:
    """x times a factor that may be inf, with 0 inf = 0."""
    if not on_jax(x, factor):
        return np.multiply(x, factor, where=x != 0.0, out=np.zeros_like(x))
    xp = namespace(x, factor)
    finite = xp.isfinite(factor)
    # An infinite factor leaves only the sign of x, and no derivative.
    limit = xp.where(x == 0.0, 0.0, xp.where(finite, 0.0, factor) * xp.sign(x))
    return xp.where(finite, x * xp.where(finite, factor, 1.0), limit)  # type: ignore[no-any-return]


class Shares(NamedTuple):
    """Columns of unit variance in two parts, u (Y / E[Y] - 1) and sqrt(h Y / E[Y]) Z.

    All that follows are sums of cumulants of Y / E[Y], which are positive.
    """

    u: FloatArray  # (k,)
    h: FloatArray  # (k,), 1 - u^2 Var[Y / E[Y]]
    law: Cumulants
    has_skewness: bool  # whether the third moment exists where u = 0

    @classmethod
    def of(cls, ratio: FloatArray, theta: GIGParameters) -> Self:
        """Shares of parts in the ratio (k,), before their sum is scaled to unit variance."""
        (p, a, _), law = theta, cumulants(theta)
        c = np.hypot(1.0, times(ratio, math.sqrt(law.second)))
        # Where gamma is not 0, an infinite Var[Y] makes that of X infinite.
        u = np.where(np.isinf(c), np.nan, ratio / c)
        return cls(u, np.square(1.0 / c), law, a > 0.0 or p < -1.5)

    def skewness(self) -> FloatArray:
        """Skewness (k,)."""
        u, h, (second, third, _), exists = self
        value = times(u**3, third) + 3.0 * times(u * h, second)
        return value if exists else np.where(u == 0.0, np.nan, value)

    def kurtosis(self) -> FloatArray:
        """Excess kurtosis (k,)."""
        u, h, (second, third, fourth), _ = self
        value = times(u**4, fourth) + 6.0 * times(u * u * h, third)
        return value + 3.0 * times(h * h, second)
