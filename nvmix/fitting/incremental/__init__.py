"""Incremental EM: one step for each batch of rows."""
