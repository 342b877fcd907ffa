"""Validation of observations and their weights: every message names them and what they have.

What JAX traces has a shape and no numbers yet: its shape is checked, and it passes as it is.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.linalg import Standardized, standardized
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import LARGEST, array, one_of, real_or_nan
from nvmix.sources.columns import column_names, columns_vary, frame_values, same_columns
from nvmix.sources.source import ArraySource

# What to do about missing values.
MISSING = ("raise", "em")
# Complete rows for each column and one from which a start is made without the others.
_PLENTY = 10
# The most rows that a start is made from, and the most values, unless rows were few for a column.
_MOST_ROWS = 1 << 17
_MOST_VALUES = 1 << 22
_LEAST_SHARE = 20
# Rows for each column that show, nearly always, that columns vary.
_SOME = 1000


def _largest(values: FloatArray) -> float:
    """Largest absolute value, nan if there is one; no copy."""
    return float(max(values.max(initial=0.0), -values.min(initial=0.0)))


def _largest_finite(name: str, values: FloatArray) -> float:
    """Largest absolute value; ValueError that names where one is not finite."""
    largest = _largest(values)
    if not np.isfinite(largest):
        array(name, values)
    return largest


def _in_range(name: str, values: FloatArray) -> None:
    """Check that values are finite, and that squares neither overflow nor all underflow."""
    largest = _largest_finite(name, values)
    if largest > LARGEST or 0.0 < largest < 1.0 / LARGEST:
        msg = f"{name} must have its largest value within 1e-150 and 1e150, got {largest:.3g}"
        raise ValueError(msg)


def _not_beyond(name: str, values: FloatArray) -> None:
    """Check that values are finite, and that squares do not overflow."""
    largest = _largest_finite(name, values)
    if largest > LARGEST:
        msg = f"{name} must not exceed 1e150, got {largest:.3g}"
        raise ValueError(msg)


def observations(
    X: Any,
    d: int | None = None,
    columns: tuple[str, ...] | None = None,
    missing: str = "raise",
    name: str = "X",
) -> ArraySource:
    """Return (n, d) observations; a one-dimensional X is one column.

    The numbers of a JAX array are left to whoever computes with them: nan in, nan out.
    """
    if on_jax(X):
        values = X
    elif missing == "em":
        # pandas has missing values of its own, which NumPy does not know.
        plain = X.to_numpy(float, na_value=np.nan) if hasattr(X, "to_numpy") else X
        values = real_or_nan(name, plain)
        _no_infinity(name, values)
        _in_range(name, np.nan_to_num(values))
    else:
        values = real_or_nan(name, X)
        _in_range(name, values)
    if values.ndim == 1 and d in (None, 1):
        values = values[:, None]
    if values.ndim != 2:
        msg = f"{name} must have shape (n, d), got {np.shape(X)}"
        raise ValueError(msg)
    if values.size == 0:
        msg = f"{name} must not be empty, got shape {np.shape(X)}"
        raise ValueError(msg)
    if d is not None and values.shape[1] != d:
        msg = f"{name} must have {d} columns, as the model has, got shape {np.shape(X)}"
        raise ValueError(msg)
    same_columns(name, column_names(X), columns)
    return ArraySource(values, None, column_names(X), missing)


def points(x: Any, d: int, columns: tuple[str, ...] | None = None) -> tuple[FloatArray, bool]:
    """Return (n, d) points and whether x was a single (d,) point (for d = 1, a scalar)."""
    values = x if on_jax(x) else real_or_nan("x", x)
    if not on_jax(x):
        _not_beyond("x", values)
    single = values.ndim == 1 if d > 1 else values.ndim == 0
    if d == 1 and values.ndim < 2:
        values = values.reshape(-1, 1)
    elif single:
        values = values[None, :]
    if values.ndim != 2 or values.shape[1] != d:
        msg = f"x must have shape ({d},) or (n, {d}), got {np.shape(x)}"
        raise ValueError(msg)
    if not single:
        same_columns("x", column_names(x), columns)
    return values, single


def sample(
    X: Any, d: int | None = None, columns: tuple[str, ...] | None = None, missing: str = "raise"
) -> ArraySource:
    """Return observations from which a d-variate law can be estimated, of the given columns.

    With missing "em", nan stands for a missing value; no row may be without any value.
    """
    data = observations(X, d, columns, missing)
    data = data._replace(columns=data.columns or columns)
    n, d = data.values.shape
    if n <= d:
        msg = f"X must have more rows than columns to be fitted, got shape ({n}, {d})"
        raise ValueError(msg)
    names = data.columns or tuple(str(j) for j in range(d))
    if missing == "em" and not on_jax(data.values):
        columns_vary(names, _filled(data.values))
    elif on_jax(data.values) and not traced(data.values):
        found = standardized(data.values)
        _finite_on_device(data.values, found)
        columns_vary(names, found)
    elif not traced(data.values):
        _check_columns(names, data.values)
    return data


def _check_columns(names: tuple[str, ...], values: FloatArray) -> None:
    """Check that the columns vary, each in its own way: that of some rows tells nearly always."""
    some = values[:: spacing(len(values), _SOME * values.shape[1])]
    if len(some) < len(values):
        with suppress(ValueError):
            columns_vary(names, standardized(some))
            return
    columns_vary(names, standardized(values))


def spacing(n: int, most: int) -> int:
    """The least k, a power of 2, for which every k-th of n rows are no more than the most."""
    k = 1
    while n > k * most:
        k *= 2
    return k


def most_rows(d: int) -> int:
    """The most rows of d columns that a starting model is made from."""
    return min(_MOST_ROWS, max(_MOST_VALUES // d, _LEAST_SHARE * d))


def starting_sample(X: Any, missing: str = "raise") -> ArraySource:
    """Return a sample on the host, from which a starting model is made: of many rows, some.

    Of rows with missing values only the complete ones are returned, where they are plenty; else
    all, with the means of the columns in place of what is missing.
    """
    if traced(X):
        msg = "default_init does not run under a JAX trace: make the start from concrete data"
        raise TypeError(msg)
    one_of("missing", missing, MISSING)
    data = sample(X, missing=missing)
    values = data.values
    some = values[:: spacing(len(values), most_rows(values.shape[1]))]
    if len(some) < len(values):
        # Columns may vary in other rows only; then all are needed.
        with suppress(ValueError):
            values = sample(some, missing=missing).values
    values = np.asarray(values, np.float64)
    if missing == "em":
        complete = values[~np.isnan(values).any(axis=1)]
        if len(complete) > _PLENTY * (values.shape[1] + 1):
            return data._replace(values=complete, missing="raise")
        values = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    return data._replace(values=values, missing="raise")


def chunk_values(name: str, value: Any, d: int | None) -> FloatArray:
    """Return the (m, d) real rows of a chunk, which may be none; nan and infinite ones pass."""
    values = real_or_nan(name, frame_values(value))
    if values.shape == (0,):
        return values.reshape(0, d or 1)
    if values.ndim == 1 and d == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] == 0 or d not in (None, values.shape[1]):
        expected = "(m, d)" if d is None else f"(m, {d})"
        msg = f"{name} must have shape {expected}, got {np.shape(value)}"
        raise ValueError(msg)
    return values


def chunk_weights(name: str, value: Any, m: int) -> FloatArray:
    """Return (m,) weights of the rows of a chunk."""
    weights = array(name, value)
    if weights.shape != (m,):
        msg = f"{name} must have shape ({m},), one for each row, got {np.shape(value)}"
        raise ValueError(msg)
    if not ((weights >= 0.0) & (weights < LARGEST)).all():
        msg = (
            f"{name} must be nonnegative and below 1e150, got them from {weights.min()} to "
            f"{weights.max()}"
        )
        raise ValueError(msg)
    return weights


def finite_rows(values: FloatArray, missing: str, first: int, number: int | None) -> None:
    """Check that none is beyond 1e150, or nan unless that is missing, and no row all missing."""
    # Nothing as large as the rows is made where all is well.
    if missing != "em" and _largest(values) <= LARGEST:
        return
    size = np.abs(values)
    bad = size > LARGEST if missing == "em" else ~(size <= LARGEST)
    empty = np.isnan(values).all(axis=1) if missing == "em" else bad[:0, 0]
    if empty.any():
        msg = f"X must not have rows of missing values only, got row {first + int(empty.argmax())}"
        raise ValueError(msg)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        place = "" if number is None else f" (row {row} of chunk {number})"
        expected = "finite or nan" if missing == "em" else "finite"
        if np.isfinite(values[row, column]):
            expected = "within 1e150"
        msg = (
            f"X must be {expected}, got {values[row, column]} at row {first + row}, "
            f"column {column}{place}"
        )
        raise ValueError(msg)


def row_weights(value: Any, n: int) -> FloatArray | None:
    """Return (n,) weights of rows, or None where there are none."""
    if value is None:
        return None
    weights = array("weights", value)
    if weights.shape != (n,):
        msg = f"weights must have shape ({n},), one for each row of X, got {np.shape(value)}"
        raise ValueError(msg)
    if not traced(weights) and (weights.min() < 0.0 or not 0.0 < weights.max() < LARGEST):
        msg = (
            "weights must be nonnegative, not all 0 and below 1e150, got them from "
            f"{weights.min()} to {weights.max()}"
        )
        raise ValueError(msg)
    return weights


def _no_infinity(name: str, values: FloatArray) -> None:
    """Check that values are finite or nan."""
    if np.isinf(values).any():
        where = tuple(int(i) for i in np.argwhere(np.isinf(values))[0])
        msg = f"{name} must be finite or nan, got {values[where]} at index {where}"
        raise ValueError(msg)


def _filled(values: FloatArray) -> Standardized:
    """Standardized columns with their means in place of missing values."""
    present = ~np.isnan(values)
    empty = np.flatnonzero(~present.any(axis=1))
    if empty.size:
        msg = f"X must not have rows of missing values only, got row {empty[0]} of {empty.size}"
        raise ValueError(msg)
    absent = np.flatnonzero(~present.any(axis=0))
    if absent.size:
        msg = f"X must not have columns of missing values only, got column {absent[0]}"
        raise ValueError(msg)
    return standardized(np.where(present, values, np.nanmean(values, axis=0)))


def _finite_on_device(X: Any, found: Standardized) -> None:
    """Check a JAX array by its moments; only a bad one is copied to be named."""
    largest = np.abs(found.mean) + found.size
    if not (np.isfinite(found.covariance).all() and (largest < LARGEST).all()):
        values = array("X", np.asarray(X))
        _in_range("X", values)
