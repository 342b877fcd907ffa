"""Plots of fits; requires matplotlib, the extra nvmix[plot].

- `plot_histogram`, `plot_qq` and `plot_tails` of one column, `plot_pairs` of several: the data
  beside the law that was fitted;
- `plot_contributions` of the assets to the risk of a portfolio;
- `plot_convergence` of a fit, and `set_theme`.

Plots draw on the axes that are given, or else on a new figure, and return the axes. They show
nothing and change no settings of matplotlib, but for `set_theme`.
"""

try:
    import matplotlib.pyplot as plt  # noqa: F401
except ImportError as error:
    message = "plots need matplotlib: pip install 'nvmix[plot]'"
    raise ImportError(message) from error

from nvmix.utils.plotting.contributions import plot_contributions
from nvmix.utils.plotting.convergence import plot_convergence, set_theme
from nvmix.utils.plotting.one_column import plot_histogram, plot_qq, plot_tails
from nvmix.utils.plotting.pairs import plot_pairs

__all__ = [
    "plot_contributions",
    "plot_convergence",
    "plot_histogram",
    "plot_pairs",
    "plot_qq",
    "plot_tails",
    "set_theme",
]
