"""Compilation of the CPU kernels before they are needed."""

from __future__ import annotations

import numpy as np

from nvmix import diagnostics, special
from nvmix.backends.cpu.compiler.compilation import compile_late_kernels, compiled_kernels
from nvmix.distributions import GeneralizedHyperbolic, Hyperbolic, NormalInverseGaussian
from nvmix.fitting.em import BatchEMFitter
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
    X = np.random.default_rng(0).standard_t(4.0, (300, 2))
    for family in (NormalInverseGaussian, Hyperbolic, GeneralizedHyperbolic):
        start = family.default_init(X)
        BatchEMFitter(max_iter=1).run_source(start, sample(X))
        # Fits of many rows call the steps one by one.
        start.m_step(start.e_step(X))
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
    X[0, 0] = np.nan
    BatchEMFitter(max_iter=1, missing="em").run(start, X)
    special.log_kv(1.0, np.arange(1.0, _MANY))
    special.log_kv(np.arange(3.0), 1.0)
    special.log_kv_dv(1.0, 1.0)
    compile_late_kernels()
    return sorted(compiled_kernels() - before)
