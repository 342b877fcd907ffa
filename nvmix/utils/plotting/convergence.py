"""The theme, and the convergence of a fit."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from nvmix.fitting.em import EMResult
from nvmix.foundation.validation import instance, nonnegative

_THEME = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def set_theme() -> None:
    """Set matplotlib's defaults to a plain theme: light grid, no frame at the top and right.

    Examples
    --------
    >>> from nvmix.utils.plotting import set_theme
    >>> set_theme()
    """
    plt.rcParams.update(_THEME)


def plot_convergence(result: EMResult, tol: float | None = None) -> Figure:
    """Draw the mean log-likelihood and the parameter change of a fit against the iteration.

    Parameters
    ----------
    result : EMResult
        A fit.
    tol : float or None
        Tolerance, nonnegative, drawn as a line in the panel of parameter changes.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels: mean log-likelihood, and parameter change on a logarithmic scale.

    Raises
    ------
    TypeError, ValueError
        If result is no result of a fit, or tol is not a nonnegative number.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.utils.plotting import plot_convergence
    >>> X, _ = load_crude_oil()
    >>> figure = plot_convergence(NormalInverseGaussian.default_init(X).fit(X), tol=1e-4)
    >>> [axes.get_title() for axes in figure.axes]
    ['Log-likelihood ascent', 'Parameter change']
    """
    instance("result", result, EMResult)
    tol = None if tol is None else nonnegative("tol", tol)
    figure: Figure
    figure, (ascent, change) = plt.subplots(1, 2, figsize=(12, 4.4))
    iterations = np.arange(1, result.n_iter + 1)
    ascent.plot(iterations, result.log_likelihoods)
    ascent.set(xlabel="iteration", ylabel="mean log-likelihood", title="Log-likelihood ascent")
    change.semilogy(iterations, result.param_changes)
    change.set(xlabel="iteration", ylabel="max relative param change", title="Parameter change")
    if tol is not None:
        change.axhline(tol, color="0.5", linestyle="--", linewidth=1, label="tol")
        change.legend(loc="upper right")
    return figure
