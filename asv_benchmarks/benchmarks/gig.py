"""The GIG law by itself: the solve eta -> theta and random variates."""

from nvmix import GIG

from .common import BACKENDS, BackendBenchmark

LAWS = {"bulk": (0.7, 1.2, 1.3), "near gamma": (2.0, 4.0, 1e-3)}


class FromExpectation(BackendBenchmark):
    """Solve for p, a and b without a start."""

    params = (tuple(LAWS), BACKENDS)
    param_names = ("law", "backend")

    def setup(self, law, backend):
        super().setup(backend)
        self.eta = GIG(*LAWS[law]).expectation_params()
        GIG.from_expectation(self.eta, backend=backend)

    def time_from_expectation(self, _law, backend):
        GIG.from_expectation(self.eta, backend=backend)


class Variates:
    """Draw 100,000 variates."""

    params = (tuple(LAWS),)
    param_names = ("law",)

    def setup(self, law):
        self.law = GIG(*LAWS[law])
        self.law.rvs(1)

    def time_rvs(self, _law):
        self.law.rvs(100_000, seed=0)
