"""Transforms to uniform variables, and the size and power of tests of goodness of fit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, exhaustive, make, needs_jax, normal_block
from mpmath import mp
from scipy import stats

import nvmix
import nvmix.diagnostics.goodness
from nvmix import (
    GeneralizedHyperbolic,
    MultivariateNormal,
    NormalInverseGaussian,
    StudentT,
    VarianceGamma,
)
from nvmix.datasets import load_crude_oil
from nvmix.diagnostics import goodness_of_fit, probability_integral_transform, rosenblatt
from nvmix.diagnostics import simulation as module
from nvmix.diagnostics.statistics import of_rows, statistics_of
from nvmix.diagnostics.transforms import Tails, log_tails

BLOCK = normal_block(3)
SYMMETRIC = {"mu": BLOCK["mu"], "sigma": BLOCK["sigma"]}
MODELS = {family.__name__: make(family, 3) for family in FAMILIES} | {
    "narrow Y": GeneralizedHyperbolic.from_classical(**BLOCK, p=-20.0, a=50.0, b=70.0),
    "density with a pole": VarianceGamma.from_classical(**BLOCK, alpha=0.3, beta=0.4),
    "heavy tails": StudentT.from_classical(**SYMMETRIC, df=0.7),
}
NULL = make(NormalInverseGaussian, 1)
# Of a sample that is close to normal, some refits have no maximum.
few_rows = pytest.mark.filterwarnings("ignore:.* refits did not converge")


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]


class TestTransforms:
    def test_of_one_column_is_its_distribution_function(self):
        model = NULL
        x = model.rvs(1500, seed=0)
        found = probability_integral_transform(model, x)
        assert found.shape == (1500,)
        np.testing.assert_array_equal(found, model.cdf(x[:, 0]))
        np.testing.assert_allclose(rosenblatt(model, x)[:, 0], found, rtol=1e-13)
        series = pd.Series(x[:, 0], name="spx")
        np.testing.assert_array_equal(probability_integral_transform(model, series), found)

    def test_a_fit_stands_for_its_model(self):
        result, x = result_of(), [0.1, -0.5]
        for transform in (probability_integral_transform, rosenblatt):
            np.testing.assert_array_equal(transform(result, x), transform(result.model, x))

    def test_of_several_columns_is_that_of_conditionals(self, model):
        near, far = model.rvs(20, seed=1), 30.0 * model.rvs(5, seed=2)
        p, _, b = model.subordinator.gig
        # Where densities are infinite at mu there is no law given a column that is there.
        special = [[0.0, 0.0, 0.0], [0.0, 0.5, -0.5]] if b > 0.0 or p > 1.0 else [[0.5, 0.0, 0.0]]
        X = np.vstack([near, far, model.mu + special])
        tails = log_tails(model, X)
        np.testing.assert_array_equal(rosenblatt(model, X), np.exp(tails.log_lower))
        for i, x in enumerate(X):
            laws = [model.marginal(0)]
            laws += [model.marginal([0, 1]).conditional({0: x[0]})]
            laws += [model.conditional({0: x[0], 1: x[1]})]
            for j, law in enumerate(laws):
                assert tails.log_lower[i, j] == pytest.approx(law.logcdf(x[j]), rel=1e-12)
                assert tails.log_upper[i, j] == pytest.approx(law.logsf(x[j]), rel=1e-12)

    @pytest.mark.parametrize("name", ["NormalInverseGaussian", "VarianceGamma", "heavy tails"])
    def test_is_the_integral_of_the_joint_density(self, name):
        """By mpmath, of the density that `MixtureLaw` states, without its constants."""
        model = MODELS[name].marginal([2, 0])
        p, a, b = (mp.mpf(x) for x in model.subordinator.gig)
        mu, gamma = (mp.matrix(x.tolist()) for x in (model.mu, model.gamma))
        inverse = mp.matrix(model.sigma().tolist()) ** -1
        rate = a + (gamma.T * inverse * gamma)[0]
        (k, _), (c, h) = inverse.tolist()
        slope, other_slope = inverse * gamma

        def density(x, y):
            u, v = x - mu[0], y - mu[1]
            q = b + k * u * u + 2 * c * u * v + h * v * v
            tilt = mp.exp(slope * u + other_slope * v)
            if rate == 0:
                return tilt * q ** (p - 1)
            return tilt * mp.besselk(p - 1, mp.sqrt(rate * q)) * mp.sqrt(q / rate) ** (p - 1)

        for x, y in ((0.4, -0.2), (-3.0, 4.0), (5.0, -2.5)):
            peak = float(model.conditional({0: x}).median())
            far = [peak - 1e3, peak - 30.0, peak - 3.0, y, peak + 3.0, peak + 30.0, peak + 1e3]
            ends = [-mp.inf, *sorted(far), mp.inf]
            at = ends.index(y)
            below = mp.quad(lambda t, x=x: density(x, t), ends[: at + 1])
            above = mp.quad(lambda t, x=x: density(x, t), ends[at:])
            found = rosenblatt(model, [[x, y]])[0, 1]
            assert found == pytest.approx(float(below / (below + above)), rel=1e-12)

    def test_makes_independent_uniform_variables(self, model):
        u = rosenblatt(model, model.rvs(4000, seed=3))
        for column in u.T:
            assert stats.kstest(column, "uniform").pvalue > 1e-3
        # Squares too, as the columns share Y.
        for f in (lambda u: u, lambda u: abs(u - 0.5)):
            correlation = np.corrcoef(f(u).T) - np.eye(3)
            assert abs(correlation).max() < 4.0 / np.sqrt(4000)

    def test_of_the_normal_distribution(self):
        model = MultivariateNormal.from_classical(**SYMMETRIC)
        X = model.rvs(50, seed=0)
        z = np.linalg.solve(np.linalg.cholesky(model.sigma()), (X - model.mu).T).T
        np.testing.assert_allclose(rosenblatt(model, X), stats.norm.cdf(z), rtol=1e-12)
        one = MultivariateNormal.from_classical(mu=[1.0], sigma=[[4.0]])
        found = probability_integral_transform(one, [1.0, 3.0])
        np.testing.assert_allclose(found, stats.norm.cdf([0.0, 1.0]), rtol=1e-14)

    def test_another_order_of_columns(self):
        model = make(NormalInverseGaussian, 3)
        X, order = model.rvs(10, seed=0), [2, 0, 1]
        found = rosenblatt(model.marginal(order), X[:, order])
        np.testing.assert_allclose(found[:, 0], model.marginal(2).cdf(X[:, 2]), rtol=1e-13)

    def test_threads_and_units_change_nothing(self):
        model = make(GeneralizedHyperbolic, 3)
        X, threads = model.rvs(3000, seed=0), nvmix.get_num_threads()
        try:
            nvmix.set_num_threads(1)
            expected = rosenblatt(model, X)
            nvmix.set_num_threads(3)
            np.testing.assert_array_equal(rosenblatt(model, X), expected)
        finally:
            nvmix.set_num_threads(threads)
        for c in (1e-9, 1e9):
            moved = model.linear(c * np.eye(3))
            np.testing.assert_allclose(rosenblatt(moved, c * X), expected, rtol=1e-11)

    @needs_jax
    def test_models_on_jax_are_taken_from_there(self):
        import jax

        model = make(NormalInverseGaussian, 3)
        X = model.rvs(5, seed=0)
        with jax.enable_x64(True):
            there = jax.tree.map(jax.numpy.asarray, model)
            found = rosenblatt(there, X)
        np.testing.assert_allclose(found, rosenblatt(model, X), rtol=1e-12)
        with pytest.raises(TypeError, match="JAX trace"):
            jax.jit(lambda m: rosenblatt(m, X))(model)
        with pytest.raises(TypeError, match="JAX trace"):
            jax.jit(lambda x: rosenblatt(model, x))(X)


class TestStatistics:
    @pytest.mark.parametrize("n", [2, 50, 1001])
    def test_equal_those_of_scipy(self, n):
        x = stats.norm.rvs(size=n, random_state=1) + 0.2
        found = statistics_of(Tails(stats.norm.logcdf(x), stats.norm.logsf(x)))
        known = {"loc": 0.0, "scale": 1.0}
        by_tails = stats.goodness_of_fit(
            stats.norm, x, known_params=known, statistic="ad", n_mc_samples=1
        ).statistic
        expected = [
            stats.kstest(x, "norm").statistic,
            by_tails,
            stats.cramervonmises(x, "norm").statistic,
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_a_row_at_a_pole_is_in_the_middle(self):
        """As in a refit whose likelihood is infinite there."""
        model = MODELS["density with a pole"]
        tails = log_tails(model, np.array([model.mu, model.mu + 1.0]))
        np.testing.assert_allclose(tails.log_lower[0, 1:], np.log(0.5), rtol=1e-15)
        np.testing.assert_allclose(tails.log_upper[0, 1:], np.log(0.5), rtol=1e-15)
        assert np.isfinite(tails.log_lower).all()

    def test_rows_far_out_have_large_ones_and_not_inf(self):
        x = np.append(NULL.rvs(100, seed=0), 300.0)
        found = statistics_of(of_rows(log_tails(NULL, x[:, None])))
        without = statistics_of(of_rows(log_tails(NULL, x[:-1, None])))
        assert np.isfinite(found).all()
        assert found[1] > without[1] + 1.0
        model = make(NormalInverseGaussian, 3)
        rows = np.vstack([model.rvs(100, seed=0), np.full((1, 3), 1e3)])
        assert np.isfinite(statistics_of(of_rows(log_tails(model, rows)))).all()

    def test_the_radius_of_a_normal_row_is_its_mahalanobis_distance(self):
        model = MultivariateNormal.from_classical(**SYMMETRIC)
        X = model.rvs(50, seed=0)
        distance = np.einsum(
            "ni,ij,nj->n", X - model.mu, np.linalg.inv(model.sigma()), X - model.mu
        )
        tails = of_rows(log_tails(model, X))
        np.testing.assert_allclose(np.exp(tails.log_upper), stats.chi2.sf(distance, 3), rtol=1e-11)


class TestGoodnessOfFit:
    @few_rows
    @pytest.mark.parametrize("d", [exhaustive(1), 2])
    def test_pvalues_are_uniform_under_the_null(self, d):
        model = NormalInverseGaussian.from_classical(**normal_block(d), mu_ig=1.0, lam=0.5)
        results = [nvmix.fit(model.rvs(150, seed=s), "nig") for s in range(50)]
        pvalues = np.array(
            [goodness_of_fit(r, n_simulations=19, seed=s).pvalues for s, r in enumerate(results)]
        )
        for column in pvalues.T:
            # Multiples of 1/20, spread evenly within each step.
            smoothed = column - np.random.default_rng(0).uniform(size=50) / 20.0
            assert stats.kstest(smoothed, "uniform").pvalue > 1e-3

    def test_pvalues_of_a_known_law_are_those_of_scipy(self):
        x = NULL.rvs(300, seed=4) + 0.12
        found = goodness_of_fit(NULL, x, n_simulations=4000)
        assert not found.is_refitted
        u = probability_integral_transform(NULL, x)
        exact = [stats.kstest(u, "uniform").pvalue, stats.cramervonmises(u, "uniform").pvalue]
        assert 0.005 < min(exact) < 0.5
        np.testing.assert_allclose(found.pvalues[[0, 2]], exact, atol=0.03)

    @pytest.mark.parametrize("d", [1, 3])
    def test_wrong_families_are_rejected(self, d):
        law = {"alpha": 1.2, "beta": 1.0}
        heavy = nvmix.NormalInverseGamma.from_classical(**normal_block(d), **law).rvs(1500, seed=5)
        for family in ("normal", "hyperbolic"):
            result = nvmix.fit(heavy, family, max_iter=1000)
            assert goodness_of_fit(result, n_simulations=19).pvalues[1] == 1.0 / 20.0
        assert goodness_of_fit(nvmix.fit(heavy, "skewt"), n_simulations=19).pvalues.min() > 0.05

    def test_what_the_fit_held_is_held(self):
        X = make(VarianceGamma, 1).rvs(400, seed=0)
        result = nvmix.fit(X, "vg", fixed={"alpha": 2.5}, symmetric=True)
        seen = []

        class Seen(nvmix.BatchEMFitter):
            def run(self, *arguments):
                seen.append(super().run(*arguments))
                return seen[-1]

        fitter = Seen(fixed={"alpha": 2.5}, symmetric=True)
        expected = module.refits(result.model, fitter, 400, [1, 2], 0)
        assert {r.held for r in seen} == {("gamma", "alpha")}
        seeds = np.random.default_rng(0).integers(1 << 63, size=2)
        found = goodness_of_fit(result, n_simulations=2)
        np.testing.assert_array_equal(
            found.simulated, module.refits(result.model, fitter, 400, seeds.tolist(), 0).statistics
        )
        assert all(status.converged for status in expected.statuses)

    def test_of_the_rows_that_were_fitted_only(self):
        result, rows = result_of(), NULL.rvs(300, seed=0)
        expected = goodness_of_fit(result, n_simulations=3)
        for fitted in (result, without_data()):
            found = goodness_of_fit(fitted, rows, n_simulations=3)
            np.testing.assert_array_equal(found.simulated, expected.simulated)
        assert not goodness_of_fit(result.model, rows[:50], n_simulations=3).is_refitted

    def test_a_bound_that_was_not_reached_is_in_the_refits(self, monkeypatch):
        fitters = []

        def refits(model, fitter, n, seeds, verbose):
            fitters.append(fitter)
            return module.draws(n, seeds, verbose)

        monkeypatch.setattr(nvmix.diagnostics.goodness, "refits", refits)
        X = make(VarianceGamma, 1).rvs(400, seed=0)
        for bounded in (False, True):
            goodness_of_fit(nvmix.fit(X, "vg", bounded=bounded), n_simulations=2)
        assert [fitter.bounded for fitter in fitters] == [False, True]

    @few_rows
    def test_a_seed_gives_the_same_for_any_number_of_threads(self):
        result, threads = nvmix.fit(NULL.rvs(200, seed=0)), nvmix.get_num_threads()
        try:
            nvmix.set_num_threads(1)
            one = goodness_of_fit(result, n_simulations=30, seed=7)
            nvmix.set_num_threads(3)
            three = goodness_of_fit(result, n_simulations=30, seed=7)
        finally:
            nvmix.set_num_threads(threads)
        np.testing.assert_array_equal(one.simulated, three.simulated)
        other = goodness_of_fit(result, n_simulations=30, seed=8)
        assert (other.simulated != one.simulated).any()

    def test_the_result_is_a_table(self):
        X, _ = load_crude_oil()
        found = goodness_of_fit(nvmix.fit(X[:, 1]), n_simulations=20)
        title, header, *rows = repr(found).splitlines()
        assert title == "NormalInverseGaussian, 391 rows, 20 refits"
        assert header.split() == ["test", "statistic", "p-value"]
        assert [row.split()[0] for row in rows] == [name.split()[0] for name in found.names]
        assert found._repr_html_().count("<tr>") == 4
        frame = found.to_frame()
        assert frame.loc["Anderson-Darling", "pvalue"] == found.pvalues[1]
        with pytest.raises(AttributeError):
            found.pvalues = None

    @few_rows
    def test_it_says_where_it_is(self, capsys, monkeypatch):
        monkeypatch.setattr(module, "_INTERVAL", np.inf)
        result = nvmix.fit(NULL.rvs(100, seed=0))
        settings = {"n_simulations": 20, "tol": 1.0}
        goodness_of_fit(result, **settings)
        assert capsys.readouterr().out == ""
        goodness_of_fit(result, **settings, verbose=1)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("goodness of fit: 20 of 20 refits, ")
        goodness_of_fit(result, **settings, verbose=2)
        assert len(capsys.readouterr().out.splitlines()) == 10
        monkeypatch.setattr(module, "_INTERVAL", -1.0)
        goodness_of_fit(result.model, [0.1, 0.2], n_simulations=5, verbose=1)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[3] for line in lines] == ["1", "2", "3", "4", "5"]
        assert lines[0].endswith("left")

    def test_refits_that_do_not_converge_are_counted(self):
        result = nvmix.fit(NULL.rvs(100, seed=0))
        with pytest.warns(
            nvmix.ConvergenceWarning, match=r"of 10 .* converge \(\d+ M.* try a larger max"
        ):
            found = goodness_of_fit(result, n_simulations=10, max_iter=1, criterion="likelihood")
        assert found.n_unconverged > 0
        assert f"{found.n_unconverged} unconverged" in repr(found)


RESULT = None


def result_of():
    global RESULT  # noqa: PLW0603
    RESULT = RESULT or nvmix.fit(NULL.rvs(300, seed=0))
    return RESULT


def without_data():
    """A fit as a file has it."""
    return replace(result_of(), data=None)


def two_columns_with_nan():
    X = make(NormalInverseGaussian, 2).rvs(100, seed=0)
    X[3, 0] = X[5, 1] = np.nan
    return X


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: goodness_of_fit(
                MODELS["density with a pole"], [[1.0, 0.0, 0.0], MODELS["density with a pole"].mu]
            ),
            ValueError,
            "density of its first 1 columns is infinite, got row 1",
        ),
        (
            lambda: rosenblatt("nig", [[1.0]]),
            TypeError,
            "model must be a fit or a model such as a NormalInverseGaussian, got str",
        ),
        (lambda: rosenblatt(NULL, [[np.nan]]), ValueError, r"X must be finite, got nan at index"),
        (lambda: rosenblatt(make(VarianceGamma), [[1.0]]), ValueError, "X must have 2 columns"),
        (
            lambda: rosenblatt(
                MODELS["density with a pole"], MODELS["density with a pole"].mu[None]
            ),
            ValueError,
            "X must not be where the density of its first 1 columns is infinite, got row 0",
        ),
        (
            lambda: probability_integral_transform(make(VarianceGamma), [1.0]),
            ValueError,
            "model must have one column, got 2",
        ),
        (
            lambda: probability_integral_transform(NULL, [1.0, np.nan]),
            ValueError,
            r"x must be finite, got nan at index \(1,\): drop rows with missing values$",
        ),
        (
            lambda: goodness_of_fit("nig"),
            TypeError,
            "fitted must be a fit or a model such as a NormalInverseGaussian, got str",
        ),
        (lambda: goodness_of_fit(NULL), ValueError, "X must be given"),
        (lambda: goodness_of_fit(NULL, [1.0], tol=1e-3), TypeError, "not fitted again, got .'tol'"),
        (lambda: goodness_of_fit(result_of(), toll=1), TypeError, "did you mean 'tol'"),
        (lambda: goodness_of_fit(result_of(), n_simulations=0), ValueError, "n_simulations must"),
        (
            lambda: goodness_of_fit(result_of(), NULL.rvs(300, seed=1)),
            ValueError,
            r"the 300 rows that were fitted, got 300 others: .* give result\.model",
        ),
        (
            lambda: goodness_of_fit(without_data(), NULL.rvs(99, seed=0)),
            ValueError,
            "the 300 rows that were fitted, got 99 others",
        ),
        *(
            (
                lambda name=name, value=value: goodness_of_fit(result_of(), **{name: value}),
                TypeError,
                f"{name} cannot be set, as refits are of what was fitted, got",
            )
            for name, value in {
                "symmetric": True,
                "fixed": {"mu": 0.0},
                "bounded": True,
                "missing": "em",
                "weights": [1.0],
            }.items()
        ),
        (
            lambda: goodness_of_fit(nvmix.fit(two_columns_with_nan(), missing="em")),
            ValueError,
            "without missing values, got 2 rows that have some: fit the complete rows",
        ),
        (lambda: goodness_of_fit(result_of(), seed="a"), TypeError, "seed must be"),
        (lambda: goodness_of_fit(result_of(), [np.nan]), ValueError, "X must be finite, got nan"),
        (
            lambda: goodness_of_fit(nvmix.fit(NULL.rvs(50, seed=0), weights=np.full(50, 2.0))),
            ValueError,
            "without weights",
        ),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_fit_must_have_converged():
    with pytest.warns(nvmix.ConvergenceWarning):
        result = nvmix.fit(NULL.rvs(100, seed=0), max_iter=1)
    with pytest.raises(ValueError, match="converged, got MAX_ITER"):
        goodness_of_fit(result)
