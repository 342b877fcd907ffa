"""Validation of observations, their columns and weights: messages name the value and its row.

A JAX tracer has a shape but no numbers. Its shape is checked, and it is returned unchanged.
"""

from contextlib import suppress
from typing import Any

import numpy as np

from nvmix.foundation.arrays import batched, namespace, on_jax, traced
from nvmix.foundation.exceptions import warn_user
from nvmix.foundation.linalg import Standardized, bounded, standardized
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import LARGEST, array, one_of
from nvmix.sources.frames import aligned, column_names, labels, numbers_of, same_columns
from nvmix.sources.source import ArraySource

# Treatments of nan: an error, or a missing value.
MISSING = ("raise", "em")
_MISSING_HINT = "; BatchEMFitter takes nan as a missing value with missing='em'"
# Complete rows, for each column and one more, that suffice for a start without incomplete rows.
_MANY = 10
# A start is made from at most so many rows and values (32 MiB): moments of more rows would make it
# hardly better. But 20 rows for each column are allowed, so that the covariance is accurate.
_MOST_ROWS = 1 << 17
_MOST_VALUES = 1 << 22
_LEAST_RATIO = 20
# Rows for each column that nearly always show that columns vary: few of many, so the check is fast.
_CHECKED_ROWS = 1000
# A column is collinear if the columns before it leave less than this fraction of its variance.
# Rounding errors of the correlation matrix are about 1e-16 for each column before it.
_COLLINEAR = 1e-13
# A column is constant if its standard deviation is below this fraction of its largest value, which
# is rounding: equal numbers in decimal notation may differ by 1e-16 after a conversion of units.
_CONSTANT = 1e-14


def _largest(values: FloatArray) -> float:
    """Largest absolute value, nan if any is nan; needs no temporary array."""
    return float(max(values.max(initial=0.0), -values.min(initial=0.0)))


def _largest_finite(name: str, values: FloatArray, columns: Columns) -> float:
    """Largest absolute value; ValueError, which names index and column, if one is not finite."""
    largest = _largest(values)
    if not np.isfinite(largest):
        try:
            array(name, values)
        except ValueError as error:
            place = np.argwhere(~np.isfinite(values))[0]
            j = place[-1] if columns is not None and len(columns) > 1 else 0
            column = "" if columns is None else f", in column {columns[j]!r}"
            hint = _MISSING_HINT if np.isnan(values[tuple(place)]) else ""
            msg = f"{error}{column}{hint}"
            raise ValueError(msg) from None
    return largest


def _check_range(name: str, values: FloatArray, columns: Columns = None) -> None:
    """Check that values are finite, and that squares neither overflow nor all underflow."""
    largest = _largest_finite(name, values, columns)
    if largest > LARGEST or 0.0 < largest < 1.0 / LARGEST:
        msg = f"{name} must have its largest value within 1e-150 and 1e150, got {largest:.3g}"
        raise ValueError(msg)


def _finite_or_nan(name: str, values: FloatArray) -> None:
    """Raise ValueError, which names the index, if a value is infinite."""
    if np.isinf(values).any():
        index = tuple(int(i) for i in np.argwhere(np.isinf(values))[0])
        msg = f"{name} must be finite or nan, got {values[index]} at index {index}"
        raise ValueError(msg)


def observations(
    X: Any, d: int | None = None, columns: Columns = None, missing: str = "raise", name: str = "X"
) -> ArraySource:
    """Return X as (n, d) observations; a one-dimensional X is one column.

    The values of a JAX array are not checked: nan in the data gives nan in the results. Data in
    which nothing is missing are as under missing "raise".
    """
    if on_jax(X):
        values = X
    elif missing == "em":
        values = numbers_of(name, X)
        _finite_or_nan(name, values)
        _check_range(name, np.nan_to_num(values))
    else:
        values = numbers_of(name, X)
        _check_range(name, values, column_names(X))
    if missing == "em" and not traced(values):
        missing = _treatment(values)
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


