"""Incremental EM: one EM step on each batch of rows."""
