"""``nvmix info [FIT.json [DATA]]``: what a file has, or what a report of a bug should say."""

import argparse
import importlib
import os
import pickle
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numba

from nvmix import __version__
from nvmix.backends.cpu.compiler import shipped
from nvmix.backends.cpu.compiler.cache import kernels_hash
from nvmix.cli import options as shared
from nvmix.cli.output import note, show, show_json
from nvmix.cli.reading import has_converged, loaded, rows_of_model
from nvmix.fitting.em import EMResult
from nvmix.foundation.files.json_text import all_encoded
from nvmix.foundation.threads import get_num_threads

# What nvmix imports, always, with extras or in `nvmix.interop`, by the names of distributions.
_PACKAGES: Final = (
    "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "jax", "jaxlib", "optimistix",
    "matplotlib", "pandas", "pyarrow", "dask", "distributed", "scikit-learn", "arch", "skfolio",
    "numpyro", "statsmodels",
)  # fmt: skip
# What the speed of kernels depends on, by LLVM's names.
_FEATURES: Final = ("avx2", "fma", "avx512f", "neon", "sve")
# Variables of the environment by which others choose threads, processors and caches.
_VARIABLES: Final = re.compile("(NUMBA|JAX|XLA|OMP|OPENBLAS|MKL)_")
_KERNELS: Final = Path(__file__).parents[1] / "backends" / "cpu" / "kernels"


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "info",
        help="show what a file of fit --out, or of save, contains; or versions, for reports",
        epilog=shared.STATUS,
    )
    parser.add_argument("file", nargs="?", help="the file; without it, versions and the machine")
    parser.add_argument(
        "data", nargs="?", help="the rows of the fit, without weights, for standard errors"
    )
    shared.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read and print."""
    if options.file is None:
        facts = _facts()
        show_json(facts) if options.json else show(_text(facts))
        return 0
    saved = loaded(options.file)
    if isinstance(saved, EMResult):
        _show_fit(saved, options)
        return int(not has_converged(options.file, saved))
    if options.data is not None:
        msg = f"{options.file}: it is of no fit, whose standard errors {options.data} would give"
        raise ValueError(msg)
    show_json(saved.to_dict()) if options.json else show(str(saved))
    return 0


def _show_fit(fit: EMResult, options: argparse.Namespace) -> None:
    """Print a fit, with standard errors if its data are given."""
    X, missing = None, str(dict(fit.settings).get("missing", "raise"))
    if options.data is not None:
        X, _ = rows_of_model(options.data, fit.model.columns, missing)
    if not options.json:
        show(str(fit.summary(X, missing=missing, errors=X is not None or None)))
        if X is None and fit.converged:
            note(f"for standard errors give the data too: nvmix info {options.file} DATA")
        return
    record = fit.to_dict()
    if X is not None:
        errors = fit.standard_errors(X, missing=missing)
        record["standard_errors"] = dict(
            zip(errors.labels, all_encoded(errors.errors), strict=True)
        )
    show_json(record)


def _facts() -> dict[str, Any]:
    """Versions, None of a package that is not installed, and what the speed depends on."""
    return {
        "nvmix": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "threads": get_num_threads(),
        "BLAS": _blas(),
        "kernels in the package": _shipped_kernels(),
        "cache of compiled code": _cache_folder(),
        "environment": {name: x for name, x in os.environ.items() if _VARIABLES.match(name)},
    }


def _text(facts: dict[str, Any]) -> str:
    """A line for each fact, in lists for each item, and one for all that is not installed."""
    absent = [name for name, fact in facts.items() if fact is None]
    shown = {name: fact for name, fact in facts.items() if fact is not None}
    shown["environment"] = [f"{name}={value}" for name, value in facts["environment"].items()]
    shown["not installed"] = ", ".join(absent) or "none"
    width = max(map(len, shown)) + 2
    lines = []
    for name, fact in shown.items():
        items = (fact or ["none"]) if isinstance(fact, list) else [fact]
        lines += [name.ljust(width) + str(items[0]), *(" " * width + item for item in items[1:])]
    return "\n".join(lines)


def _version(package: str) -> str | None:
    """Version of a package, which is not imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """LLVM's name of the processor, with those of the features that it has."""
    llvm = importlib.import_module("llvmlite.binding")
    present = llvm.get_host_cpu_features()
    features = [name for name in _FEATURES if present.get(name)]
    return f"{llvm.get_host_cpu_name()} ({', '.join([platform.machine(), *features])})"


def _blas() -> list[str]:
    """The libraries of linear algebra that NumPy and SciPy load, with their threads."""
    importlib.import_module("scipy.linalg")
    loaded_pools = importlib.import_module("threadpoolctl").threadpool_info()
    return [
        f"{pool['internal_api']} {pool['version']} of {Path(pool['filepath']).parent.stem} "
        f"({pool.get('architecture') or 'any processor'}, {pool['num_threads']} threads)"
        for pool in loaded_pools
        if pool["user_api"] == "blas"
    ]


def _shipped_kernels() -> str:
    """Whether compiled kernels came with the package, and whether they are used here."""
    if not (shipped.FOLDER / shipped.HASHES).exists():
        return "none: compiled at first use"
    if not shipped.has_level():
        return "not used: compiled for another processor"
    python = f"*.py{sys.version_info.major}{sys.version_info.minor}*.nbi"
    for index in shipped.FOLDER.glob(python):
        # numba's, by which an index of its cache begins.
        with index.open("rb") as file:
            version, stamp = pickle.load(file)
        if version != numba.__version__:
            return f"not used: compiled by numba {version}"
        if stamp != kernels_hash():
            return "not used: compiled from other kernels"
        return f"used: compiled for {shipped.LEVELS.get(platform.machine())}"
    return "not used: compiled for another Python"


def _cache_folder() -> str:
    """Where numba keeps compiled code: beside the kernels, or for the user if that is read-only."""
    beside = _KERNELS / "__pycache__"
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return named
    if os.access(beside if beside.exists() else _KERNELS, os.W_OK):
        return str(beside)
    folders = importlib.import_module("numba.misc.appdirs").AppDirs("numba", appauthor=False)
    return str(folders.user_cache_dir)
