"""The command line: ``python -m nvmix fit DATA.csv --family nig``."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from nvmix._csv import CSVError, read_csv
from nvmix._validation import Data, sample
from nvmix.datasets import load_crude_oil
from nvmix.distributions import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    NormalMixture,
    VarianceGamma,
)
from nvmix.fitting.em import BatchEMFitter, EMResult

if TYPE_CHECKING:
    from collections.abc import Sequence

FAMILIES: Final[dict[str, type[NormalMixture]]] = {
    "nig": NormalInverseGaussian,
    "vg": VarianceGamma,
    "skewt": NormalInverseGamma,
    "hyperbolic": Hyperbolic,
    "gh": GeneralizedHyperbolic,
}
_BAD_INPUT: Final = 2


class Fit(NamedTuple):
    """A fitted family with its criteria."""

    name: str
    result: EMResult
    log_likelihood: float
    aic: float
    bic: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None
        Arguments; None takes those of the process.

    Returns
    -------
    int
        Exit status: 0, or 2 for bad input.
    """
    options = _parser().parse_args(arguments)
    try:
        _fit_command(options)
    except (CSVError, ImportError, OSError, ValueError) as error:
        print(f"nvmix: error: {error}", file=sys.stderr)
        return _BAD_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    parser = argparse.ArgumentParser(
        prog="nvmix", description="Fit normal variance-mean mixtures by EM."
    )
    fit = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "fit", help="fit a family, or all, to a CSV file of numbers with a header"
    )
    fit.add_argument("data", nargs="?", help="CSV file; without it, monthly oil returns")
    fit.add_argument("--family", choices=[*FAMILIES, "all"], default="nig")
    fit.add_argument("--columns", help="comma-separated names of the columns to fit")
    fit.add_argument("--max-iter", type=int, default=1000)
    fit.add_argument("--tol", type=float, default=1e-4)
    fit.add_argument("--out", help="write the (best) model as JSON to this file")
    fit.add_argument("--plot", help="draw the convergence of the (best) fit to this file")
    return parser


def _fit_command(options: argparse.Namespace) -> None:
    """Read, fit, print and write."""
    source, data = _read(options.data, options.columns)
    names = list(FAMILIES) if options.family == "all" else [options.family]
    fitter = BatchEMFitter(max_iter=options.max_iter, tol=options.tol)
    fits = sorted((_fit(name, fitter, data) for name in names), key=_rank)
    n, d = data.values.shape
    print(f"{source}: {n} rows, {d} column{'s' if d > 1 else ''}\n")
    if len(fits) > 1:
        print(_ranking(fits), end="\n\n")
    best = fits[0]
    print(_parameters(best.result.model), end="\n\n")
    print(_summary(best))
    if options.out:
        Path(options.out).write_text(json.dumps(_record(best, n), indent=2) + "\n", "utf-8")
        print(f"model written to {options.out}")
    if options.plot:
        _plot(best.result, options.tol, options.plot)
        print(f"plot written to {options.plot}")


def _read(path: str | None, columns: str | None) -> tuple[str, Data]:
    """The observations to fit, validated, and what to call them."""
    if path is None:
        X, names = load_crude_oil()
        return "Brent and WTI crude oil, monthly log-returns in percent, 1987-2019", Data(X, names)
    chosen = [name.strip() for name in columns.split(",")] if columns else None
    X, names = read_csv(path, chosen)
    try:
        return path, sample(X, columns=names)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise CSVError(msg) from None


def _fit(name: str, fitter: BatchEMFitter, data: Data) -> Fit:
    """Fit one family and compute its criteria at the fitted model."""
    result = fitter.run(FAMILIES[name].default_init(data.values), data)
    n, k = len(data.values), result.model.n_parameters
    log_likelihood = n * result.model.marginal_log_likelihood(data.values)
    aic, bic = 2.0 * k - 2.0 * log_likelihood, k * float(np.log(n)) - 2.0 * log_likelihood
    return Fit(name, result, log_likelihood, aic, bic)


def _rank(fit: Fit) -> tuple[bool, float]:
    """Converged fits by BIC, then the others."""
    return not fit.result.converged, fit.bic


def _ranking(fits: Sequence[Fit]) -> str:
    """Table of all families."""
    lines = [
        f"{'family':<24} {'log-likelihood':>15} {'AIC':>12} {'BIC':>12} {'iterations':>10} "
        f"{'seconds':>8}  status"
    ]
    lines += [
        f"{type(fit.result.model).__name__:<24} {fit.log_likelihood:>15.4f} {fit.aic:>12.4f} "
        f"{fit.bic:>12.4f} {fit.result.n_iter:>10d} {fit.result.elapsed_time:>8.3f}  "
        f"{fit.result.status.name.lower()}"
        for fit in fits
    ]
    return "\n".join(lines)


def _parameters(model: NormalMixture) -> str:
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


def _summary(fit: Fit) -> str:
    """Criteria and course of one fit."""
    return "\n".join(
        [
            f"log-likelihood {fit.log_likelihood:.4f}, AIC {fit.aic:.4f}, BIC {fit.bic:.4f} "
            f"({fit.result.model.n_parameters} parameters)",
            f"{fit.result.n_iter} iterations in {fit.result.elapsed_time:.3f} s",
            fit.result.status.message,
        ]
    )


def _record(fit: Fit, n: int) -> dict[str, object]:
    """The fit as JSON; ``from_classical(**parameters)`` of the family makes the model again."""
    model = fit.result.model
    law = model.subordinator.parameters
    if isinstance(model, Hyperbolic):
        law = {name: law[name] for name in ("a", "b")}
    return {
        "family": type(model).__name__,
        "columns": model.columns,
        "parameters": {
            "mu": model.mu.tolist(),
            "gamma": model.gamma.tolist(),
            "sigma": model.sigma().tolist(),
            **law,
        },
        "rows": n,
        "log_likelihood": fit.log_likelihood,
        "aic": fit.aic,
        "bic": fit.bic,
        "iterations": fit.result.n_iter,
        "converged": fit.result.converged,
        "status": fit.result.status.name,
    }


def _plot(result: EMResult, tol: float, path: str) -> None:
    """Draw the convergence panels to a file."""
    plotting = importlib.import_module("nvmix.utils.plotting")
    plotting.set_theme()
    plotting.plot_convergence(result, tol).savefig(path)
