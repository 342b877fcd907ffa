"""Student's t and the normal distribution as members, names of families, and the limit's model."""

import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import make, needs_jax
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import nvmix
from nvmix import (
    BatchEMFitter,
    MultivariateNormal,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
    StudentT,
    VarianceGamma,
)
from nvmix.datasets import load_crude_oil
from nvmix.distributions.families import FAMILIES, family_of
from nvmix.mixture.subordinators import InverseGamma

SIGMA = [[2.0, 0.3], [0.3, 1.0]]


@pytest.fixture(scope="module")
def X():
    return load_crude_oil()[0]


@pytest.fixture(scope="module")
def normal():
    return MultivariateNormal.from_classical(mu=[1.0, -2.0], sigma=SIGMA)


@pytest.fixture(scope="module")
def student():
    return StudentT.from_classical(mu=[1.0, -2.0], sigma=SIGMA, df=3.5)


def test_densities_are_those_of_scipy(normal, student):
    x = np.random.default_rng(0).normal(size=(20, 2)) * 3.0
    expected = stats.multivariate_normal([1.0, -2.0], SIGMA).logpdf(x)
    np.testing.assert_allclose(normal.log_prob(x), expected, rtol=1e-13)
    assert normal.log_prob(x[0]) == pytest.approx(expected[0], rel=1e-13)
    expected = stats.multivariate_t([1.0, -2.0], SIGMA, df=3.5).logpdf(x)
    np.testing.assert_allclose(student.log_prob(x), expected, rtol=1e-13)


def test_moments_and_variates(normal, student):
    np.testing.assert_array_equal(normal.mean(), [1.0, -2.0])
    np.testing.assert_allclose(normal.cov(), SIGMA, rtol=1e-15)
    np.testing.assert_allclose(student.cov(), 3.5 / 1.5 * np.array(SIGMA), rtol=1e-13)
    for model in (normal, student):
        x = model.rvs(5000, seed=0)
        np.testing.assert_allclose(x.mean(axis=0), [1.0, -2.0], atol=0.1)
        standard = (x[:, 0] - 1.0) / np.sqrt(2.0)
        law = stats.norm() if model is normal else stats.t(3.5)
        assert stats.kstest(standard, law.cdf).pvalue > 1e-3
    assert "gamma" in repr(normal)
    assert pickle.loads(pickle.dumps(student)).df == 3.5


def test_numbers_of_parameters(normal, student):
    assert normal.n_parameters == 5
    assert student.n_parameters == 6


def test_a_normal_fit_is_closed_form(X):
    weights = np.linspace(0.5, 1.5, len(X))
    for omega in (None, weights):
        result = nvmix.fit(X, "normal", weights=omega)
        mean = np.average(X, axis=0, weights=omega)
        covariance = np.cov(X.T, ddof=0, aweights=omega)
        np.testing.assert_allclose(result.model.mu, mean, rtol=1e-12)
        np.testing.assert_allclose(result.model.sigma(), covariance, rtol=1e-12)
        total = np.sum((1.0 if omega is None else omega) * result.model.log_prob(X))
        assert result.log_likelihood == pytest.approx(total, rel=1e-13)
        assert result.status is Status.CONVERGED
        assert result.n_parameters == 5
        assert result.symmetric
    assert result.bic == pytest.approx(
        5.0 * np.log(weights.sum()) - 2.0 * result.log_likelihood, rel=1e-14
    )


def test_a_normal_fit_takes_what_fits_take(X):
    expected = nvmix.fit(X, "normal").model
    frame = nvmix.fit(pd.DataFrame(X, columns=["brent", "wti"]), "gaussian").model
    assert frame.columns == ("brent", "wti")
    chunks = nvmix.fit(lambda: np.array_split(X, 3), MultivariateNormal).model
    again = expected.fit(X, n_init=3, regularization="unit_mean").model
    by_fitter = BatchEMFitter().fit(MultivariateNormal.default_init(X), X).model
    for model in (frame, chunks, again, by_fitter):
        np.testing.assert_allclose(model.sigma(), expected.sigma(), rtol=1e-12)
    held = nvmix.fit(X, "normal", fixed={"mu": [0.0, 0.0]})
    np.testing.assert_allclose(held.model.sigma(), X.T @ X / len(X), rtol=1e-12)
    assert held.n_parameters == 3
    small = 1e-6 * X + 1e3
    scaled = nvmix.fit(small, "normal").model
    np.testing.assert_allclose(scaled.sigma(), 1e-12 * expected.sigma(), rtol=1e-6)


