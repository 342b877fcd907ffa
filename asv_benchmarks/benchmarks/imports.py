"""What a new process waits for: imports, and compilation when nothing is cached."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .common import installed

FIRST_FIT = """
import time
from benchmarks.datasets import simulated
from nvmix import NormalInverseGaussian
X = simulated(5_000, 3)
NormalInverseGaussian.default_init(X).fit(X).model.rvs(10)
print(time.process_time())
"""
FIRST_JAX_FIT = """
import sys, time
import nvmix
from benchmarks.datasets import simulated
from nvmix.backends import get_backend
X = simulated(5_000, 3)
start = getattr(nvmix, sys.argv[1]).default_init(X)
get_backend("jax")
begin = time.perf_counter()
start.fit(X, e_step_backend="jax", m_step_backend="jax")
print(time.perf_counter() - begin)
"""


def printed(code, *arguments, **environment):
    """The number that a new process prints."""
    output = subprocess.check_output(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
    )
    return float(output)


def timeraw_import():
    """The package alone."""
    return "import nvmix"


def timeraw_import_model():
    """A model, with scipy."""
    return "from nvmix import NormalInverseGaussian"


def timeraw_import_cpu():
    """The CPU backend, with numba."""
    return "import nvmix.backends.cpu"


def track_cold_compile_seconds():
    """CPU seconds of a process with an empty kernel cache: imports, a fit and variates."""
    with TemporaryDirectory() as empty:
        return printed(FIRST_FIT, NUMBA_CACHE_DIR=empty)


def track_warm_start_seconds():
    """The same where all is in the cache, which a first process fills."""
    with TemporaryDirectory() as cache:
        printed(FIRST_FIT, NUMBA_CACHE_DIR=cache)
        return printed(FIRST_FIT, NUMBA_CACHE_DIR=cache)


track_cold_compile_seconds.unit = track_warm_start_seconds.unit = "seconds"
track_cold_compile_seconds.timeout = track_warm_start_seconds.timeout = 300


class JAXCompilation:
    """First fit on JAX of a process that may not use its cache; later ones take milliseconds."""

    params = (("NormalInverseGaussian", "GeneralizedHyperbolic"),)
    param_names = ("family",)
    timeout = 300

    def setup(self, _family):
        if not installed("jax"):
            raise NotImplementedError

    def track_cold_compile_seconds(self, family):
        return printed(FIRST_JAX_FIT, family, JAX_ENABLE_COMPILATION_CACHE="false")

    track_cold_compile_seconds.unit = "seconds"
