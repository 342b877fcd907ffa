"""Draw kv_error.png, errors over the (v, z) plane: python docs/about/make_error_plot.py."""

import runpy
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from nvmix.utils.plotting import set_theme

ERRORS = Path(__file__).parents[2] / "tests" / "reference" / "errors.py"
PANELS = {
    "log_kv": r"$\ln K_v(z)$, relative to max(1, |value|)",
    "kv_ratio": r"$K_{v+1}(z) / K_v(z)$, relative",
    "log_kv_dv": r"$\partial \ln K_v(z) / \partial v$, relative to max(1, |value|)",
}
# Orders below this are drawn at it.
LEAST_ORDER = 1e-9
TICKS = (-300, -50, -10, -5, 0, 5, 10, 50, 300)


def main() -> None:
    """Draw one panel a function, the worst points on top."""
    mpl.use("Agg")
    set_theme()
    errors = runpy.run_path(str(ERRORS))
    table = errors["read_table"]()
    x, y = np.log10(table["z"]), np.log10(np.maximum(table["v"], LEAST_ORDER))
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), sharey=True)
    for axis, (name, title) in zip(axes, PANELS.items(), strict=True):
        size = np.log10(np.maximum(errors["error"](name, table), 1e-17))
        order = np.argsort(size)
        points = axis.scatter(
            x[order], y[order], c=size[order], s=5, cmap="viridis", vmin=-17.0, vmax=-14.0
        )
        axis.set_xscale("symlog", linthresh=10.0)
        axis.set_xticks(TICKS, map(str, TICKS))
        axis.set(title=title, xlabel=r"$\log_{10} z$")
    axes[0].set_ylabel(r"$\log_{10} v$")
    figure.colorbar(points, ax=axes, label=r"$\log_{10}$ error, at 5909 references of mpmath")
    figure.savefig(Path(__file__).with_name("kv_error.png"), dpi=80)


if __name__ == "__main__":
    main()
