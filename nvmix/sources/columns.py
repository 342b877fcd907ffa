"""Columns of observations: names and numbers, and whether they vary, each in its own way."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvmix.foundation.linalg import Standardized
from nvmix.foundation.typing import FloatArray

# A column whose spread beyond the other columns is below this share of its own is collinear:
# rounding of the data leaves about 1e-16 per row.
_COLLINEAR = 1e-13
# A column is constant when its spread is rounding of its own size.
_CONSTANT = 1e-14


def column_names(X: Any) -> tuple[str, ...] | None:
    """Column names of a DataFrame, the name of a Series, else None."""
    columns = getattr(X, "columns", None)
    if columns is not None:
        return tuple(str(column) for column in columns)
    label = getattr(X, "name", None)
    return (str(label),) if label is not None and np.ndim(X) == 1 else None


def same_columns(
    name: str, found: tuple[str, ...] | None, expected: tuple[str, ...] | None
) -> None:
    """Check that named columns are those of the model, in their order."""
    if None not in (found, expected) and found != expected:
        msg = f"{name} must have the columns of the model, {expected}, got {found}"
        raise ValueError(msg)


def frame_values(value: Any) -> Any:
    """Numbers of a DataFrame, of which pandas has missing ones that NumPy does not know."""
    if not hasattr(value, "to_numpy"):
        return value
    try:
        return value.to_numpy(float, na_value=np.nan)
    except (TypeError, ValueError):
        return value


def columns_vary(names: tuple[str, ...], found: Standardized) -> None:
    """Check that no column is constant, or a combination of others."""
    mean, size, covariance = found
    deviation = np.sqrt(np.diag(covariance))
    spread = size * deviation
    for name, s, m, largest in zip(names, spread, np.abs(mean), size, strict=True):
        if s <= _CONSTANT * (m + largest):
            msg = f"X must not have a constant column, got column {name} with spread {s:.3g}"
            raise ValueError(msg)
    pivots = _pivots(covariance / np.outer(deviation, deviation))
    if pivots.min() <= _COLLINEAR:
        name = names[int(np.argmin(pivots))]
        msg = f"X must not have collinear columns, got column {name} a combination of those before"
        raise ValueError(msg)


def _pivots(correlation: FloatArray) -> FloatArray:
    """Residual variance of each column given the columns before it."""
    A = correlation
    pivots = np.ones(len(A))
    for j in range(len(A)):
        pivots[j] = A[j, j]
        if pivots[j] <= _COLLINEAR:
            break
        A[j + 1 :, j + 1 :] -= np.outer(A[j + 1 :, j], A[j, j + 1 :]) / A[j, j]
    return pivots
