"""The CPU backend."""

from nvmix.backends.cpu._backend import CPUBackend

__all__ = ["CPUBackend"]
