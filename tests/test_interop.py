"""Models in other libraries, held to the protocols and tests of those that are installed."""

import functools
import inspect
import pickle
import re
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, make
from scipy import stats
from scipy.stats import sampling

import nvmix
from nvmix import MultivariateNormal, NormalInverseGaussian, StudentT, VarianceGamma
from nvmix.interop import scipy_distribution

LAWS = [
    *(make(family, 1) for family in FAMILIES),
    StudentT.from_classical(mu=[1.0], sigma=[[2.0]], df=5.0),
    MultivariateNormal.from_classical(mu=[1.0], sigma=[[2.0]]),
]
NIG = make(NormalInverseGaussian, 1)
LAW = scipy_distribution(NIG)


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "nvmix.interop.arch", raising=False)
    monkeypatch.setitem(sys.modules, "arch.univariate.distribution", None)
    with pytest.raises(ImportError, match=re.escape("needs arch: pip install 'nvmix[interop]'")):
        nvmix.interop.MixtureInnovation  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Mixture'"):
        nvmix.interop.Mixture  # noqa: B018
    assert "MixtureInnovation" in dir(nvmix.interop)


class TestSciPy:
    @pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
    def test_methods_are_those_of_the_model(self, law):
        distribution, x, q = (
            scipy_distribution(law),
            np.linspace(-3, 4, 6).reshape(2, 3),
            [0.1, 0.9],
        )
        for name in ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"):
            values = getattr(distribution, name)(x)
            assert values.shape == x.shape
            expected = getattr(law, name)(x.ravel())
            np.testing.assert_allclose(values.ravel(), expected, rtol=1e-14)
        for name in ("ppf", "isf"):
            np.testing.assert_array_equal(getattr(distribution, name)(q), getattr(law, name)(q))
        moments = distribution.stats(moments="mvsk")
        np.testing.assert_allclose(moments, np.ravel(law.stats("mvsk")), rtol=1e-14)
        assert distribution.moment(3) == pytest.approx(law.raw_moment(3)[0], rel=1e-12)
        assert distribution.entropy() == pytest.approx(law.entropy(), rel=1e-14)
        np.testing.assert_array_equal(distribution.pdf([-np.inf, np.inf]), 0.0)
        np.testing.assert_array_equal(distribution.cdf([-np.inf, np.nan, np.inf]), [0, np.nan, 1])

    def test_draws_are_those_of_the_model(self):
        drawn = LAW.rvs(size=(2, 3), random_state=np.random.default_rng(5))
        np.testing.assert_array_equal(drawn, NIG.rvs(size=(2, 3), seed=5)[..., 0])
        assert np.shape(LAW.rvs(random_state=1)) == ()

    def test_loc_and_scale(self):
        frozen = pickle.loads(pickle.dumps(LAW(loc=1.0, scale=2.0)))
        assert frozen.mean() == pytest.approx(1.0 + 2.0 * NIG.mean()[0], rel=1e-15)
        assert frozen.cdf(1.0) == NIG.cdf(0.0)
        data = LAW.rvs(size=300, random_state=2)
        loc, scale = LAW.fit(1.0 + 2.0 * data)
        assert stats.kstest(data, LAW(loc - 1.0, scale / 2.0).cdf).pvalue > 0.1

    def test_tests_of_fit(self):
        data = LAW.rvs(size=200, random_state=3)
        assert stats.kstest(data, LAW.cdf).pvalue > 0.05
        assert stats.kstest(data + 1.0, LAW.cdf).pvalue < 1e-6
        source = {"rng": np.random.default_rng(0)}
        if "rng" not in inspect.signature(stats.goodness_of_fit).parameters:  # SciPy 1.14
            source = {"random_state": source["rng"]}
        test = functools.partial(
            stats.goodness_of_fit, LAW, known_params={"loc": 0.0, "scale": 1.0}, statistic="ks",
            n_mc_samples=99, **source,
        )  # fmt: skip
        assert test(data).pvalue > 0.05
        assert test(data + 1.0).pvalue == 0.01
        assert stats.probplot(data, dist=LAW)[1][2] > 0.99

    @pytest.mark.skipif(not hasattr(stats, "make_distribution"), reason="SciPy has none")
    @pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
    def test_new_distributions(self, law):
        X = stats.make_distribution(scipy_distribution(law))()
        x = np.array([-2.0, 0.3, 5.0])
        for theirs, ours in {
            "pdf": "pdf", "logpdf": "logpdf", "cdf": "cdf", "ccdf": "sf", "logcdf": "logcdf",
            "logccdf": "logsf",
        }.items():  # fmt: skip
            np.testing.assert_allclose(getattr(X, theirs)(x), getattr(law, ours)(x), rtol=1e-14)
        assert X.icdf(0.01) == law.ppf(0.01)
        assert X.iccdf(0.01) == law.isf(0.01)
        assert X.mean() == pytest.approx(law.mean()[0], rel=1e-14, abs=1e-15)
        assert X.variance() == pytest.approx(law.var()[0], rel=1e-12)
        assert X.kurtosis(convention="excess") == pytest.approx(law.kurtosis()[0], abs=1e-10)
        assert X.moment(3) == pytest.approx(law.raw_moment(3)[0], rel=1e-12)
        assert X.entropy() == pytest.approx(law.entropy(), rel=1e-14)
        assert X.sample(3, rng=np.random.default_rng(1)).shape == (3,)
        assert (2.0 * X + 1.0).cdf(1.0) == pytest.approx(law.cdf(0.0), rel=1e-14)
        assert stats.truncate(X, lb=0.0).cdf(1.0) == pytest.approx(
            (law.cdf(1.0) - law.cdf(0.0)) / law.sf(0.0), rel=1e-8
        )

    def test_quasi_monte_carlo(self):
        inversion = sampling.NumericalInversePolynomial(LAW, center=float(NIG.median()))
        points = inversion.qrvs(256, qmc_engine=stats.qmc.Sobol(1, seed=0))
        assert points.mean() == pytest.approx(NIG.mean()[0], abs=0.02)

    def test_only_of_models_of_one_column(self):
        with pytest.raises(ValueError, match="model must have one column, got 2"):
            scipy_distribution(make(VarianceGamma))
        with pytest.raises(TypeError, match=r"model must be a model such .*, got int"):
            scipy_distribution(3)


