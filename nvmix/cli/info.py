"""``nvmix info [FIT.json [DATA]]``: what a file has, or what a report of a bug should say."""

import argparse
import importlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from nvmix import __version__
from nvmix.cli import options as shared
from nvmix.cli.output import note, show, show_json
from nvmix.cli.reading import loaded, rows_of_model
from nvmix.fitting.em import EMResult
from nvmix.foundation.files.json_text import all_encoded
from nvmix.foundation.threads import get_num_threads

_PACKAGES: Final = (
    "numpy", "scipy", "numba", "llvmlite", "jax", "jaxlib", "matplotlib", "pandas", "pyarrow",
)  # fmt: skip
_KERNELS: Final = Path(__file__).parents[1] / "backends" / "cpu" / "kernels"


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "info", help="show what a file of fit --out, or of save, contains; or versions, for reports"
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
        width = max(map(len, facts))
        lines = [f"{name.ljust(width)}  {value}" for name, value in facts.items()]
        show_json(facts) if options.json else show("\n".join(lines))
        return 0
    saved = loaded(options.file)
    if isinstance(saved, EMResult):
        _show_fit(saved, options)
    elif options.data is not None:
        msg = f"{options.file}: it is of no fit, whose standard errors {options.data} would give"
        raise ValueError(msg)
    else:
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
    """Versions, machine, cache and threads."""
    return {
        "nvmix": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "processor": importlib.import_module("llvmlite.binding").get_host_cpu_name(),
        "threads": get_num_threads(),
        "cache of compiled code": _cache_folder(),
    }


def _version(package: str) -> str:
    """Version of a package, which is not imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cache_folder() -> str:
    """Where numba keeps compiled code: beside the kernels, or for the user if that is read-only."""
    beside = _KERNELS / "__pycache__"
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return named
    if os.access(beside if beside.exists() else _KERNELS, os.W_OK):
        return str(beside)
    folders = importlib.import_module("numba.misc.appdirs").AppDirs("numba", appauthor=False)
    return str(folders.user_cache_dir)
