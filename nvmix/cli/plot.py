"""``nvmix plot FIT.json DATA --kind qq --out qq.png``: data beside a fitted law."""

import argparse
import importlib
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nvmix.cli import options as shared
from nvmix.cli.output import note
from nvmix.cli.reading import chosen, has_converged, loaded, rows_of_model, saved_model
from nvmix.cli.targets import check_picture, write_picture
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.tables import listed
from nvmix.sources.tables.contents import name_of

_ONE_COLUMN: Final = ("histogram", "qq", "tails")
_KINDS: Final = (*_ONE_COLUMN, "pairs", "convergence")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "plot",
        help="draw data beside a fitted law, or its convergence",
        epilog=shared.STATUS,
    )
    parser.add_argument("fit", metavar="FIT", help="file of a fit")
    parser.add_argument("data", nargs="?", help="the data, for all kinds but convergence")
    parser.add_argument(
        "--kind",
        type=str.lower,
        choices=_KINDS,
        default="histogram",
        help="what to draw (default: %(default)s)",
    )
    shared.add_columns(parser)
    parser.add_argument("--out", metavar="FILE", required=True, help="the file of the picture")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, draw and write."""
    check_picture(options.out, [options.fit, options.data])
    plotting = importlib.import_module("nvmix.utils.plotting")
    plotting.set_theme()
    draw = _convergence if options.kind == "convergence" else _data
    figure, converged = draw(plotting, options)
    write_picture(options.out, figure)
    note(f"plot written to {options.out}")
    return int(not converged)


def _convergence(plotting: Any, options: argparse.Namespace) -> tuple[Any, bool]:
    """Figure of the iterations of a fit, and whether that converged."""
    if options.columns is not None:
        msg = "--columns is for kinds of plots of data, and --kind convergence has none"
        raise ValueError(msg)
    saved = loaded(options.fit)
    if not isinstance(saved, EMResult):
        msg = f"{options.fit}: it has no fit, whose convergence could be drawn"
        raise ValueError(msg)  # noqa: TRY004
    figure = plotting.plot_convergence(saved, dict(saved.settings).get("tol"))
    return figure, has_converged(options.fit, saved)


def _data(plotting: Any, options: argparse.Namespace) -> tuple[Any, bool]:
    """Figure of data beside the model, all pairs or a panel a column, and if its fit converged."""
    if options.data is None:
        msg = f"--kind {options.kind} needs the data: nvmix plot FIT DATA"
        raise ValueError(msg)
    model, converged = saved_model(options.fit)
    X, names = rows_of_model(options.data, model.columns, "em")
    labels = chosen(options.columns) or names
    positions = _positions(names, labels)
    law, X = replace(model.marginal(positions), columns=labels), X[:, positions]
    name, missing = name_of(options.data), np.isnan(X)
    if options.kind == "pairs":
        partial = missing.any(axis=1)
        if partial.any():
            note(f"{name}: {int(partial.sum())} of {len(X)} rows have missing values, left out")
        return plotting.plot_pairs(law, X[~partial])[0, 0].figure, converged
    pyplot = importlib.import_module("matplotlib.pyplot")
    k = len(labels)
    figure, axes = pyplot.subplots(k, 1, figsize=(6.0, 4.0 * k), squeeze=False)
    plot = getattr(plotting, f"plot_{options.kind}")
    for j, (ax, label) in enumerate(zip(axes[:, 0], labels, strict=True)):
        empty = missing[:, j]
        if empty.all():
            msg = f"{name}: column {label!r} has no value"
            raise ValueError(msg)
        if empty.any():
            note(f"{name}: {int(empty.sum())} missing values of {label!r} are left out")
        plot(law.marginal(j), X[~empty, j], ax=ax)
    return figure, converged


def _positions(names: tuple[str, ...], labels: tuple[str, ...]) -> list[int]:
    """Positions of named columns; ValueError for a name that there is not."""
    for label in labels:
        if label not in names:
            msg = f"--columns names {label!r}; the columns of the fit are {listed(names)}"
            raise ValueError(msg)
    return [names.index(label) for label in labels]
