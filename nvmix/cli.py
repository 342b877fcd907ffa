"""The command line: ``nvmix fit DATA.csv --family nig --out FIT.json``, ``nvmix info FIT.json``."""

import argparse
import csv
import importlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from nvmix import __version__
from nvmix.datasets import CRUDE_OIL
from nvmix.distributions.families import FAMILIES, family_of
from nvmix.fitting.em import BatchEMFitter, EMResult
from nvmix.fitting.settings import FitSettings
from nvmix.many import fit_rows
from nvmix.selection import compare
from nvmix.serialization import load
from nvmix.sources.csv import read_csv
from nvmix.sources.observations import sample
from nvmix.sources.source import ArraySource

_NOT_CONVERGED: Final = 1
_BAD_INPUT: Final = 2
_OIL: Final = "Brent and WTI crude oil, monthly log-returns in percent, 1987-2019"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on arguments, None for those of the process; returns the exit status.

    It is 0, or 1 if the (best) fit did not converge, or 2 for bad input.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "info":
            saved = load(options.file)
            print(saved.summary() if isinstance(saved, EMResult) else saved)
            return 0
        _check_targets(options)
        return 0 if _fit_command(options) else _NOT_CONVERGED
    except (ImportError, OSError, ValueError) as error:
        print(f"nvmix: error: {error}", file=sys.stderr)
        return _BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="nvmix", description="Fit normal variance-mean mixtures by EM."
    )
    parser.add_argument("--version", action="version", version=f"nvmix {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    info = commands.add_parser("info", help="show what a file of fit --out, or of save, contains")
    info.add_argument("file", help="the file")
    fit = commands.add_parser(
        "fit",
        help="fit a family, or all, to a CSV file of numbers with a header",
        epilog="Exit status: 0, 1 when the (best) fit did not converge, 2 for bad input.",
    )
    fit.add_argument("data", nargs="?", help="CSV file; without it, monthly oil returns")
    fit.add_argument(
        "--family",
        type=_name,
        default="nig",
        help=(
            f"what to fit: {', '.join(FAMILIES)}, t, normal, or all, which fits all but t, with "
            "and without skewness, and ranks them (default: %(default)s)"
        ),
    )
    fit.add_argument(
        "--rank-by",
        type=str.lower,
        choices=["aic", "bic"],
        default="aic",
        help="what all ranks the families by (default: %(default)s)",
    )
    fit.add_argument("--columns", help="names of the columns to fit, as a row of CSV")
    fit.add_argument(
        "--max-iter", type=int, default=1000, help="most iterations (default: %(default)s)"
    )
    fit.add_argument(
        "--tol",
        type=float,
        default=1e-4,
        help="parameter change of a converged fit (default: %(default)s)",
    )
    fit.add_argument("--out", help="write the (best) fit to this file, which nvmix.load reads")
    fit.add_argument("--plot", help="draw the convergence of the (best) fit to this file")
    return parser


def _name(family: str) -> str:
    """The name of a family, or "all"; argparse's error for another."""
    if family.lower() != "all":
        try:
            family_of("--family", family)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return family.lower()


def _check_targets(options: argparse.Namespace) -> None:
    """Raise ValueError or ImportError if the results could not be written, before any fit."""
    for target in (options.out, options.plot):
        if target and options.data and Path(target).resolve() == Path(options.data).resolve():
            msg = f"{target}: it has the data, and would be overwritten"
            raise ValueError(msg)
        if target and not Path(target).parent.is_dir():
            msg = f"{target}: its folder does not exist"
            raise ValueError(msg)
    if options.plot:
        importlib.import_module("nvmix.utils.plotting")


def _fit_command(options: argparse.Namespace) -> bool:
    """Read, fit, print and write; returns whether the (best) fit converged."""
    source, rows = _read(options.data, options.columns)
    settings: FitSettings = {"max_iter": options.max_iter, "tol": options.tol}
    fitter = BatchEMFitter(**settings)
    n, d = rows.values.shape
    print(f"{source}: {n} rows, {d} column{'s' if d > 1 else ''}\n")
    if options.family == "all":
        comparison = compare(rows.values, rank_by=options.rank_by, **settings)
        print(comparison, end="\n\n")
        best = replace(comparison[0], model=replace(comparison[0].model, columns=rows.columns))
    else:
        best = fit_rows(family_of("family", options.family), fitter, rows.values, rows)
    print(best.model, end="\n\n")
    print(
        f"log-likelihood {best.log_likelihood:.4f}, AIC {best.aic:.4f}, "
        f"BIC {best.bic:.4f} ({best.n_parameters} parameters)\n"
        f"{best.n_iter} iterations in {best.elapsed_time:.3f} s\n{best.message}"
    )
    if options.out:
        best.save(options.out)
        print(f"fit written to {options.out}")
    if options.plot:
        plotting = importlib.import_module("nvmix.utils.plotting")
        plotting.set_theme()
        plotting.plot_convergence(best, options.tol).savefig(options.plot)
        print(f"plot written to {options.plot}")
    return bool(best.converged)


def _read(path: str | None, columns: str | None) -> tuple[str, ArraySource]:
    """Name and validated rows of a CSV file, or of the oil returns; columns is a row of CSV."""
    chosen = None if columns is None else next(csv.reader([columns], skipinitialspace=True), [])
    if chosen is not None and (not chosen or len(set(chosen)) < len(chosen)):
        msg = f"--columns must name columns, each once, got {columns!r}"
        raise ValueError(msg)
    path, source = (path, path) if path else (str(CRUDE_OIL), _OIL)
    X, names, note = read_csv(path, chosen)
    if note:
        print(f"{path}: {note}")
    try:
        return source, sample(X, columns=names)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from None