class TestStatsmodels:
    def test_probability_plots(self):
        plots = pytest.importorskip("statsmodels.graphics.gofplots")
        plot = plots.ProbPlot(LAW.rvs(size=99, random_state=4), dist=LAW)
        expected = NIG.ppf(np.arange(1, 100) / 100.0)
        np.testing.assert_allclose(plot.theoretical_quantiles, expected, rtol=1e-12)
        np.testing.assert_allclose(plot.sample_percentiles, NIG.cdf(plot.sorted_data), rtol=1e-14)
        moved = plots.ProbPlot(plot.data, dist=LAW, loc=1.0, scale=2.0)
        np.testing.assert_allclose(moved.theoretical_quantiles, 1.0 + 2.0 * expected, rtol=1e-12)
        assert len(plots.ProbPlot(plot.data, dist=LAW, fit=True).fit_params) == 2

    def test_copulas(self):
        api = pytest.importorskip("statsmodels.distributions.copula.api")
        laws = [scipy_distribution(LAWS[0]), LAW]
        joint = api.CopulaDistribution(api.IndependenceCopula(), laws)
        x = np.array([[0.1, 0.2], [-1.0, 2.0]])
        np.testing.assert_allclose(
            joint.pdf(x), LAWS[0].pdf(x[:, 0]) * NIG.pdf(x[:, 1]), rtol=1e-13
        )
        np.testing.assert_allclose(joint.cdf(x), LAWS[0].cdf(x[:, 0]) * NIG.cdf(x[:, 1]))
        drawn = api.CopulaDistribution(api.GaussianCopula(0.5), laws).rvs(500, None, None, 0)
        assert stats.kstest(drawn[:, 1], LAW.cdf).pvalue > 1e-3


INNOVATIONS = {
    "nig": (0.5, -0.2),
    "vg": (2.0, 0.3),
    "skewt": (6.5, 0.4),
    "hyperbolic": (0.6, 0.1),
    "gh": (0.3, 0.5, 0.2),
}


@pytest.fixture(scope="module")
def innovation():
    pytest.importorskip("arch", reason="arch is not installed")
    return nvmix.interop.MixtureInnovation


@pytest.fixture(scope="module")
def sp500():
    """Daily returns in percent that come with arch."""
    data = pytest.importorskip("arch.data.sp500", reason="arch is not installed")
    return 100.0 * data.load()["Adj Close"].pct_change().dropna()


