"""Densities beside each other on a linear and on a logarithmic scale, for these pages."""

import matplotlib.pyplot as plt

# The colour-blind safe colours of Okabe and Ito, with line styles that differ in grey too.
LINES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"))


def densities(x, *rows, lowest=1e-6, highest=None, xlabel="x"):
    """A figure with two panels for each of `rows`, which are dicts of laws by their labels."""
    figure, grid = plt.subplots(
        len(rows), 2, figsize=(7.0, 2.6 * len(rows) + 0.3), squeeze=False, layout="constrained"
    )
    for axes, laws in zip(grid, rows, strict=True):
        for ax, scale in zip(axes, ("linear", "log"), strict=True):
            for (label, law), (colour, style) in zip(laws.items(), LINES, strict=False):
                ax.plot(x, law.pdf(x), style, color=colour, label=label, linewidth=1.6)
            ax.set(yscale=scale, xlim=(x[0], x[-1]), xlabel=xlabel)
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(alpha=0.25)
        axes[0].set(ylim=(0.0, highest), ylabel="density")
        axes[1].set(ylim=(lowest, highest and 2.0 * highest), ylabel="density, log scale")
        axes[0].legend(fontsize="small", frameon=False)
    return figure
