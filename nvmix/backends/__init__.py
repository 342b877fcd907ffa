"""Numerical backends behind one protocol, loaded when first asked for."""

from __future__ import annotations

import importlib
import time
from functools import cache
from typing import Any, Final, cast

from nvmix.backends.protocol import Backend
from nvmix.backends.types import ACCELERATIONS, CRITERIA, GAUGES
from nvmix.foundation.stopwatch import add_preparation
from nvmix.foundation.validation import one_of

_BACKENDS: Final = {
    "cpu": ("nvmix.backends.cpu.backend", "CPUBackend"),
    "jax": ("nvmix.backends.jax.backend", "JAXBackend"),
}
BACKENDS: Final = tuple(_BACKENDS)
M_STEP_METHODS: Final = ("newton", "lbfgs", "bfgs")

__all__ = [
    "ACCELERATIONS",
    "BACKENDS",
    "CRITERIA",
    "GAUGES",
    "M_STEP_METHODS",
    "get_backend",
    "get_functions",
]


def get_backend(name: str = "cpu") -> Backend:
    """Load a backend.

    Parameters
    ----------
    name : {"cpu", "jax"}
        "cpu" runs numba kernels, "jax" the JAX backend (extra ``nvmix[jax]``).

    Returns
    -------
    Backend
        The one instance of that backend.

    Raises
    ------
    ValueError
        For a name that is not a backend.
    ImportError
        When JAX is asked for and not installed.

    Examples
    --------
    >>> from nvmix.backends import get_backend
    >>> get_backend("cpu").name
    'cpu'
    """
    return _load(one_of("backend", name, BACKENDS))


def get_functions() -> Any:
    """Load the module of functions that models call on JAX arrays and tracers.

    Returns
    -------
    module
        With ``log_prob``, ``e_step``, ``gig_law``, ``gig_covariance``, ``gig_fit``,
        ``normal_parameters``, ``log_kv``, ``kv_ratio`` and ``log_kv_derivatives``, through which
        JAX's transformations go.

    Raises
    ------
    ImportError
        If JAX is not installed.

    Examples
    --------
    >>> from nvmix.backends import get_functions
    >>> "log_prob" in dir(get_functions())
    True
    """
    _load("jax")
    return importlib.import_module("nvmix.backends.jax.functions")


def get_engine() -> Any:
    """Load the module of the compiled steps of an EM fit: `Fit`, and single steps."""
    return importlib.import_module("nvmix.backends.cpu.fit")


@cache
def _load(name: str) -> Backend:
    """Import a backend's module and make its instance."""
    module, factory = _BACKENDS[name]
    begin = time.perf_counter()
    backend = cast("Backend", getattr(importlib.import_module(module), factory)())
    add_preparation(begin)
    return backend
