"""The source of any X that a fit accepts, and the rows of it that a starting model is made from."""

import importlib
import sys
from array import array as stdlib_array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nvmix.foundation.arrays import on_jax
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import array, one_of, with_article
from nvmix.sources.chunked import ChunkedSource
from nvmix.sources.dask_cluster import ClusterSource
from nvmix.sources.frames import column_names, frame_values, is_convertible, same_columns
from nvmix.sources.observations import (
    MISSING,
    chunk_weights,
    finite_rows,
    most_rows,
    sample,
    spacing,
    starting_sample,
)
from nvmix.sources.readers import arrow_names, of_array, of_arrow
from nvmix.sources.source import ArraySource, Chunk, Source

_IN_MEMORY = (list, tuple, dict, set, bytes, bytearray, memoryview, stdlib_array)
# Arrow's names of file formats.
_ARROW_FILES = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"}


def sample_source(
    X: Any, d: int, columns: Columns, missing: str = "raise", weights: Any = None
) -> Source:
    """Source of rows for a fit of d columns; rows in memory are validated as by `sample`.

    TypeError or ValueError if X cannot be fitted or its weights are invalid.
    """
    source = source_of(X, d, columns, missing, weights)
    if source is not None:
        return source
    return sample(X, d, columns, missing, weights)


def source_of(
    X: Any,
    d: int | None = None,
    columns: Columns = None,
    missing: str = "raise",
    weights: Any = None,
) -> Source | None:
    """The source that X stands for, or None if X is an array in memory.

    Sources: an `np.memmap`; the path of a .npy, .parquet, .arrow or .feather file, or of a
    directory of Parquet or Arrow files; an Arrow dataset, table or record batch; a Parquet file; a
    Dask array or DataFrame; a function that returns an iterable of chunks, or an object that gives
    a new iterator each time. A chunk is an (m, d) array, a DataFrame, an Arrow batch, or a pair of
    one of them and (m,) weights.
    """
    path = X if isinstance(X, str | Path) else None
    if path is not None:
        X = _opened(Path(path))
    if isinstance(X, np.lib.npyio.NpzFile):
        msg = f"X must be one array, got a .npz file with {', '.join(X.files)}: give one of them"
        X.close()
        raise TypeError(msg)
    package = type(X).__module__.partition(".")[0]
    if package == "pyarrow" and hasattr(X, "num_columns") and not hasattr(X, "to_batches"):
        X = sys.modules["pyarrow"].Table.from_batches([X])
    on_arrow, on_dask = package == "pyarrow", package in ("dask", "dask_expr")
    if not (isinstance(X, np.memmap) or on_dask or (on_arrow and _is_table(X)) or _gives_chunks(X)):
        return None
    if weights is not None:
        weights = array("weights", weights)
        weights = chunk_weights("weights", weights, weights.size)
    if on_dask:
        return _of_dask(X, d, columns, missing, weights)
    if isinstance(X, np.memmap):
        values = X[:, None] if X.ndim == 1 and d in (None, 1) else X
        if values.ndim != 2:
            msg = f"X must have shape (n, d), got {X.shape}"
            raise ValueError(msg)
        _check_stored(X)
        name = f"{len(X)} rows in {X.filename}"
        width = _checked_width(values.shape[1], d)
        return ChunkedSource(of_array(values), width, columns, missing, weights, name, stable=True)
    if on_arrow:
        names = arrow_names(X.schema_arrow if hasattr(X, "schema_arrow") else X.schema)
        if not names:
            msg = f"X must have columns, got an Arrow {type(X).__name__} without any"
            raise ValueError(msg)
        same_columns("X", names, columns)
        width = _checked_width(len(names), d)
        name = f"Arrow {type(X).__name__}" if path is None else str(path)
        reader = of_arrow(X, list(names))
        return ChunkedSource(reader, width, names, missing, weights, name, stable=True)
    read: Callable[[], Iterable[Any]] = X if callable(X) else X.__iter__
    name = getattr(X, "__name__", type(X).__name__)
    return ChunkedSource(read, d, columns, missing, weights, f"the chunks of {name}")


def starting_rows(X: Any, missing: str = "raise") -> ArraySource:
    """Validated rows for a starting model: all of few rows, evenly spaced ones of many.

    There are at most 131,072 rows, fewer if they have many columns (32 MiB). Under missing "em",
    rows with missing values are left out if complete rows are many.
    """
    source = source_of(X, missing=one_of("missing", missing, MISSING))
    if source is None:
        return starting_sample(X, missing)
    with closing(source):
        return subsample(source)


def _opened(path: Path) -> Any:
    """Memory map of a .npy file, or Arrow dataset of a file or of the files in a directory.

    Files and folders whose names begin with "." or "_" are hidden, and left out.
    """
    if path.suffix.lower() in (".npy", ".npz"):
        try:
            return np.load(path, mmap_mode="r")
        except OSError:
            raise
        # What NumPy and zipfile raise on what is no array.
        except Exception as error:
            msg = f"X must be a .npy file of real numbers, got {str(path)!r}: {error}"
            raise ValueError(msg) from error
    files = [path]
    if path.is_dir():
        arrow = (file for file in path.rglob("*") if file.suffix.lower() in _ARROW_FILES)
        inside = {file: file.relative_to(path).parts for file in arrow}
        files = sorted(f for f, parts in inside.items() if not any(p[0] in "._" for p in parts))
    kinds = {_ARROW_FILES.get(file.suffix.lower()) for file in files}
    if len(kinds) > 1:
        msg = f"X must be a directory of files of one kind, got Parquet and Arrow in {str(path)!r}"
        raise ValueError(msg)
    kind = kinds.pop() if kinds else None
    if kind is None:
        suffixes = ", ".join(_ARROW_FILES)
        msg = (
            f"X must be a .npy, {suffixes} file, or a directory of Parquet or of Arrow files, got "
            f"{str(path)!r}: read it first, as by pandas.read_csv"
        )
        raise ValueError(msg)
    try:
        dataset = importlib.import_module("pyarrow.dataset").dataset
    except ImportError as error:
        msg = "pyarrow is not installed: pip install 'nvmix[arrow]'"
        raise ImportError(msg) from error
    return dataset([str(file) for file in files], format=kind)


