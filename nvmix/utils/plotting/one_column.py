"""Plots of one column: histogram, quantiles and tails, beside the law that was fitted."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.special import betaincinv, log_ndtr

from nvmix.foundation.typing import FloatArray, IntArray
from nvmix.foundation.validation import boolean, integer
from nvmix.risk.portfolios import fraction
from nvmix.utils.plotting.arguments import GREY, Column, axes_or_new, column_of

# Points of a line, and the most bars of a histogram that nobody has asked for.
_POINTS: Final = 500
_BARS: Final = 150
_MOST_BARS: Final = 10_000
# Points at each end that are all drawn, and the most others of each half.
_END: Final = 200
_OTHERS: Final = 400
# Range of a logarithmic axis below which 2 and 5 have names as 1 has.
_DECADES: Final = 200.0


def plot_histogram(
    fitted: Any,
    X: Any = None,
    *,
    column: Any = None,
    log: bool = False,
    bins: int | None = None,
    gaussian: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a histogram with the density of the model.

    Parameters
    ----------
    fitted : EMResult or NormalMixture
        A fit or a model.
    X : (n, d) array_like or None
        Observations; None takes those that the result remembers.
    column : int, str or None
        Which column, by position or name; None is the only one.
    log : bool
        Whether the density is on a logarithmic scale, which shows the tails.
    bins : int or None
        Number of bars, up to 10,000; None chooses it by the rule of Freedman and Diaconis, up to
        150.
    gaussian : bool
        Whether to draw the normal density with the mean and variance of the data, too.
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain, the fit had weights and X is not given, or X has
        missing values where the fit had none.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.utils.plotting import plot_histogram
    >>> X, _ = load_crude_oil()
    >>> ax = plot_histogram(nvmix.fit(X), column=1, log=True)
    >>> ax.get_yscale()
    'log'
    """
    chosen = column_of(fitted, X, column)
    log, gaussian = boolean("log", log), boolean("gaussian", gaussian)
    count = None if bins is None else integer("bins", bins, 1)
    if count is not None and count > _MOST_BARS:
        msg = f"bins must be at most {_MOST_BARS}, got {bins}"
        raise ValueError(msg)
    ax = axes_or_new(ax)
    draw_histogram(ax, chosen, count, log=log, gaussian=gaussian)
    # Over the longer tail: a search for the best place takes long where much is drawn.
    corner = "upper right" if np.median(chosen.x) <= chosen.x.mean() else "upper left"
    ax.legend(fontsize="small", loc=corner)
    return ax


def draw_histogram(
    ax: Axes, chosen: Column, count: int | None = None, *, log: bool = False, gaussian: bool = False
) -> None:
    """Draw a histogram with the density, without a legend."""
    count = _bars(chosen.x) if count is None else count
    heights, edges, _ = ax.hist(chosen.x, count, density=True, color=GREY, alpha=0.5, label="data")
    pad = 0.05 * (edges[-1] - edges[0])
    t = np.linspace(edges[0] - pad, edges[-1] + pad, _POINTS)
    with np.errstate(over="ignore"):
        density = np.exp(chosen.law.log_prob(t))
    # A density may be infinite at mu.
    ax.plot(t, np.where(np.isfinite(density), density, np.nan), "C0", label=_name(chosen))
    # A constant column has no normal density.
    if gaussian and chosen.x[0] < chosen.x[-1]:
        z = (t - chosen.x.mean()) / chosen.x.std()
        normal = np.exp(-0.5 * z * z) / (chosen.x.std() * math.sqrt(2.0 * math.pi))
        ax.plot(t, normal, "C1--", label="normal")
    if log:
        # Half the height of a bar of one observation.
        least = 0.5 / (chosen.x.size * (edges[1] - edges[0]))
        ax.set_yscale("log")
        ax.set_ylim(least, 3.0 * np.max(heights))
    ax.set(xlabel=chosen.label, ylabel="density", xlim=(t[0], t[-1]))


