"""Sources of validated rows: arrays, files, streams of chunks and clusters."""

from nvmix.sources.chunked import ChunkedSource
from nvmix.sources.dask_cluster import ClusterSource
from nvmix.sources.factory import source_of, starting_rows
from nvmix.sources.source import ArraySource, Chunk, Source

__all__ = [
    "ArraySource",
    "Chunk",
    "ChunkedSource",
    "ClusterSource",
    "Source",
    "source_of",
    "starting_rows",
]
