"""DataFrames, Series and their like: names in errors, weights by the index, rows without values."""

import decimal
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import make

import nvmix
from nvmix import NormalInverseGamma, NormalInverseGaussian, Status, StudentT
from nvmix.sources.frames import column_names, numbers_of

X = make(NormalInverseGaussian).rvs(300, seed=0)
DAYS = pd.date_range("2020-01-01", periods=300)
FRAME = pd.DataFrame(X, columns=["a", "b"], index=DAYS)
MISSING = ("raise", "em")


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["x"] * 300, "column 'c' of text such as 'x'"),
        ([str(x) for x in X[:, 0]], "column 'c' of text such as '"),
        (pd.Categorical(["u", "v"] * 150), "column 'c' of text such as 'u'"),
        (DAYS, "column 'c' of dates such as '2020-01-01"),
        (DAYS.tz_localize("UTC"), "column 'c' of dates such as '2020-01-01 00:00:00"),
        ([DAYS[0].date(), *X[1:, 0]], "column 'c' of dates such as '2020-01-01'"),
        (DAYS - DAYS[0], "column 'c' of durations such as '0"),
        ([{}] * 300, "column 'c' of objects such as '{}'"),
    ],
)
def test_columns_that_are_no_numbers_are_named(column, message, missing):
    frame = FRAME.assign(c=column)
    start = NormalInverseGaussian.default_init(X)
    for call in (
        lambda: nvmix.fit(frame, missing=missing),
        lambda: nvmix.fit(frame.c, missing=missing),
        lambda: nvmix.fit(lambda: [frame], missing=missing),
        lambda: start.log_prob(frame, missing=missing),
    ):
        with pytest.raises(TypeError, match=f"must hold real numbers, got {message}"):
            call()


def test_numbers_of_any_type_are_read():
    expected = X.copy()
    for frame in (
        FRAME.convert_dtypes(),
        FRAME.astype("float64[pyarrow]"),
        FRAME.astype("Sparse[float]"),
        FRAME.astype(object),
    ):
        np.testing.assert_array_equal(numbers_of("X", frame), expected)
    expected[3, 0] = np.nan
    for kind, missing in (("Float64", pd.NA), ("float64[pyarrow]", pd.NA), (object, pd.NA)):
        frame = FRAME.astype(kind)
        frame.iloc[3, 0] = missing
        np.testing.assert_array_equal(numbers_of("X", frame), expected)
    exact = pd.DataFrame({"a": [decimal.Decimal("0.5"), None]})
    np.testing.assert_array_equal(numbers_of("X", exact), [[0.5], [np.nan]])


def test_nan_is_found_in_its_column():
    frame = FRAME.astype("Float64")
    frame.iloc[7, 1] = pd.NA
    model = NormalInverseGaussian.default_init(X)
    for call in (
        lambda: nvmix.fit(frame),
        lambda: model.log_prob(frame),
        lambda: model.log_prob(frame.astype(float).iloc[7]),
        lambda: model.e_step(frame),
        lambda: nvmix.fit(frame.b),
    ):
        with pytest.raises(ValueError, match=r"got nan at .*in column 'b'; .* missing='em'"):
            call()
    with pytest.raises(ValueError, match=r"got inf at index \(7, 1\), in column 'b'$"):
        model.fit(frame.fillna(np.inf))
    with pytest.raises(ValueError, match=r"at row 7, column 1 .*missing='em'"):
        nvmix.fit(lambda: [frame])


def test_what_is_no_array_says_what_makes_one():
    class LazyFrame:
        def explain(self):
            """As of polars."""

    class Dataset:
        data_vars = ()

        def __array__(self, *_, **__):
            raise TypeError

    for bad, use in (
        (scipy.sparse.csr_matrix(X), "csr_matrix: give its toarray"),
        (scipy.sparse.coo_array(X), "coo_array: give its toarray"),
        (LazyFrame(), "LazyFrame: give its collect"),
        (Dataset(), "Dataset: give its to_dataframe"),
    ):
        with pytest.raises(TypeError, match=rf"X must be an array, got {use}\(\)"):
            nvmix.fit(bad)


