"""Densities beside each other on a linear and on a logarithmic scale, for these pages."""

import matplotlib.pyplot as plt
import numpy as np

# The colour-blind safe colours of Okabe and Ito, with line styles that differ in grey too.
LINES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"))


def densities(x, *rows, lowest=1e-6, highest=np.inf, xlabel="x"):
    """Show two panels for each of `rows`, which are dicts of laws by their labels.

    The linear panel shows the middle half of x, if that has both signs.
    """
    _, grid = plt.subplots(
        len(rows), 2, figsize=(7.6, 2.4 * len(rows) + 0.2), squeeze=False, layout="constrained"
    )
    for axes, laws in zip(grid, rows, strict=True):
        for (label, law), (colour, style) in zip(laws.items(), LINES, strict=False):
            for ax in axes:
                ax.plot(x, law.pdf(x), style, color=colour, label=label, linewidth=1.6)
        top = min(highest, max(law.pdf(x).max() for law in laws.values()))
        middle = 0.5 if x[0] < 0.0 else 1.0
        axes[0].set(ylim=(0.0, 1.05 * top), xlim=(middle * x[0], middle * x[-1]))
        axes[0].set_ylabel("density")
        axes[1].set(yscale="log", ylim=(lowest, 2.0 * top), xlim=(x[0], x[-1]))
        axes[1].set_ylabel("log scale")
        axes[1].legend(
            fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5)
        )
        for ax in axes:
            ax.set_xlabel(xlabel)
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(alpha=0.25)
    plt.show()
