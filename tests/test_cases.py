"""Small data sets on which a careless fit ends elsewhere, with values found by other means.

tests/cases has clusters of unequal spread, sharp edges and one-sided columns, of two (nig30,
skewt20, nig20) and of one (bimodal12), and six values (cauchy6). The values were confirmed by
densities written with SciPy's kve and its optimizers, and by plain EM of 20,000 steps.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from conftest import needs_jax

import nvmix
from nvmix import (
    BatchEMFitter,
    ConvergenceWarning,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
    VarianceGamma,
)

CASES = Path(__file__).parent / "cases"
SPECIAL_CASES = NormalInverseGaussian, NormalInverseGamma, Hyperbolic
BACKENDS = ["cpu", pytest.param("jax", marks=[needs_jax, pytest.mark.exhaustive])]


def rows(name):
    return np.loadtxt(CASES / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)


def fit(X, family, backend, **settings):
    return nvmix.fit(X, family, e_step_backend=backend, m_step_backend=backend, **settings)


@pytest.mark.parametrize("backend", BACKENDS)
class TestMaxima:
    def test_clusters_of_unequal_spread(self, backend):
        result = fit(rows("nig30"), "nig", backend)
        assert result.status is Status.CONVERGED
        assert result.log_likelihood == pytest.approx(-106.0013, abs=2e-4)
        np.testing.assert_allclose(result.model.mu, [-0.652, 0.040], atol=2e-3)
        y = result.model.subordinator.mean()
        np.testing.assert_allclose(result.model.gamma * y, result.model.mean() - result.model.mu)

    @pytest.mark.parametrize("criterion", ["parameters", "likelihood"])
    def test_skew_t(self, backend, criterion):
        result = fit(rows("skewt20"), "skewt", backend, criterion=criterion)
        assert result.status is Status.CONVERGED
        assert result.log_likelihood == pytest.approx(-59.0301, abs=2e-4)

    def test_few_rows(self, backend):
        result = fit(rows("nig20"), "nig", backend)
        assert result.status is Status.CONVERGED
        assert result.log_likelihood == pytest.approx(-64.0949, abs=2e-4)

    @pytest.mark.parametrize(
        ("alpha", "value"), [(0.5, -13.533374), (0.3, -14.051751), (0.49, -13.547716)]
    )
    def test_cauchy_and_heavier(self, backend, alpha, value):
        """E[Y | x] is infinite in each row."""
        X = rows("cauchy6")
        result = fit(X, "skewt", backend, symmetric=True, fixed={"alpha": alpha})
        assert result.converged
        assert result.log_likelihood == pytest.approx(value, abs=2e-6)
        if alpha == 0.5:
            location, scale = scipy.stats.cauchy.fit(X)
            assert result.model.mu[0] == pytest.approx(location, abs=1e-3)
            y = result.model.subordinator
            assert np.sqrt(result.model.sigma()[0, 0] * y.beta / y.alpha) == pytest.approx(
                scale, abs=1e-3
            )

    @pytest.mark.parametrize("seed", [6, 7])
    def test_a_small_sigma_beside_gamma_y(self, backend, seed):
        """With tails of order 1/2 gamma Y has nearly all of the variance, and Sigma a maximum."""
        X = np.random.default_rng(seed).standard_t(0.5, (60, 1))
        result = fit(X, "nig", backend)
        model, y = result.model, result.model.subordinator
        assert result.status is Status.CONVERGED
        assert model.gamma[0] ** 2 * y.var() > 1e4 * model.sigma()[0, 0] * y.mean()
        for factor in (0.2, 5.0):
            start = replace(model, L_sigma=np.sqrt(factor) * model.L_sigma)
            steps = BatchEMFitter(acceleration="none", max_iter=2000).run(start, X)
            assert steps.log_likelihood == pytest.approx(result.log_likelihood, abs=1e-6)
            np.testing.assert_allclose(steps.model.cov(), model.cov(), rtol=0.01)

    @pytest.mark.parametrize("family", ["nig", "skewt"])
    def test_one_row_far_away(self, backend, family):
        """At 10^8 times the others, with tails of order 1/2: E[Y] E[1/Y] is beyond 10^9."""
        X = np.random.default_rng(1).standard_t(0.5, (100, 2))
        X[0] = 1e8, 1.0001e8
        result = fit(X, family, backend)
        assert result.converged
        A = np.array([[2.0, 1.0], [0.0, 1.0]])
        mapped = fit(X @ A, family, backend)
        expected = result.log_likelihood - len(X) * np.log(2.0)
        assert mapped.log_likelihood == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize("family", ["nig", "skewt"])
    def test_one_sided_rows_have_no_sigma(self, backend, family):
        """The likelihood rises as Sigma vanishes, however little."""
        X = np.random.default_rng(0).exponential(size=(60, 1))
        with pytest.warns(ConvergenceWarning):
            assert fit(X, family, backend).status is Status.DEGENERATE

    @pytest.mark.parametrize(("family", "value"), [("nig", -30.014), ("skewt", -26.909)])
    def test_a_tight_core_is_no_gaussian_limit(self, backend, family, value):
        result = fit(rows("bimodal12"), family, backend, symmetric=True)
        assert result.status is Status.CONVERGED
        assert result.log_likelihood == pytest.approx(value, abs=1e-3)

    def test_a_tight_core_of_many_columns_is_no_row(self, backend):
        """Half of its rows are within twice the least distance from mu."""
        rng = np.random.default_rng(10)
        X = rng.standard_normal((600, 10))
        X[:200] *= 1e-3
        for family, value in (("skewt", 3708.600), ("vg", 4008.377)):
            result = fit(X, family, backend)
            assert result.status is Status.CONVERGED
            assert result.log_likelihood == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("df", "value"), [(1.0, -5062.2743), (0.5, -7286.3250)])
def test_samples_of_students_t(backend, df, value):
    """Their maxima are Nelder-Mead's of scipy.stats.t."""
    X = scipy.stats.t.rvs(df, size=2000, random_state=1)
    result = fit(X, "skewt", backend, symmetric=True)
    assert result.converged
    assert result.log_likelihood == pytest.approx(value, abs=1e-3)
    if df == 1.0:
        assert 2.0 * result.model.alpha == pytest.approx(0.9728, abs=1e-3)


