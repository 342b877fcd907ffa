"""``nvmix sample FIT.json -n 1000``: random rows of a fitted law, as CSV."""

import argparse
from typing import Any

from nvmix.cli import options as shared
from nvmix.cli.output import show_data, show_json
from nvmix.cli.reading import saved_model
from nvmix.cli.targets import check_target


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("sample", help="draw rows of a fitted law, as CSV")
    parser.add_argument("fit", metavar="FIT", help="file of a fit")
    parser.add_argument("-n", type=int, default=1000, help="rows (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="seed of the draws; without it, they differ")
    shared.add_out(parser, "them")
    shared.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Draw and write."""
    check_target(options.out, [options.fit])
    model = saved_model(options.fit)
    rows = model.rvs(options.n, seed=options.seed).reshape(options.n, model.d).tolist()
    names = model.columns or tuple(f"x{j}" for j in range(model.d))
    if options.json:
        show_json({"columns": list(names), "rows": rows})
    if options.out or not options.json:
        show_data(options.out, names, rows)
    return 0
