"""Columns of observations: names, values, and the check for constant or collinear ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvmix.foundation.linalg import Standardized
from nvmix.foundation.typing import Columns

# A column is collinear if the columns before it leave less than this fraction of its variance.
# Rounding errors of the correlation matrix are about 1e-16 for each column before it.
_COLLINEAR = 1e-13
# A column is constant if its standard deviation is below this fraction of its largest value, which
# is rounding: equal numbers in decimal notation may differ by 1e-16 after a conversion of units.
_CONSTANT = 1e-14


def column_names(X: Any) -> Columns:
    """Column names of a DataFrame, the name of a Series, or None."""
    columns = getattr(X, "columns", None)
    if columns is not None:
        return tuple(str(column) for column in columns)
    label = getattr(X, "name", None)
    return (str(label),) if label is not None and np.ndim(X) == 1 else None


def same_columns(name: str, names: Columns, expected: Columns) -> None:
    """Raise ValueError unless names, if any, are those of the model, in the same order."""
    if None not in (names, expected) and names != expected:
        msg = f"{name} must have the columns of the model, {expected}, got {names}"
        raise ValueError(msg)


def frame_values(value: Any) -> Any:
    """Floats of a DataFrame, with nan for pandas' NA; other values are returned unchanged."""
    if not hasattr(value, "to_numpy"):
        return value
    try:
        return value.to_numpy(float, na_value=np.nan)
    except (TypeError, ValueError):
        return value


def columns_vary(names: tuple[str, ...], moments: Standardized) -> None:
    """Raise ValueError if a column is constant, or a linear combination of those before it.

    The pivots of a Cholesky factorization of the correlation matrix are the fractions of variance
    that the columns before leave: they find collinear columns in any number and name the first.
    """
    mean, size, covariance = moments
    deviation = np.sqrt(np.diag(covariance))
    for name, s, m, largest in zip(names, size * deviation, np.abs(mean), size, strict=True):
        if s <= _CONSTANT * (m + largest):
            msg = (
                f"X must not have a constant column, got column {name} with standard deviation "
                f"{s:.3g}"
            )
            raise ValueError(msg)
    A = covariance / np.outer(deviation, deviation)
    for j, name in enumerate(names):
        pivot = A[j, j]
        if pivot <= _COLLINEAR:
            msg = (
                f"X must not have collinear columns, got column {name} a combination of those "
                "before"
            )
            raise ValueError(msg)
        A[j + 1 :, j + 1 :] -= np.outer(A[j + 1 :, j], A[j, j + 1 :]) / pivot
