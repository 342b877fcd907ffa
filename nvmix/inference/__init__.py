"""Observed information and standard errors."""
