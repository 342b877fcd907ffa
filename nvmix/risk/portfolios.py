"""Validated portfolios: location, scale and skewness of their losses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.linalg import rows_times
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import instance, real
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.parts.column_arguments import weights_of


class Portfolios(NamedTuple):
    """Losses -w'X = location + scale U of k portfolios; see `standard_loss` for U."""

    model: Mixture
    weights: FloatArray  # (k, d)
    is_one: bool  # whether the weights were those of one portfolio, (d,)
    location: FloatArray  # (k,)
    scale: FloatArray  # (k,)
    delta: FloatArray  # (k,)
    direction: FloatArray  # (k, d), L'w / scale for the factor L of Sigma

    def shaped(self, values: FloatArray) -> Any:
        """Values (k, ...) in the shape of the result: those of the portfolio, if it is one."""
        if not self.is_one:
            return values
        return float(values[0]) if values.ndim == 1 else values[0]


def portfolios(model: Any, weights: Any) -> Portfolios:
    """The portfolios of validated arguments."""
    instance("model", model, Mixture)
    if traced(*model.normal, *model.subordinator.gig, weights):
        msg = "risks are computed by NumPy and do not run under a JAX trace"
        raise TypeError(msg)
    model = model.on_host()
    weights = np.asarray(weights) if on_jax(weights) else weights
    w, _ = weights_of("weights", weights, model.columns, model.d)
    zero = ~w.any(axis=1)
    if zero.any():
        msg = f"weights must not all be 0, got {w[zero][0].tolist()} for portfolio {zero.argmax()}"
        raise ValueError(msg)
    direction = rows_times(w, model.L_sigma.T)
    # Squares of the largest element alone neither overflow nor underflow.
    largest = np.abs(direction).max(axis=1)
    direction /= largest[:, None]
    length = np.sqrt(np.square(direction).sum(axis=1))
    direction /= length[:, None]
    scale = largest * length
    delta = -(w @ model.gamma) / scale
    is_one = not hasattr(weights, "columns") and np.ndim(weights) < 2
    return Portfolios(model, w, is_one, -(w @ model.mu), scale, delta, direction)


def fraction(name: str, value: Any) -> float:
    """Return a float between 0 and 1."""
    number = real(name, value)
    if not 0.0 < number < 1.0:
        msg = f"{name} must be between 0 and 1, got {number}"
        raise ValueError(msg)
    return number


def product(x: FloatArray, y: FloatArray) -> FloatArray:
    """x y with 0 inf = 0; x is finite."""
    if np.isfinite(y).all():
        return x * y
    with np.errstate(invalid="ignore"):
        return np.where((x == 0.0) | (y == 0.0), 0.0, x * y)