def points(
    x: Any, d: int, columns: Columns = None, missing: str = "raise"
) -> tuple[FloatArray, bool]:
    """Return (n, d) points, and whether x was a single point: (d,), or a scalar for d = 1.

    A row (1,) of one column is a point where `jax.vmap` maps over rows, else an array of one point.
    """
    values = x
    if one_of("missing", missing, MISSING) == "em" and not on_jax(x):
        values = numbers_of("x", x)
        _finite_or_nan("x", values)
    elif not on_jax(x):
        values = numbers_of("x", x)
        names = labels(x) if d > 1 and np.ndim(x) == 1 else column_names(x)
        _largest_finite("x", values, names)
    if d > 1 and np.ndim(x) == 1:
        same_columns("x", labels(x), columns)
    a_row = values.ndim == 1 and (d > 1 or (values.size == 1 and batched(values)))
    single = a_row or (d == 1 and values.ndim == 0)
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
    X: Any,
    d: int | None = None,
    columns: Columns = None,
    missing: str = "raise",
    weights: Any = None,
) -> ArraySource:
    """Return observations, with their weights, that a mixture of d columns can be fitted to.

    There must be more rows than columns, and no constant or collinear column. Under missing "em",
    nan stands for a missing value; every column must have a value, and rows that have none are
    passed over with a warning.
    """
    data = observations(X, d, columns, missing)
    data = data._replace(weights=row_weights(weights, len(data.values), X))
    return _checked(without_empty_rows(data), columns)


def without_empty_rows(data: ArraySource, *, quiet: bool = False) -> ArraySource:
    """The rows that have a value, which under missing "raise" are all; others make a warning."""
    values, weights = data.values, data.weights
    if data.missing != "em" or on_jax(values):
        return data
    empty = np.isnan(values).all(axis=1)
    if not empty.any():
        return data
    if not quiet:
        number = int(empty.sum())
        warn_user(
            f"X has {number} row{'s' * (number > 1)} of missing values only, the first row "
            f"{int(empty.argmax())}: passed over"
        )
    places, weights = np.flatnonzero(~empty), None if weights is None else weights[~empty]
    values = values[places]
    return ArraySource(values, weights, data.columns, _treatment(values), places)


def _treatment(values: Any) -> str:
    """How missing values are treated that may be: nothing is to do for complete data."""
    return "em" if namespace(values).isnan(values).any() else "raise"


def _checked(data: ArraySource, columns: Columns) -> ArraySource:
    """Observations that a mixture can be fitted to, with these columns if they have no names."""
    data = data._replace(columns=data.columns or columns)
    (n, d), missing = data.values.shape, data.missing
    if n <= d:
        msg = f"X must have more rows than columns to be fitted, got shape ({n}, {d})"
        raise ValueError(msg)
    names = data.columns or tuple(str(j) for j in range(d))
    if on_jax(data.values):
        if not traced(data.values):
            if missing == "em":
                msg = "X must be a NumPy array if values are missing, got nan in a JAX array"
                raise ValueError(msg)
            moments = standardized(data.values)
            largest = np.abs(moments.mean) + moments.size
            if not (np.isfinite(moments.covariance).all() and (largest < LARGEST).all()):
                # Only invalid data are copied to the host, where the message is made.
                _check_range("X", array("X", np.asarray(data.values)))
            columns_vary(names, moments)
    elif missing == "em":
        columns_vary(names, standardized(_with_means(data.values)))
    else:
        _check_columns(names, data.values)
    return data


def _check_columns(names: tuple[str, ...], values: FloatArray) -> None:
    """Check that no column is constant or collinear: by a subsample, by all rows if that fails."""
    some = values[:: spacing(len(values), _CHECKED_ROWS * values.shape[1])]
    if len(some) < len(values):
        with suppress(ValueError):
            columns_vary(names, standardized(some))
            return
    with suppress(ValueError):
        columns_vary(names, standardized(values))
        return
    # A row far from all others may leave no digit of the covariance of the rest.
    columns_vary(names, bounded(values))


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