def test_what_a_normal_model_cannot(X, normal):
    holes = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)
    for call, kind, match in (
        (lambda: nvmix.fit(holes, "normal", missing="em"), ValueError, "missing values to fit Mul"),
        (lambda: normal.e_step(X), TypeError, "no E-step: its fit is in closed form"),
        (lambda: normal.m_step(normal.expectation_params()), TypeError, "no M-step"),
        (lambda: normal.cdf(1.0), ValueError, "of one column, got d = 2"),
        (
            lambda: MultivariateNormal.from_classical(mu=0.0, sigma=1.0, gamma=0.5),
            ValueError, r"gamma must be 0 in MultivariateNormal, got \[0.5\]",
        ),
        (
            lambda: MultivariateNormal.from_classical(mu=0.0, sigma=1.0, df=3.0),
            TypeError, "takes mu, gamma, sigma",
        ),
        (lambda: StudentT.from_classical(mu=0.0, sigma=1.0), TypeError, "df; got none"),
        (
            lambda: StudentT.from_classical(mu=0.0, sigma=1.0, df=-1.0),
            ValueError, "df must be positive, got -1.0",
        ),
        (
            lambda: StudentT([0.0], [0.0], [[1.0]], InverseGamma(1.0, 2.0)),
            ValueError, "alpha = beta in StudentT",
        ),
        (
            lambda: nvmix.fit(X, "t", regularization="det_sigma_one"),
            ValueError, "regularization must be 'none' for StudentT, .* got 'det_sigma_one'",
        ),
        (lambda: MultivariateNormal.from_model(X), TypeError, "must be a model such .* ndarray"),
    ):  # fmt: skip
        with pytest.raises(kind, match=match):
            call()


def test_a_fit_of_students_t(X):
    result = nvmix.fit(X, "t", criterion="likelihood", tol=1e-12)
    skew = NormalInverseGamma.default_init(X).fit(
        X, symmetric=True, criterion="likelihood", tol=1e-12
    )
    assert result.log_likelihood == pytest.approx(skew.log_likelihood, rel=1e-12)
    assert result.model.df == pytest.approx(2.0 * skew.model.alpha, rel=1e-5)
    scale = skew.model.sigma() * skew.model.beta / skew.model.alpha
    np.testing.assert_allclose(result.model.sigma(), scale, rtol=1e-5)
    assert result.symmetric
    assert result.n_parameters == skew.n_parameters == 6
    held = nvmix.fit(X, "t", fixed={"alpha": 2.0}).model
    assert held.df == 4.0
    assert StudentT.default_init(X).gamma.tolist() == [0.0, 0.0]


def test_standard_errors_of_students_t(X):
    """In its form alpha = beta: those of df and Sigma by the curvature of the likelihood."""
    result = nvmix.fit(X[:, :1], "t", criterion="likelihood", tol=1e-13)
    errors = result.standard_errors()
    assert errors["alpha"] == pytest.approx(errors["beta"], rel=1e-12)

    def value(v):
        model = StudentT.from_classical(mu=v[0], sigma=v[1], df=2.0 * v[2])
        return model.log_prob(X[:, :1]).sum()

    v = np.array([result.model.mu[0], result.model.sigma()[0, 0], result.model.df / 2.0])
    h = 1e-3 * np.diag(np.abs(v) + 1e-2)
    information = -np.array(
        [
            [
                value(v + h[i] + h[j]) - value(v + h[i] - h[j])
                - value(v - h[i] + h[j]) + value(v - h[i] - h[j])
                for j in range(3)
            ]
            for i in range(3)
        ]
    ) / (4.0 * np.outer(np.diag(h), np.diag(h)))  # fmt: skip
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    seen = [errors["mu"][0], errors["sigma"][0, 0], errors["alpha"]]
    np.testing.assert_allclose(seen, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("NIG", "NormalInverseGaussian"),
        ("NormalInverseGaussian", "NormalInverseGaussian"),
        ("Variance Gamma", "VarianceGamma"),
        ("skew-t", "NormalInverseGamma"),
        ("SkewStudentT", "NormalInverseGamma"),
        ("GH", "GeneralizedHyperbolic"),
        ("hyperbolic", "Hyperbolic"),
        ("t", "StudentT"),
        ("Student", "StudentT"),
        ("studentt", "StudentT"),
        ("student_t", "StudentT"),
        ("Normal", "MultivariateNormal"),
        ("GAUSSIAN", "MultivariateNormal"),
        ("MultivariateNormal", "MultivariateNormal"),
    ],
)
def test_names_of_families(name, family):
    assert family_of("family", name).__name__ == family