def plot_qq(
    fitted: Any,
    X: Any = None,
    *,
    column: Any = None,
    band: float | None = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw the ordered observations against the quantiles of the model.

    The i-th of n ordered observations is drawn at the quantile of (i - 1/2) / n. The band has each
    of them with the given probability if the model is true: F(x_(i)) is Beta(i, n + 1 - i). It does
    not allow for estimated parameters, which bring points closer to the line.

    Parameters
    ----------
    fitted : EMResult or NormalMixture
        A fit or a model.
    X : (n, d) array_like or None
        Observations; None takes those that the result remembers.
    column : int, str or None
        Which column, by position or name; None is the only one.
    band : float or None
        Probability of the pointwise band, between 0 and 1; None draws none.
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. Of many observations those near the median are thinned out.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain, the fit had weights and X is not given, or X has
        missing values where the fit had none.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.utils.plotting import plot_qq
    >>> X, _ = load_crude_oil()
    >>> plot_qq(nvmix.fit(X), column=1).get_ylabel()
    'column 1'
    """
    chosen = column_of(fitted, X, column)
    level = None if band is None else fraction("band", band)
    ax, law, n = axes_or_new(ax), chosen.law, chosen.x.size
    some = _thinned(n)
    rank = some + 1.0
    q = _quantiles(law, (rank - 0.5) / n, (n - rank + 0.5) / n)
    if level is not None:
        ends = (0.5 * (1.0 - level), 0.5 * (1.0 + level))
        low, high = (
            _quantiles(
                law,
                betaincinv(rank, n + 1.0 - rank, end),
                betaincinv(n + 1.0 - rank, rank, 1.0 - end),
            )
            for end in ends
        )
        ax.fill_between(q, low, high, color="C0", alpha=0.25, lw=0, label=f"{100 * level:g} % band")
    ax.plot(q[[0, -1]], q[[0, -1]], "C0", lw=1.2, label="model")
    ax.plot(q, chosen.x[some], "o", color=GREY, ms=3.5, mew=0, alpha=0.8, label="data", zorder=3)
    ax.set(xlabel=f"quantile of {_name(chosen)}", ylabel=chosen.label)
    ax.legend(fontsize="small", loc="upper left")
    return ax


def plot_tails(
    fitted: Any,
    X: Any = None,
    *,
    column: Any = None,
    gaussian: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw both tail probabilities against the distance from the median, on logarithmic scales.

    Power laws are straight lines there, exponential tails bend down.

    Parameters
    ----------
    fitted : EMResult or NormalMixture
        A fit or a model.
    X : (n, d) array_like or None
        Observations; None takes those that the result remembers.
    column : int, str or None
        Which column, by position or name; None is the only one.
    gaussian : bool
        Whether to draw the tails of the normal distribution with the mean and variance of the data,
        too.
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. The k-th of n observations from an end is drawn at probability (k - 1/2) / n.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain, the fit had weights and X is not given, or X has
        missing values where the fit had none.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.utils.plotting import plot_tails
    >>> X, _ = load_crude_oil()
    >>> plot_tails(nvmix.fit(X), column=1).get_xscale()
    'log'
    """
    chosen = column_of(fitted, X, column)
    gaussian = boolean("gaussian", gaussian)
    ax, law, x, n = axes_or_new(ax), chosen.law, chosen.x, chosen.x.size
    centre = law.median()
    nearest = 0.2 * (law.ppf(0.75) - law.ppf(0.25))
    farthest = max(abs(x[0] - centre), abs(x[-1] - centre), nearest)
    t = np.geomspace(min(nearest, 0.1 * farthest), 1.3 * farthest, _POINTS)
    order = _thinned(n)
    for sign, tail, color, marker in ((1.0, law.sf, "C0", "o"), (-1.0, law.cdf, "C1", "s")):
        away = (sign * (x - centre))[:: -int(sign)][order]
        beyond = away > t[0]
        probability = (order + 0.5) / n
        side = "above" if sign > 0.0 else "below"
        ax.plot(
            away[beyond], probability[beyond], marker, color=color, ms=4, mfc="none", mew=0.8,
            label=f"data {side}",
        )  # fmt: skip
        ax.plot(t, tail(centre + sign * t), color=color, label=f"{_name(chosen)} {side}")
        if gaussian and x[0] < x[-1]:
            z = (x.mean() - centre - sign * t) / (sign * x.std())
            ax.plot(t, np.exp(log_ndtr(z)), ":", color=color, lw=1.2, label=f"normal {side}")
    ax.set(
        xscale="log", yscale="log", xlim=(t[0], t[-1]), ylim=(0.2 / n, 1.0),
        xlabel=f"distance of {chosen.label} from the median {centre:.3g}",
        ylabel="probability beyond",
    )  # fmt: skip
    if t[-1] < _DECADES * t[0]:
        # Names of all ticks would overlap, and those of powers of 10 be one or two.
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(fontsize="small", loc="lower left")
    return ax


def _name(chosen: Column) -> str:
    """Name of the family of a law."""
    return type(chosen.law).__name__


def _bars(x: FloatArray) -> int:
    """Number of bars of sorted observations, by the rule of Freedman and Diaconis."""
    low, high = np.quantile(x, (0.25, 0.75))
    width = 2.0 * (high - low) / np.cbrt(x.size)
    return int(np.clip(np.ceil((x[-1] - x[0]) / width), 10, _BARS)) if width > 0.0 else _BARS


def _thinned(n: int) -> IntArray:
    """Positions among n ordered observations: all at the ends, fewer and fewer towards the middle.

    They are those of its mirror image, too.
    """
    if n <= 2 * (_END + _OTHERS):
        return np.arange(n)
    others = np.geomspace(_END, (n - 1) // 2, _OTHERS).round().astype(int)
    half = np.concatenate([np.arange(_END), others])
    return np.unique(np.concatenate([half, n - 1 - half]))


def _quantiles(law: Any, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Points with these probabilities below and above: by the smaller of the two."""
    below = lower <= 0.5
    points: FloatArray = np.where(below, law.ppf(lower), law.isf(upper))
    return points