class TestArch:
    @pytest.mark.parametrize("family", INNOVATIONS)
    def test_tests_of_arch(self, innovation, family):
        """Its own tests, of its distributions."""
        tests = pytest.importorskip("arch.tests.univariate.test_distribution")
        new = functools.partial(innovation, family)
        tests.test_roundtrip_cdf_ppf((new, INNOVATIONS[family]))
        tests.test_no_parameters_error(new)

    @pytest.mark.parametrize("family", INNOVATIONS)
    def test_laws_are_standardized(self, innovation, family):
        for symmetric in (False, True):
            distribution = innovation(family, symmetric=symmetric, seed=1)
            parameters = INNOVATIONS[family][: distribution.num_params]
            assert distribution.moment(0, parameters) == 1.0
            assert distribution.moment(1, parameters) == pytest.approx(0.0, abs=1e-15)
            assert distribution.moment(2, parameters) == pytest.approx(1.0, rel=1e-14)
            assert (distribution.moment(3, parameters) == 0.0) == symmetric
            model = distribution.model(parameters)
            variates = distribution.simulate(parameters)((2000, 2))
            for column in variates.T:
                assert stats.kstest(column, model.cdf).pvalue > 1e-3
            constraints, lower = distribution.constraints()
            assert (constraints @ parameters > lower).all()

    @pytest.mark.parametrize("family", INNOVATIONS)
    def test_partial_moments(self, innovation, family):
        distribution, parameters = innovation(family), INNOVATIONS[family]
        model = distribution.model(parameters)
        partial = functools.partial(distribution.partial_moment, parameters=parameters)
        assert partial(0, 0.4) == pytest.approx(model.cdf(0.4), rel=1e-9)
        assert partial(2, 1e5) == pytest.approx(1.0, rel=1e-5 if family == "skewt" else 1e-12)
        shortfall = nvmix.risk.expected_shortfall(model, [1.0], 0.95)
        assert partial(1, model.ppf(0.05)) == pytest.approx(-0.05 * shortfall, rel=1e-7)

    def test_moments_that_do_not_exist(self, innovation):
        skewed = innovation("skewt")
        assert np.isnan(skewed.moment(4, (6.5, 0.4)))
        assert np.isnan(skewed.partial_moment(4, 0.0, (6.5, 0.4)))

    def test_likelihoods(self, innovation):
        distribution, parameters = innovation("nig"), INNOVATIONS["nig"]
        x, variance = np.array([0.3, -2.0]), np.array([1.0, 4.0])
        terms = distribution.loglikelihood(parameters, x, variance, individual=True)
        model = distribution.model(parameters)
        np.testing.assert_allclose(terms, [model.log_prob(0.3), model.log_prob(-1.0) - np.log(2)])
        assert distribution.loglikelihood(parameters, x, variance) == terms.sum()
        bad = distribution.loglikelihood(parameters, np.array([np.inf, 0.0]), np.ones(2))
        assert bad == -np.inf

    @pytest.mark.parametrize(
        ("family", "least"),
        [("nig", -6820.52), ("vg", -6817.2), ("skewt", -6822.5), ("hyperbolic", -6819.3),
         ("gh", -6817.2)],
    )  # fmt: skip
    def test_fits_of_the_s_and_p_500(self, innovation, sp500, family, least):
        """GARCH(1, 1), where the best of arch's own laws, its skewed t, has -6825.78."""
        from arch import arch_model

        garch = arch_model(sp500)
        garch.distribution = innovation(family)
        result = garch.fit(disp="off")
        assert result.convergence_flag == 0
        assert result.loglikelihood > least
        names = garch.distribution.parameter_names()
        assert list(result.params.index[-len(names) :]) == names
        # A fit of the residuals by EM starts next to the end.
        start = garch.distribution.starting_values(result.std_resid)
        np.testing.assert_allclose(start, result.params[names], rtol=0.3, atol=0.02)

    def test_symmetric_laws_agree_with_those_of_arch(self, innovation, sp500):
        from arch import arch_model

        garch = arch_model(sp500)
        garch.distribution = innovation("skewt", symmetric=True)
        ours, theirs = (
            model.fit(disp="off").loglikelihood for model in (garch, arch_model(sp500, dist="t"))
        )
        assert ours == pytest.approx(theirs, rel=1e-9)

    @pytest.mark.parametrize(
        "settings",
        [
            {"vol": "GARCH", "o": 1}, {"vol": "EGARCH", "o": 1}, {"vol": "APARCH", "o": 1},
            {"vol": "FIGARCH"}, {"vol": "HARCH", "p": [1, 5]}, {"vol": "Constant", "mean": "Zero"},
            {"vol": "ARCH", "mean": "AR", "lags": 1},
        ],
        ids=lambda settings: settings["vol"],
    )  # fmt: skip
    def test_other_models(self, innovation, sp500, settings):
        from arch import arch_model

        model, normal = (arch_model(sp500[-1500:], **settings) for _ in range(2))
        model.distribution = innovation("nig", seed=0)
        result = model.fit(disp="off")
        assert result.convergence_flag == 0
        assert result.loglikelihood > normal.fit(disp="off").loglikelihood + 10.0
        assert np.isfinite(result.std_err).all()
        forecast = result.forecast(horizon=2, method="simulation", simulations=50)
        assert np.isfinite(forecast.variance.to_numpy()).all()

    def test_what_cannot_be(self, innovation):
        with pytest.raises(ValueError, match="family must be one of 'nig', 'hyperbolic'"):
            innovation("normal")
        with pytest.raises(TypeError, match="symmetric must be True or False"):
            innovation(symmetric="no")
        with pytest.raises(ValueError, match="does not satisfy the bounds"):
            innovation().ppf(0.1, (0.5, 2.0))


