"""What X is: an array in memory, or a source of rows that each pass reads anew."""

from __future__ import annotations

import importlib
import sys
from array import array as stdlib_array
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from nvmix.foundation.arrays import on_jax
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import array, one_of
from nvmix.sources.chunked import ChunkedSource
from nvmix.sources.columns import column_names, frame_values, same_columns
from nvmix.sources.dask_cluster import ClusterSource
from nvmix.sources.observations import (
    MISSING,
    chunk_weights,
    row_weights,
    sample,
    starting_sample,
)
from nvmix.sources.readers import arrow_names, of_array, of_arrow, of_dask
from nvmix.sources.source import ArraySource, Source
from nvmix.sources.subsample import subsample

_IN_MEMORY = (list, tuple, dict, set, bytes, bytearray, memoryview, stdlib_array)
# Formats by suffix.
_ARROW_FILES = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"}


def sample_source(
    X: Any,
    d: int | None = None,
    columns: tuple[str, ...] | None = None,
    missing: str = "raise",
    weights: Any = None,
) -> Source:
    """Rows that a d-variate law can be estimated from: a source, or validated rows in memory.

    TypeError or ValueError if X cannot be fitted, has other columns, or its weights are invalid.
    """
    source = source_of(X, d, columns, missing, weights)
    if source is not None:
        return source
    data = sample(X, d, columns, missing)
    return data._replace(weights=row_weights(weights, len(data.values)))


def source_of(
    X: Any,
    d: int | None = None,
    columns: tuple[str, ...] | None = None,
    missing: str = "raise",
    weights: Any = None,
) -> Source | None:
    """The source that X stands for, or None where it is an array in memory.

    A source is an `np.memmap`, the path of a .npy, .parquet, .arrow or .feather file or of a
    directory of Parquet or of Arrow files, an Arrow dataset or table, a Parquet file, a Dask array
    or DataFrame, or a function (or an object that can be iterated again and again) that gives
    chunks: (m, d) arrays, DataFrames or Arrow batches, or pairs of them with their (m,) weights.
    TypeError or ValueError if X is a file of an unknown kind, can be read only once, or has other
    columns.
    """
    path = X if isinstance(X, str | Path) else None
    if path is not None:
        X = _opened(Path(path))
    package = type(X).__module__.partition(".")[0]
    if package == "pyarrow" and hasattr(X, "num_columns") and not hasattr(X, "to_batches"):
        X = sys.modules["pyarrow"].Table.from_batches([X])
    on_arrow, on_dask = package == "pyarrow", package in ("dask", "dask_expr")
    if not (isinstance(X, np.memmap) or on_dask or (on_arrow and _is_table(X)) or _gives_chunks(X)):
        return None
    omega = None if weights is None else _all_weights(weights)
    if on_dask:
        return _of_dask(X, d, columns, missing, omega)
    if isinstance(X, np.memmap):
        values = X[:, None] if X.ndim == 1 and d in (None, 1) else X
        if values.ndim != 2:
            msg = f"X must have shape (n, d), got {X.shape}"
            raise ValueError(msg)
        name = f"{len(X)} rows in {X.filename}"
        width = _checked(values.shape[1], d)
        return ChunkedSource(of_array(values), width, columns, missing, omega, name, lasting=True)
    if on_arrow:
        names = _columns_of(X, columns)
        width = _checked(len(names), d)
        name = f"Arrow {type(X).__name__}" if path is None else str(path)
        reader = of_arrow(X, list(names))
        return ChunkedSource(reader, width, names, missing, omega, name, lasting=True)
    read: Callable[[], Iterable[Any]] = X if callable(X) else X.__iter__
    name = getattr(X, "__name__", type(X).__name__)
    return ChunkedSource(read, d, columns, missing, omega, f"the chunks of {name}")


def starting_rows(X: Any, missing: str = "raise") -> ArraySource:
    """Validated rows to make a starting model from: all of few, evenly spaced ones of many.

    Of more than 131,072 rows, or of many columns 32 MiB, some are taken. Rows with missing values
    are left out under missing "em". TypeError or ValueError if X is not n > d finite real rows, or
    has constant or collinear columns.
    """
    source = source_of(X, missing=one_of("missing", missing, MISSING))
    if source is None:
        return starting_sample(X, missing)
    with closing(source):
        return subsample(source)


