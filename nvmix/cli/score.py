"""``nvmix score FIT.json DATA``: log-densities of rows under a fitted law."""

import argparse
import math
from typing import Any

import numpy as np

from nvmix.cli import options as shared
from nvmix.cli.output import note, show, show_data, show_json
from nvmix.cli.reading import rows_of_model, saved_model
from nvmix.cli.targets import check_target
from nvmix.foundation.files.json_text import all_encoded, encoded
from nvmix.sources.tables.contents import MISSING, name_of


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "score", help="log-densities of rows under a fitted law", epilog=shared.STATUS
    )
    parser.add_argument("fit", metavar="FIT", help="file of a fit")
    shared.add_data(parser)
    parser.add_argument("--total", action="store_true", help="their sum and mean alone")
    shared.add_out(parser, "the log-density of each row, as CSV,")
    shared.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read and write."""
    check_target(options.out, [options.fit, options.data])
    model, converged = saved_model(options.fit)
    X, _ = rows_of_model(options.data, model.columns, options.missing, [MISSING])
    empty = np.isnan(X).all(axis=1)
    if empty.any():
        note(
            f"{name_of(options.data)}: {int(empty.sum())} of {len(X)} rows have no value: their "
            "log-densities are nan, and the sum and the mean are of the others"
        )
    densities = np.where(empty, np.nan, model.log_prob(X, missing=options.missing))
    values, scored = densities.tolist(), densities[~empty].tolist()
    total = math.fsum(scored) if all(map(math.isfinite, scored)) else sum(scored)
    sums = {"log_likelihood": total, "mean": total / len(scored) if scored else math.nan}
    if options.json:
        each = {} if options.total else {"log_densities": all_encoded(values)}
        encoded_sums = {name: encoded(x) for name, x in sums.items()}
        show_json({"rows": len(scored), **encoded_sums, **each})
    elif options.total:
        facts = {"rows": len(scored), **sums}
        show("\n".join(f"{name.replace('_', '-'):14}  {x:.15g}" for name, x in facts.items()))
    if options.out or not (options.json or options.total):
        show_data(options.out, ["log_density"], [[x] for x in values])
    return int(not converged)
