"""The one place that raises on bad input: every message names the parameter and what it got.

What JAX traces has a shape and no numbers yet: its shape is checked, and it passes as it is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np

from nvmix._arrays import namespace, on_jax, traced
from nvmix._columns import column_names, columns_vary, frame_values, same_columns
from nvmix._linalg import Standardized, standardized

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nvmix._typing import FloatArray

_SYMMETRIC = 1e-10
# Beyond this, or all below its inverse, squares leave the range of doubles.
_LARGEST = 1e150


# What to do about missing values.
MISSING = ("raise", "em")
# Complete rows for each column and one from which a start is made without the others.
_PLENTY = 10

T = TypeVar("T")


class Data(NamedTuple):
    """Observations (n, d) and the names of their columns, where they had any."""

    values: FloatArray
    columns: tuple[str, ...] | None


def one_of(name: str, value: object, options: Iterable[str]) -> str:
    """Return value if it is one of the options."""
    options = tuple(options)
    if not isinstance(value, str) or value not in options:
        msg = f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}"
        raise ValueError(msg)
    return value


def real(name: str, value: object) -> float:
    """Return a finite float."""
    if type(value) is float and math.isfinite(value):
        return value
    if traced(value):
        return _traced_scalar(name, value)
    scalar = np.asarray(value)
    if scalar.ndim != 0 or scalar.dtype.kind not in "iuf":
        msg = f"{name} must be a real number, got {value!r}"
        raise TypeError(msg)
    number = float(scalar)
    if not np.isfinite(number):
        msg = f"{name} must be finite, got {number}"
        raise ValueError(msg)
    return number


def _traced_scalar(name: str, value: Any) -> float:
    """Return a traced scalar."""
    if value.ndim != 0:
        msg = f"{name} must be a real number, got an array of shape {value.shape}"
        raise TypeError(msg)
    return cast("float", value)


def positive(name: str, value: object) -> float:
    """Return a float > 0."""
    number = real(name, value)
    if not traced(number) and not number > 0.0:
        msg = f"{name} must be positive, got {number}"
        raise ValueError(msg)
    return number


def nonnegative(name: str, value: object) -> float:
    """Return a float >= 0."""
    number = real(name, value)
    if not traced(number) and number < 0.0:
        msg = f"{name} must not be negative, got {number}"
        raise ValueError(msg)
    return number


def integer(name: str, value: object, minimum: int) -> int:
    """Return an int >= minimum."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        msg = f"{name} must be an integer, got {value!r}"
        raise TypeError(msg)
    if value < minimum:
        msg = f"{name} must be at least {minimum}, got {value}"
        raise ValueError(msg)
    return int(value)


def boolean(name: str, value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, (bool, np.bool_)):
        msg = f"{name} must be True or False, got {value!r}"
        raise TypeError(msg)
    return bool(value)


def mapping(name: str, value: Any) -> dict[str, Any] | None:
    """Return a dict of a mapping, or None."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        msg = f"{name} must be a mapping of names to values, got {value!r}"
        raise TypeError(msg)
    return dict(value)


def instance(name: str, value: object, kind: type) -> None:
    """Check that value is an instance of a class."""
    if not isinstance(value, kind):
        msg = f"{name} must be a {kind.__name__}, got {type(value).__name__}"
        raise TypeError(msg)


def generator(seed: Any, name: str = "seed") -> np.random.Generator:
    """Return the random generator that a seed stands for."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be None, a nonnegative integer or a Generator, got {seed!r}"
        raise type(error)(msg) from None


def optional_callable(name: str, value: T) -> T:
    """Return a callable or None."""
    if value is not None and not callable(value):
        msg = f"{name} must be callable or None, got {value!r}"
        raise TypeError(msg)
    return value


def optional_path(name: str, value: Any) -> Path | None:
    """Return a path or None."""
    if value is not None and not isinstance(value, str | os.PathLike):
        msg = f"{name} must be a path or None, got {value!r}"
        raise TypeError(msg)
    return None if value is None else Path(value)


