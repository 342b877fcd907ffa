"""Options that several commands share, and the settings of a fit that they make."""

import argparse
from typing import Any, Final

import numpy as np

from nvmix.backends import ACCELERATIONS, CRITERIA
from nvmix.distributions.families import FAMILIES, family_of
from nvmix.sources.observations import MISSING

FAMILY_NAMES: Final = f"{', '.join(FAMILIES)}, t, normal"
STATUS: Final = "Exit status: 0, 1 when the (best) fit did not converge, 2 for bad input."
_DATA: Final = "CSV, Parquet or Arrow file, or - for standard input"
_VECTORS: Final = ("mu", "gamma")


def add_data(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The data and what of them is read."""
    if optional:
        help_text = f"{_DATA}; without it, monthly oil returns"
        parser.add_argument("data", nargs="?", help=help_text)
    else:
        parser.add_argument("data", help=_DATA)
    add_missing(parser)


def add_missing(parser: argparse.ArgumentParser) -> None:
    """What missing values do."""
    parser.add_argument(
        "--missing",
        type=str.lower,
        choices=MISSING,
        default="raise",
        help="whether missing values are an error or averaged over (default: raise)",
    )


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Which columns."""
    parser.add_argument("--columns", help="names of the columns, as a row of CSV")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Output for programs."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    """The file of the result."""
    parser.add_argument("--out", metavar="FILE", help=f"write {what} to this file")


def add_fitter(parser: argparse.ArgumentParser) -> None:
    """Weights of the rows and settings of the fitter."""
    parser.add_argument("--weights", metavar="COLUMN", help="column with the weights of the rows")
    parser.add_argument(
        "--half-life",
        type=float,
        metavar="ROWS",
        help="halve the weights every so many rows back from the last one",
    )
    parser.add_argument("--symmetric", action="store_true", help="hold gamma, the skewness, at 0")
    parser.add_argument(
        "--bounded", action="store_true", help="hold p or alpha at (d + 1) / 2 or more"
    )
    parser.add_argument(
        "--fixed",
        action="append",
        type=held,
        metavar="NAME=VALUE",
        default=[],
        help="hold a parameter, as in --fixed p=-0.5; may be repeated",
    )
    parser.add_argument(
        "--criterion",
        type=str.lower,
        choices=CRITERIA,
        default="parameters",
        help="what --tol is compared with (default: %(default)s)",
    )
    parser.add_argument(
        "--acceleration",
        type=str.lower,
        choices=("auto", *ACCELERATIONS),
        default="auto",
        help="how steps are extrapolated (default: %(default)s)",
    )
    parser.add_argument("--n-init", type=int, default=1, help="starts (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="seed of random starts")
    parser.add_argument(
        "--max-iter", type=int, default=200, help="most iterations (default: %(default)s)"
    )
    parser.add_argument(
        "--tol",
        type=float,
        help="change of a converged fit (default: 1e-4, or 1e-9 with --criterion likelihood)",
    )


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Settings of the fitter but symmetric, of which a comparison has both."""
    return {
        "max_iter": options.max_iter,
        "tol": options.tol,
        "criterion": options.criterion,
        "acceleration": options.acceleration,
        "fixed": dict(options.fixed) or None,
        "bounded": options.bounded,
        "missing": options.missing,
        "n_init": options.n_init,
        "seed": options.seed,
    }


def held(text: str) -> tuple[str, Any]:
    """Name and value of a parameter, from NAME=VALUE, or NAME=VALUE,VALUE of a vector."""
    name, _, value = text.partition("=")
    name = name.strip()
    try:
        numbers = [float(field) for field in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return name, numbers[0]
    if not numbers or name not in _VECTORS:
        msg = f"must be a name and a number, as in p=-0.5, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return name, np.array(numbers)


def family_name(text: str) -> str:
    """The name of a family in lower case; argparse's error for another."""
    try:
        family_of("it", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text.lower()


def family_or_all(text: str) -> str:
    """The name of a family, or "all"."""
    return "all" if text.lower() == "all" else family_name(text)
