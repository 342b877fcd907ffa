"""The CPU backend."""

from nvmix.backends.cpu.backend import CPUBackend

__all__ = ["CPUBackend"]
