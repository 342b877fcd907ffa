"""The convergence panels."""

import pytest

from nvmix import NormalInverseGaussian
from nvmix.datasets import load_crude_oil

plotting = pytest.importorskip("nvmix.utils.plotting", exc_type=ImportError,
                               reason="matplotlib is not installed")  # fmt: skip


def test_panels_show_the_histories():
    import matplotlib.pyplot as plt

    plotting.set_theme()
    X, _ = load_crude_oil()
    result = NormalInverseGaussian.default_init(X).fit(X)
    figure = plotting.plot_convergence(result, tol=1e-4)
    ascent, change = figure.axes
    assert ascent.lines[0].get_ydata().tolist() == result.log_likelihoods.tolist()
    assert change.lines[0].get_ydata().tolist() == result.param_changes.tolist()
    assert change.get_yscale() == "log"
    assert ascent.get_ylabel() == "mean log-likelihood"
    assert plt.rcParams["axes.grid"]
    plt.close(figure)
