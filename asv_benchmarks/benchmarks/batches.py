"""Many small fits: a loop of them on the CPU, one vmapped program on JAX."""

import numpy as np

from nvmix import BatchEMFitter, NormalInverseGaussian

from .common import BACKENDS, BackendBenchmark
from .datasets import simulated


def loop(fitter, start, samples):
    """Function that fits the samples one after the other."""
    return lambda: [fitter.fit(start, X) for X in samples]


def vmapped(fitter, start, samples):
    """Function that fits the samples side by side, in float64 as the loop does."""
    import jax

    fits = jax.jit(jax.vmap(lambda X: fitter.fit(start, X)))

    def call():
        with jax.enable_x64(True):  # noqa: FBT003
            return jax.block_until_ready(fits(samples))

    return call


class Bootstrap(BackendBenchmark):
    """Fits to 64 bootstrap samples of 500 x 2."""

    params = (BACKENDS,)
    param_names = ("backend",)
    number = 1
    repeat = 3

    def setup(self, backend):
        super().setup(backend)
        X = simulated(500, 2)
        rows = np.random.default_rng(0).integers(len(X), size=(64, len(X)))
        fitter = BatchEMFitter(tol=1e-3, e_step_backend=backend, m_step_backend=backend)
        batch = {"cpu": loop, "jax": vmapped}[backend]
        self.fits = batch(fitter, NormalInverseGaussian.default_init(X), X[rows])
        self.fits()

    def time_fits(self, _backend):
        self.fits()
