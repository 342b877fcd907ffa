"""Tools that all layers use: arrays, validation, statistics, linear algebra, threads."""
