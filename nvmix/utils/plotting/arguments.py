"""Arguments that plots share, and the axes they draw on."""

from typing import Any, Final, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from nvmix.diagnostics.arguments import model_and_rows
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import instance
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.parts.column_arguments import positions_of

# Of data, on a light or a dark background.
GREY: Final = "0.5"


class Column(NamedTuple):
    """One column: its law, sorted observations without those that are missing, and a label."""

    law: Any
    x: FloatArray
    label: str


def axes_or_new(ax: Any, height: float = 4.0) -> Axes:
    """The axes that are given, or those of a new figure."""
    if ax is None:
        ax = plt.subplots(figsize=(6.0, height), layout="constrained")[1]
    instance("ax", ax, Axes)
    chosen: Axes = ax
    return chosen


def column_of(fitted: Any, X: Any, column: Any) -> Column:
    """A column of a fit or a model, by position or name; None is the only one."""
    model, rows = model_and_rows(fitted, X)
    if column is None and model.d > 1:
        msg = f"column must be the position or name of one of {model.d} columns, got None"
        raise ValueError(msg)
    chosen = positions_of("column", 0 if column is None else column, model.columns, model.d)
    if len(chosen) > 1:
        msg = f"column must be one column, got {column!r}"
        raise ValueError(msg)
    return column_at(model, rows, chosen[0])


def column_at(model: Mixture, rows: FloatArray, j: int) -> Column:
    """Column j of a model and of rows, which may have missing values."""
    x = rows[~np.isnan(rows[:, j]), j]
    if not x.size:
        msg = f"X must have a value in every column, got none in column {j}"
        raise ValueError(msg)
    label = label_of(model, j) if model.d > 1 or model.columns else "x"
    return Column(model.marginal(j), np.sort(x), label)


def label_of(model: Mixture, j: int) -> str:
    r"""Name of a column as matplotlib shows it, where $ would begin a formula, or its number."""
    return model.columns[j].replace("$", r"\$") if model.columns else f"column {j}"
