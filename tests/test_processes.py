"""Fits in other processes, started in every way after a fit in this one."""

import multiprocessing
import subprocess
import sys

import pytest
from conftest import ENVIRONMENT, exhaustive

SCRIPT = """
import sys

import numpy as np

import nvmix


def likelihood(X):
    return nvmix.fit(X, "vg").log_likelihood


if __name__ == "__main__":
    nvmix.set_num_threads(2)
    data = list(np.random.default_rng(0).standard_t(5, (4, 300, 2)))
    here = [result.log_likelihood for result in nvmix.fit_many(data, "vg")]
    if sys.argv[1] == "loky":
        import joblib

        there = joblib.Parallel(2)(joblib.delayed(likelihood)(X) for X in data)
    else:
        import multiprocessing

        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            there = pool.map(likelihood, data)
    print(there == here)
"""


# A fork server is forked before anything is compiled, and loky spawns: CI has them.
METHODS = [
    exhaustive(method) if method == "forkserver" else method
    for method in multiprocessing.get_all_start_methods()
]


@pytest.mark.parametrize("method", [*METHODS, exhaustive("loky")])
def test_fits_in_processes_are_those_in_threads(tmp_path, method):
    if method == "loky":
        pytest.importorskip("joblib", reason="joblib is not installed")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = subprocess.run(
        [sys.executable, str(script), method],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False,
    )  # fmt: skip
    assert (run.stdout, run.returncode) == ("True\n", 0), run.stderr