def test_heavy_tails_with_missing_cells_held_mu_and_mcecm():
    rng = np.random.default_rng(5)
    X = scipy.stats.t.rvs(0.9, size=(60, 2), random_state=rng)
    X[3, 1] = np.nan
    start = NormalInverseGamma.from_classical(
        mu=[0.0, 0.0], gamma=[0.0, 0.0], sigma=np.eye(2), alpha=0.45, beta=0.45
    )
    held = start.fit(X, missing="em", symmetric=True, fixed={"alpha": 0.45}, tol=1e-8)
    assert held.converged
    values = np.append(held.log_likelihoods, held.log_likelihood / len(X))
    assert np.diff(values).min() >= -1e-13
    complete = X[~np.isnan(X).any(axis=1)]
    free = start.fit(complete, symmetric=True)
    for settings in ({"algorithm": "mcecm", "max_iter": 2000}, {"criterion": "likelihood"}):
        other = start.fit(complete, symmetric=True, **settings)
        assert other.converged
        assert other.log_likelihood == pytest.approx(free.log_likelihood, abs=1e-2)
    centred = start.fit(complete, symmetric=True, fixed={"mu": [0.0, 0.0]})
    assert centred.converged
    assert centred.log_likelihood <= free.log_likelihood + 1e-6


def test_a_generalized_hyperbolic_fit_is_no_lower_than_its_special_cases():
    for name in ("nig30", "skewt20", "nig20"):
        X = rows(name)
        starts = [family.default_init(X) for family in (*SPECIAL_CASES, GeneralizedHyperbolic)]
        *special, whole = (BatchEMFitter().run(start, X) for start in starts)
        best = max(r.log_likelihood for r in special if r.converged)
        assert whole.log_likelihood >= best - 1e-6