def test_unknown_names_list_those_there_are():
    with pytest.raises(ValueError, match=r"family must be one of 'nig', .*'t', 'normal', got 'tt'"):
        family_of("family", "tt")


def test_other_names_at_the_top():
    assert nvmix.SkewStudentT is NormalInverseGamma
    assert tuple(FAMILIES[name] for name in ("nig", "vg", "gh")) == (nvmix.NIG, nvmix.VG, nvmix.GH)
    assert nvmix.log_kv is nvmix.special.log_kv


def test_comparisons_have_the_normal_distribution_once(X):
    comparison = nvmix.compare(X, rank_by="bic")
    names = [type(result.model).__name__ for result in comparison]
    assert names.count("MultivariateNormal") == 1
    assert len(names) == 2 * len(FAMILIES) + 1
    values = [result.bic for result in comparison]
    assert values == sorted(values)
    few = nvmix.compare(X, ["T", "normal", "nig"], rank_by="aic")
    names = sorted(type(result.model).__name__ for result in few)
    assert names == ["MultivariateNormal", *2 * ["NormalInverseGaussian"], "StudentT"]
    assert few.best.aic == min(result.aic for result in few)
    holes = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)
    some = nvmix.compare(holes, symmetric=True, missing="em", max_iter=5)
    assert len(some) == len(FAMILIES)


def test_students_t_is_nested_in_the_skew_t(X):
    null, alternative = nvmix.fit(X, "t", tol=1e-7), nvmix.fit(X, "skewt", tol=1e-7)
    test = nvmix.likelihood_ratio_test(null, alternative)
    assert test.df == 2
    assert test.statistic == pytest.approx(
        2.0 * (alternative.log_likelihood - null.log_likelihood), rel=1e-12
    )
    with pytest.raises(ValueError, match="not nested"):
        nvmix.likelihood_ratio_test(nvmix.fit(X, "normal"), alternative)


def test_the_model_of_a_gaussian_limit():
    x = np.linspace(-1.0, 1.0, 400)[:, None]
    result = NormalInverseGaussian.default_init(x).fit(x, symmetric=True)
    assert result.status is Status.GAUSSIAN_LIMIT
    assert "MultivariateNormal.from_model(result.model)" in result.message
    limit = MultivariateNormal.from_model(result.model)
    expected = nvmix.fit(x, "normal")
    np.testing.assert_allclose(limit.sigma(), expected.model.sigma(), rtol=1e-6)
    assert limit.log_prob(x).sum() == pytest.approx(result.log_likelihood, rel=1e-9)


@given(q=st.floats(1e-300, 1.0 - 1e-12), scale=st.floats(1e-3, 1e3))
def test_one_column_of_the_normal(q, scale):
    model = MultivariateNormal.from_classical(mu=0.0, sigma=scale**2)
    assert model.cdf(model.ppf(q)) == pytest.approx(q, rel=1e-12)
    assert model.sf(model.isf(q)) == pytest.approx(q, rel=1e-12)
    assert model.logcdf(model.ppf(q)) == pytest.approx(np.log(q), rel=1e-12)


def test_ends_of_the_normal():
    model = MultivariateNormal.from_classical(mu=1.0, sigma=4.0)
    x = np.array([[-np.inf, 1.0], [np.inf, np.nan]])
    np.testing.assert_array_equal(model.cdf(x), [[0.0, 0.5], [1.0, np.nan]])
    np.testing.assert_array_equal(model.sf(x), [[1.0, 0.5], [0.0, np.nan]])
    q = [0.0, 0.5, 1.0, 1.5, np.nan]
    np.testing.assert_array_equal(model.ppf(q), [-np.inf, 1.0, np.inf, np.nan, np.nan])
    assert model.entropy() == pytest.approx(stats.norm(1.0, 2.0).entropy(), rel=1e-14)
    assert model.logsf(101.0) == pytest.approx(stats.norm.logsf(50.0), rel=1e-14)
    assert isinstance(model.cdf(0.0), float)


@needs_jax
def test_the_normal_density_on_jax(normal):
    import jax
    import jax.numpy as jnp

    x = np.random.default_rng(0).normal(size=(5, 2))
    with jax.enable_x64(True):
        values = jax.jit(lambda model, x: model.log_prob(x))(normal, jnp.asarray(x))
        np.testing.assert_allclose(values, normal.log_prob(x), rtol=1e-12)


