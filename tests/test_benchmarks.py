"""The scripts of the benchmarks, which other tests do not run, can be imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT

FOLDER = Path(__file__).parents[1] / "asv_benchmarks"
SCRIPTS = sorted(
    ".".join(path.relative_to(FOLDER).with_suffix("").parts)
    for pattern in ("*.py", "benchmarks/*.py")
    for path in FOLDER.glob(pattern)
    if path.name != "__init__.py"
)
# What only some scripts need, and not everyone has.
OPTIONAL = {"arch", "dask", "distributed", "jax", "matplotlib", "mpmath", "pandas", "pyarrow"}
# One process for all: most of the time goes to NumPy, SciPy and JAX.
IMPORT_ALL = """
import importlib, json, sys, traceback
found = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        found[name] = [(error.name or "").partition(".")[0], traceback.format_exc()]
    except BaseException:
        found[name] = ["", traceback.format_exc()]
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def failures():
    """What stops scripts from being imported: the package that an import names, and the trace."""
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *SCRIPTS],
        cwd=FOLDER,
        env=ENVIRONMENT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(run.stdout)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_can_be_imported(script, failures):
    package, trace = failures.get(script, ("", ""))
    if package in OPTIONAL:
        pytest.skip(f"{package} is not installed")
    assert not trace, trace


def test_there_are_scripts():
    if not FOLDER.exists():
        pytest.skip("the benchmarks are not here")
    assert {"convergence", "peers", "benchmarks.fits"} <= set(SCRIPTS)
