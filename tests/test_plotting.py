"""Plots: what they show, where they draw, and that they leave matplotlib as it was."""

import math

import numpy as np
import pandas as pd
import pytest
from conftest import make

import nvmix
from nvmix import NormalInverseGaussian, StudentT, VarianceGamma, risk
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


X, NAMES = load_crude_oil()


@pytest.fixture(scope="module")
def result():
    return nvmix.fit(pd.DataFrame(X, columns=["Brent", "WTI"]))


@pytest.fixture
def plt():
    """matplotlib.pyplot, whose figures are closed and whose settings must not change."""
    import matplotlib.pyplot as plt

    plt.close("all")
    before = dict(plt.rcParams)
    yield plt
    assert dict(plt.rcParams) == before
    plt.close("all")


def line_of(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line


PLOTS = {
    "histogram": lambda result, ax=None: plotting.plot_histogram(result, column=0, ax=ax),
    "qq": lambda result, ax=None: plotting.plot_qq(result, column=0, ax=ax),
    "tails": lambda result, ax=None: plotting.plot_tails(result, column=0, ax=ax),
    "contributions": lambda result, ax=None: plotting.plot_contributions(result, [0.5, 1], ax=ax),
}


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", PLOTS)
def test_plots_draw_where_they_are_told_to(result, plt, name, style):
    plot = PLOTS[name]
    with plt.style.context(style):
        figure, ax = plt.subplots()
        assert plot(result, ax) is ax
        assert len(plt.get_fignums()) == 1
        other = plot(result)
        assert other is not ax
        assert len(plt.get_fignums()) == 2
        figure.canvas.draw()
        other.figure.canvas.draw()
        # A line in the background's colour would be invisible.
        background = ax.get_facecolor()[:3]
        for line in ax.lines:
            assert plt.matplotlib.colors.to_rgb(line.get_color()) != background


@pytest.mark.parametrize("log", [False, True])
def test_a_histogram_has_the_density(result, plt, log):
    ax = plotting.plot_histogram(result, column="WTI", log=log)
    assert ax.get_yscale() == ("log" if log else "linear")
    assert ax.get_xlabel() == "WTI"
    area = sum(patch.get_height() * patch.get_width() for patch in ax.patches)
    assert area == pytest.approx(1.0, rel=1e-12)
    line = line_of(ax, "NormalInverseGaussian")
    np.testing.assert_array_equal(line.get_ydata(), result.model.marginal(1).pdf(line.get_xdata()))
    normal = line_of(ax, "normal")
    expected = math.exp(-0.5) / (X[:, 1].std() * math.sqrt(2.0 * math.pi))
    at = np.interp(X[:, 1].mean() + X[:, 1].std(), *normal.get_data())
    assert at == pytest.approx(expected, rel=1e-3)
    assert len(plotting.plot_histogram(result, column=1, bins=7, gaussian=False).patches) == 7


def test_a_pole_and_wide_data_are_drawn(plt):
    model = VarianceGamma.from_classical(mu=0.0, gamma=0.0, sigma=1.0, alpha=0.3, beta=1.0)
    ax = plotting.plot_histogram(model, np.linspace(-1.0, 1.0, 400))
    assert not np.isinf(line_of(ax, "VarianceGamma").get_ydata()).any()
    cauchy = StudentT.from_classical(mu=[0.0], sigma=[[1.0]], df=1.0)
    rows = cauchy.rvs(20_000, seed=0)
    assert len(plotting.plot_histogram(cauchy, rows, log=True).patches) == 150
    assert len(line_of(plotting.plot_qq(cauchy, rows), "data").get_xdata()) < 1500


def test_quantiles_are_those_of_the_model_with_a_band(result, plt):
    law, n = result.model.marginal(0), len(X)
    ax = plotting.plot_qq(result, column=0, band=0.9)
    x, y = line_of(ax, "data").get_data()
    np.testing.assert_array_equal(y, np.sort(X[:, 0]))
    np.testing.assert_allclose(law.cdf(x), (np.arange(n) + 0.5) / n, rtol=1e-10)
    assert ax.get_xlabel() == "quantile of NormalInverseGaussian"
    (band,) = ax.collections
    vertices = band.get_paths()[0].vertices
    # The extreme order statistics have closed forms: P(X_(1) > x) = (1 - F(x))^n.
    ends = vertices[np.isclose(vertices[:, 0], x[0])][:, 1]
    np.testing.assert_allclose(
        [ends.min(), ends.max()], law.ppf(-np.expm1(np.log([0.95, 0.05]) / n)), rtol=1e-9
    )
    assert not plotting.plot_qq(result, column=0, band=None).collections


def test_bands_cover_simulated_order_statistics(plt):
    model, n = make(NormalInverseGaussian, 1), 50
    draws = np.sort(model.rvs(200 * n, seed=0).reshape(200, n), axis=1)
    (band,) = plotting.plot_qq(model, draws[0], band=0.8).collections
    vertices = band.get_paths()[0].vertices
    q = model.ppf((np.arange(n) + 0.5) / n)
    bounds = [np.sort(vertices[np.isclose(vertices[:, 0], x)][:, 1])[[0, -1]] for x in q]
    low, high = np.array(bounds).T
    assert ((draws > low) & (draws < high)).mean() == pytest.approx(0.8, abs=0.02)


def test_tails_are_probabilities_on_both_sides(result, plt):
    law = result.model.marginal(0)
    ax = plotting.plot_tails(result, column=0)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    above, below = (line_of(ax, f"NormalInverseGaussian {side}") for side in ("above", "below"))
    np.testing.assert_array_equal(above.get_ydata(), law.sf(law.median() + above.get_xdata()))
    np.testing.assert_array_equal(below.get_ydata(), law.cdf(law.median() - below.get_xdata()))
    x, y = line_of(ax, "data below").get_data()
    assert x[0] == law.median() - X[:, 0].min()
    assert y[0] == 0.5 / len(X)
    assert len(plotting.plot_tails(result, column=0, gaussian=False).lines) == 4


def test_pairs_have_contours_and_margins(result, plt):
    axes = plotting.plot_pairs(result)
    assert axes.shape == (2, 2)
    assert not axes[0, 1].get_visible()
    assert axes[1, 0].get_xlabel() == "Brent"
    assert axes[1, 0].get_ylabel() == "WTI"
    (contours,) = axes[1, 0].collections
    # Half of the draws are in the innermost of three contours.
    assert len(contours.levels) == 3
    inside = result.model.log_prob(result.model.rvs(10_000, seed=5)) > contours.levels[:, None]
    np.testing.assert_allclose(inside.mean(axis=1), [0.99, 0.9, 0.5], atol=0.02)
    figure, given = plt.subplots(2, 2)
    assert (plotting.plot_pairs(result, columns=["WTI", "Brent"], ax=given) == given).all()
    assert given[1, 1].get_xlabel() == "Brent"
    figure.canvas.draw()
    wide = make(nvmix.VarianceGamma, 3)
    assert plotting.plot_pairs(wide, wide.rvs(5000, seed=0)).shape == (3, 3)


def test_contributions_are_bars(result, plt):
    weights = {"WTI": 1.0, "Brent": -0.2}
    ax = plotting.plot_contributions(result, weights, 0.95, "var")
    expected = risk.contributions(result.model, weights, 0.95, "var")
    assert [bar.get_width() for bar in ax.patches] == expected.tolist()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Brent", "WTI"]
    assert ax.get_title() == f"Value at risk at 95 %: {expected.sum():.4g}"


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda _: plotting.plot_qq("nig"), TypeError, "fitted must be an EMResult or a model"),
        (lambda r: plotting.plot_qq(r.model, column=0), ValueError, "X must be given"),
        (plotting.plot_qq, ValueError, "column must be the position or name"),
        (lambda r: plotting.plot_qq(r, column="oil"), ValueError, "column must be among .*'oil'"),
        (lambda r: plotting.plot_qq(r, column=[0, 1]), ValueError, r"one column, got \[0, 1\]"),
        (lambda r: plotting.plot_qq(r, column=0, band=95), ValueError, "band must be .* got 95"),
        (lambda r: plotting.plot_qq(r, column=0, ax="here"), TypeError, "ax must be an Axes"),
        (lambda r: plotting.plot_qq(r, [[1.0, np.nan]], column=0), ValueError, "X must be finite"),
        (lambda r: plotting.plot_histogram(r, column=0, bins=0), ValueError, "bins must be at"),
        (lambda r: plotting.plot_histogram(r, column=0, log=1), TypeError, "log must be True or"),
        (lambda r: plotting.plot_tails(r, column=0, gaussian="no"), TypeError, "gaussian must be"),
        (lambda r: plotting.plot_pairs(r, columns=[0]), ValueError, "columns must be at least two"),
        (lambda r: plotting.plot_pairs(r, probabilities=[2]), ValueError, "probabilities must be"),
        (lambda r: plotting.plot_pairs(r, ax=[1, 2]), ValueError, r"ax must be a \(2, 2\) array"),
        (lambda r: plotting.plot_contributions(r, [[1, 0], [0, 1]]), ValueError, "one portfolio"),
        (lambda r: plotting.plot_contributions(r, [1, 0], 1.0), ValueError, "level must be"),
    ],
)
def test_bad_arguments_are_named_before_a_figure_is_made(result, plt, call, error, match):
    with pytest.raises(error, match=match):
        call(result)
    assert not plt.get_fignums()
