"""Validated portfolios: location, scale and skewness of their losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nvmix.fitting.outcome.models import model_of
from nvmix.foundation.arrays import on_jax
from nvmix.foundation.linalg import rows_times
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import real
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.parts.column_arguments import is_by_column, weights_of


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

    def like(self, weights: Any, values: FloatArray) -> Any:
        """Values (k, d) by column as the weights are: an array, a dict, Series or DataFrame."""
        names = self.model.columns
        labels = list(range(self.model.d)) if names is None or _repeat(names) else list(names)
        if isinstance(weights, Mapping):
            return dict(zip(labels, values[0].tolist(), strict=True))
        if is_by_column(weights):
            return type(weights)(values[0], index=labels)
        if hasattr(weights, "columns") and hasattr(weights, "index"):
            return type(weights)(values, index=weights.index, columns=labels)
        return self.shaped(values)


def _repeat(names: tuple[str, ...]) -> bool:
    """Whether two columns have the same name."""
    return len(set(names)) < len(names)


def portfolios(model: Any, weights: Any) -> Portfolios:
    """The portfolios of validated arguments."""
    model = model_of("model", model, weights)
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
