"""Draw docs/fit.png, the picture of the README: python docs/make_readme_plot.py."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from nvmix import NormalInverseGaussian
from nvmix.datasets import load_crude_oil
from nvmix.utils.plotting import set_theme


def main() -> None:
    """Draw the density of the oil returns and the contours of the fit."""
    mpl.use("Agg")
    set_theme()
    X, columns = load_crude_oil()
    model = NormalInverseGaussian.default_init(X).fit(X).model
    one = NormalInverseGaussian.default_init(X[:, 1]).fit(X[:, 1]).model
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))

    x = np.linspace(-45.0, 45.0, 400)
    mean, spread = X[:, 1].mean(), X[:, 1].std()
    gauss = np.exp(-0.5 * ((x - mean) / spread) ** 2) / (spread * np.sqrt(2.0 * np.pi))
    left.hist(X[:, 1], bins=60, density=True, color="0.8", label="WTI, monthly")
    left.semilogy(x, one.pdf(x), label="normal-inverse Gaussian")
    left.semilogy(x, gauss, "--", label="Gaussian")
    left.set(ylim=(1e-6, 1.0), xlabel="log-return, percent", ylabel="density")
    left.legend(loc="upper left", fontsize="small")

    u, v = np.meshgrid(x, x)
    log_density = model.log_prob(np.column_stack([u.ravel(), v.ravel()])).reshape(u.shape)
    right.plot(*X.T, ".", color="0.5", markersize=3)
    right.contour(u, v, log_density, levels=np.arange(-16.0, -4.0, 1.5), linewidths=1.0)
    right.set(xlabel=f"{columns[0]}, percent", ylabel=f"{columns[1]}, percent", aspect="equal")
    figure.savefig(Path(__file__).with_name("fit.png"))


if __name__ == "__main__":
    main()