def test_a_gauge_that_a_limit_cannot_have_is_a_note():
    X = NormalInverseGamma.from_classical(
        mu=[0.0], gamma=[0.4], sigma=[[1.0]], alpha=2.5, beta=2.5
    ).rvs(400, seed=0)
    free, gauged = (
        GeneralizedHyperbolic.default_init(X).fit(X, regularization=gauge)
        for gauge in ("none", "a_eq_b")
    )
    assert free.status is Status.SKEW_T_LIMIT
    assert gauged.status is Status.SKEW_T_LIMIT
    assert gauged.log_likelihood == pytest.approx(free.log_likelihood, abs=1e-6)
    assert gauged.regularization == "none"
    assert "'a_eq_b' has no meaning" in gauged.message
    assert gauged.message.startswith(Status.SKEW_T_LIMIT.message)


def test_parameter_changes_fall_and_end_below_tol():
    X = NormalInverseGaussian.from_classical(
        mu=[0.0, 0.0], gamma=[0.4, -0.3], sigma=np.eye(2), mu_ig=1.0, lam=1.5
    ).rvs(2000, seed=0)
    for family in ("nig", "skewt"):
        changes = nvmix.fit(X, family).param_changes
        assert (np.diff(changes) < 0.0).all()
        assert changes[-1] < 1e-4


@pytest.mark.parametrize(("family", "value"), [("nig", -206.898796), ("hyperbolic", -224.616222)])
def test_ridges_towards_a_singular_sigma(family, value):
    """Vapour pressure of mercury by temperature, R's `pressure`."""
    mercury = [
        0.0002, 0.0012, 0.006, 0.03, 0.09, 0.27, 0.75, 1.85, 4.2, 8.8, 17.3, 32.1, 57, 96, 157,
        247, 376, 558, 806,
    ]  # fmt: skip
    X = np.column_stack([np.arange(0.0, 361.0, 20.0), mercury])
    with pytest.warns(nvmix.ConvergenceWarning, match="Sigma is singular"):
        result = nvmix.fit(X, family)
    assert result.status is Status.DEGENERATE
    assert result.log_likelihood > value - 2e-5


@pytest.mark.parametrize(
    ("family", "seed", "value"), [("nig", 60, -855.62), ("skewt", 87, -920.08)]
)
def test_tails_of_index_a_quarter(family, seed, value):
    """Of few rows a single one is the mean of Y, and gamma Y varies by as much as X."""
    rng = np.random.default_rng(seed)
    y = 1.0 / rng.gamma(0.25, 4.0, size=(100, 1))
    X = 0.3 * y + np.sqrt(y) * rng.normal(size=(100, 2))
    result = nvmix.fit(X, family)
    assert result.status is Status.CONVERGED
    assert result.log_likelihood > value


def test_one_row_far_out_of_thousands():
    """Its E[Y | x] is most of the mean of Y, by which gamma counts."""
    rng = np.random.default_rng(0)
    X = rng.laplace(size=(5000, 2))
    X[0] = 1e6 * rng.normal(size=2)
    result = nvmix.fit(X, "skewt")
    assert result.status is Status.CONVERGED
    with pytest.warns(ConvergenceWarning):
        plain = result.model.fit(X, acceleration="none", max_iter=100, tol=1e-12)
    assert plain.log_likelihood - result.log_likelihood < 1e-3


