"""Pairs of columns, with contours of the model's density."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from nvmix.diagnostics.arguments import model_and_rows
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.parts.column_arguments import positions_of
from nvmix.risk.portfolios import fraction
from nvmix.utils.plotting.arguments import GREY, column_at, label_of
from nvmix.utils.plotting.one_column import draw_histogram

# Points of a grid in each direction, rows that are drawn, and draws that find contours.
_GRID: Final = 120
_ROWS: Final = 2000
_DRAWS: Final = 20_000


def plot_pairs(
    fitted: Any,
    X: Any = None,
    *,
    columns: Any = None,
    probabilities: Iterable[float] = (0.5, 0.9, 0.99),
    ax: Any = None,
) -> Any:
    """Draw all pairs of columns with contours of the density, and the columns on the diagonal.

    Contours are those of regions of highest density, which have these probabilities.

    Parameters
    ----------
    fitted : EMResult or NormalMixture
        A fit or a model.
    X : (n, d) array_like or DataFrame, or None
        Observations; None takes those that the result remembers.
    columns : sequence of int or str, or None
        Which columns, at least two; None is all.
    probabilities : iterable of float
        Probabilities inside the contours, between 0 and 1.
    ax : (k, k) array of matplotlib.axes.Axes or None
        Where to draw k columns; None makes a figure.

    Returns
    -------
    (k, k) array of matplotlib.axes.Axes
        Pairs are in the lower triangle; axes of the upper triangle are invisible. Of many
        observations every so manieth is drawn.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain, the fit had weights and X is not given, or X has
        missing values where the fit had none.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.utils.plotting import plot_pairs
    >>> X, _ = load_crude_oil()
    >>> plot_pairs(nvmix.fit(X)).shape
    (2, 2)
    """
    model, rows = model_and_rows(fitted, X)
    chosen = positions_of("columns", slice(None) if columns is None else columns,
                          model.columns, model.d)  # fmt: skip
    if len(chosen) < 2:
        msg = f"columns must be at least two, got {len(chosen)}"
        raise ValueError(msg)
    inside = _fractions(probabilities)
    singles = [column_at(model, rows, i) for i in chosen]
    axes = _axes(ax, len(chosen))
    for r, i in enumerate(chosen):
        for c, j in enumerate(chosen):
            if r == c:
                draw_histogram(axes[r, r], singles[r])
            elif c < r:
                _draw_pair(axes[r, c], model.marginal([j, i]), rows[:, [j, i]], inside)
            _dress(axes[r, c], r, c, len(chosen), (label_of(model, j), label_of(model, i)))
    return axes


def _fractions(probabilities: Any) -> list[float]:
    """Distinct probabilities, the largest first; TypeError or ValueError if there are none."""
    if not isinstance(probabilities, Iterable) or isinstance(probabilities, str):
        msg = f"probabilities must be a sequence of numbers, got {probabilities!r}"
        raise TypeError(msg)
    inside = sorted({fraction("probabilities", p) for p in probabilities}, reverse=True)
    if not inside:
        msg = "probabilities must be at least one number between 0 and 1, got none"
        raise ValueError(msg)
    return inside


def _axes(ax: Any, k: int) -> Any:
    """Axes (k, k), given or of a new figure."""
    if ax is None:
        size = max(4.5, 2.0 * k)
        return plt.subplots(k, k, figsize=(size, size), layout="constrained", sharex="col")[1]
    axes = np.asarray(ax)
    if axes.shape != (k, k) or not all(isinstance(x, Axes) for x in axes.ravel()):
        msg = f"ax must be a ({k}, {k}) array of Axes, got {type(ax).__name__} of {axes.shape}"
        raise ValueError(msg)
    return axes


def _draw_pair(ax: Axes, law: Any, rows: FloatArray, inside: list[float]) -> None:
    """Points and contours of two columns; points are the rows that have both values."""
    some = rows[:: -(-len(rows) // _ROWS)]
    ax.plot(*some.T, ".", color=GREY, ms=3, mew=0, alpha=0.7, rasterized=True)
    low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
    # A constant column has some width, too.
    pad = np.where(low < high, 0.05 * (high - low), 0.5)
    x, y = (np.linspace(a, b, _GRID) for a, b in zip(low - pad, high + pad, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    values = law.log_prob(grid.reshape(-1, 2)).reshape(_GRID, _GRID)
    # The density of a draw is below the level of a region with the probability outside it.
    levels = np.quantile(law.log_prob(law.rvs(_DRAWS, seed=0)), [1.0 - p for p in inside])
    # A density may be infinite at mu.
    ax.contour(x, y, np.minimum(values, levels[-1] + 100.0), levels=np.unique(levels),
               colors="C0", linewidths=1.0, linestyles="solid")  # fmt: skip
    ax.set(xlim=x[[0, -1]], ylim=y[[0, -1]])


def _dress(ax: Axes, r: int, c: int, k: int, names: tuple[str, str]) -> None:
    """Labels at the edges of the figure only, and nothing above the diagonal."""
    if c > r:
        ax.set_visible(False)
        return
    if r == c:
        ax.set_yticks([])
    ax.set(xlabel=names[0] if r == k - 1 else "", ylabel=names[1] if c == 0 else "")
    ax.tick_params(labelbottom=r == k - 1, labelleft=c == 0, labelsize="small")
