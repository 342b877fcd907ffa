"""Estimators of scikit-learn: its own checks, and what its users do with estimators."""

import pickle
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import nvmix
from nvmix.datasets import load_crude_oil

# ruff: noqa: E402
sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone, is_outlier_detector
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nvmix.estimators import NormalMixtureEstimator, NormalMixtureOutliers

X, COLUMNS = load_crude_oil()
FRAME = pd.DataFrame(X, columns=COLUMNS)


def _expected_to_fail(estimator):
    name = "check_sample_weight_equivalence_on_dense_data"
    if isinstance(estimator, NormalMixtureEstimator):
        return {name: "its data have more columns than rows"}
    return {}


# Grids of integers and nearly normal rows are no data of these families, and fits say so.
@pytest.mark.filterwarnings("ignore::nvmix.ConvergenceWarning")
@parametrize_with_checks(
    [
        NormalMixtureEstimator(max_iter=20),
        NormalMixtureEstimator("gh", missing="em", max_iter=5),
        NormalMixtureOutliers(NormalMixtureEstimator("t", max_iter=20)),
    ],
    expected_failed_checks=_expected_to_fail,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return NormalMixtureEstimator(random_state=0).fit(FRAME)


def test_weights_are_repetitions_of_rows():
    """The check that scikit-learn makes of data with more columns than rows, on other data."""
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    settings = {"criterion": "likelihood", "tol": 1e-11}
    weighted = NormalMixtureEstimator(**settings).fit(X, sample_weight=weights)
    repeated = NormalMixtureEstimator(**settings).fit(X.repeat(weights, axis=0))
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), rtol=1e-5)


def test_fitted_attributes_are_those_of_the_fit(fitted):
    result = nvmix.fit(X)
    assert fitted.model_.columns == tuple(COLUMNS)
    assert list(fitted.feature_names_in_) == list(COLUMNS)
    assert fitted.n_features_in_ == 2
    assert fitted.result_.log_likelihood == result.log_likelihood
    assert (fitted.n_iter_, fitted.converged_) == (result.n_iter, True)
    assert fitted.n_parameters_ == result.n_parameters
    np.testing.assert_array_equal(fitted.mean_, result.model.mean())
    np.testing.assert_array_equal(fitted.covariance_, result.model.cov())
    np.testing.assert_array_equal(fitted.score_samples(FRAME), result.model.log_prob(X))
    assert fitted.score(FRAME) == pytest.approx(result.log_likelihood / len(X), rel=1e-12)
    assert fitted.aic(FRAME) == pytest.approx(result.aic, rel=1e-12)
    assert fitted.bic(FRAME) == pytest.approx(result.bic, rel=1e-12)
    assert fitted.score(FRAME, sample_weight=[1.0] + [0.0] * 390) == fitted.score_samples(FRAME)[0]


def test_pickles_and_clones(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(FRAME), fitted.score_samples(FRAME))
    cloned = clone(fitted)
    assert not hasattr(cloned, "model_")
    assert cloned.get_params() == fitted.get_params()


def test_what_scikit_learn_does_not_check_is_refused(fitted):
    with pytest.raises(ValueError, match="The feature names should match"):
        fitted.score_samples(FRAME.iloc[:, ::-1])
    with pytest.raises(ValueError, match=r"(?i)weights must (not all be 0|contain at least one)"):
        NormalMixtureEstimator().fit(X, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match=re.escape("more rows than columns")):
        NormalMixtureEstimator().fit(X[:2])
    with pytest.raises(ValueError, match="family must be one of"):
        NormalMixtureEstimator("cauchy").fit(X)
    with pytest.raises(ValueError, match="max_iter must be at least 1"):
        NormalMixtureEstimator(max_iter=0).fit(X)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        fitted.sample(0)


def test_a_fit_that_does_not_converge_warns_where_it_is_called():
    with pytest.warns(nvmix.ConvergenceWarning, match="raise max_iter") as caught:
        estimator = NormalMixtureEstimator(max_iter=1).fit(X)
    assert caught[0].filename == __file__
    assert not estimator.converged_


def test_a_warm_start_goes_on_from_the_model():
    estimator = NormalMixtureEstimator(warm_start=True).fit(FRAME)
    cold = estimator.n_iter_
    assert estimator.fit(FRAME).n_iter_ < cold
    assert estimator.set_params(family="vg").fit(FRAME).model_.law_names == ("alpha", "beta")
    assert estimator.fit(X[:, :1]).n_features_in_ == 1


def test_missing_values():
    holes = FRAME.mask(np.random.default_rng(1).random(X.shape) < 0.1).dropna(how="all")
    estimator = NormalMixtureEstimator(missing="em").fit(holes)
    expected = nvmix.fit(holes.to_numpy(), missing="em")
    assert estimator.score(holes) * len(holes) == pytest.approx(expected.log_likelihood, rel=1e-12)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        NormalMixtureEstimator().fit(holes)


