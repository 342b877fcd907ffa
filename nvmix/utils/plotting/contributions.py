"""Contributions to the risk of a portfolio."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from nvmix.fitting.outcome.models import model_of
from nvmix.risk.homogeneous import contributions_of
from nvmix.risk.portfolios import portfolios
from nvmix.utils.plotting.arguments import axes_or_new, label_of

_NAMES: Final = {"es": "Expected shortfall", "var": "Value at risk", "expectile": "Expectile"}


def plot_contributions(
    fitted: Any,
    weights: Any,
    level: float = 0.99,
    measure: str = "es",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the contributions of the assets to the risk of a portfolio as bars.

    Parameters
    ----------
    fitted : EMResult or NormalMixture
        A fit or a model of the returns.
    weights : (d,) array_like, mapping or Series
        One portfolio, as for `nvmix.risk.contributions`.
    level : float
        Level of the risk, between 0 and 1.
    measure : {"es", "var", "expectile"}
        Expected shortfall, value at risk or expectile.
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with a bar for each column; those that hedge are negative.

    Raises
    ------
    TypeError, ValueError
        If weights are those of several portfolios, the contributions are not finite, or as for
        `nvmix.risk.contributions`.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.utils.plotting import plot_contributions
    >>> X, _ = load_crude_oil()
    >>> len(plot_contributions(nvmix.fit(X), [0.6, 0.4]).patches)
    2
    """
    model = model_of("fitted", fitted)
    chosen = portfolios(model, weights)
    # 0.0 in the place of -0.0.
    parts = chosen.shaped(contributions_of(chosen, level, measure) + 0.0)
    if parts.ndim != 1:
        msg = f"weights must be those of one portfolio, got {len(parts)}"
        raise ValueError(msg)
    if not np.isfinite(parts).all():
        msg = f"measure must have finite contributions for these weights, got {parts.tolist()}"
        raise ValueError(msg)
    ax = axes_or_new(ax, height=1.2 + 0.35 * model.d)
    names = [label_of(model, j) for j in range(model.d)]
    colors = ["C0" if part >= 0.0 else "C1" for part in parts]
    bars = ax.barh(np.arange(model.d), parts, color=colors)
    ax.bar_label(bars, [f"{part:.3g}" for part in parts], padding=4, fontsize="small")
    ax.axvline(0.0, color="0.5", lw=0.8)
    ax.set_yticks(np.arange(model.d), names)
    ax.set_ylim(model.d - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    # Room for the labels.
    ax.margins(x=0.2)
    total = f"{_NAMES[measure]} at {100 * level:g} %: {parts.sum():.4g}"
    ax.set(xlabel="contribution", title=total)
    return ax