def test_names_of_an_xarray():
    class DataArray:
        dims, coords = ("t", "asset"), {"asset": pd.Series(["spx", "ndx"])}
        ndim, shape = 2, X.shape

        def __array__(self, *_, **__):
            return X

    assert column_names(DataArray()) == ("spx", "ndx")
    assert nvmix.fit(DataArray()).model.columns == ("spx", "ndx")


def test_names_of_columns_are_there_once():
    twice = pd.concat([FRAME, FRAME.iloc[:, :1] ** 2], axis=1)
    name = str(FRAME.columns[0])
    for call in (nvmix.fit, NormalInverseGaussian.default_init):
        with pytest.raises(ValueError, match=rf"different names, got '{name}' twice: rename"):
            call(twice)


def test_columns_in_another_order_say_how_to_choose_them():
    model = NormalInverseGaussian.default_init(FRAME)
    with pytest.raises(ValueError, match=r"got \('b', 'a'\): .* by x\[list\(model.columns\)\]"):
        model.log_prob(FRAME[["b", "a"]])
    with pytest.raises(ValueError, match=r"got \('b', 'c'\)$"):
        model.log_prob(FRAME.set_axis(["b", "c"], axis=1))


def test_weights_go_by_the_index():
    weights = pd.Series(np.linspace(0.5, 1.5, 300), index=DAYS)
    expected = nvmix.fit(X, weights=weights.to_numpy())
    for given in (weights, weights[::-1], pd.concat([weights[9:], weights[:9]])):
        assert nvmix.fit(FRAME, weights=given).log_likelihood == expected.log_likelihood
        (one,) = nvmix.fit_many([FRAME], weights=[given])
        best = nvmix.compare(FRAME, "nig", False, weights=given).best
        assert one.log_likelihood == best.log_likelihood == expected.log_likelihood
        errors = one.standard_errors(FRAME, weights=given).errors
        np.testing.assert_array_equal(errors, expected.standard_errors().errors)
        statistics = expected.model.e_step(FRAME, weights=given)
        assert statistics.weight == pytest.approx(300.0)
        np.testing.assert_allclose(statistics.E_X, expected.model.e_step(
            X, weights=weights.to_numpy()).E_X, rtol=1e-12)  # fmt: skip
    # An array goes by position, and so do weights of rows without an index.
    assert nvmix.fit(X, weights=weights).log_likelihood == expected.log_likelihood
    for bad, why in (
        (weights[:-1], r"got none for Timestamp\('2020-10-26"),
        (weights.reset_index(drop=True), "got none for Timestamp"),
        (pd.concat([weights[:1], weights[:-1]]), "got none for Timestamp"),
        (pd.concat([weights, weights[:1]]), "labels must be unique"),
    ):
        with pytest.raises(ValueError, match=f"weights must have the index of X, .*{why}"):
            nvmix.fit(FRAME, weights=bad)


