"""The command line: ``python -m nvmix fit DATA.csv --family nig``."""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from nvmix import __version__
from nvmix._warm_up import warm_up
from nvmix.datasets import CRUDE_OIL
from nvmix.distributions.names import FAMILIES
from nvmix.fitting.em import BatchEMFitter, EMResult
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.csv import CSVError, read_csv
from nvmix.sources.observations import sample
from nvmix.sources.source import ArraySource

_NOT_CONVERGED: Final = 1
_BAD_INPUT: Final = 2


_OIL: Final = "Brent and WTI crude oil, monthly log-returns in percent, 1987-2019"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None
        Arguments; None takes those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 when the (best) fit did not converge, 2 for bad input.
    """
    options = _parser().parse_args(arguments)
    try:
        _check_targets(options)
        return 0 if _fit_command(options) else _NOT_CONVERGED
    except (CSVError, ImportError, OSError, ValueError) as error:
        print(f"nvmix: error: {error}", file=sys.stderr)
        return _BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    parser = argparse.ArgumentParser(
        prog="nvmix", description="Fit normal variance-mean mixtures by EM."
    )
    parser.add_argument("--version", action="version", version=f"nvmix {__version__}")
    fit = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "fit",
        help="fit a family, or all, to a CSV file of numbers with a header",
        epilog="Exit status: 0, 1 when the (best) fit did not converge, 2 for bad input.",
    )
    fit.add_argument("data", nargs="?", help="CSV file; without it, monthly oil returns")
    fit.add_argument(
        "--family",
        choices=[*FAMILIES, "all"],
        default="nig",
        help="what to fit; all ranks the families by BIC (default: %(default)s)",
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
    fit.add_argument("--out", help="write the (best) model as JSON to this file")
    fit.add_argument("--plot", help="draw the convergence of the (best) fit to this file")
    return parser


def _check_targets(options: argparse.Namespace) -> None:
    """Raise before the work where its results could not be written."""
    for target in (options.out, options.plot):
        if target and not Path(target).parent.is_dir():
            msg = f"{target}: there is no such folder"
            raise ValueError(msg)
    if options.plot:
        importlib.import_module("nvmix.utils.plotting")


def _fit_command(options: argparse.Namespace) -> bool:
    """Read, fit, print and write; whether the (best) fit converged."""
    source, data = _read(options.data, options.columns)
    names = list(FAMILIES) if options.family == "all" else [options.family]
    fitter = BatchEMFitter(max_iter=options.max_iter, tol=options.tol)
    warm_up()
    fits = sorted((_fit(name, fitter, data) for name in names), key=_rank)
    n, d = data.values.shape
    print(f"{source}: {n} rows, {d} column{'s' if d > 1 else ''}\n")
    if len(fits) > 1:
        print(_ranking(fits), end="\n\n")
    best = fits[0]
    print(_parameters(best.model), end="\n\n")
    print(_summary(best))
    if options.out:
        Path(options.out).write_text(json.dumps(_record(best), indent=2) + "\n", "utf-8")
        print(f"model written to {options.out}")
    if options.plot:
        _plot(best, options.tol, options.plot)
        print(f"plot written to {options.plot}")
    return bool(best.converged)


def _read(path: str | None, columns: str | None) -> tuple[str, ArraySource]:
    """The observations to fit, validated, and what to call them."""
    chosen = None if columns is None else next(csv.reader([columns], skipinitialspace=True), [])
    if chosen is not None and (not chosen or len(set(chosen)) < len(chosen)):
        msg = f"--columns must name columns, each once, got {columns!r}"
        raise ValueError(msg)
    path, source = (path, path) if path else (str(CRUDE_OIL), _OIL)
    X, names = read_csv(path, chosen)
    try:
        return source, sample(X, columns=names)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise CSVError(msg) from None


def _fit(name: str, fitter: BatchEMFitter, rows: ArraySource) -> EMResult:
    """Fit one family, its start included in the time."""
    begin = time.perf_counter()
    result = fitter.run_source(FAMILIES[name].default_init(rows.values), rows)
    return replace(result, elapsed_time=time.perf_counter() - begin)


def _rank(result: EMResult) -> tuple[bool, float]:
    """Converged fits by BIC, then the others."""
    return not result.converged, result.bic


def _ranking(results: Sequence[EMResult]) -> str:
    """Table of all families."""
    lines = [
        f"{'family':<24} {'log-likelihood':>15} {'AIC':>12} {'BIC':>12} {'iterations':>10} "
        f"{'seconds':>8}  status"
    ]
    lines += [
        f"{type(result.model).__name__:<24} {result.log_likelihood:>15.4f} {result.aic:>12.4f} "
        f"{result.bic:>12.4f} {result.n_iter:>10d} {result.elapsed_time:>8.3f}  "
        f"{result.status.name.lower()}"
        for result in results
    ]
    return "\n".join(lines)


def _parameters(model: Mixture) -> str:
    """Table of the parameters under the columns' names."""
    columns = model.columns or tuple(f"x{j}" for j in range(model.d))
    width = max(12, *(len(name) for name in columns))
    left = max(8, *(len(name) + 6 for name in columns))

    def row(label: str, values: Sequence[float]) -> str:
        return f"{label:<{left}}" + "".join(f" {value:>{width}.6g}" for value in values)

    lines = [type(model).__name__, " " * left + "".join(f" {name:>{width}}" for name in columns)]
    lines += [row("mu", model.mu.tolist()), row("gamma", model.gamma.tolist())]
    for name, values in zip(columns, model.sigma().tolist(), strict=True):
        lines.append(row(f"sigma {name}", values))
    law = ", ".join(f"{key} = {value:.6g}" for key, value in model.subordinator.parameters.items())
    return "\n".join([*lines, f"{type(model.subordinator).__name__}: {law}"])


def _summary(result: EMResult) -> str:
    """Criteria and end of one fit."""
    return "\n".join(
        [
            f"log-likelihood {result.log_likelihood:.4f}, AIC {result.aic:.4f}, "
            f"BIC {result.bic:.4f} ({result.n_parameters} parameters)",
            f"{result.n_iter} iterations in {result.elapsed_time:.3f} s",
            result.message,
        ]
    )


def _record(result: EMResult) -> dict[str, object]:
    """The fit as JSON; ``from_classical(**parameters)`` of the family makes the model again."""
    model = result.model
    law = {name: getattr(model, name) for name in type(model).law_names}
    return {
        "family": type(model).__name__,
        "columns": model.columns,
        "parameters": {
            "mu": model.mu.tolist(),
            "gamma": model.gamma.tolist(),
            "sigma": model.sigma().tolist(),
            **law,
        },
        "rows": int(result.n_observations),
        "log_likelihood": result.log_likelihood,
        "aic": result.aic,
        "bic": result.bic,
        "iterations": result.n_iter,
        "converged": result.converged,
        "status": result.status.name,
    }


def _plot(result: EMResult, tol: float, path: str) -> None:
    """Draw the convergence panels to a file."""
    plotting = importlib.import_module("nvmix.utils.plotting")
    plotting.set_theme()
    plotting.plot_convergence(result, tol).savefig(path)
