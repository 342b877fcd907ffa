"""Shared fixtures: families, backends, data, and caches of compiled code."""

import importlib.util
import os
import sys
from importlib.metadata import version
from pathlib import Path

# JAX names what it has compiled by the program, by its own version and by the processor.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent / "__pycache__/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Each piece of that code would say on loading that it was tuned for this processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import nvmix
from nvmix import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix._warm_up import PARTS
from nvmix.backends import get_backend

# No test fails because a machine is slow.
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci")

FAMILIES = {
    VarianceGamma: {"alpha": 2.5, "beta": 2.0},
    NormalInverseGamma: {"alpha": 3.0, "beta": 2.5},
    NormalInverseGaussian: {"mu_ig": 1.2, "lam": 1.5},
    Hyperbolic: {"a": 1.3, "b": 0.7},
    GeneralizedHyperbolic: {"p": 0.4, "a": 1.3, "b": 0.7},
}
# Data for JAX have this many rows where any number would do, since each size compiles anew.
ROWS = 1000
HAS_JAX = importlib.util.find_spec("jax") is not None
needs_jax = pytest.mark.skipif(not HAS_JAX, reason="JAX is not installed")
# Without fusion emitters XLA takes two thirds of the time to compile small programs; XLA_FLAGS=""
# has them tested as users get them. XLA ends the process at a flag that it does not know.
if HAS_JAX and version("jaxlib").split(".")[:2] in (["0", "8"], ["0", "9"], ["0", "10"]):
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
# Of processes that start in another folder: an installed copy of the package would compile anew.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(nvmix.__file__).parents[1])}


def pytest_sessionstart(session):
    """Each of two workers compiles half of the kernels; tests begin when both are ready."""
    if hasattr(session.config, "workerinput"):
        odd = int(session.config.workerinput["workerid"][2:]) % 2
        for part in PARTS[2:] if odd else PARTS[:2]:
            part()


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Programs that JAX has compiled stay in memory, of which the system allows so many pieces."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture
def quick_programs():
    """XLA compiles in two thirds of the time, for tests that are not about the last digits."""
    config, name = sys.modules["jax"].config, "jax_disable_most_optimizations"
    before = config.read(name)
    config.update(name, True)
    yield
    config.update(name, before)


def exhaustive(*values):
    """Values of a test for CI alone, whose code takes long to compile."""
    return pytest.param(*values, marks=pytest.mark.exhaustive)


def normal_block(d):
    """mu, gamma and sigma of a skewed d-variate model."""
    i = np.arange(d)
    return {
        "mu": 0.1 * (i + 1.0),
        "gamma": 0.4 * (-1.0) ** i / (i + 1.0),
        "sigma": 0.3 ** np.abs(i[:, None] - i[None, :]) * np.sqrt(np.outer(i + 1.0, i + 1.0)),
    }


def make(family, d=2):
    """A model of the family in d dimensions."""
    return family.from_classical(**normal_block(d), **FAMILIES[family])


def chunks_of(X, size=777):
    """A function that returns the rows in chunks."""
    return lambda: (X[i : i + size] for i in range(0, len(X), size))


@pytest.fixture(params=FAMILIES, ids=lambda family: family.__name__)
def family(request):
    return request.param


@pytest.fixture
def model(family):
    return make(family)


@pytest.fixture(params=["cpu", pytest.param("jax", marks=needs_jax)])
def backend(request):
    return get_backend(request.param)
