"""Bessel kernels: time over an array, beside scipy's, and worst error against mpmath."""

import numpy as np
from scipy.special import kve

from nvmix.special import kv_ratio, log_kv, log_kv_dv

from .common import BACKENDS, BackendBenchmark

try:
    import mpmath
except ImportError:
    mpmath = None

ORDERS = ("many", "one")


def arguments(orders):
    """10,000 pairs (v, z): each with an order of its own, or all with one."""
    rng = np.random.default_rng(0)
    v = rng.uniform(-20.0, 20.0, 10_000) if orders == "many" else 0.7
    return v, 10.0 ** rng.uniform(-3.0, 3.0, 10_000)


class LogKv(BackendBenchmark):
    """Log K_v(z) by each backend."""

    params = (ORDERS, BACKENDS)
    param_names = ("orders", "backend")

    def setup(self, orders, backend):
        super().setup(backend)
        self.arguments = arguments(orders)
        log_kv(*self.arguments, backend=backend)

    def time_log_kv(self, _orders, backend):
        log_kv(*self.arguments, backend=backend)


class SciPyKve:
    """K_v(z) exp(z) by scipy on the same arguments, for comparison."""

    params = (ORDERS,)
    param_names = ("orders",)

    def setup(self, orders):
        self.arguments = arguments(orders)

    def time_kve(self, _orders):
        kve(*self.arguments)


class Error(BackendBenchmark):
    """Worst error of log K, its ratio and its order derivative over a grid of (v, z)."""

    params = (BACKENDS,)
    param_names = ("backend",)

    def setup(self, backend):
        super().setup(backend)
        if mpmath is None:
            raise NotImplementedError
        grid = np.meshgrid((0.0, 0.7, 5.5, 120.3), (1e-3, 0.5, 8.0, 700.0))
        self.v, self.z = (x.ravel() for x in grid)
        self.exact = np.transpose([exact(*point) for point in zip(self.v, self.z, strict=True)])

    def track_worst_error(self, backend):
        v, z = self.v, self.z
        computed = [f(v, z, backend=backend) for f in (log_kv, kv_ratio, log_kv_dv)]
        return np.max(np.abs(computed - self.exact) / np.maximum(1.0, np.abs(self.exact)))

    track_worst_error.unit = "relative error"


def exact(v, z):
    """Log K_v(z), K_{v+1}(z) / K_v(z) and d log K_v(z) / dv, rounded once."""
    with mpmath.workdps(40):
        v, z = mpmath.mpf(v), mpmath.mpf(z)

        def log_k(order):
            return mpmath.log(mpmath.besselk(order, z))

        values = log_k(v), mpmath.exp(log_k(v + 1) - log_k(v)), mpmath.diff(log_k, v)
        return [float(x) for x in values]