def real_or_nan(name: str, value: Any) -> FloatArray:
    """Return a float64 array of real numbers, inf and nan included."""
    raw = _as_array(name, value)
    if raw.dtype.kind == "O":
        raw = _from_objects(name, value, raw)
    if raw.dtype.kind not in "biuf":
        msg = f"{name} must hold real numbers, got dtype {raw.dtype}"
        raise TypeError(msg)
    return raw.astype(np.float64, copy=False)


def array(name: str, value: Any) -> FloatArray:
    """Return a float64 array of finite real numbers; never a view that is written to."""
    if traced(value):
        return namespace(value).asarray(value, float)  # type: ignore[no-any-return]
    result = real_or_nan(name, value)
    # One sum tells, without an array of flags, unless it overflows.
    if not (np.isfinite(result.sum()) or np.isfinite(result).all()):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        place = f" at index {where}" if where else ""
        msg = f"{name} must be finite, got {result[where]}{place}"
        raise ValueError(msg)
    return result


def _as_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """np.asarray, with ragged nesting and None named."""
    if value is None:
        msg = f"{name} must hold real numbers, got None"
        raise TypeError(msg)
    if np.ma.is_masked(value):
        msg = f"{name} must not have masked values; drop those rows first"
        raise ValueError(msg)
    try:
        return np.asarray(value)
    except ValueError:
        msg = f"{name} must be a rectangular array, got rows of different lengths"
        raise ValueError(msg) from None


