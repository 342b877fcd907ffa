"""Arguments that plots share, and the axes they draw on."""

from typing import Any, Final, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from nvmix.diagnostics.arguments import model_and_rows
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import instance
from nvmix.mixture.parts.column_arguments import positions_of

# Of data, on a light or a dark background.
GREY: Final = "0.5"


class Column(NamedTuple):
    """One column: its law, sorted observations, and a label."""

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
    (j,) = chosen
    label = label_of(model, j) if model.d > 1 or model.columns else "x"
    return Column(model.marginal(j), np.sort(rows[:, j]), label)


def label_of(model: Any, j: int) -> str:
    """Name of a column, or its number."""
    return model.columns[j] if model.columns else f"column {j}"
