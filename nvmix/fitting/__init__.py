"""Fitting by EM."""
