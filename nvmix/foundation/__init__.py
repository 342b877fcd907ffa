"""What everything stands on: arrays, validation, statistics, linear algebra, threads."""