def _opened(path: Path) -> Any:
    """What a path leads to."""
    if path.suffix.lower() == ".npy":
        return np.load(path, mmap_mode="r")
    files = _arrow_files(path) if path.is_dir() else [path]
    kinds = {_ARROW_FILES.get(file.suffix.lower()) for file in files}
    if len(kinds) > 1:
        msg = f"X must be a directory of files of one kind, got Parquet and Arrow in {str(path)!r}"
        raise ValueError(msg)
    kind = kinds.pop() if kinds else None
    if kind is None:
        suffixes = ", ".join(_ARROW_FILES)
        msg = (
            f"X must be a .npy, {suffixes} file, or a directory of Parquet or of Arrow files, got "
            f"{str(path)!r}"
        )
        raise ValueError(msg)
    return _package("pyarrow.dataset", "arrow").dataset([str(file) for file in files], format=kind)


def _arrow_files(directory: Path) -> list[Path]:
    """Arrow and Parquet files in a directory, in order, but for hidden ones (of "." or "_")."""
    found = (file for file in directory.rglob("*") if file.suffix.lower() in _ARROW_FILES)
    inside = {file: file.relative_to(directory).parts for file in found}
    return sorted(f for f, parts in inside.items() if not any(p[0] in "._" for p in parts))


def _package(name: str, extra: str) -> Any:
    """Import what an extra installs."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        msg = f"{name.partition('.')[0]} is not installed: pip install 'nvmix[{extra}]'"
        raise ImportError(msg) from error


def _is_table(X: Any) -> bool:
    """Whether an Arrow object has rows that can be read again and again."""
    again = hasattr(X, "to_batches") or hasattr(X, "scanner") or hasattr(X, "iter_batches")
    if hasattr(X, "schema") and again and not hasattr(X, "__next__"):
        return True
    msg = f"X must be an Arrow dataset, table or Parquet file, got {type(X).__name__}"
    raise TypeError(msg)


def _gives_chunks(X: Any) -> bool:
    """Whether X is a function or an iterable of chunks, and not an array in memory."""
    if on_jax(X) or hasattr(X, "__array__") or isinstance(X, _IN_MEMORY):
        return False
    if hasattr(X, "__next__"):
        msg = (
            f"X must be readable again and again, got a {type(X).__name__}, which can be read "
            "once: give a function that returns a new one"
        )
        raise TypeError(msg)
    return callable(X) or hasattr(X, "__iter__")


def _checked(found: int, d: int | None) -> int:
    """Columns of a source; ValueError if the model has others."""
    if d not in (None, found):
        msg = f"X must have {d} columns, as the model has, got {found}"
        raise ValueError(msg)
    return found


def _all_weights(weights: Any) -> FloatArray:
    """(n,) weights of all rows."""
    found = array("weights", weights)
    return chunk_weights("weights", found, found.size)


def _columns_of(X: Any, columns: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of the columns of Arrow data, at least one."""
    names = arrow_names(X.schema_arrow if hasattr(X, "schema_arrow") else X.schema)
    if not names:
        msg = f"X must have columns, got an Arrow {type(X).__name__} without any"
        raise ValueError(msg)
    same_columns("X", names, columns)
    return names


def _of_dask(
    X: Any,
    d: int | None,
    columns: tuple[str, ...] | None,
    missing: str,
    weights: FloatArray | None,
) -> Source:
    """Source of a Dask array or DataFrame: on the cluster, where there is a client, or here."""
    if not (hasattr(type(X), "to_delayed") and X.ndim in (1, 2)):
        msg = f"X must be a Dask array or DataFrame of rows, got {type(X).__name__}"
        raise TypeError(msg)
    names = column_names(X) if hasattr(X, "columns") else columns
    same_columns("X", names, columns)
    if hasattr(X, "partitions") and hasattr(X, "dtypes"):
        width = _checked(len(names or (X.name,)), d)
        delayed = importlib.import_module("dask").delayed(frame_values)
        blocks = [delayed(part) for part in X.to_delayed()]
    else:
        rows = X[:, None] if X.ndim == 1 else X.rechunk({1: -1})
        width = _checked(int(rows.shape[1]), d)
        blocks = rows.to_delayed().ravel().tolist()
    client = _client()
    if client is not None:
        return ClusterSource.of(client, blocks, width, names, missing, weights)
    name = f"{len(blocks)} Dask blocks"
    return ChunkedSource(of_dask(blocks), width, names, missing, weights, name, lasting=True)


def _client() -> Any:
    """The client of the Dask cluster in use, or None."""
    if "distributed" not in sys.modules:
        return None
    try:
        return sys.modules["distributed"].get_client()
    except ValueError:
        return None
