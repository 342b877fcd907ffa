"""Utilities around fits."""
