"""Compilation of the CPU kernels before they are needed."""

from __future__ import annotations

import numpy as np

from nvmix.distributions import GeneralizedHyperbolic, Hyperbolic, NormalInverseGaussian
from nvmix.fitting.em import BatchEMFitter
from nvmix.sources.observations import sample


def warm_up() -> None:
    """Compile, or load from numba's cache, every CPU kernel that a fit uses.

    Not required: the first fit compiles what it uses. A service calls it once at its start, so that
    no request waits for compilation.

    Examples
    --------
    >>> import nvmix
    >>> nvmix.warm_up()
    """
    X = np.random.default_rng(0).standard_t(4.0, (300, 2))
    for family in (NormalInverseGaussian, Hyperbolic, GeneralizedHyperbolic):
        start = family.default_init(X)
        BatchEMFitter(max_iter=1).run_source(start, sample(X))
        # Fits of many rows call the steps one by one.
        start.m_step(start.e_step(X))
    X[0, 0] = np.nan
    BatchEMFitter(max_iter=1, missing="em").run(start, X)