class TestMissingValues:
    """Heavy tails and outliers beside missing values."""

    @pytest.fixture
    def X(self):
        rng = np.random.default_rng(3)
        y = 1.0 / rng.gamma(0.5, 2.0, size=(1000, 1))
        return 0.15 * y + np.sqrt(y) * rng.normal(size=(1000, 2))

    def test_the_complete_rows_are_a_start(self, X):
        """Alone, EM from the start by moments ends far below Student's t."""
        X[np.random.default_rng(0).random(X.shape) < 0.05] = np.nan
        X = X[~np.isnan(X).all(axis=1)]
        skewed, symmetric = (nvmix.fit(X, family, missing="em") for family in ("skewt", "t"))
        assert skewed.status is Status.CONVERGED
        assert skewed.log_likelihood > symmetric.log_likelihood

    @pytest.mark.parametrize("family", ["nig", "skewt"])
    def test_an_outlier_is_no_singular_sigma(self, family):
        rng = np.random.default_rng(1)
        X = rng.standard_t(4, size=(1000, 2)) + np.square(rng.normal(size=(1000, 1)))
        X[500, 1] *= 1e6
        complete = nvmix.fit(X, family)
        X[7, 0] = np.nan
        result = nvmix.fit(X, family, missing="em")
        assert complete.status is result.status is Status.CONVERGED
        assert 0.0 < result.log_likelihood - complete.log_likelihood < 20.0


def test_most_rows_are_equal():
    """E[Y] in units of Sigma leaves the range of doubles."""
    X = np.zeros((300, 1))
    X[:30, 0] = np.random.default_rng(0).poisson(3, 30)
    with pytest.warns(ConvergenceWarning):
        assert nvmix.fit(X, "nig", symmetric=True).status is Status.UNBOUNDED


def test_an_outlier_makes_no_cusp():
    """Beside it all rows are near mu, though mu is at none of them."""
    rng = np.random.default_rng(5)
    X = rng.standard_t(4, size=(3000, 3)) - np.square(rng.normal(size=(3000, 1)))
    X[777, 1] *= 1e6
    result = nvmix.fit(X, "hyperbolic")
    assert result.status is Status.VARIANCE_GAMMA_LIMIT
    assert result.rows == ()


def test_rows_at_mu_are_not_named_by_the_size_of_an_outlier():
    X = np.random.default_rng(0).normal(size=(500, 1))
    X[0] = 1e7
    result = nvmix.fit(X, "vg", bounded=True)
    assert result.status is Status.CUSP
    assert len(result.rows) == 1


