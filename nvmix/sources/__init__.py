"""Sources of validated rows: arrays, files, streams of chunks and clusters."""