def test_arguments_are_checked_by_fit_and_named():
    for settings, message in (
        ({"n_init": "a"}, "n_init must be an integer"),
        ({"random_state": "a"}, "'a' cannot be used to seed"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            NormalMixtureEstimator(**settings).fit(FRAME)
    constant = FRAME.assign(**{FRAME.columns[1]: 0.0})
    with pytest.raises(ValueError, match=f"a constant column, got column {FRAME.columns[1]} "):
        NormalMixtureEstimator().fit(constant)
    twice = FRAME.set_axis(["a"] * FRAME.shape[1], axis=1)
    for fit in (NormalMixtureEstimator().fit, NormalMixtureEstimator().partial_fit):
        with pytest.raises(ValueError, match=r"'a' (2 times|twice)"):
            fit(twice)


def test_draws(fitted):
    np.testing.assert_array_equal(fitted.sample(5), fitted.sample(5))
    state = np.random.RandomState(3)
    drawn = clone(fitted).set_params(random_state=state).fit(FRAME)
    assert (drawn.sample(5) != drawn.sample(5)).all()


LAW = nvmix.NormalInverseGaussian.from_classical(
    mu=[0.0, 0.0, 0.0], gamma=[-0.3, 0.2, 0.1],
    sigma=[[1.0, 0.5, 0.2], [0.5, 1.0, 0.3], [0.2, 0.3, 1.0]], mu_ig=1.0, lam=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def estimator():
    """An estimator whose fitted model is LAW."""
    estimator = NormalMixtureEstimator(random_state=0)
    estimator.fit(pd.DataFrame(LAW.rvs(500, 0), columns=["a", "b", "c"]))
    estimator.model_ = replace(LAW, columns=("a", "b", "c"))
    return estimator


class TestConditioning:
    def agree(self, rows, expected):
        error = np.sqrt(rows.var(axis=0) / len(rows) + expected.var(axis=0) / len(expected))
        assert (np.abs(rows.mean(axis=0) - expected.mean(axis=0)) <= 4.0 * error + 1e-15).all()

    def test_on_values(self, estimator):
        rows = estimator.sample(4000, conditioning={"b": 1.5})
        assert (rows[:, 1] == 1.5).all()
        exact = LAW.conditional({1: 1.5})
        error = np.sqrt(exact.var() / 4000)
        assert (np.abs(rows[:, [0, 2]].mean(axis=0) - exact.mean()) < 4.0 * error).all()
        each = estimator.sample(4000, conditioning={1: np.full(4000, 1.5)})
        self.agree(each, rows)

    @pytest.mark.parametrize(
        "ranges",
        [
            {"a": (None, -1.5)},
            {"c": (1.0, 2.0)},
            {"a": (None, 0.3), "b": (0.5, None)},
            {"a": (-1, 1), "b": (0.0, 0.5), "c": (1.0, 2.0)},
        ],
        ids=str,
    )
    def test_on_ranges(self, estimator, ranges):
        everything = LAW.rvs(400_000, 1)
        inside = np.ones(len(everything), bool)
        rows = estimator.sample(3000, conditioning=ranges)
        for name, ends in ranges.items():
            column = "abc".index(name)
            low, high = -np.inf if ends[0] is None else ends[0], ends[1] or np.inf
            inside &= (everything[:, column] >= low) & (everything[:, column] <= high)
            assert ((rows[:, column] >= low) & (rows[:, column] <= high)).all()
        self.agree(rows, everything[inside])
        self.agree(rows**2, everything[inside] ** 2)

    def test_far_in_a_tail(self, estimator):
        """Where hardly a draw would ever be."""
        for ends in ((None, -40.0), (40.0, None)):
            rows = estimator.sample(50, conditioning={"c": ends})
            assert (np.abs(rows[:, 2]) >= 40.0).all()
            assert np.isfinite(rows).all()

    def test_on_values_and_ranges(self, estimator):
        rows = estimator.sample(20, conditioning={"a": np.linspace(-2, 2, 20), "c": (0.0, 0.1)})
        np.testing.assert_array_equal(rows[:, 0], np.linspace(-2, 2, 20))
        assert ((rows[:, 2] >= 0.0) & (rows[:, 2] <= 0.1)).all()

    @pytest.mark.parametrize(
        ("conditioning", "message"),
        [
            ({"z": 1.0}, "must be among the columns of the model, a, b, c"),
            ({"a": [1.0, 2.0]}, re.escape("numbers, or 5 of them, got shape (2,)")),
            ({"a": (1.0, 0.0)}, "low < high"),
            ({"a": (0.0, 1.0, 2.0)}, "low < high"),
            ({"a": 0.0, "b": 0.0, "c": 0.0}, "must leave at least one"),
            ({"a": (1e9, None)}, "ranges of some probability"),
            ({"a": (9.0, None), "b": (None, -9.0)}, "ranges of some probability"),
        ],
        ids=str,
    )
    def test_that_cannot_be(self, estimator, conditioning, message):
        with pytest.raises(ValueError, match=message):
            estimator.sample(5, conditioning=conditioning)


class TestPartialFits:
    def test_are_steps_of_incremental_em(self):
        estimator, fitter = NormalMixtureEstimator(), nvmix.IncrementalEMFitter()
        start = nvmix.NormalInverseGaussian.default_init(X[:200])
        for batch in (X[:200], X[200:300], X[300:301]):
            estimator.partial_fit(pd.DataFrame(batch, columns=COLUMNS))
            fitter.partial_fit(batch, model=start)
        np.testing.assert_array_equal(estimator.score_samples(FRAME), fitter.model.log_prob(X))
        assert estimator.n_iter_ == 3
        assert estimator.model_.columns == tuple(COLUMNS)
        again = pickle.loads(pickle.dumps(estimator)).partial_fit(FRAME)
        np.testing.assert_array_equal(again.mean_, estimator.partial_fit(FRAME).mean_)

    def test_go_on_from_a_fit(self):
        estimator = NormalMixtureEstimator().fit(FRAME)
        before = estimator.score(FRAME)
        estimator.partial_fit(FRAME)
        assert not hasattr(estimator, "result_")
        assert estimator.score(FRAME) == pytest.approx(before, rel=1e-3)
        assert estimator.fit(FRAME).score(FRAME) == before

    def test_have_no_settings_of_batches(self):
        with pytest.raises(AttributeError) as error:
            NormalMixtureEstimator(symmetric=True).partial_fit(X)
        assert "symmetric must be False for partial_fit, got True" in str(error.getrepr())
        assert not hasattr(NormalMixtureEstimator("normal"), "partial_fit")


class TestSelection:
    def test_of_families_in_time(self):
        search = GridSearchCV(
            NormalMixtureEstimator(),
            {"family": ["nig", "skewt", nvmix.MultivariateNormal], "symmetric": [True, False]},
            cv=TimeSeriesSplit(3),
        )
        search.fit(FRAME)
        assert search.best_params_["family"] != nvmix.MultivariateNormal
        assert search.score(FRAME) == search.best_estimator_.score(FRAME)

    def test_in_processes(self):
        one = cross_val_score(NormalMixtureEstimator(), X, cv=3)
        two = cross_val_score(NormalMixtureEstimator(), X, cv=3, n_jobs=2)
        np.testing.assert_array_equal(one, two)

    def test_in_a_pipeline(self):
        pipeline = make_pipeline(StandardScaler(), NormalMixtureEstimator("vg")).fit(FRAME)
        scaled = StandardScaler().fit_transform(X)
        expected = nvmix.fit(scaled, "vg").log_likelihood / len(X)
        assert pipeline.score(FRAME) == pytest.approx(expected, rel=1e-12)

    def test_with_weights_that_are_routed(self):
        weights = 0.99 ** np.arange(len(X))[::-1]
        estimator = NormalMixtureEstimator()
        expected = estimator.fit(StandardScaler().fit_transform(X), sample_weight=weights).mean_
        with sklearn.config_context(enable_metadata_routing=True):
            estimator = (
                NormalMixtureEstimator()
                .set_fit_request(sample_weight=True)
                .set_score_request(sample_weight=True)
            )
            scaler = StandardScaler().set_fit_request(sample_weight=False)
            pipeline = make_pipeline(scaler, estimator).fit(X, sample_weight=weights)
            np.testing.assert_array_equal(pipeline[-1].mean_, expected)
            weighted = cross_val_score(estimator, X, cv=3, params={"sample_weight": weights})
        assert (weighted != cross_val_score(estimator, X, cv=3)).all()


class TestOutliers:
    def test_are_the_share_of_rows_that_was_asked_for(self):
        detector = NormalMixtureOutliers(NormalMixtureEstimator("skewt"), contamination=0.02)
        labels = detector.fit_predict(FRAME)
        assert is_outlier_detector(detector)
        assert (labels == -1).sum() == 8
        densities = detector.score_samples(FRAME)
        assert densities[labels == -1].max() < densities[labels == 1].min()

    def test_with_missing_values(self):
        holes = FRAME.mask(np.random.default_rng(1).random(X.shape) < 0.1).dropna(how="all")
        detector = NormalMixtureOutliers(NormalMixtureEstimator(missing="em"))
        assert (detector.fit_predict(holes) == -1).any()

    @pytest.mark.parametrize("share", [0.0, 0.6, np.nan])
    def test_of_a_share_that_cannot_be(self, share):
        with pytest.raises(ValueError, match="contamination"):
            NormalMixtureOutliers(contamination=share).fit(X)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    for name in ("density", "outliers", "scores"):
        monkeypatch.delitem(sys.modules, f"nvmix.estimators.{name}")
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    for name in nvmix.estimators.__all__:
        with pytest.raises(ImportError, match=re.escape("pip install 'nvmix[sklearn]'")):
            getattr(nvmix.estimators, name)
    with pytest.raises(AttributeError, match="no attribute 'Estimator'"):
        nvmix.estimators.Estimator  # noqa: B018
    assert dir(nvmix.estimators) == ["NormalMixtureEstimator", "NormalMixtureOutliers"]
