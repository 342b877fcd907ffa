"""The promised accuracy, on code for processors other than the one at hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite.binding import get_host_cpu_features

HERE = Path(__file__).parent
PROMISES = (
    "test_special.py::test_errors_keep_the_promise",
    "test_gig.py::test_moments_and_covariances_keep_the_promise",
    "test_densities.py::test_densities_keep_the_promise",
)


# Names of LLVM's, and a feature without which their code does not run. Generic code has neither
# AVX nor fused products.
@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "needed"),
    [("generic", None), ("haswell", "avx2")],
)
def test_errors_on_another_processor(name, needed):
    if needed and not get_host_cpu_features().get(needed, False):
        pytest.skip(f"this machine has no {needed}")
    run = subprocess.run(
        # JAX compiles for the processor at hand.
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not jax",
         *(str(HERE / promise) for promise in PROMISES)],
        # Without the second, features of the machine at hand are added to the processor's.
        env=os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ""},
        cwd=HERE.parent, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
