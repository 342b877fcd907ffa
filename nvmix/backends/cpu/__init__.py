"""The CPU backend: numba kernels."""