class TestCusps:
    """Of few rows, a density with a peak at mu is tried at all of them, and beside b = 0."""

    def test_the_highest_of_all_rows(self):
        """EM goes to a Sigma that is nearly 0; the cusp is at the left edge."""
        X = np.array([
            -0.326, -0.208, -0.002, 0.158, 0.421, 0.477, -0.005, -0.238, -0.329, 0.496, 0.134,
            0.315, -0.141, 0.229, 0.315, 0.158, -0.071, 0.131, 0.266, 0.155, 0.317, 0.107, 0.019,
            -0.326, 0.252, -0.025, 0.069, -0.009, -0.175, -0.328, 0.282, 0.496, -0.328, -0.196,
            -0.038, -0.328, -0.188, -0.099, 0.03, 0.434,
        ])  # fmt: skip
        start = Hyperbolic.default_init(X)
        # Fits at the other rows end lower, at the Gaussian limit.
        held = [BatchEMFitter(fixed={"mu": [x]}).run(start, X) for x in np.unique(X)[:4]]
        result = start.fit(X)
        assert result.status is Status.CUSP
        assert result.model.mu == X.min()
        assert result.log_likelihood == pytest.approx(-0.92917, abs=1e-4)
        assert result.log_likelihood >= max(r.log_likelihood for r in held) - 1e-5

    def test_a_maximum_inside_that_is_above_every_cusp(self):
        """Its value is of fits from the ends of other families, which all lead there."""
        X = np.array([
            0.18, -1.191, -0.546, -0.297, -0.117, -0.64, 1.836, -0.107, 0.827, 0.658, -1.929, 0.987,
            2.224, -0.362, -1.118, 3.131, 0.077, 1.724, -0.505, -0.135, -1.072, 0.161, 2.972,
            -0.234, 1.286, -1.303, -0.465, 3.368, 1.654, -0.747,
        ])  # fmt: skip
        result = nvmix.fit(X, "hyperbolic")
        assert result.status is Status.CONVERGED
        assert result.log_likelihood == pytest.approx(-49.62203, abs=2e-5)

    def test_tails_of_index_one_half(self):
        """EM from the moments stops 2,000 nats lower, at its first iteration."""
        rng = np.random.default_rng([6, 2])
        rng.integers(1, 3)
        y = 1.0 / rng.gamma(0.25, 4.0, (100, 1))
        X = rng.choice([0.0, 0.0, 0.3]) * y + np.sqrt(y) * rng.standard_normal((100, 2))
        result = nvmix.fit(X, "hyperbolic")
        assert result.status is Status.CUSP
        assert result.log_likelihood == pytest.approx(-3216.1638, abs=1e-3)

    @pytest.mark.parametrize(("seed", "value"), [(2, -227.069), (8, -222.386)])
    def test_variance_gamma_of_exponential_columns(self, seed, value):
        """Two interior maxima, or a cusp, are 1.0 and 1.3 nats lower."""
        X = np.random.default_rng([6, seed]).exponential(1.0, (100, 2)).round(3)
        result = BatchEMFitter().run(VarianceGamma.default_init(X), X)
        assert result.log_likelihood == pytest.approx(value, abs=1e-3)

    def test_a_cusp_on_a_ridge(self):
        """A fit that goes on with mu at a row starts where EM is slow, and may not end at once."""
        rng = np.random.default_rng([2, 1])
        near = rng.random(30) < rng.uniform(0.35, 0.65)
        wide = np.array([5.0, rng.uniform(-1, 1)]) + rng.standard_normal((30, 2)) * [0.8, 2.5]
        X = np.where(near[:, None], 0.3 * rng.standard_normal((30, 2)), wide).round(1)
        result = nvmix.fit(X, "hyperbolic")
        assert result.status is Status.CUSP
        assert result.log_likelihood == pytest.approx(-112.06488, abs=5e-5)

    def test_a_cusp_beside_an_end_that_has_settled_with_b_above_0(self):
        """EM settles 0.16 nats lower, with b = 0.16 E[Y]."""
        X = np.array([
            -0.244, -1.445, 2.554, -2.431, 0.589, 1.481, -3.691, 1.111, 1.816, -1.136, 0.642,
            2.474, -0.312, 2.639, 1.024, -0.332, 4.167, -0.102, -0.221, -12.359, 0.928, -0.888,
            -0.293, 0.228, 1.721, -0.931, -2.499, -1.379, -0.628, 1.09, 0.658, -1.098, 0.725,
            -1.993, -0.37, -0.737, -1.687, -2.579, -0.396, -1.255,
        ])  # fmt: skip
        result = nvmix.fit(X, "hyperbolic")
        held = nvmix.fit(X, "hyperbolic", fixed={"mu": [-0.293]})
        assert result.status is Status.CUSP
        assert result.log_likelihood == pytest.approx(-84.66110, abs=2e-5)
        assert result.log_likelihood >= held.log_likelihood - 1e-6

    def test_a_maximum_beside_the_row_of_a_cusp(self):
        """EM settles 0.0896 nats lower, with b = 2 E[Y]; with mu held at the row it is 6e-4."""
        rng = np.random.default_rng([2026, 9, 2])
        rng.integers(1, 4)
        X = rng.standard_normal((40, 2))
        rng.random()
        X /= np.sqrt(rng.chisquare(15.0, (40, 1)) / 15.0)
        result = nvmix.fit(X, "hyperbolic")
        assert result.status is Status.CUSP
        assert result.log_likelihood == pytest.approx(-131.04059, abs=3e-5)

    def test_a_pole_at_another_row_does_not_hide_a_ridge(self):
        """R's `InsectSprays`. The density can be infinite at one row, but not where EM goes.

        It goes 0.19 nats higher than the highest cusp, along a ridge to a singular Sigma on which
        EM alone is 5e-4 short after 100 iterations.
        """
        X = np.array([
            10, 7, 20, 14, 14, 12, 10, 23, 17, 20, 14, 13, 11, 17, 21, 11, 16, 14, 17, 17, 19, 21,
            7, 13, 0, 1, 7, 2, 3, 1, 2, 1, 3, 0, 1, 4, 3, 5, 12, 6, 4, 3, 5, 5, 5, 5, 2, 4, 3, 5,
            3, 5, 3, 6, 1, 1, 3, 2, 6, 4, 11, 9, 15, 22, 15, 16, 13, 10, 26, 26, 24, 13,
        ])  # fmt: skip
        with pytest.warns(nvmix.ConvergenceWarning):
            results = [nvmix.fit(X, family) for family in ("vg", "gh")]
        for result in results:
            assert result.status is Status.DEGENERATE
            assert result.log_likelihood == pytest.approx(-233.361677, abs=2e-5)

    @pytest.mark.parametrize("family", ["nig", "skewt"])
    def test_nine_rows_in_ten_that_are_equal(self, family):
        X = np.random.default_rng(0).standard_t(4, size=300)
        X[:270] = 0.0
        with pytest.warns(nvmix.ConvergenceWarning, match="and 260 more"):
            result = nvmix.fit(X, family)
        assert (result.status, result.rows) == (Status.UNBOUNDED, tuple(range(270)))

    def test_equal_rows_with_others_a_rounding_away(self):
        X = np.random.default_rng(4).standard_normal((60, 2))
        X[:25] = X[0]
        X[25:29] = X[0] + 1e-13 * np.arange(1.0, 9.0).reshape(4, 2)
        with pytest.warns(nvmix.ConvergenceWarning):
            result = nvmix.fit(X, "skewt")
        assert (result.status, result.rows) == (Status.UNBOUNDED, tuple(range(29)))

    @pytest.mark.parametrize("family", ["nig", "skewt"])
    def test_a_row_next_to_the_edge_of_gamma_y_is_no_pole(self, family):
        """Sigma vanishes beside gamma Y, which has a bounded density."""
        X = np.random.default_rng(16).wald(1.0, 0.3, 5)
        with pytest.warns(nvmix.ConvergenceWarning):
            assert nvmix.fit(X, family).status is Status.DEGENERATE

    def test_rows_nearer_to_mu_than_the_root_of_b_are_no_pole(self):
        """Body (kg) and brain weights (g) of animals, R's `Animals`: from 0.02 kg to 87 t."""
        body = [
            1.35, 465, 36.33, 27.66, 1.04, 11700, 2547, 187.1, 521, 10, 3.3, 529, 207, 62, 6654,
            9400, 6.8, 35, 0.12, 0.023, 2.5, 55.5, 100, 52.16, 0.28, 87000, 0.122, 192,
        ]  # fmt: skip
        brain = [
            8.1, 423, 119.5, 115, 5.5, 50, 4603, 419, 655, 115, 25.6, 680, 406, 1320, 5712, 70, 179,
            56, 1, 0.4, 12.1, 175, 157, 440, 1.9, 154.5, 3, 180,
        ]  # fmt: skip
        with pytest.warns(nvmix.ConvergenceWarning):
            result = nvmix.fit(np.column_stack([body, brain]), "gh")
        assert result.status is not Status.UNBOUNDED
        assert result.log_likelihood > -376.25

    def test_other_rows_count_as_passes_and_can_be_told(self, capsys):
        X = np.random.default_rng([6, 8]).exponential(1.0, (100, 2)).round(3)
        result = BatchEMFitter(verbose=1).run(VarianceGamma.default_init(X), X)
        assert "fits at other rows in" in capsys.readouterr().out
        assert result.n_passes > result.n_iter + 100