@pytest.fixture(scope="module")
def returns():
    pytest.importorskip("skfolio", reason="skfolio is not installed")
    law = NormalInverseGaussian.from_classical(
        mu=[2e-3, 1e-3, 1e-3], gamma=[-1e-3, 0.0, 0.0],
        sigma=1e-4 * np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.3], [0.2, 0.3, 1.0]]),
        mu_ig=1.0, lam=1.5,
    )  # fmt: skip
    return pd.DataFrame(law.rvs(600, 0), columns=["a", "b", "c"])


class TestSkfolio:
    def test_synthetic_data(self, returns):
        from skfolio.prior import SyntheticData

        from nvmix.estimators import NormalMixtureEstimator

        prior = SyntheticData(
            distribution_estimator=NormalMixtureEstimator(random_state=0),
            n_samples=2000,
            sample_args={"conditioning": {"a": -0.05}},
        ).fit(returns)
        stressed = prior.return_distribution_
        exact = prior.distribution_estimator_.model_.conditional({"a": -0.05})
        np.testing.assert_allclose(stressed.mu[1:], exact.mean(), atol=2e-3)
        np.testing.assert_allclose(stressed.mu[0], -0.05, rtol=1e-4)

    @pytest.mark.parametrize("scenarios", ["sobol", "observed"])
    def test_priors(self, returns, scenarios):
        from skfolio import RiskMeasure
        from skfolio.optimization import MeanRisk

        prior = nvmix.interop.MixturePrior(scenarios=scenarios, n_scenarios=1024)
        weights = np.linspace(0.5, 1.0, len(returns))
        given = prior.fit(returns, sample_weight=weights).return_distribution_
        model = nvmix.fit(returns.to_numpy(), weights=weights).model
        np.testing.assert_allclose(given.mu, model.mean(), rtol=1e-9)
        np.testing.assert_allclose(given.covariance, model.cov(), rtol=1e-9)
        if scenarios == "sobol":
            assert given.returns.shape == (1024, 3)
            assert given.sample_weight is None
            np.testing.assert_allclose(given.returns.mean(axis=0), given.mu, atol=2e-5)
            np.testing.assert_allclose(np.cov(given.returns.T), given.covariance, rtol=0.1)
            assert stats.kstest(given.returns[:, 0], model.marginal(0).cdf).pvalue > 0.999
        else:
            np.testing.assert_array_equal(given.returns, returns)
            np.testing.assert_allclose(given.sample_weight, weights / weights.sum(), rtol=1e-12)
        portfolio = MeanRisk(risk_measure=RiskMeasure.CVAR, prior_estimator=prior).fit(returns)
        assert portfolio.weights_.sum() == pytest.approx(1.0, abs=1e-6)

    def test_priors_of_incomplete_returns(self, returns):
        holes = returns.assign(d=np.nan)
        holes.iloc[:40, 0] = np.nan
        holes.iloc[7] = np.nan
        prior = nvmix.interop.MixturePrior(scenarios="observed").fit(holes)
        given = prior.return_distribution_
        assert given.returns.shape == (599, 4)
        np.testing.assert_array_equal(given.investable_mask, [True, True, True, False])
        assert np.isfinite(given.investable_subset().returns).all()

    def test_priors_that_cannot_be(self, returns):
        from nvmix.estimators import NormalMixtureEstimator

        with pytest.raises(ValueError, match="scenarios must be one of 'sobol'"):
            nvmix.interop.MixturePrior(scenarios="all").fit(returns)
        cauchy = np.random.default_rng(0).standard_cauchy((300, 2))
        estimator = NormalMixtureEstimator("t")
        with pytest.raises(ValueError, match="needs a finite covariance"):
            nvmix.interop.MixturePrior(estimator).fit(cauchy)

    def test_marginals(self, returns):
        from skfolio.distribution import Gaussian, VineCopula

        marginal = nvmix.interop.MixtureMarginal("vg", random_state=0)
        column = returns[["a"]].to_numpy()
        result = nvmix.fit(column, "vg")
        assert marginal.fit(column).score(column) == pytest.approx(result.log_likelihood, rel=1e-12)
        assert marginal.aic(column) == pytest.approx(result.aic, rel=1e-12)
        assert marginal.cdf(column).shape == column.shape
        np.testing.assert_allclose(marginal.ppf(marginal.cdf(column)), column, rtol=1e-9)
        assert marginal.sample(5).shape == (5, 1)
        assert marginal.fitted_repr == repr(result.model)
        candidates = [Gaussian(), nvmix.interop.MixtureMarginal("nig")]
        vine = VineCopula(marginal_candidates=candidates, random_state=0).fit(returns)
        chosen = vine.marginal_distributions_
        assert all(isinstance(law, nvmix.interop.MixtureMarginal) for law in chosen)
        assert np.isfinite(vine.sample(10)).all()


