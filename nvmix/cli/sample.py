"""``nvmix sample FIT.json -n 1000``: random rows of a fitted law, as CSV."""

import argparse
import sys
from contextlib import suppress
from typing import Any, Final

from nvmix.cli import options as shared
from nvmix.cli.output import show_data, show_json
from nvmix.cli.reading import saved_model
from nvmix.cli.targets import check_target
from nvmix.distributions.normal_mixture import NormalMixture

# Of a double.
_BYTES: Final = 8


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "sample", help="draw rows of a fitted law, as CSV", epilog=shared.STATUS
    )
    parser.add_argument("fit", metavar="FIT", help="file of a fit")
    parser.add_argument("-n", type=int, default=1000, help="rows (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="seed of the draws; without it, they differ")
    shared.add_out(parser, "them")
    shared.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Draw and write."""
    check_target(options.out, [options.fit])
    model, converged = saved_model(options.fit)
    rows = _drawn(model, options.n, options.seed)
    names = model.columns or tuple(f"x{j}" for j in range(model.d))
    if options.json:
        show_json({"columns": list(names), "rows": rows})
    if options.out or not options.json:
        show_data(options.out, names, rows)
    return int(not converged)


def _drawn(model: NormalMixture, n: int, seed: int | None) -> list[list[float]]:
    """Random rows; ValueError if memory does not take them."""
    if n <= sys.maxsize // (_BYTES * model.d):
        with suppress(MemoryError):
            rows: list[list[float]] = model.rvs(n, seed=seed).reshape(n, model.d).tolist()
            return rows
    msg = f"-n {n}: memory does not take so many rows"
    raise ValueError(msg)