@pytest.mark.parametrize("family", [NormalInverseGaussian, VarianceGamma])
def test_the_gauge_of_unit_mean(X, family):
    start = family.default_init(X).rescaled(7.0)
    free, unit = start.fit(X), start.fit(X, regularization="unit_mean")
    assert unit.regularization == "unit_mean"
    assert unit.model.subordinator.mean() == pytest.approx(1.0, rel=1e-14)
    np.testing.assert_allclose(unit.model.cov(), free.model.cov(), rtol=1e-9)
    # Standard errors of what no gauge changes agree.
    errors, others = unit.standard_errors(), free.standard_errors()
    np.testing.assert_allclose(errors["mu"], others["mu"], rtol=1e-6)
    assert "E[Y] held" in repr(errors)
    assert start.mu.tolist() == free.model.mu.tolist() or free.converged


def test_unit_mean_where_the_mean_is_infinite():
    x = make(NormalInverseGamma, 1).rvs(500, seed=0)
    start = NormalInverseGamma.default_init(x)
    result = start.fit(x, fixed={"alpha": 0.8}, regularization="unit_mean")
    assert result.model.subordinator.mean() == np.inf
    assert result.regularization == "none"
    assert "'unit_mean' has no meaning" in result.message


class TestLawsFromNormals:
    """What follows from a mixture follows from the normal distribution, and stays normal."""

    x = np.array([[0.0, 1.0], [2.0, -3.0]])

    def test_linear_marginal_and_horizon(self, normal):
        w = np.array([0.3, -2.0])
        portfolio = normal.linear(w)
        assert type(portfolio) is type(normal[0]) is type(normal.horizon(3)) is MultivariateNormal
        assert portfolio.std()[0] == pytest.approx(np.sqrt(w @ SIGMA @ w), rel=1e-14)
        assert normal.horizon(3).cov() == pytest.approx(3.0 * np.array(SIGMA), rel=1e-14)
        assert normal[1].cdf(0.5) == pytest.approx(stats.norm(-2.0, 1.0).cdf(0.5), rel=1e-14)

    def test_conditional(self, normal):
        given_first = normal.conditional({0: 2.5})
        assert given_first.mu == pytest.approx([-2.0 + 0.15 * 1.5], rel=1e-14)
        assert given_first.sigma() == pytest.approx(np.array([[1.0 - 0.3 * 0.15]]), rel=1e-14)
        many = normal.conditional({0: [2.5, 3.0]})
        assert [type(law) for law in many] == [MultivariateNormal] * 2

    def test_missing_values(self, normal):
        rows = self.x.copy()
        rows[0, 0] = np.nan
        expected = stats.norm(-2.0, 1.0).logpdf(1.0)
        assert normal.log_prob(rows, missing="em")[0] == pytest.approx(expected, rel=1e-14)
        assert normal.impute(rows)[0, 0] == pytest.approx(1.0 + 0.3 * 3.0, rel=1e-14)

    def test_moments(self, normal):
        assert (normal.skewness() == 0.0).all()
        assert (normal.kurtosis() == 0.0).all()
        assert normal.mardia_kurtosis() == 8.0
        sixth = stats.norm(-2.0, 1.0).moment(6)
        assert normal.raw_moment(6)[1] == pytest.approx(sixth, rel=1e-13)

    def test_divergence(self, normal):
        other = MultivariateNormal.from_classical(mu=[0.0, 0.0], sigma=np.eye(2))
        closed = 0.5 * (3.0 - 2.0 + 5.0 - np.log(np.linalg.det(SIGMA)))
        value, error = nvmix.kl_divergence(normal, other, seed=0)
        assert value == pytest.approx(closed, rel=1e-12)
        assert error < 1e-12
        heavy = StudentT.from_classical(mu=[0.0, 0.0], sigma=SIGMA, df=2.0)
        assert nvmix.kl_divergence(heavy, normal).value == np.inf
        with pytest.raises(ValueError, match="joint must be False where g is normal"):
            nvmix.kl_divergence(heavy, normal, joint=True)

    def test_there_is_no_posterior(self, normal):
        with pytest.raises(TypeError, match="Y, which is 1"):
            normal.posterior(self.x)

    def test_a_map_of_a_skew_t_is_no_student_t(self):
        model = make(NormalInverseGamma, 2)
        assert type(model.linear([1.0, 1.0])) is NormalInverseGamma
        student = StudentT.from_classical(mu=[0.0, 0.0], sigma=SIGMA, df=5.0)
        assert type(student[0]) is type(student.conditional({0: 1.0})) is StudentT
