"""Tables in files: CSV of any kind, Parquet, Arrow; standard input; index columns set aside."""
