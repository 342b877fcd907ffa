"""Compilation of the CPU kernels before they are needed."""

from __future__ import annotations

from typing import Final

import numpy as np

from nvmix import diagnostics, special
from nvmix.backends.cpu.compiler.compilation import compile_late_kernels, compiled_kernels
from nvmix.distributions import GeneralizedHyperbolic, Hyperbolic, NormalInverseGaussian
from nvmix.fitting.em import BatchEMFitter
from nvmix.foundation.typing import FloatArray
from nvmix.sources.observations import sample

# Number of Bessel arguments at one order for which a table is made.
_MANY = 5000


def warm_up() -> list[str]:
    """Compile, or load from numba's cache, every CPU kernel that models and `nvmix.special` use.

    Not required: the first call compiles what it uses. A service calls it once at its start, so
    that no request waits for compilation. Several processes may call it at once.

    Returns
    -------
    list of str
        Names of the kernels that were compiled, none where all were in the cache.

    Examples
    --------
    >>> import nvmix
    >>> names = nvmix.warm_up()
    >>> nvmix.warm_up()
    []
    """
    before = compiled_kernels()
    for part in PARTS:
        part()
    return sorted(compiled_kernels() - before)


def _rows() -> FloatArray:
    return np.random.default_rng(0).standard_t(4.0, (300, 2))


def _fits() -> None:
    X = _rows()
    for family in (NormalInverseGaussian, Hyperbolic, GeneralizedHyperbolic):
        start = family.default_init(X)
        BatchEMFitter(max_iter=1).run_source(start, sample(X))


def _steps() -> None:
    """Fits of many rows call the steps one by one."""
    X, start = _rows(), GeneralizedHyperbolic.default_init(_rows())
    start.m_step(start.e_step(X))
    X[0, 0] = np.nan
    BatchEMFitter(max_iter=1, missing="em").run(start, X)


def _laws() -> None:
    X, start = _rows(), GeneralizedHyperbolic.default_init(_rows())
    start.log_prob(X)
    start.posterior(X).mean()
    start.rvs(1, 0)
    y = start.subordinator.rvs(1, 0)
    start.subordinator.log_prob(y)
    diagnostics.rosenblatt(start, X)
    for law in (start.subordinator, start.marginal(0)):
        law.ppf(law.cdf(1.0))
        law.entropy()
    start.subordinator.raw_moment(0.5)


def _special() -> None:
    special.log_kv(1.0, np.arange(1.0, _MANY))
    special.log_kv(np.arange(3.0), 1.0)
    special.log_kv_dv(1.0, 1.0)


# Those that share most are neighbours; the first two take as long as the rest.
PARTS: Final = (_fits, _steps, _laws, _special, compile_late_kernels)
