"""Tails and quantiles of mixtures of one column on JAX arrays."""
