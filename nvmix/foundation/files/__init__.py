"""What is written down and read again: files that are complete, JSON, fields, pickles."""
