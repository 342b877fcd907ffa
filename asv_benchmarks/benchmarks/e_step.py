"""One pass over the rows: the E-step and the log-density, as a fit calls them."""

import nvmix

from .common import BACKENDS, BackendBenchmark
from .datasets import normal_block, simulated

# Laws of Y by family: the posterior's order is a half-integer for one, anything for the other.
LAWS = {
    "NormalInverseGaussian": {"mu_ig": 1.0, "lam": 1.5},
    "GeneralizedHyperbolic": {"p": 0.7, "a": 1.2, "b": 1.3},
}


def arguments(backend, n, d, family):
    """Placed rows, mu, gamma and L, and the law of Y: what the row operations of a backend take."""
    model = getattr(nvmix, family).from_classical(**normal_block(d), **LAWS[family])
    return backend.place(simulated(n, d)), model.normal, model.subordinator.gig


class EStep(BackendBenchmark):
    """Posterior expectations summed over the rows."""

    params = ((1_000, 100_000), (2, 20), tuple(LAWS), BACKENDS)
    param_names = ("n", "d", "family", "backend")

    def setup(self, n, d, family, backend):
        super().setup(backend)
        self.arguments = arguments(self.backend, n, d, family)
        self.backend.e_step(*self.arguments)

    def time_e_step(self, *_):
        self.backend.e_step(*self.arguments)


class LogProb(BackendBenchmark):
    """Log-density of every row."""

    params = (BACKENDS,)
    param_names = ("backend",)

    def setup(self, backend):
        super().setup(backend)
        self.arguments = arguments(self.backend, 100_000, 2, "GeneralizedHyperbolic")
        self.backend.log_prob(*self.arguments)

    def time_log_prob(self, *_):
        self.backend.log_prob(*self.arguments)
