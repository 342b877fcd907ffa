"""Numerical backends behind one protocol, loaded when first asked for."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from nvmix.backends.types import ACCELERATIONS, CRITERIA, GAUGES
from nvmix.foundation.validation import one_of

if TYPE_CHECKING:
    from nvmix.backends.types import Backend, Looper, Sampler

_BACKENDS: Final = {
    "cpu": ("nvmix.backends.cpu", "CPUBackend"),
    "jax": ("nvmix.backends.jax", "JAXBackend"),
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
    "get_looper",
    "get_sampler",
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


def get_sampler() -> Sampler:
    """Load the source of GIG variates, which is the CPU backend whatever the others do.

    Returns
    -------
    Sampler
        The CPU backend.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix.backends import get_sampler
    >>> get_sampler().gig_variates((1.0, 1.0, 1.0), 3, np.random.default_rng(0)).shape
    (3,)
    """
    return cast("Sampler", _load("cpu"))


def get_looper(name: str) -> Looper:
    """Load what runs whole fits by one compiled program.

    Parameters
    ----------
    name : {"cpu", "jax"}
        The backend.

    Returns
    -------
    Looper
        The one instance of that backend.

    Raises
    ------
    ValueError
        For a name that is not a backend.
    ImportError
        When JAX is asked for and not installed.
    """
    return cast("Looper", _load(one_of("backend", name, BACKENDS)))


def get_functions() -> Any:
    """Load the functions that models call on JAX arrays and tracers.

    Returns
    -------
    module
        `log_prob`, `e_step`, `gig_law`, `gig_covariance`, `gig_fit`, `normal_block`, `log_kv`,
        `kv_ratio` and `log_kv_derivatives`, through which JAX's transformations go.

    Raises
    ------
    ImportError
        When JAX is not installed.
    """
    _load("jax")
    return importlib.import_module("nvmix.backends.jax.functions")


@cache
def _load(name: str) -> Backend:
    """Import a backend's module and make its instance."""
    module, factory = _BACKENDS[name]
    return cast("Backend", getattr(importlib.import_module(module), factory)())
