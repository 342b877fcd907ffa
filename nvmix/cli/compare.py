"""``nvmix compare DATA``: families ranked by AIC or BIC."""

import argparse
from dataclasses import replace
from typing import Any

from nvmix.cli import options as shared
from nvmix.cli.output import note, show, show_json
from nvmix.cli.reading import fields, rows_to_fit
from nvmix.cli.targets import check_target, naming
from nvmix.fitting.em import EMResult
from nvmix.foundation.files.json_text import encoded
from nvmix.selection import Comparison, compare
from nvmix.sources.source import ArraySource


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare", help="fit several families to data and rank them", epilog=shared.STATUS
    )
    shared.add_data(parser, optional=True)
    shared.add_columns(parser)
    parser.add_argument(
        "--families",
        default="all",
        help=f"which, as a row of CSV: {shared.FAMILY_NAMES}; all are all but t (default: all)",
    )
    ranks(parser)
    shared.add_fitter(parser)
    shared.add_out(parser, "the best fit, which nvmix.load reads,")
    shared.add_json(parser)
    parser.set_defaults(run=run)


def ranks(parser: argparse.ArgumentParser) -> None:
    """By what families are ranked."""
    parser.add_argument(
        "--rank-by",
        type=str.lower,
        choices=["aic", "bic"],
        default="aic",
        help="what several families are ranked by (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Read, fit, write and print."""
    check_target(options.out, [options.data])
    source, rows = rows_to_fit(options)
    comparison = compared(rows, options.families, options)
    best = best_of(comparison, rows)
    if options.out:
        with naming(options.out):
            best.save(options.out)
        note(f"best fit written to {options.out}")
    if options.json:
        show_json({"rank_by": options.rank_by, "fits": [_record(fit) for fit in comparison]})
    else:
        n, d = rows.values.shape
        show(f"{source}: {n} rows, {d} column{'s' if d > 1 else ''}\n\n{comparison}")
    return int(not best.converged)


def compared(rows: ArraySource, families: str, options: argparse.Namespace) -> Comparison:
    """Fits of the families, with and without skewness."""
    return compare(
        rows.values,
        "all" if families.lower() == "all" else fields(families),
        symmetric=True if options.symmetric else (False, True),
        rank_by=options.rank_by,
        weights=rows.weights,
        **shared.settings_of(options),
    )


def best_of(comparison: Comparison, rows: ArraySource) -> EMResult:
    """The first fit, with the names of the columns."""
    model = replace(comparison[0].model, columns=rows.columns)
    return replace(comparison[0], model=model)


def _record(fit: EMResult) -> dict[str, Any]:
    """A row of the table."""
    names = ("log_likelihood", "n_parameters", "aic", "bic", "elapsed_time")
    return {
        "family": type(fit.model).__name__,
        "symmetric": fit.symmetric,
        "status": fit.status.name,
        "converged": bool(fit.converged),
        **{name: encoded(getattr(fit, name)) for name in names},
    }
