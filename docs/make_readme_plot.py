"""Draw docs/fit.png, the picture of the README: python docs/make_readme_plot.py."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import nvmix
from nvmix.datasets import load_crude_oil
from nvmix.utils.plotting import set_theme

# Colours that differ in any kind of colour blindness, by Okabe and Ito (2008).
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "0.75"
# Shares of the months that regions hold, with shades of them, from the largest.
SHADES = {0.999: "#dbe9f4", 0.99: "#a9cbe5", 0.9: "#6aa5d0", 0.5: "#2f7fb8"}
END = 60.0


def main() -> None:
    """Draw the density of WTI's returns, and regions of the law of both prices."""
    mpl.use("Agg")
    set_theme()
    plt.rcParams.update({"font.size": 11, "axes.labelsize": 11})
    X, columns = load_crude_oil()
    model = nvmix.fit(X, family="nig").model
    normal = nvmix.fit(X, family="normal").model
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.7), width_ratios=(1.25, 1), layout="constrained"
    )
    draw_tails(left, X[:, 1], model.marginal(1), normal.marginal(1))
    draw_regions(right, X, model, normal)
    right.set(xlabel=f"{columns[0].capitalize()}, percent", ylabel=f"{columns[1].upper()}, percent")
    figure.savefig(Path(__file__).with_name("fit.png"), dpi=130)


def draw_tails(ax, sample, model, normal) -> None:
    """The density of one column on a logarithmic axis, where tails show."""
    x = np.linspace(-50.0, 50.0, 1001)
    bins = np.arange(-51.0, 52.0, 3.0)
    ax.hist(sample, bins=bins, density=True, color=GREY, label=f"{len(sample)} months")
    ax.plot(x, model.pdf(x), color=BLUE, lw=2.2, label="normal-inverse Gaussian")
    ax.plot(x, normal.pdf(x), "--", color=VERMILION, lw=1.8, label="normal")
    ax.set(yscale="log", ylim=(1e-5, 1.0), xlim=(-50.0, 50.0))
    ax.set(xlabel="WTI crude oil, log-return in percent", ylabel="density")
    ax.legend(loc="upper left", frameon=False)


def draw_regions(ax, X, model, normal) -> None:
    """Regions of highest density of both columns, and the largest of the normal law."""
    x = np.linspace(-END, END, 601)
    grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)

    def surface(law) -> Any:
        return law.log_prob(grid).reshape(len(x), len(x))

    ax.contourf(
        x, x, surface(model), levels=[*_levels(model, SHADES), np.inf], colors=SHADES.values()
    )
    outermost = _levels(normal, [max(SHADES)])
    style = {"colors": VERMILION, "linestyles": "--", "linewidths": 1.8}
    ax.contour(x, x, surface(normal), levels=outermost, **style)
    ax.plot(*X.T, "o", color="0.1", markersize=2.2, markeredgewidth=0.0)
    ax.set(xlim=(-END, END), ylim=(-END, END), aspect="equal")
    keys = [
        Patch(color=shade, label=f"{share:.1%}".replace(".0%", "%"))
        for share, shade in SHADES.items()
    ]
    keys.append(
        Line2D([], [], color=VERMILION, ls="--", lw=1.8, label=f"normal, {max(SHADES):.1%}")
    )
    ax.legend(
        handles=keys, loc="upper left", frameon=False, title="months within", alignment="left"
    )


def _levels(model, shares) -> list[float]:
    """Log-densities that so many draws exceed, from the lowest."""
    densities = model.log_prob(model.rvs(1_000_000, seed=0))
    return sorted(np.quantile(densities, [1.0 - share for share in shares]))


if __name__ == "__main__":
    main()
