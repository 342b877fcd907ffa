"""Comparisons of fits and likelihood-ratio tests."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import make, normal_block
from scipy import stats

from nvmix import (
    BatchEMFitter,
    Comparison,
    GeneralizedHyperbolic,
    MultivariateNormal,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
    compare,
    likelihood_ratio_test,
)
from nvmix.distributions.families import FAMILIES

FITTING = {"max_iter": 5000, "tol": 1e-5}


@pytest.fixture(scope="module")
def data():
    return make(NormalInverseGaussian).rvs(1000, seed=0)


@pytest.fixture(scope="module")
def comparison(data):
    return compare(data, **FITTING)


@pytest.fixture(scope="module")
def fits(comparison):
    """Results by family and by whether gamma was held at 0."""
    return {(type(result.model), result.symmetric): result for result in comparison}


def _fit(family, X, *, symmetric=False):
    return BatchEMFitter(symmetric=symmetric, **FITTING).fit(family.default_init(X), X)


def test_every_family_is_fitted_both_ways_and_ranked(comparison, fits, data):
    assert len(comparison) == len(fits) == 2 * len(FAMILIES) + 1
    criteria = [result.aic for result in comparison if result.converged]
    assert criteria == sorted(criteria)
    assert comparison.best is comparison[0]
    for (family, symmetric), result in fits.items():
        alone = _fit(family, data, symmetric=symmetric)
        np.testing.assert_array_equal(result.model.mu, alone.model.mu)
        assert np.all(result.model.gamma == 0.0) == symmetric
        held = 2 * symmetric if family is not MultivariateNormal else 0
        assert result.n_parameters == result.model.n_parameters - held
        total = len(data) * result.model.marginal_log_likelihood(data)
        assert result.log_likelihood == pytest.approx(total, rel=1e-10)
        assert result.aic == pytest.approx(2.0 * result.n_parameters - 2.0 * total)
        assert result.bic == pytest.approx(result.n_parameters * np.log(1000.0) - 2.0 * total)


def test_families_by_name_by_class_and_several(data):
    assert [type(r.model) for r in compare(data, "vg", symmetric=True)] == [VarianceGamma]
    mixed = compare(data, ["skewt", NormalInverseGaussian], symmetric=[False], **FITTING)
    assert {type(r.model) for r in mixed} == {NormalInverseGamma, NormalInverseGaussian}


def test_a_fit_that_did_not_converge_is_last_and_marked(data):
    comparison = compare(data, ["nig", "skewt"], max_iter=3)
    assert not any(result.converged for result in comparison)
    assert repr(comparison).count("max_iter *") == len(comparison)
    assert "* did not converge" in comparison._repr_html_()
    with pytest.raises(ValueError, match="no fit converged"):
        _ = comparison.best
    some = compare(data, ["nig", "vg"], symmetric=False, **FITTING)
    both = Comparison((*some, *comparison))
    assert both.best is some[0]


def test_table_frame_and_rows(comparison):
    lines = repr(comparison).splitlines()
    assert len({len(line) for line in lines[: len(comparison) + 1]}) == 1
    assert lines[0].split() == [
        "family", "symmetric", "log-likelihood", "k", "AIC", "BIC", "status", "seconds",
    ]  # fmt: skip
    assert comparison._repr_html_().count("<tr>") == len(comparison) + 1
    frame = comparison.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame["aic"].tolist() == [result.aic for result in comparison]
    assert list(frame.columns) == [
        "family", "symmetric", "log_likelihood", "n_parameters", "aic", "bic", "status",
        "converged", "elapsed_time",
    ]  # fmt: skip
    assert isinstance(comparison[:2], Comparison)
    assert comparison[:2][1] is comparison[1]


def test_names_of_columns_are_kept(data):
    frame = pd.DataFrame(data, columns=["x", "y"])
    assert compare(frame, "nig", symmetric=False).best.model.columns == ("x", "y")


def test_bad_arguments_raise(data):
    with pytest.raises(ValueError, match="families"):
        compare(data, "cauchy")
    with pytest.raises(ValueError, match="rank_by must be one of 'aic', 'bic', got 'hqc'"):
        compare(data, "nig", rank_by="hqc")
    with pytest.raises(TypeError, match=r"families must be a name .* got int"):
        compare(data, [int])
    with pytest.raises(TypeError, match="tolerance"):
        compare(data, "nig", tolerance=1.0)


def test_symmetry_is_tested_by_chi_squared(fits):
    null, alternative = (fits[NormalInverseGaussian, side] for side in (True, False))
    test = likelihood_ratio_test(null, alternative)
    assert test.df == 2
    gain = alternative.log_likelihood - null.log_likelihood
    assert test.statistic == pytest.approx(2.0 * gain)
    assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, 2))
    assert test.null == "symmetric NormalInverseGaussian"
    assert test.alternative == "NormalInverseGaussian"
    assert "2 degrees of freedom" in test.message


def test_a_special_case_is_tested_within_the_wide_family(fits):
    null, alternative = fits[NormalInverseGaussian, False], fits[GeneralizedHyperbolic, False]
    test = likelihood_ratio_test(null, alternative)
    assert test.df == 1
    assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, 1))
    assert test.pvalue > 0.01


@pytest.mark.parametrize("family", [VarianceGamma, NormalInverseGamma])
@pytest.mark.parametrize("symmetric", [False, True])
def test_a_limit_is_tested_by_a_mixture(fits, family, symmetric):
    null, alternative = fits[family, symmetric], fits[GeneralizedHyperbolic, False]
    df = 1 + 2 * symmetric
    with pytest.warns(UserWarning, match="boundary"):
        test = likelihood_ratio_test(null, alternative)
    assert test.df == df
    below = stats.chi2.sf(test.statistic, df - 1) if df > 1 else 0.0
    assert test.statistic > 0.0
    assert test.pvalue == pytest.approx(0.5 * (below + stats.chi2.sf(test.statistic, df)))
    assert f"chi-squared with {df - 1} and {df} degrees" in test.message


def test_an_alternative_that_ends_at_the_boundary_tells_nothing():
    true = VarianceGamma.from_classical(**normal_block(1), alpha=4.0, beta=4.0)
    for seed in range(20):
        X = true.rvs(1000, seed=seed)
        null = _fit(VarianceGamma, X)
        wide = GeneralizedHyperbolic.from_classical(
            mu=null.model.mu, gamma=null.model.gamma, sigma=null.model.sigma(),
            p=null.model.alpha, a=2.0 * null.model.beta, b=0.0,
        )  # fmt: skip
        alternative = BatchEMFitter(**FITTING).fit(wide, X)
        if alternative.model.b == 0.0:
            break
    with pytest.warns(UserWarning, match="boundary"):
        test = likelihood_ratio_test(null, alternative)
    assert test.pvalue > 0.4
    assert test.statistic == pytest.approx(0.0, abs=1e-3)


def test_fits_that_are_not_nested_raise(fits):
    for null, alternative in (
        (fits[NormalInverseGaussian, False], fits[NormalInverseGaussian, True]),
        (fits[NormalInverseGaussian, False], fits[VarianceGamma, False]),
        (fits[NormalInverseGaussian, False], fits[GeneralizedHyperbolic, True]),
        (fits[GeneralizedHyperbolic, False], fits[NormalInverseGaussian, False]),
        (fits[VarianceGamma, False], fits[VarianceGamma, False]),
    ):
        with pytest.raises(ValueError, match="not nested"):
            likelihood_ratio_test(null, alternative)


def test_fits_to_different_data_raise(fits, data):
    alternative = fits[NormalInverseGaussian, False]
    fewer = _fit(NormalInverseGaussian, data[:-1], symmetric=True)
    with pytest.raises(ValueError, match="different data"):
        likelihood_ratio_test(fewer, alternative)
    named = [pd.DataFrame(data, columns=names) for names in (["x", "y"], ["x", "z"])]
    null = _fit(NormalInverseGaussian, named[0], symmetric=True)
    with pytest.raises(ValueError, match="named"):
        likelihood_ratio_test(null, _fit(NormalInverseGaussian, named[1]))


def test_an_alternative_below_the_null_raises(fits, data):
    null = fits[NormalInverseGaussian, True]
    start = NormalInverseGaussian.from_classical(**normal_block(2), mu_ig=5.0, lam=0.3)
    rough = BatchEMFitter(tol=10.0).fit(start, data)
    with pytest.raises(ValueError, match="higher log-likelihood"):
        likelihood_ratio_test(null, rough)


def test_a_fit_that_did_not_converge_is_not_tested(fits, data):
    short = compare(data, "nig", symmetric=True, max_iter=2)[0]
    with pytest.raises(ValueError, match="did not converge"):
        likelihood_ratio_test(short, fits[NormalInverseGaussian, False])
    with pytest.raises(TypeError, match="alternative"):
        likelihood_ratio_test(fits[NormalInverseGaussian, True], short.model)


def test_fits_of_other_data_are_refused():
    X = np.random.default_rng(0).standard_t(4, size=(300, 2))
    start = NormalInverseGaussian.default_init(X)
    with pytest.raises(ValueError, match="their observations or weights differ"):
        likelihood_ratio_test(start.fit(3.0 * X, symmetric=True), start.fit(X))


def test_weights_count():
    X = np.random.default_rng(0).standard_t(4, size=(200, 1))
    weights = np.random.default_rng(1).integers(1, 3, 200)
    weighted = compare(X, "nig", symmetric=False, weights=weights)
    repeated = compare(np.repeat(X, weights, axis=0), "nig", symmetric=False)
    assert weighted.best.bic == pytest.approx(repeated.best.bic, rel=1e-7)


def test_a_table_without_pandas_says_what_it_needs(monkeypatch):
    comparison = compare(np.random.default_rng(0).standard_t(5, size=(100, 1)), "nig")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        comparison.to_frame()