def _check_stored(X: np.memmap[Any, Any]) -> None:
    """Raise TypeError or ValueError if an array in a file holds no real numbers."""
    if X.dtype.kind not in "biuf":
        msg = f"X must hold real numbers, got dtype {X.dtype} in {X.filename}"
        raise TypeError(msg)
    if X.size == 0:
        msg = f"X must not be empty, got shape {X.shape} in {X.filename}"
        raise ValueError(msg)


def _is_table(X: Any) -> bool:
    """True for Arrow data whose rows can be read again and again; TypeError for other objects."""
    again = hasattr(X, "to_batches") or hasattr(X, "scanner") or hasattr(X, "iter_batches")
    if hasattr(X, "schema") and again and not hasattr(X, "__next__"):
        return True
    msg = f"X must be an Arrow dataset, table or Parquet file, got {type(X).__name__}"
    raise TypeError(msg)


def _gives_chunks(X: Any) -> bool:
    """Whether X is a function or an iterable of chunks; TypeError if it can be read only once."""
    in_memory = isinstance(X, _IN_MEMORY) or hasattr(X, "__array__") or is_convertible(X)
    if on_jax(X) or in_memory:
        return False
    if hasattr(X, "__next__"):
        msg = (
            f"X must be readable again and again, got {with_article(type(X).__name__)}, which can "
            "be read once: give a function that returns a new one"
        )
        raise TypeError(msg)
    return callable(X) or hasattr(X, "__iter__")


def _checked_width(width: int, d: int | None) -> int:
    """The number of columns of X; ValueError if the model has d others."""
    if d not in (None, width):
        msg = f"X must have {d} columns, as the model has, got {width}"
        raise ValueError(msg)
    return width


def _of_dask(
    X: Any, d: int | None, columns: Columns, missing: str, weights: FloatArray | None
) -> Source:
    """Source of a Dask array or DataFrame: on the cluster of the active client, else local."""
    if not (hasattr(type(X), "to_delayed") and X.ndim in (1, 2)):
        msg = f"X must be a Dask array or DataFrame of rows, got {type(X).__name__}"
        raise TypeError(msg)
    names = column_names(X) if hasattr(X, "columns") else columns
    same_columns("X", names, columns)
    if hasattr(X, "partitions") and hasattr(X, "dtypes"):
        width = _checked_width(len(names or (X.name,)), d)
        delayed = importlib.import_module("dask").delayed(frame_values)
        blocks = [delayed(part) for part in X.to_delayed()]
    else:
        rows = X[:, None] if X.ndim == 1 else X.rechunk({1: -1})
        width = _checked_width(int(rows.shape[1]), d)
        blocks = rows.to_delayed().ravel().tolist()
    distributed: Any = sys.modules.get("distributed")
    try:
        client = distributed and distributed.get_client()
    except ValueError:
        client = None
    if client is not None:
        return ClusterSource.of(client, blocks, width, names, missing, weights)

    def read() -> Iterator[Any]:
        return (block.compute() for block in blocks)

    name = f"{len(blocks)} Dask blocks"
    return ChunkedSource(read, width, names, missing, weights, name, stable=True)


def subsample(source: Source) -> ArraySource:
    """Validated rows for a starting model: every k-th row, read in one pass.

    k is the smallest power of 2 for which there are at most `most_rows`; it is 1 for few rows.
    Powers of 2 make the subsample independent of the chunks: a pass that does not know the number
    of rows doubles k as they come, and drops every second row that it has.
    """
    if isinstance(source, ClusterSource):
        k = spacing(source.n_rows, most_rows(source.d))
        # Only these rows leave the workers.
        rows = source.reduce(partial(_every_kth, k, source.missing), partial(np.append, axis=0))
    else:
        k, rows = _in_order(source)
    try:
        return starting_sample(rows, source.missing)._replace(columns=source.columns)
    except ValueError as error:
        if k == 1:
            raise
        msg = (
            f"{error}, in one in every {k} rows, of which a start is made: if other rows differ, "
            "start from a model of from_classical"
        )
        raise ValueError(msg) from error


def _every_kth(k: int, missing: str, chunk: Chunk) -> FloatArray:
    """Copy of the rows of a chunk whose numbers are multiples of k; all rows are validated."""
    finite_rows(chunk.values, missing, chunk.first, chunk.number)
    rows: FloatArray = chunk.values[-chunk.first % k :: k].copy()
    return rows


def _in_order(source: Source) -> tuple[int, FloatArray]:
    """k and every k-th row; when rows become too many, k doubles and every second row goes."""
    k, parts = 1, [np.empty((0, 1))]
    with closing(source.chunks()) as chunks:
        for chunk in chunks:
            m, d = chunk.values.shape
            k, before = spacing(chunk.first + m, most_rows(d)), k
            if chunk.first == 0:
                parts = []
            elif k != before:
                parts = [np.concatenate(parts)[:: k // before].copy()]
            parts.append(_every_kth(k, source.missing, chunk))
    return k, np.concatenate(parts)
