"""Readers of rows on disk: functions that return an iterator of chunks, anew for each pass."""

import importlib
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from nvmix.sources.prefetch import PREFETCHED

Reader = Callable[[], Iterator[Any]]

# Bytes of a chunk: work of a millisecond for each thread; a pass needs memory for three chunks.
_CHUNK: Final = 1 << 25
# Rows of a chunk are a multiple of this number, so that threads get equal blocks of rows.
_BLOCK: Final = 1 << 8


def rows_of_chunk(d: int) -> int:
    """Number of rows of a chunk with d columns."""
    return max(1, _CHUNK // (8 * d * _BLOCK)) * _BLOCK


def of_array(X: np.ndarray[Any, Any]) -> Reader:
    """Reader of an (n, d) array in a file, opened with `np.memmap`.

    A map is slow: each page fault reads a few pages, which then count as memory of the process. So
    the file itself is read into buffers in turn: one for the chunk in use, the others for prefetch.
    Where that is not possible, chunks are copied from the map.
    """
    rows = rows_of_chunk(X.shape[1])
    place = _place_in_file(X)

    def chunks() -> Iterator[Any]:
        path, offset = place or ("", 0)
        with ExitStack() as stack:
            file: Any = None
            if place is not None:
                with suppress(FileNotFoundError):
                    file = stack.enter_context(Path(path).open("rb", buffering=0))
            if file is None or not _has_rows(file, offset, X):
                for first in range(0, len(X), rows):
                    yield np.array(X[first : first + rows])
                return
            shape = min(rows, len(X)), X.shape[1]
            buffers = [np.empty(shape, X.dtype) for _ in range(PREFETCHED + 1)]
            file.seek(offset)
            for i, first in enumerate(range(0, len(X), rows)):
                part = buffers[i % len(buffers)][: len(X) - first]
                left = memoryview(part.data).cast("B")
                while left:
                    count = file.readinto(left)
                    if not count:
                        msg = f"{file.name} ends {len(left)} bytes before the array does"
                        raise EOFError(msg)
                    left = left[count:]
                yield part

    return chunks


def _place_in_file(X: np.ndarray[Any, Any]) -> tuple[str, int] | None:
    """File of a memory map and offset of its first row; None if the file cannot be read instead.

    That is so if rows are not consecutive in the file, or if the map is private: its values may
    have been changed in memory.
    """
    filename: Any = getattr(X, "filename", None)
    buffer: Any = X.base
    while buffer is not None and not isinstance(buffer, mmap.mmap):
        buffer = getattr(buffer, "base", None)
    private = getattr(X, "mode", "c") == "c"
    if filename is None or buffer is None or private or not X.flags.c_contiguous:
        return None
    # A slice has the offset of the map that it is from, whose first byte is on a page boundary.
    start = np.frombuffer(buffer, np.uint8).ctypes.data
    offset = getattr(X, "offset", 0)
    return str(filename), offset - offset % mmap.ALLOCATIONGRANULARITY + X.ctypes.data - start


def _has_rows(file: Any, offset: int, X: np.ndarray[Any, Any]) -> bool:
    """Whether the file at a map's path is still the mapped one, by the first and the last row.

    A file that has been cut off passes: reading its rows from the map would end the process.
    """
    if os.fstat(file.fileno()).st_size < offset + X.nbytes:
        return True
    row = X[0].nbytes
    for number in (0, len(X) - 1):
        file.seek(offset + number * row)
        if file.read(row) != X[number].tobytes():
            return False
    return True


def of_arrow(data: Any, names: list[str]) -> Reader:
    """Reader of the named columns of an Arrow or Parquet dataset, a table, or a Parquet file.

    Its batches need little memory: by default, Arrow reads far ahead and keeps what it has read.
    """
    rows, lock = rows_of_chunk(len(names)), threading.Lock()

    def batches() -> Iterator[Any]:
        if hasattr(data, "iter_batches"):
            # Passes in several threads share this one open file, which is not thread-safe.
            of_file = _of_parquet(data, range(data.num_row_groups), names, rows)
            while True:
                with lock:
                    batch = next(of_file, None)
                if batch is None:
                    return
                yield batch
        elif fragments := _parquet_fragments(data):
            parquet = importlib.import_module("pyarrow.parquet")
            for fragment in fragments:
                with fragment.open() as opened:
                    # Without a buffer, Arrow would read and keep entire column chunks. This one
                    # has a byte for each row, an eighth of a column of a chunk.
                    file = parquet.ParquetFile(opened, pre_buffer=False, buffer_size=rows)
                    groups = [group.id for group in fragment.row_groups]
                    yield from _of_parquet(file, groups, names, rows)
        elif hasattr(data, "scanner"):
            settings = {"batch_size": rows, "batch_readahead": 1, "fragment_readahead": 1}
            if _is_parquet(data):
                options = importlib.import_module("pyarrow.dataset").ParquetFragmentScanOptions
                settings["fragment_scan_options"] = options(
                    pre_buffer=False, use_buffered_stream=True
                )
            yield from data.scanner(names, **settings).to_batches()
        else:
            yield from data.select(names).to_batches(max_chunksize=rows)

    return batches


def _of_parquet(file: Any, groups: Iterable[int], names: list[str], rows: int) -> Iterator[Any]:
    """Batches of a Parquet file, one row group after another: of all at once Arrow keeps all."""
    for group in groups:
        yield from file.iter_batches(rows, row_groups=[group], columns=names)


def _parquet_fragments(data: Any) -> list[Any]:
    """Files of a Parquet dataset; none if it has a filter or a file does not have all columns."""
    if not _is_parquet(data):
        return []
    names = set(data.schema.names)
    try:
        fragments = list(data.get_fragments())
    except ValueError:
        return []
    complete = all(names <= set(part.physical_schema.names) for part in fragments)
    return fragments if complete else []


def _is_parquet(data: Any) -> bool:
    """Whether an Arrow dataset consists of Parquet files."""
    return getattr(getattr(data, "format", None), "default_extname", "") == "parquet"


def arrow_names(schema: Any) -> tuple[str, ...]:
    """Names of the columns of an Arrow schema, without the index that pandas stores as columns."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return tuple(name for name in schema.names if name not in index)


def table_values(batch: Any, names: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Columns of an Arrow table or record batch as an (m, d) array, with nan for nulls."""
    values = np.empty((batch.num_rows, len(names)))
    for j, name in enumerate(names):
        column = batch.column(name)
        # A table's column is a ChunkedArray, which is always copied and takes no keyword.
        is_chunked = hasattr(column, "chunks")
        numbers = column.to_numpy() if is_chunked else column.to_numpy(zero_copy_only=False)
        if numbers.dtype.kind not in "biuf":
            msg = (
                f"X must hold real numbers, got column {name!r} of type {column.type}: leave it "
                "out, as by a function that returns chunks with the columns to fit"
            )
            raise TypeError(msg)
        values[:, j] = numbers
    return values
