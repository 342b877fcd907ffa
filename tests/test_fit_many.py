"""`fit_many` of data with labels: mappings, DataFrames and groups."""

import numpy as np
import pandas as pd
import pytest
from conftest import make

import nvmix
from nvmix import Fits, NormalInverseGaussian, fit_many

X = make(NormalInverseGaussian, 3).rvs(240, seed=0)
FRAME = pd.DataFrame(X, columns=["spx", "ndx", "<b>"])
BY_YEAR = FRAME.assign(year=np.repeat([2020, 2021, 2022], 80))


def same(fits, expected):
    assert isinstance(fits, Fits)
    assert list(fits) == list(expected)
    for label, data in expected.items():
        one = nvmix.fit(data, "nig")
        assert fits[label].log_likelihood == one.log_likelihood
        assert fits[label].model.columns == one.model.columns


def test_columns_of_a_frame_and_of_a_mapping():
    same(fit_many(FRAME, "nig"), {name: FRAME[name] for name in FRAME})
    same(fit_many({7: X, "two": FRAME[["spx", "ndx"]]}), {7: X, "two": FRAME[["spx", "ndx"]]})


def test_groups_are_fitted_without_the_columns_that_they_are_grouped_by():
    years = {year: FRAME[BY_YEAR.year == year] for year in (2020, 2021, 2022)}
    same(fit_many(BY_YEAR.groupby("year"), "nig"), years)
    same(fit_many(FRAME.groupby(BY_YEAR.year), "nig"), years)
    same(fit_many(BY_YEAR.groupby("year")["spx"], "nig"), {y: f.spx for y, f in years.items()})


def test_the_table():
    fits = fit_many(FRAME, "t")
    frame = fits.to_frame()
    assert list(frame.index) == ["spx", "ndx", "<b>"]
    assert frame.df["ndx"] == fits["ndx"].model.df
    assert frame.sigma["spx"] == fits["spx"].model.sigma()[0, 0]
    assert frame.bic["spx"] == fits["spx"].bic
    assert "mu" not in fit_many({"all": X}).to_frame()
    assert len(str(fits).splitlines()) == 4
    assert "&lt;b&gt;" in fits._repr_html_()
    assert repr(fits) == "<Fits of 3 data sets, of which 3 converged>"


def test_weights_by_label_or_in_order():
    w = np.linspace(0.5, 1.5, 240)
    expected = nvmix.fit(FRAME["ndx"], weights=w).log_likelihood
    ones = np.ones(240)
    for weights in (
        {"ndx": w, "spx": ones, "<b>": ones},
        pd.DataFrame({"<b>": ones, "ndx": w, "spx": ones}),
        [ones, w, ones],
    ):
        assert fit_many(FRAME, weights=weights)["ndx"].log_likelihood == expected


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: fit_many(FRAME.assign(ndx="x")), "data set 'ndx': X must hold real numbers"),
        (lambda: fit_many([X, X[:2]]), "data set 1: X must have more rows"),
        (lambda: fit_many(FRAME.set_axis(["a", "b", "a"], axis=1)), "got 'a' twice"),
        (lambda: fit_many(FRAME, weights={"spx": X[:, 0]}), "weights must have the labels of data"),
        (lambda: fit_many(FRAME, weights=[X[:, 0]]), "one array for each of 3 data sets, got 1"),
        (lambda: fit_many(X), r"got \(240, 3\): data\[:, :, None\] has"),
    ],
)
def test_wrong_data(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call()
