"""``nvmix risk FIT.json --weights a=0.5,b=0.5``: value at risk and expected shortfall."""

import argparse
import importlib
from typing import Any, Final

import numpy as np

from nvmix.cli import options as shared
from nvmix.cli.output import columns, note, show, show_json
from nvmix.cli.reading import fields, is_saved, rows_to_fit, saved_model
from nvmix.distributions.families import family_of
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.em import BatchEMFitter
from nvmix.foundation.files.json_text import encoded
from nvmix.foundation.tables import listed, printable, text_table
from nvmix.many import fit_rows
from nvmix.sources.tables.contents import name_of

_SIGN: Final = "Losses are positive: the loss is minus the portfolio's return, in units of the data"
_MEASURES: Final = {"var": "value_at_risk", "es": "expected_shortfall"}


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "risk",
        help="value at risk and expected shortfall of a portfolio, with contributions",
        description=f"{_SIGN}.",
        epilog=shared.STATUS,
    )
    parser.add_argument(
        "data", metavar="FIT", help="file of a fit; or data, which are fitted first"
    )
    parser.add_argument(
        "--weights",
        dest="portfolio",
        required=True,
        metavar="NAME=WEIGHT,...",
        help="weights by column, or all in order, as in --weights=0.6,-0.4",
    )
    parser.add_argument(
        "--level", type=float, default=0.99, help="level of the risks (default: %(default)s)"
    )
    parser.add_argument(
        "--family",
        type=shared.family_name,
        help=f"of a fit to data: {shared.FAMILY_NAMES} (default: nig)",
    )
    shared.add_columns(parser)
    shared.add_missing(parser)
    shared.add_json(parser)
    # None where it is not given, so that a saved fit can refuse it.
    parser.set_defaults(run=run, weights=None, half_life=None, missing=None)


def run(options: argparse.Namespace) -> int:
    """Read, or fit, and print."""
    # Its optimizers are slow to import, and other commands do without.
    risk = importlib.import_module("nvmix.risk")
    model, converged = _model(options)
    w = _weights(options.portfolio, model)
    totals = {
        "var": risk.value_at_risk(model, w, options.level),
        "es": risk.expected_shortfall(model, w, options.level),
    }
    parts = {kind: risk.contributions(model, w, options.level, kind) for kind in totals}
    names = model.columns or tuple(f"column {j}" for j in range(model.d))
    if options.json:
        show_json(_record(options.level, names, w, totals, parts))
    else:
        rows = [(name, w[j], parts["var"][j], parts["es"][j]) for j, name in enumerate(names)]
        rows.append(("portfolio", w.sum(), totals["var"], totals["es"]))
        header = (f"level {options.level:g}", "weight", "value at risk", "expected shortfall")
        # Adding 0 makes -0 plain.
        table = text_table(header, [(name, *(f"{x + 0.0:.6g}" for x in xs)) for name, *xs in rows])
        what = f"{type(model).__name__}, {columns(model.d)}"
        show(f"{printable(name_of(options.data))}: {what}\n{_SIGN}.\n\n{table}")
    return int(not converged)


def _model(options: argparse.Namespace) -> tuple[NormalMixture, bool]:
    """The model of a saved fit, or of a fit to data, and whether that converged."""
    if is_saved(options.data):
        for name in ("family", "columns", "missing"):
            if getattr(options, name) is not None:
                msg = f"--{name} is for data that are fitted first, and {options.data} is a fit"
                raise ValueError(msg)
        return saved_model(options.data)
    options.missing = options.missing or "raise"
    _, rows = rows_to_fit(options)
    fitter = BatchEMFitter(missing=options.missing)
    result = fit_rows(family_of("family", options.family or "nig"), fitter, rows.values, rows)
    if not result.converged:
        note(f"{name_of(options.data)}: {result.message}")
    model: Any = result.model
    return model, bool(result.converged)


def _weights(text: str, model: NormalMixture) -> Any:
    """Weights (d,) of a portfolio, from NAME=WEIGHT,... or WEIGHT,..."""
    pairs = [field.rpartition("=") for field in fields(text)]
    try:
        numbers = [float(number) for _, _, number in pairs]
    except ValueError as error:
        msg = f"--weights must be numbers, as in a=0.5,b=0.5, got {text!r}: {error}"
        raise ValueError(msg) from None
    names = [name.strip() for name, sign, _ in pairs if sign]
    if not names:
        if len(numbers) != model.d:
            msg = f"--weights must be {model.d} numbers, one for each column, got {len(numbers)}"
            raise ValueError(msg)
        return np.array(numbers)
    if len(set(names)) < len(pairs):
        msg = f"--weights must name each column once, got {text!r}"
        raise ValueError(msg)
    known = model.columns or ()
    for name in names:
        if known.count(name) != 1:
            msg = f"--weights names column {name!r}; those of the fit are {listed(known)}"
            raise ValueError(msg)
    by_name = dict(zip(names, numbers, strict=True))
    return np.array([by_name.get(name, 0.0) for name in known])


def _record(level: float, names: Any, w: Any, totals: Any, parts: Any) -> dict[str, Any]:
    """The risks as JSON has them."""
    contributions = {
        _MEASURES[kind]: [encoded(part) for part in values] for kind, values in parts.items()
    }
    return {
        "losses": "positive",
        "level": level,
        "columns": list(names),
        "weights": w.tolist(),
        **{_MEASURES[kind]: encoded(total) for kind, total in totals.items()},
        "contributions": contributions,
    }
