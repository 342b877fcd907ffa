"""Every shape of rows, validated: arrays, files, streams of chunks and clusters."""

from nvmix.sources.chunked import Stream
from nvmix.sources.dask_cluster import Cluster
from nvmix.sources.factory import source_of, starting_rows
from nvmix.sources.source import Chunk, Source, Whole

__all__ = ["Chunk", "Cluster", "Source", "Stream", "Whole", "source_of", "starting_rows"]
