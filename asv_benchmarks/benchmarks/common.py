"""What the benchmarks share: backends, families and the skipping of a backend that is absent."""

from nvmix.backends import get_backend

BACKENDS = ("cpu", "jax")
FAMILIES = (
    "NormalInverseGaussian",
    "VarianceGamma",
    "NormalInverseGamma",
    "Hyperbolic",
    "GeneralizedHyperbolic",
)


def installed(backend):
    """Whether a backend can be loaded."""
    try:
        get_backend(backend)
    except ImportError:
        return False
    return True


class BackendBenchmark:
    """Benchmark of a backend, which asv skips where that backend is not installed."""

    def setup(self, backend):
        if not installed(backend):
            raise NotImplementedError
        self.backend = get_backend(backend)
