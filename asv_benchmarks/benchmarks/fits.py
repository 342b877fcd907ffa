"""ArraySource fits: time to convergence, iterations, likelihood reached and memory."""

import warnings

import numpy as np

import nvmix

from .common import BACKENDS, FAMILIES, BackendBenchmark, installed
from .datasets import simulated


def start(family, X):
    """Starting model."""
    return getattr(nvmix, family).default_init(X)


def fit(model, X, backend, **settings):
    """Fit with both steps on one backend, to convergence unless the settings end it."""
    return model.fit(X, e_step_backend=backend, m_step_backend=backend, **settings)


class Fit(BackendBenchmark):
    """Time from the starting model to convergence."""

    params = (FAMILIES, BACKENDS)
    param_names = ("family", "backend")

    def setup(self, family, backend):
        super().setup(backend)
        self.X = simulated(5_000, 3)
        self.start = start(family, self.X)
        fit(self.start, self.X, backend)

    def time_fit(self, _family, backend):
        fit(self.start, self.X, backend)


class LongFit(BackendBenchmark):
    """Five iterations over a million rows of ten columns."""

    params = (BACKENDS,)
    param_names = ("backend",)
    number = 1
    repeat = 3

    def setup(self, backend):
        super().setup(backend)
        warnings.simplefilter("ignore", nvmix.ConvergenceWarning)
        self.X = simulated(1_000_000, 10)
        self.start = start("NormalInverseGaussian", self.X)
        fit(self.start, self.X, backend, max_iter=1)

    def time_fit(self, backend):
        fit(self.start, self.X, backend, max_iter=5, tol=0.0)


class Start:
    """Time to the starting model of the one family whose start takes fits."""

    def setup(self):
        self.X = simulated(5_000, 3)
        self.time_default_init()

    def time_default_init(self):
        start("GeneralizedHyperbolic", self.X)


class ManyFits:
    """Two thousand fits of a thousand rows."""

    number = 1
    repeat = 3

    def setup(self):
        self.data = simulated(2_000_000, 1).reshape(2_000, 1_000, 1)
        nvmix.fit_many(self.data[:2])

    def time_fit_many(self):
        nvmix.fit_many(self.data)


class MissingValues:
    """A fit with a share of values missing at random."""

    params = ([0.0, 0.2],)
    param_names = ("share",)

    def setup(self, share):
        X = simulated(20_000, 5).copy()
        X[np.random.default_rng(0).random(X.shape) < share] = np.nan
        self.X = X[~np.isnan(X).all(axis=1)]
        self.start = nvmix.NormalInverseGaussian.default_init(self.X, missing="em")
        self.time_fit(share)

    def time_fit(self, _share):
        self.start.fit(self.X, missing="em")


class Outcome(BackendBenchmark):
    """Where the fits end."""

    params = (FAMILIES, BACKENDS)
    param_names = ("family", "backend")

    def setup(self, family, backend):
        super().setup(backend)
        self.X = simulated(5_000, 3)
        self.result = fit(start(family, self.X), self.X, backend)

    def track_iterations(self, _family, _backend):
        return self.result.n_iter

    def track_final_loglik(self, _family, _backend):
        return self.result.model.marginal_log_likelihood(self.X)

    def track_passes(self, _family, _backend):
        return self.result.n_passes

    track_iterations.unit = "iterations"
    track_passes.unit = "passes"
    track_final_loglik.unit = "nats per row"


class Memory(BackendBenchmark):
    """Peak resident memory of a process that fits, compilation left out."""

    params = (BACKENDS,)
    param_names = ("backend",)

    def setup_cache(self):
        # Compile in a process that is not measured.
        for backend in filter(installed, BACKENDS):
            self.setup(backend)
            self.peakmem_fit(backend)

    def setup(self, backend):
        super().setup(backend)
        self.X = simulated(5_000, 3)

    def peakmem_fit(self, backend):
        fit(start("NormalInverseGaussian", self.X), self.X, backend)
