"""Moments and random subsets of the data, from which starting models are made."""
