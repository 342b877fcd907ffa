"""Readers of what keeps rows on disk: each returns a function that reads them anew."""

from __future__ import annotations

import importlib
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from nvmix.sources.prefetch import PREFETCHED

Reader = Callable[[], Iterator[Any]]

# Bytes of a chunk: threads have a millisecond of work each, and memory for three is little.
_CHUNK: Final = 1 << 25
# Rows of a chunk are a multiple of this.
_BLOCK: Final = 1 << 8


def rows_of_chunk(d: int) -> int:
    """Rows that a chunk of d columns has."""
    return max(1, _CHUNK // (8 * d * _BLOCK)) * _BLOCK


def of_array(X: np.ndarray[Any, Any]) -> Reader:
    """Reader of an (n, d) array in a file, by `np.memmap`."""
    rows = rows_of_chunk(X.shape[1])
    place = _place_in_file(X)

    def slices() -> Iterator[Any]:
        for first in range(0, len(X), rows):
            yield np.array(X[first : first + rows])

    def reads() -> Iterator[Any]:
        # Pages of a map are read a few at a time, and count as memory of the process.
        shape = min(rows, len(X)), X.shape[1]
        buffers = [np.empty(shape, X.dtype) for _ in range(PREFETCHED + 1)]
        path, offset = place or ("", 0)
        try:
            opened = Path(path).open("rb", buffering=0)  # noqa: SIM115
        except FileNotFoundError:
            yield from slices()
            return
        with opened as file:
            if not _is_in(file, offset, X):
                yield from slices()
                return
            file.seek(offset)
            for i, first in enumerate(range(0, len(X), rows)):
                part = buffers[i % len(buffers)][: len(X) - first]
                _read_into(file, part)
                yield part

    return slices if place is None else reads


def _place_in_file(X: np.ndarray[Any, Any]) -> tuple[str, int] | None:
    """File and offset of consecutive rows of a memory map; None where they are not such."""
    filename: Any = getattr(X, "filename", None)
    buffer: Any = X.base
    while buffer is not None and not isinstance(buffer, mmap.mmap):
        buffer = getattr(buffer, "base", None)
    private = getattr(X, "mode", "c") == "c"
    if filename is None or buffer is None or private or not X.flags.c_contiguous:
        return None
    start = np.frombuffer(buffer, np.uint8).ctypes.data
    offset = getattr(X, "offset", 0)
    return str(filename), offset - offset % mmap.ALLOCATIONGRANULARITY + X.ctypes.data - start


def _is_in(file: Any, offset: int, X: np.ndarray[Any, Any]) -> bool:
    """Whether a file has the rows of a map still: the first and the last, unless it is shorter."""
    if os.fstat(file.fileno()).st_size < offset + X.nbytes:
        return True
    row = X[0].nbytes
    for number in (0, len(X) - 1):
        file.seek(offset + number * row)
        if file.read(row) != X[number].tobytes():
            return False
    return True


def _read_into(file: Any, part: np.ndarray[Any, Any]) -> None:
    """Fill an array from a file."""
    left = memoryview(part.data).cast("B")
    while left:
        count = file.readinto(left)
        if not count:
            msg = f"{file.name} ends {len(left)} bytes before the array does"
            raise EOFError(msg)
        left = left[count:]


def of_arrow(data: Any, names: list[str]) -> Reader:
    """Reader of columns of an Arrow or Parquet dataset, a table, or a Parquet file."""
    rows, lock = rows_of_chunk(len(names)), threading.Lock()

    def batches() -> Iterator[Any]:
        if hasattr(data, "iter_batches"):
            yield from _locked(_of_parquet(data, range(data.num_row_groups), names, rows), lock)
        elif fragments := _parquet_fragments(data):
            file = importlib.import_module("pyarrow.parquet").ParquetFile
            for fragment in fragments:
                with fragment.open() as opened:
                    # Whole column chunks would be read and kept; an eighth of a chunk is not much.
                    parquet = file(opened, pre_buffer=False, buffer_size=rows)
                    groups = [group.id for group in fragment.row_groups]
                    yield from _of_parquet(parquet, groups, names, rows)
        elif hasattr(data, "scanner"):
            yield from data.scanner(names, **_frugal(data, rows)).to_batches()
        else:
            yield from data.select(names).to_batches(max_chunksize=rows)

    return batches


def _of_parquet(file: Any, groups: Iterable[int], names: list[str], rows: int) -> Iterator[Any]:
    """Batches of a Parquet file group by group: of all groups at once Arrow keeps the file."""
    for group in groups:
        yield from file.iter_batches(rows, row_groups=[group], columns=names)


def _locked(items: Iterator[Any], lock: threading.Lock) -> Iterator[Any]:
    """Items of iterators of threads that take turns, as those of one Parquet file must."""
    while True:
        with lock:
            item = next(items, None)
        if item is None:
            return
        yield item


def _parquet_fragments(data: Any) -> list[Any]:
    """Files of a dataset of Parquet with all columns in each; none if it is filtered."""
    if not _is_parquet(data):
        return []
    names = set(data.schema.names)
    try:
        fragments = list(data.get_fragments())
    except ValueError:
        return []
    whole = all(names <= set(part.physical_schema.names) for part in fragments)
    return fragments if whole else []


def _is_parquet(data: Any) -> bool:
    """Whether a dataset is of Parquet files."""
    return getattr(getattr(data, "format", None), "default_extname", "") == "parquet"


def _frugal(data: Any, rows: int) -> dict[str, Any]:
    """Settings of a scan that keep little in memory."""
    settings = {"batch_size": rows, "batch_readahead": 1, "fragment_readahead": 1}
    if _is_parquet(data):
        scan = importlib.import_module("pyarrow.dataset").ParquetFragmentScanOptions
        settings["fragment_scan_options"] = scan(pre_buffer=False, use_buffered_stream=True)
    return settings


def arrow_names(schema: Any) -> tuple[str, ...]:
    """Names of the columns of an Arrow schema, without those that pandas has for an index."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return tuple(name for name in schema.names if name not in index)


def table_values(batch: Any, names: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Columns of an Arrow table or batch as an (m, d) array; nulls are nan."""
    values = np.empty((batch.num_rows, len(names)))
    for j, name in enumerate(names):
        column = batch.column(name)
        numbers = column.to_numpy(zero_copy_only=False) if _is_array(column) else column.to_numpy()
        if numbers.dtype.kind not in "biuf":
            msg = (
                f"X must hold real numbers, got column {name!r} of type {column.type}: leave it "
                "out, as by a function that returns chunks with the columns to fit"
            )
            raise TypeError(msg)
        values[:, j] = numbers
    return values


def _is_array(column: Any) -> bool:
    """Whether an Arrow column is in one piece."""
    return not hasattr(column, "chunks")


def of_dask(blocks: list[Any]) -> Reader:
    """Reader of delayed blocks of a Dask collection, computed one by one by its scheduler."""

    def computed() -> Iterator[Any]:
        for block in blocks:
            yield block.compute()

    return computed
