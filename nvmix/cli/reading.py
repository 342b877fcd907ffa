"""What commands read: rows to fit, columns of a model, and saved fits."""

import argparse
import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from nvmix.cli.output import note
from nvmix.datasets import CRUDE_OIL
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.tables import printable
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import positive
from nvmix.serialization import load
from nvmix.sources.observations import sample
from nvmix.sources.source import ArraySource
from nvmix.sources.tables.contents import STANDARD_INPUT, check_end, name_of
from nvmix.sources.tables.table import read_table

_OIL: Final = "Brent and WTI crude oil, monthly log-returns in percent, 1987-2019"
# Bytes that show whether a file is JSON.
_BEGINNING: Final = 64


def rows_to_fit(options: argparse.Namespace) -> tuple[str, ArraySource]:
    """Name and validated rows of the data, or of the oil returns, with their weights."""
    path = str(CRUDE_OIL) if options.data is None else options.data
    half_life = options.half_life
    if half_life is not None:
        positive("--half-life", half_life)
    table, weights = read_table(path), None
    names = chosen(options.columns) or tuple(x for x in table.columns if x != options.weights)
    if options.weights in names:
        msg = f"--columns names {options.weights!r}, which has the weights of the rows"
        raise ValueError(msg)
    with _errors_name(path):
        X = table.numbers(names, options.missing)
        if options.weights is not None:
            weights = table.numbers([options.weights], "raise")[:, 0]
        if half_life is not None:
            ages = np.arange(len(X))[::-1]
            weights = np.exp2(-ages / half_life) * (1.0 if weights is None else weights)
            _notes(path, [f"weights halve every {half_life:g} rows back from the last row"])
        _notes(path, table.notes([*names, *([options.weights] if options.weights else [])]))
        kept = _rows_with_values(path, names, X)
        weights = None if weights is None else weights[kept]
        rows = sample(X[kept], columns=names, missing=options.missing, weights=weights)
    return _OIL if options.data is None else printable(name_of(path)), rows


def _rows_with_values(path: str, names: Sequence[str], X: FloatArray) -> Any:
    """Which rows have a value, (n,) bool, with a note; ValueError if a column has none."""
    missing = np.isnan(X)
    if (absent := missing.all(axis=0)).any():
        msg = f"column {names[int(absent.argmax())]!r} has no value"
        raise ValueError(msg)
    if (empty := missing.all(axis=1)).any():
        _notes(path, [f"{int(empty.sum())} of {len(X)} rows have no value: passed over"])
    return ~empty


def rows_of_model(
    path: str, columns: Columns, missing: str, options: Sequence[str] = ()
) -> tuple[FloatArray, tuple[str, ...]]:
    """Values (n, d) and names of the columns of a model, or of all columns if it has no names.

    Errors advise these options only.
    """
    table = read_table(path)
    names = table.columns if columns is None else columns
    X = table.numbers(names, missing, options)
    _notes(path, table.notes(names))
    return X, names


def chosen(columns: str | None) -> tuple[str, ...] | None:
    """Names from a row of CSV, each once."""
    if columns is None:
        return None
    names = fields(columns)
    if not names or len(set(names)) < len(names):
        msg = f"--columns must name columns, each once, got {columns!r}"
        raise ValueError(msg)
    return tuple(names)


def fields(text: str) -> list[str]:
    """Fields of a row of CSV; none of an empty one."""
    try:
        return next(csv.reader(StringIO(text, newline=""), skipinitialspace=True), [])
    except csv.Error as error:
        msg = f"{text!r} is no row of CSV: {error}"
        raise ValueError(msg) from None


def loaded(path: str) -> Any:
    """What a file of a fit, a model or a law has."""
    if not path:
        msg = "FIT must be the name of a file, got ''"
        raise ValueError(msg)
    try:
        check_end(Path(path).stat().st_mode)
        return load(path)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise ValueError(msg) from None


def saved_model(path: str) -> tuple[NormalMixture, bool]:
    """The model in a file, and False, with a note, if it is of a fit that did not converge."""
    saved = loaded(path)
    model = saved.model if isinstance(saved, EMResult) else saved
    if not isinstance(model, NormalMixture):
        msg = f"{path}: it has a law of Y, and no model of X"
        raise ValueError(msg)  # noqa: TRY004
    return model, not isinstance(saved, EMResult) or has_converged(path, saved)


def has_converged(path: str, fit: EMResult) -> bool:
    """False, with a note, for a saved fit that did not converge.

    An incremental fit has no criterion, and counts as one that did.
    """
    failed = fit.converged is False
    if failed:
        note(f"{path}: the fit did not converge: {fit.message}")
    return not failed


def is_saved(path: str) -> bool:
    """Whether a file is JSON, as saved fits are, and not a table."""
    if path == STANDARD_INPUT or not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return file.read(_BEGINNING).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


@contextmanager
def _errors_name(path: str) -> Iterator[None]:
    """Errors name the file."""
    name = name_of(path)
    try:
        yield
    except ValueError as error:
        if str(error).startswith(name):
            raise
        msg = f"{name}: {error}"
        raise ValueError(msg) from None


def _notes(path: str, texts: Sequence[str]) -> None:
    """Print notes about a file."""
    for text in texts:
        note(f"{name_of(path)}: {text}")