# CI has numpyro and JAX together where it runs the exhaustive tests.
@pytest.mark.exhaustive
class TestNumPyro:
    @pytest.fixture(autouse=True)
    def _numpyro(self):
        pytest.importorskip("numpyro", reason="numpyro is not installed")

    def test_densities_and_draws(self):
        import jax

        law = make(VarianceGamma)
        distribution = nvmix.interop.MixtureDistribution(law)
        rows = law.rvs(6, 0)
        log_densities = distribution.log_prob(rows.reshape(2, 3, 2))
        np.testing.assert_allclose(np.ravel(log_densities), law.log_prob(rows), rtol=1e-5)
        assert distribution.event_shape == (2,)
        draw = jax.jit(lambda law, key: law.sample(key, (400,)))
        drawn = draw(distribution, jax.random.key(0))
        assert drawn.shape == (400, 2)
        np.testing.assert_array_equal(drawn, distribution.sample(jax.random.key(0), (400,)))
        first = np.asarray(drawn[:, 0], float)
        assert stats.kstest(first, law.marginal(0).cdf).pvalue > 1e-3
        keys = jax.random.split(jax.random.key(1), 3)
        each = jax.vmap(distribution.sample)(keys)
        assert len({float(x) for x in each[:, 0]}) == 3
        np.testing.assert_allclose(distribution.mean, law.mean())
        np.testing.assert_allclose(distribution.variance, law.var())

    def test_nuts(self):
        import jax
        import numpyro
        import numpyro.distributions as dist
        from numpyro.infer import MCMC, NUTS, Predictive

        true = NormalInverseGaussian.from_classical(
            mu=[0.5], gamma=[0.0], sigma=[[1.0]], mu_ig=1.0, lam=1.5
        )
        X = true.rvs(200, seed=0)

        def model(X=None):
            mu = numpyro.sample("mu", dist.Normal(0.0, 2.0).expand([1]).to_event(1))
            lam = numpyro.sample("lam", dist.LogNormal(0.0, 1.0))
            law = NormalInverseGaussian.from_classical(
                mu=mu, gamma=np.zeros(1), sigma=np.eye(1), mu_ig=1.0, lam=lam
            )
            with numpyro.plate("rows", 200):
                numpyro.sample("x", nvmix.interop.MixtureDistribution(law), obs=X)

        chain = MCMC(NUTS(model), num_warmup=60, num_samples=60, progress_bar=False)
        chain.run(jax.random.key(0), X)
        samples = chain.get_samples()
        best = true.fit(X, symmetric=True).model
        assert abs(float(samples["mu"].mean()) - best.mu[0]) < 0.1
        assert 0.3 < float(samples["lam"].mean()) < 6.0
        assert 0.0 < float(samples["mu"].std()) < 0.2
        drawn = Predictive(model, samples)(jax.random.key(1))["x"]
        assert drawn.shape == (60, 200, 1)
        assert float(drawn.mean()) == pytest.approx(X.mean(), abs=0.1)
