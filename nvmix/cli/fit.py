"""``nvmix fit DATA``: a family, or all, fitted to data."""

import argparse
import importlib
from typing import Any

from nvmix.cli import options as shared
from nvmix.cli.compare import best_of, compared, ranks
from nvmix.cli.output import columns, note, show, show_json
from nvmix.cli.reading import rows_to_fit
from nvmix.cli.targets import check_picture, check_target, naming, same_file, write_picture
from nvmix.distributions.families import family_of
from nvmix.fitting.em import BatchEMFitter, EMResult
from nvmix.many import fit_rows


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("fit", help="fit a family, or all, to data", epilog=shared.STATUS)
    shared.add_data(parser, optional=True)
    shared.add_columns(parser)
    parser.add_argument(
        "--family",
        type=shared.family_or_all,
        default="nig",
        help=(
            f"what to fit: {shared.FAMILY_NAMES}, or all, which fits all but t, with and without "
            "skewness, and ranks them (default: %(default)s)"
        ),
    )
    ranks(parser)
    shared.add_fitter(parser)
    shared.add_out(parser, "the (best) fit, which nvmix.load reads,")
    parser.add_argument(
        "--plot", metavar="FILE", help="draw the convergence of the (best) fit to this file"
    )
    shared.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, fit, write and print."""
    check_target(options.out, [options.data])
    check_picture(options.plot, [options.data])
    if options.out and options.plot and same_file(options.out, options.plot):
        msg = f"--out and --plot name the same file, {options.out}"
        raise ValueError(msg)
    fitter = BatchEMFitter(symmetric=options.symmetric, **shared.settings_of(options))
    source, rows = rows_to_fit(options)
    n, d = rows.values.shape
    lines = [f"{source}: {n} rows, {columns(d)}", ""]
    if options.family == "all":
        comparison = compared(rows, "all", options)
        best = best_of(comparison, rows)
        lines += [str(comparison), ""]
    else:
        best = fit_rows(family_of("family", options.family), fitter, rows.values, rows)
    lines += [str(best.model), "", *_end(best)]
    written = _written(best, options, fitter.tol)
    if options.json:
        show_json(best.to_dict())
        for line in written:
            note(line)
    else:
        show("\n".join(lines + written))
    return int(not best.converged)


def _end(best: EMResult) -> list[str]:
    """Likelihood and status."""
    return [
        f"log-likelihood {best.log_likelihood:.4f}, AIC {best.aic:.4f}, BIC {best.bic:.4f} "
        f"({best.n_parameters} parameters)",
        f"{best.n_iter} iterations in {best.elapsed_time:.3f} s",
        best.message,
    ]


def _written(best: EMResult, options: argparse.Namespace, tol: float) -> list[str]:
    """Write the files that were asked for; returns what they are."""
    written = []
    if options.out:
        with naming(options.out):
            best.save(options.out)
        written.append(f"fit written to {options.out}")
    if options.plot:
        plotting = importlib.import_module("nvmix.utils.plotting")
        plotting.set_theme()
        write_picture(options.plot, plotting.plot_convergence(best, tol))
        written.append(f"plot written to {options.plot}")
    return written