def test_rows_without_values_are_passed_over_with_a_warning():
    frame = FRAME.copy()
    frame.iloc[5, 0] = np.nan
    frame.iloc[[0, 9]] = np.nan
    weights = pd.Series(np.linspace(0.5, 1.5, 300), index=DAYS)
    kept = np.setdiff1d(np.arange(300), [0, 9])
    expected = nvmix.fit(frame.iloc[kept], missing="em", weights=weights.iloc[kept])
    match = "X has 2 rows of missing values only, the first row 0: passed over"
    for call in (
        lambda: nvmix.fit(frame, missing="em", weights=weights),
        lambda: nvmix.fit_many([frame], missing="em", weights=[weights])[0],
        lambda: nvmix.compare(frame, "nig", False, missing="em", weights=weights).best,
    ):
        with pytest.warns(UserWarning, match=match) as caught:
            result = call()
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert result.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
        assert result.n_observations == pytest.approx(weights.iloc[kept].sum())
        np.testing.assert_allclose(
            result.standard_errors().errors, expected.standard_errors().errors, rtol=1e-6
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start = NormalInverseGaussian.default_init(frame, missing="em")
    np.testing.assert_array_equal(
        start.mu, NormalInverseGaussian.default_init(frame.iloc[kept], missing="em").mu
    )
    with pytest.raises(ValueError, match="more rows than columns"), pytest.warns(match="passed"):
        start.fit(np.full((5, 2), np.nan), missing="em")


def test_degrees_of_freedom_can_be_held():
    for family in (StudentT, NormalInverseGamma):
        result = nvmix.fit(FRAME, family, fixed={"df": 4.0})
        assert result.model.subordinator.parameters["alpha"] == 2.0
        assert "alpha" in result.held
        with pytest.raises(ValueError, match=r"fixed\['df'\] must be positive, got -1.0"):
            nvmix.fit(FRAME, family, fixed={"df": -1.0})
        with pytest.raises(ValueError, match=r"fixed must name some of .* got 'df'"):
            nvmix.fit(FRAME, family, fixed={"df": 4.0, "alpha": 2.0})
    with pytest.raises(ValueError, match=r"fixed must name some of .* got 'df'"):
        nvmix.fit(FRAME, "vg", fixed={"df": 4.0})


def test_ranks_in_any_case_and_what_criterion_is():
    upper, lower = (nvmix.compare(FRAME, "nig", rank_by=by) for by in ("BIC", "bic"))
    assert [r.symmetric for r in upper] == [r.symmetric for r in lower]
    for name in ("bic", "AIC"):
        with pytest.raises(ValueError, match=f"rank by rank_by='{name}'"):
            nvmix.compare(FRAME, "nig", criterion=name)
    with pytest.raises(ValueError, match="rank_by must be one of 'aic', 'bic', got 'hqc'"):
        nvmix.compare(FRAME, "nig", rank_by="hqc")


def test_the_advice_for_an_unbounded_likelihood_names_families_that_take_it():
    message = Status.UNBOUNDED.message
    assert "VarianceGamma or GeneralizedHyperbolic with bounded=True" in message


class TestFramesOfResults:
    def test_densities_keep_an_index(self):
        law = make(NormalInverseGaussian)
        frame = pd.DataFrame(law.rvs(3, 0), index=pd.date_range("2026-01-01", periods=3))
        for method in (law.log_prob, law.logpdf, law.pdf):
            values = method(frame, keep_index=True)
            assert isinstance(values, pd.Series)
            assert values.index.equals(frame.index)
            np.testing.assert_array_equal(values, method(frame.to_numpy()))
        holes = frame.mask(frame > 0.5)
        assert law.log_prob(holes, missing="em", keep_index=True).index.equals(frame.index)
        one = law.marginal(0)
        assert one.log_prob(frame[0], keep_index=True).index.equals(frame.index)
        assert isinstance(one.log_prob(0.5, keep_index=True), float)
        for without in (frame.to_numpy(), frame.to_numpy().tolist()):
            with pytest.raises(TypeError, match="keep_index needs x with an index"):
                law.log_prob(without, keep_index=True)

    def test_draws_have_names(self):
        law = replace(make(NormalInverseGaussian), columns=("a", "b"))
        frame = law.rvs(4, seed=1, as_frame=True)
        assert list(frame.columns) == ["a", "b"]
        np.testing.assert_array_equal(frame, law.rvs(4, seed=1))
        frame, mixing = law.rvs(4, seed=1, as_frame=True, return_mixing=True)
        assert frame.shape == (4, 2)
        assert mixing.shape == (4,)
        assert list(make(NormalInverseGaussian).rvs(2, 0, as_frame=True).columns) == [0, 1]
        with pytest.raises(ValueError, match=r"as_frame needs rows \(n, d\), got the shape \(2, 3"):
            law.rvs(size=(2, 3), as_frame=True)