def _from_objects(name: str, value: Any, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Convert an object array of numbers; text, even of numbers, and other objects end here."""
    text = next((x for x in raw.ravel() if isinstance(x, (str, bytes))), None)
    if text is not None:
        msg = f"{name} must hold real numbers, got text such as {text!r}"
        raise TypeError(msg)
    try:
        return raw.astype(np.float64)
    except (TypeError, ValueError):
        msg = f"{name} must hold real numbers, got dtype object ({type(value).__name__})"
        raise TypeError(msg) from None


def vector(name: str, value: Any, d: int | None = None) -> FloatArray:
    """Return a (d,) array."""
    result = array(name, value)
    result = cast("FloatArray", namespace(result).atleast_1d(result))
    if result.ndim != 1 or result.size == 0 or (d is not None and result.size != d):
        expected = "(d,)" if d is None else f"({d},)"
        msg = f"{name} must have shape {expected}, got {np.shape(value)}"
        raise ValueError(msg)
    return result


def cholesky(name: str, value: Any, d: int) -> FloatArray:
    """Return the lower Cholesky factor of a (d, d) symmetric positive definite matrix."""
    sigma = array(name, value)
    sigma = namespace(sigma).atleast_2d(sigma)
    if sigma.shape != (d, d):
        msg = f"{name} must have shape ({d}, {d}), got {np.shape(value)}"
        raise ValueError(msg)
    if traced(sigma):
        return namespace(sigma).linalg.cholesky(sigma)  # type: ignore[no-any-return]
    size = np.sqrt(np.abs(np.outer(np.diag(sigma), np.diag(sigma))))
    if not (np.abs(sigma - sigma.T) <= _SYMMETRIC * size).all():
        msg = f"{name} must be symmetric, got {sigma.tolist()}"
        raise ValueError(msg)
    try:
        return np.asarray(np.linalg.cholesky(0.5 * (sigma + sigma.T)), np.float64)
    except np.linalg.LinAlgError:
        msg = f"{name} must be positive definite, got eigenvalues {np.linalg.eigvalsh(sigma)}"
        raise ValueError(msg) from None


def lower_factor(name: str, value: Any, d: int) -> FloatArray:
    """Return a (d, d) lower-triangular array with a positive diagonal."""
    L = array(name, value)
    if L.shape != (d, d):
        msg = f"{name} must have shape ({d}, {d}), got {np.shape(value)}"
        raise ValueError(msg)
    if traced(L):
        return L
    if not (np.diag(L) > 0.0).all() or any(L[i, i + 1 :].any() for i in range(d - 1)):
        msg = f"{name} must be lower triangular with a positive diagonal, got {L.tolist()}"
        raise ValueError(msg)
    return L


def _in_range(name: str, values: FloatArray) -> None:
    """Check that squares neither overflow nor all underflow."""
    largest = max(values.max(initial=0.0), -values.min(initial=0.0))
    if largest > _LARGEST or 0.0 < largest < 1.0 / _LARGEST:
        msg = f"{name} must have its largest value within 1e-150 and 1e150, got {largest:.3g}"
        raise ValueError(msg)


def _not_beyond(name: str, values: FloatArray) -> None:
    """Check that squares do not overflow."""
    largest = max(values.max(initial=0.0), -values.min(initial=0.0))
    if largest > _LARGEST:
        msg = f"{name} must not exceed 1e150, got {largest:.3g}"
        raise ValueError(msg)


def observations(
    X: Any,
    d: int | None = None,
    columns: tuple[str, ...] | None = None,
    missing: str = "raise",
    name: str = "X",
) -> Data:
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
        values = array(name, X)
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
    return Data(values, column_names(X))


def points(x: Any, d: int, columns: tuple[str, ...] | None = None) -> tuple[FloatArray, bool]:
    """Return (n, d) points and whether x was a single (d,) point (for d = 1, a scalar)."""
    values = x if on_jax(x) else array("x", x)
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
) -> Data:
    """Return observations from which a d-variate law can be estimated, of the given columns.

    With missing "em", nan stands for a missing value; no row may be without any value.
    """
    data = observations(X, d, columns, missing)
    data = Data(data.values, data.columns or columns)
    n, d = data.values.shape
    if n <= d:
        msg = f"X must have more rows than columns to be fitted, got shape ({n}, {d})"
        raise ValueError(msg)
    if missing == "em" and not on_jax(data.values):
        columns_vary(data.columns or tuple(str(j) for j in range(d)), _filled(data.values))
    elif not traced(data.values):
        found = standardized(data.values)
        if on_jax(data.values):
            _finite_on_device(data.values, found)
        columns_vary(data.columns or tuple(str(j) for j in range(d)), found)
    return data


def starting_sample(X: Any, missing: str = "raise") -> Data:
    """Return a sample on the host, from which a starting model is made.

    Of rows with missing values only the complete ones are returned, where they are plenty; else
    all, with the means of the columns in place of what is missing.
    """
    if traced(X):
        msg = "default_init does not run under a JAX trace: make the start from concrete data"
        raise TypeError(msg)
    one_of("missing", missing, MISSING)
    data = sample(X, missing=missing)
    values = np.asarray(data.values, np.float64)
    if missing == "em":
        complete = values[~np.isnan(values).any(axis=1)]
        if len(complete) > _PLENTY * (values.shape[1] + 1):
            return Data(complete, data.columns)
        values = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    return Data(values, data.columns)


def chunk_values(name: str, value: Any, d: int | None) -> FloatArray:
    """Return the (m, d) real rows of a chunk, which may be none; nan and infinite ones pass."""
    values = real_or_nan(name, frame_values(value))
    if values.ndim == 1 and d in (None, 1):
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
    if not ((weights >= 0.0) & (weights < _LARGEST)).all():
        msg = f"{name} must be nonnegative and below 1e150, got {weights.min()}, {weights.max()}"
        raise ValueError(msg)
    return weights


def finite_rows(values: FloatArray, missing: str, first: int, number: int | None) -> None:
    """Check that none is beyond 1e150, or nan unless that is missing, and no row all missing."""
    # Nothing as large as the rows is made where all is well.
    largest = max(values.max(initial=0.0), -values.min(initial=0.0))
    if missing != "em" and largest <= _LARGEST:
        return
    size = np.abs(values)
    bad = size > _LARGEST if missing == "em" else ~(size <= _LARGEST)
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
    if not traced(weights) and (weights.min() < 0.0 or not 0.0 < weights.max() < _LARGEST):
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
    if not (np.isfinite(found.covariance).all() and (largest < _LARGEST).all()):
        values = array("X", np.asarray(X))
        _in_range("X", values)
