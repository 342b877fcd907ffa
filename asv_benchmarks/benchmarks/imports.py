"""What a new process waits for: imports, and compilation when nothing is cached."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

FIRST_FIT = """
import time
from benchmarks.datasets import simulated
from nvmix import NormalInverseGaussian
X = simulated(5_000, 3)
begin = time.perf_counter()
NormalInverseGaussian.default_init(X).fit(X)
print(time.perf_counter() - begin)
"""


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
    """First fit of a process with an empty kernel cache."""
    with TemporaryDirectory() as empty:
        output = subprocess.check_output(
            [sys.executable, "-c", FIRST_FIT],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"NUMBA_CACHE_DIR": empty},
        )
    return float(output)


track_cold_compile_seconds.unit = "seconds"
track_cold_compile_seconds.timeout = 300
