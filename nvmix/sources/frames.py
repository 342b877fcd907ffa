"""DataFrames, Series and their like: names of columns, numbers, and weights by the index."""

import importlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import numpy as np

from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import real_or_nan

_NUMBERS: Final = "biuf"
# What makes an array of what is none, by an attribute that only such objects have.
_CONVERSIONS: Final = {"nnz": "toarray()", "data_vars": "to_dataframe()", "explain": "collect()"}


def column_names(X: Any) -> Columns:
    """Column names of a DataFrame or of an (n, d) xarray, the name of a Series, or None.

    ValueError for one that two columns have.
    """
    columns = getattr(X, "columns", None)
    if columns is not None:
        return each_once(columns)
    if hasattr(X, "dims") and hasattr(X, "coords") and np.ndim(X) == 2:
        names = X.coords[X.dims[1]].values if X.dims[1] in X.coords else ()
        return each_once(names) or None
    label = getattr(X, "name", None)
    return (str(label),) if label is not None and np.ndim(X) == 1 else None


def each_once(names: Iterable[Any]) -> tuple[str, ...]:
    """Names of columns as texts; ValueError for one that is there twice."""
    texts = tuple(map(str, names))
    if len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        msg = (
            f"X must have columns of different names, got {twice!r} twice: rename one, or pass "
            "X.to_numpy()"
        )
        raise ValueError(msg)
    return texts


def labels(x: Any) -> Columns:
    """Names of the values of a point, if it is a Series with an index of strings."""
    names = getattr(x, "index", None)
    if callable(names) or names is None or not all(isinstance(label, str) for label in names):
        return None
    return tuple(names)


def same_columns(name: str, names: Columns, expected: Columns) -> None:
    """Raise ValueError unless names, if any, are those of the model, in the same order."""
    if names is not None and expected is not None and names != expected:
        same = sorted(names) == sorted(expected)
        hint = f": choose them in that order, by {name}[list(model.columns)]" if same else ""
        msg = f"{name} must have the columns of the model, {expected}, got {names}{hint}"
        raise ValueError(msg)


def numbers_of(name: str, value: Any) -> FloatArray:
    """Floats of an array, DataFrame or Series, which may be inf or nan, with nan for pandas' NA.

    TypeError, which names the column, for dates, durations and text, also of digits.
    """
    if is_convertible(value):
        use = next(use for attribute, use in _CONVERSIONS.items() if hasattr(value, attribute))
        msg = f"{name} must be an array, got {type(value).__name__}: give its {use}"
        raise TypeError(msg)
    types = _types(value)
    if types and not all(getattr(kind, "kind", "O") in _NUMBERS for kind in types):
        for label, column in _columns(value):
            _check_column(name, label, column)
    return real_or_nan(name, frame_values(value))


def is_convertible(value: Any) -> bool:
    """Whether a value is sparse, lazy or a set of arrays, with a method that makes an array."""
    is_array = isinstance(value, np.ndarray) or hasattr(value, "iloc")
    return not is_array and any(hasattr(value, attribute) for attribute in _CONVERSIONS)


def frame_values(value: Any) -> Any:
    """Floats of a DataFrame, with nan for pandas' NA; other values are returned unchanged."""
    plain = (isinstance(kind, np.dtype) and kind.kind in _NUMBERS for kind in _types(value))
    if not hasattr(value, "to_numpy") or all(plain):
        return value
    # Objects are no floats before NA is nan.
    for kind in (float, object):
        with suppress(TypeError, ValueError):
            return value.to_numpy(kind, na_value=np.nan)
    return value


def _types(value: Any) -> list[Any]:
    """Types of the columns of a DataFrame, or of a Series; none of an array."""
    if isinstance(value, np.ndarray) or not hasattr(value, "to_numpy"):
        return []
    types: Any = getattr(value, "dtypes", getattr(value, "dtype", None))
    return list(types) if hasattr(types, "__iter__") else [types]


def _columns(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and columns of a DataFrame of pandas or polars, or the Series itself."""
    if not hasattr(value, "columns"):
        yield str(getattr(value, "name", None)), value
    elif hasattr(value, "iloc"):
        yield from ((str(name), value.iloc[:, j]) for j, name in enumerate(value.columns))
    elif hasattr(value, "get_columns"):
        yield from zip(value.columns, value.get_columns(), strict=True)


def _check_column(name: str, label: str, column: Any) -> None:
    """Raise TypeError if a column has dates, durations, text or other objects."""
    values = np.asarray(column)
    kind = values.dtype.kind
    if kind in _NUMBERS:
        return
    example = next((x for x in values.ravel() if not _is_number(x)), None)
    if kind == "O" and example is None:
        return
    what = {"M": "dates", "m": "durations", "O": "objects"}.get(kind, "text")
    what = "text" if isinstance(example, str | bytes) else what
    what = "dates" if hasattr(example, "isoformat") else what
    msg = (
        f"{name} must hold real numbers, got column {label!r} of {what} such as {str(example)!r}: "
        "leave it out"
    )
    raise TypeError(msg)


def _is_number(value: Any) -> bool:
    """Whether an object is a number or stands for a missing one."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return not isinstance(value, str | bytes | np.datetime64 | np.timedelta64) and hasattr(
        value, "__float__"
    )


def aligned(weights: Any, X: Any) -> Any:
    """Weights in the order of the rows of X, if both have an index; else the weights themselves.

    ValueError where the labels of two indices are not the same.
    """
    theirs, ours = _index(weights), _index(X)
    if theirs is None or ours is None or ours.equals(theirs):
        return weights
    same = len(ours) == len(theirs) and ours.is_unique and theirs.is_unique
    if not same or not ours.isin(theirs).all():
        missing = ours[~ours.isin(theirs)]
        why = f"got none for {missing[0]!r}" if len(missing) else "whose labels must be unique"
        msg = f"weights must have the index of X, {why}: give weights.to_numpy() to go by position"
        raise ValueError(msg)
    return weights.reindex(ours)


def _index(x: Any) -> Any:
    """Index of a DataFrame or Series of pandas, else None."""
    index = getattr(x, "index", None)
    return index if hasattr(x, "reindex") and hasattr(index, "equals") else None


def with_index(name: str, values: Any, x: Any) -> Any:
    """Series of values (n,) with the index of x (n, ...), which must have one: else TypeError."""
    index = getattr(x, "index", None)
    if index is None or callable(index):
        msg = f"keep_index needs {name} with an index, as of pandas, got {type(x).__name__}"
        raise TypeError(msg)
    return pandas().Series(np.asarray(values), index=index)


def data_frame(rows: FloatArray, columns: Columns) -> Any:
    """DataFrame of rows (n, d); ValueError for an array of another shape."""
    if rows.ndim != 2:
        msg = f"as_frame needs rows (n, d), got the shape {rows.shape}"
        raise ValueError(msg)
    return pandas().DataFrame(rows, columns=columns)


def pandas() -> Any:
    """The module; ImportError, which says how to install it, if it is absent."""
    try:
        return importlib.import_module("pandas")
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        msg = "a table needs pandas: pip install pandas"
        raise ImportError(msg) from None