def spacing(n: int, most: int) -> int:
    """The smallest power of 2, k, for which every k-th of n rows gives at most `most` rows."""
    k = 1
    while n > k * most:
        k *= 2
    return k


def most_rows(d: int) -> int:
    """Maximum number of rows, of d columns, for a starting model."""
    return min(_MOST_ROWS, max(_MOST_VALUES // d, _LEAST_RATIO * d))


def starting_sample(X: Any, missing: str = "raise") -> ArraySource:
    """Return validated NumPy rows for a starting model, at most `most_rows`, none missing.

    If values are missing, these are the complete rows; or if those are few, all rows, with means of
    the columns in place of missing values.
    """
    if traced(X):
        msg = "default_init does not run under a JAX trace: make the start from concrete data"
        raise TypeError(msg)
    data = _checked(without_empty_rows(observations(X, missing=missing), quiet=True), None)
    values = data.values
    some = values[:: spacing(len(values), most_rows(values.shape[1]))]
    if len(some) < len(values):
        # If columns vary in the other rows only, take all rows.
        with suppress(ValueError):
            values = sample(some, missing=missing).values
    values = np.asarray(values, np.float64)
    if missing == "em":
        complete = values[~np.isnan(values).any(axis=1)]
        if len(complete) > _MANY * (values.shape[1] + 1):
            return data._replace(values=complete, missing="raise")
        values = _with_means(values)
    return data._replace(values=values, missing="raise")


def chunk_values(name: str, value: Any, d: int | None) -> FloatArray:
    """Return the (m, d) rows of a chunk, m >= 0; `finite_rows` checks their values."""
    values = numbers_of(name, value)
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
    """Return the (m,) weights of a chunk, m >= 0."""
    weights = array(name, value)
    if weights.shape != (m,):
        msg = f"{name} must have shape ({m},), one for each row, got {np.shape(value)}"
        raise ValueError(msg)
    if not (traced(weights) or ((weights >= 0.0) & (weights < LARGEST)).all()):
        msg = (
            f"{name} must be nonnegative and below 1e150, got them from {weights.min()} to "
            f"{weights.max()}"
        )
        raise ValueError(msg)
    return weights


def finite_rows(values: FloatArray, missing: str, first: int, number: int | None) -> None:
    """Check the values of a chunk, whose first row and number the message names.

    Values must be within 1e150; under missing "em", nan is allowed in rows that have a value.
    """
    # This check of valid rows needs no temporary array.
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
        hint = _MISSING_HINT if np.isnan(values[row, column]) else ""
        expected = "finite or nan" if missing == "em" else "finite"
        if np.isfinite(values[row, column]):
            expected = "within 1e150"
        msg = (
            f"X must be {expected}, got {values[row, column]} at row {first + row}, "
            f"column {column}{place}{hint}"
        )
        raise ValueError(msg)


def row_weights(value: Any, n: int, X: Any = None) -> FloatArray | None:
    """Return the (n,) weights of all rows of X, or None; of Series both by the index."""
    weights = None if value is None else chunk_weights("weights", aligned(value, X), n)
    if weights is not None and not traced(weights) and not weights.any():
        msg = "weights must not all be 0"
        raise ValueError(msg)
    return weights


def _with_means(values: FloatArray) -> FloatArray:
    """Values (n, d) with column means for nan; ValueError if a column has no value."""
    present = ~np.isnan(values)
    absent = np.flatnonzero(~present.any(axis=0))
    if absent.size:
        msg = f"X must not have columns of missing values only, got column {absent[0]}"
        raise ValueError(msg)
    return np.where(present, values, np.nanmean(values, axis=0))
