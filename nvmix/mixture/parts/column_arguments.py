"""Arguments that choose columns of a model, by position or name, or have a value for each."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from nvmix.foundation.arrays import namespace
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import array
from nvmix.sources.frames import frame_values


def positions_of(name: str, chosen: Any, columns: Columns, d: int) -> list[int]:
    """Positions of chosen columns of d: a position or name, a slice, a mask or a sequence."""
    if isinstance(chosen, slice):
        try:
            found = list(range(d)[chosen])
        except TypeError:
            msg = f"{name} must be a slice of positions, got {chosen}"
            raise TypeError(msg) from None
        return _distinct(name, found)
    if _is_position(chosen) or isinstance(chosen, str):
        return [_position(name, chosen, columns, d)]
    if not isinstance(chosen, Iterable):
        msg = f"{name} must be positions or names of columns, got {chosen!r}"
        raise TypeError(msg)
    labels = [x.item() if isinstance(x, np.generic) else x for x in chosen]
    if labels and all(isinstance(x, bool) for x in labels):
        if len(labels) != d:
            msg = f"{name} must have {d} flags, one for each column, got {len(labels)}"
            raise ValueError(msg)
        return _distinct(name, np.flatnonzero(labels).tolist())
    return _of_labels(name, labels, columns, d)


def _of_labels(name: str, labels: Iterable[Any], columns: Columns, d: int) -> list[int]:
    """Positions of columns with these positions or names."""
    return _distinct(name, [_position(name, label, columns, d) for label in labels])


def _distinct(name: str, found: list[int]) -> list[int]:
    """Positions, if there are any and none is repeated."""
    if not found:
        msg = f"{name} must be at least one column, got none"
        raise ValueError(msg)
    if len(set(found)) < len(found):
        msg = f"{name} must be different columns, got the positions {found}"
        raise ValueError(msg)
    return found


def _is_position(label: Any) -> bool:
    """Whether a label is an integer."""
    return isinstance(label, Integral) and not isinstance(label, bool | np.bool_)


def _position(name: str, label: Any, columns: Columns, d: int) -> int:
    """Position of a column with this position, which may count from the end, or name."""
    if _is_position(label):
        if not -d <= label < d:
            msg = f"{name} must be positions of {d} columns, got {label}"
            raise ValueError(msg)
        return int(label) % d
    if not isinstance(label, str):
        msg = f"{name} must be positions or names of columns, got {label!r}"
        raise TypeError(msg)
    if columns is None or label not in columns:
        names = "which have no names" if columns is None else f"{', '.join(columns)}"
        msg = f"{name} must be among the columns of the model, {names}; got {label!r}"
        raise ValueError(msg)
    if columns.count(label) > 1:
        msg = f"{name} must name one column, got {label!r}, which several have"
        raise ValueError(msg)
    return columns.index(label)


def is_by_column(values: Any) -> bool:
    """Whether values are a mapping or a Series."""
    is_series = hasattr(values, "index") and hasattr(values, "to_numpy") and np.ndim(values) == 1
    return is_series or isinstance(values, Mapping)


def by_position(name: str, values: Any, columns: Columns, d: int) -> dict[int, Any]:
    """Values of a mapping or Series by position of the column."""
    if not is_by_column(values):
        msg = f"{name} must have values by column, as a mapping or Series, got {values!r}"
        raise TypeError(msg)
    if isinstance(values, Mapping):
        labels, numbers = list(values), list(values.values())
    else:
        labels, numbers = _as_names(values.index, columns), values.to_numpy()
    return dict(zip(_of_labels(name, labels, columns, d), numbers, strict=True))


def _as_names(labels: Iterable[Any], columns: Columns) -> list[Any]:
    """Labels of a Series or DataFrame as the model has the names of columns: as text, if any."""
    return list(labels) if columns is None else [str(label) for label in labels]


def weights_of(name: str, A: Any, columns: Columns, d: int) -> tuple[FloatArray, Columns]:
    """Matrix (k, d) of weights, and names of its rows, if any; see `Transforms.linear`."""
    names: Columns = None
    if is_by_column(A):
        label = getattr(A, "name", None)
        names = None if label is None else (str(label),)
        row: list[Any] = [0.0] * d
        for i, weight in by_position(name, A, columns, d).items():
            row[i] = weight
        A = namespace(*row).asarray(row)
    elif hasattr(A, "columns"):
        found = _of_labels(name, _as_names(A.columns, columns), columns, d)
        names = tuple(map(str, A.index)) if hasattr(A, "index") else None
        full = np.zeros((len(A), d))
        full[:, found] = frame_values(A)
        A = full
    A = array(name, A)
    if A.ndim == 1:
        A = A[None, :]
    if A.ndim != 2 or A.shape[1] != d or len(A) == 0:
        msg = f"{name} must have shape (k, {d}) or ({d},), got {np.shape(A)}"
        raise ValueError(msg)
    return A, names


def rows_of(name: str, values: dict[int, Any]) -> tuple[FloatArray, bool]:
    """Rows (n, k) of values by column, and whether they are numbers, so that n = 1."""
    arrays = [array(name, value) for value in values.values()]
    if any(x.ndim > 1 for x in arrays):
        msg = f"{name} must have numbers or arrays of shape (n,), got {[x.shape for x in arrays]}"
        raise ValueError(msg)
    xp = namespace(*arrays)
    try:
        rows = xp.stack(xp.broadcast_arrays(*arrays), axis=-1)
    except ValueError:
        msg = f"{name} must have arrays of one length, got {[x.shape for x in arrays]}"
        raise ValueError(msg) from None
    return rows.reshape(-1, len(arrays)), rows.ndim == 1
