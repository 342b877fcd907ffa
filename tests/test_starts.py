"""Starting models: where fits from them end, and what a generalized hyperbolic fit promises."""

import numpy as np
import pytest
from conftest import FAMILIES, exhaustive, make, needs_jax

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
from nvmix.fitting.engine.special_cases import special_cases
from nvmix.fitting.starts.core import core_of, shortest_intervals
from nvmix.fitting.starts.moments import match_moments
from nvmix.fitting.starts.start import StartingRows

SPECIAL = (NormalInverseGaussian, NormalInverseGamma, Hyperbolic, VarianceGamma)
BIMODAL = np.array([0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.05, 10, 11, 12, 9])[:, None]
# Three clusters, of which each is flat in a direction of its own.
FLAT = np.array([
    [-7.9, -1.0, 9.8], [-5.9, 5.3, 10.0], [4.9, -4.8, -1.6], [-4.3, -6.5, -0.1], [5.4, -5.0, -1.4],
    [-4.2, -5.2, 0.2], [-5.5, 3.9, 10.0], [6.3, -4.6, -1.4], [-6.4, -1.6, 9.7], [-6.0, 0.9, 9.8],
    [-6.0, 0.6, 9.6], [6.0, -4.9, -1.2], [-4.8, -3.3, 9.7], [-6.6, 2.5, 9.8], [-7.8, 0.3, 9.9],
    [5.6, -4.6, -1.7], [5.5, -5.9, -1.5], [4.8, -4.9, -1.5], [-6.1, -1.9, 10.0], [5.5, -5.2, -1.5],
    [5.4, -5.1, -1.3], [5.5, -5.5, -1.4], [-5.9, -1.0, 9.9], [-4.5, -7.8, 0.4], [6.1, -5.3, -1.7],
    [-7.6, -4.4, 10.1], [-6.0, 0.4, 9.9], [-6.1, 5.5, 9.9], [-6.1, -2.6, 10.0], [-3.7, -9.2, 0.2],
])  # fmt: skip
UNDEFINED = {Status.UNBOUNDED, Status.NON_FINITE}
# Rows (n, d) of which few have many maxima, at cusps and on the way to poles.
FEW_ROWS = {
    "exponential": lambda rng, n, d: rng.exponential(size=(n, d)),
    "lognormal": lambda rng, n, d: rng.lognormal(sigma=0.8, size=(n, d)),
    "ties": lambda rng, n, d: rng.standard_t(3.0, size=(n, d)).round(),
    "counts": lambda rng, n, d: rng.poisson(3.0, size=(n, d)).astype(float),
    "squares": lambda rng, n, d: np.square(rng.normal(size=(n, d))),
    "clusters": lambda rng, n, d: (
        rng.choice([-5.0, 0.0, 5.0], (n, 1))
        + rng.choice([0.01, 1.0], (n, 1)) * rng.normal(size=(n, d))
    ),
}


def clusters(seed, n, d):
    """A tight cluster, and one of another spread and place."""
    rng = np.random.default_rng(seed)
    tight = 0.3 * rng.standard_normal((n - n // 3, d))
    return np.concatenate([tight, rng.uniform(2, 8, d) + 2.0 * rng.standard_normal((n // 3, d))])


@pytest.mark.parametrize(
    ("family", "value"),
    [(NormalInverseGaussian, -30.01374), (NormalInverseGamma, -26.90884)],
)
def test_a_tight_cluster_is_no_gaussian_limit(family, value):
    """Kurtosis is negative, and moments give a nearly normal start."""
    result = family.default_init(BIMODAL).fit(BIMODAL, symmetric=True)
    assert result.converged
    assert result.log_likelihood >= value - 1e-4


@pytest.mark.parametrize(("df", "value"), [(1.0, -5062.2743), (0.5, -7286.3250)])
def test_tails_without_a_mean(df, value):
    """Values of SciPy's Nelder-Mead on its own density of Student's t."""
    stats = pytest.importorskip("scipy.stats")
    x = stats.t.rvs(df, size=2000, random_state=1)
    result = NormalInverseGamma.default_init(x).fit(x, symmetric=True)
    assert result.converged
    assert result.log_likelihood == pytest.approx(value, abs=2e-3)
    assert 2.0 * result.model.alpha == pytest.approx(df, rel=0.05)


@pytest.mark.parametrize(
    ("family", "value"), [(NormalInverseGaussian, -249.87098), (NormalInverseGamma, -250.04327)]
)
def test_a_core_that_is_rather_narrow_in_all_columns(family, value):
    """No column's core is so narrow by itself; from the moments fits end 4 nats lower."""
    rng = np.random.default_rng([2026, 2, 15])
    near = rng.random(60) < rng.uniform(0.35, 0.65)
    wide = np.array([5.0, rng.uniform(-1, 1)]) + rng.standard_normal((60, 2)) * [0.8, 2.5]
    X = np.where(near[:, None], 0.3 * rng.standard_normal((60, 2)), wide).round(1)
    result = family.default_init(X).fit(X, symmetric=True)
    assert result.converged
    assert result.log_likelihood == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_the_highest_of_several_singular_ends(order):
    """EM of 20,000 steps from the start by moments ends at -218.115, from an edge at -213.737."""
    X = FLAT[:, order]
    with pytest.warns(ConvergenceWarning, match="singular"):
        result = NormalInverseGamma.default_init(X).fit(X)
    assert result.status is Status.DEGENERATE
    assert result.log_likelihood == pytest.approx(-213.737, abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_starts_do_not_depend_on_units(family, seed):
    X, units, shift = clusters(seed, 60, 2), np.array([1e-4, 1e3]), np.array([5.0, -7.0])
    start, moved = family.default_init(X), family.default_init(X * units + shift)
    np.testing.assert_allclose(moved.mu, start.mu * units + shift, rtol=1e-6)
    np.testing.assert_allclose(moved.L_sigma, units[:, None] * start.L_sigma, rtol=1e-6)
    np.testing.assert_allclose(moved.subordinator.gig, start.subordinator.gig, rtol=1e-6)


def test_well_behaved_data_keep_the_start_by_moments():
    true = NormalInverseGaussian.from_classical(
        mu=[0.0, 0.0], gamma=[0.3, -0.2], sigma=[[1.0, 0.4], [0.4, 1.0]], mu_ig=1.0, lam=1.5
    )
    X = true.rvs(3000, seed=4)
    moments = match_moments(X)
    for family in (NormalInverseGaussian, NormalInverseGamma, Hyperbolic, GeneralizedHyperbolic):
        start = family.default_init(X)
        np.testing.assert_array_equal(start.mu, moments.mu)
        np.testing.assert_array_equal(start.gamma, moments.gamma)


def test_repeated_and_few_rows_have_a_start(family):
    rng = np.random.default_rng(0)
    ties = np.concatenate([np.zeros((70, 2)), rng.standard_normal((30, 2))])
    # Of the last, all rows that starts are made from are equal.
    every = rng.standard_normal((1000, 2)) * (np.arange(1000) % 2)[:, None]
    for X in (ties, rng.standard_normal((4, 2)), rng.standard_normal((5, 1)) ** 9, every):
        start = family.default_init(X)
        assert np.isfinite(start.marginal_log_likelihood(X)) or family is VarianceGamma


class TestCore:
    def test_it_leaves_outliers_and_clusters(self):
        rng = np.random.default_rng(1)
        sigma = np.array([[1.0, 0.6], [0.6, 2.0]])
        X = np.concatenate(
            [
                rng.multivariate_normal([3.0, -1.0], sigma, 600),
                rng.multivariate_normal([30.0, 40.0], 9.0 * sigma, 300),
            ]
        )
        core = core_of(X, 0.5)
        np.testing.assert_allclose(core.mu, [3.0, -1.0], atol=0.2)
        assert core.distances[600:].min() > core.distances[:600].max()

    def test_intervals(self):
        X = np.array([[0.0, 9.0], [5.0, 1.0], [5.5, 4.0], [6.0, 8.0]])
        mid, half = shortest_intervals(X, 3)
        np.testing.assert_allclose(mid, [5.5, 6.5])
        np.testing.assert_allclose(half, [0.5, 2.5])


class TestSpecialCases:
    """A fit of the generalized hyperbolic ends no lower than one of its special cases."""

    @pytest.mark.parametrize("symmetric", [False, True])
    @pytest.mark.parametrize(
        ("n", "d", "seed"),
        [
            *((n, d, seed) for n, d in ((20, 1), (40, 2)) for seed in range(4)),
            *((1500, 1, seed) for seed in range(2)),
        ],
    )
    def test_whatever_the_data(self, n, d, seed, symmetric):
        X = clusters(seed, n, d)
        self.check(X, symmetric=symmetric)

    @pytest.mark.parametrize(
        ("n", "d", "seed"), [(20, 1, 0), exhaustive(40, 1, 0), exhaustive(30, 2, 2)]
    )
    @pytest.mark.parametrize("kind", sorted(FEW_ROWS))
    def test_few_rows_at_cusps_and_poles(self, kind, n, d, seed):
        """An end at a cusp is a maximum with p free, too: with mu held there no fit is likelier."""
        X = FEW_ROWS[kind](np.random.default_rng(seed), n, d)
        result = self.check(X)
        if result.status is Status.CUSP:
            model, mu = result.model, result.model.mu
            start = VarianceGamma.from_classical(
                mu=mu, gamma=model.gamma, sigma=model.sigma(), alpha=model.p, beta=0.5 * model.a
            )
            held = BatchEMFitter(fixed={"mu": mu}).run(start, X)
            assert held.status is Status.CUSP
            assert held.log_likelihood <= result.log_likelihood + 1e-6

    @pytest.mark.exhaustive
    def test_a_row_that_only_the_search_of_a_special_case_finds(self):
        """With 1,100 rows EM's first gains are no reason to give up the variance gamma law."""
        self.check(np.random.default_rng([0, 1100, 1]).exponential(size=(1100, 1)))

    @pytest.mark.parametrize(("kind", "seed"), [("exponential", 2), ("clusters", 0)])
    def test_a_hyperbolic_cusp_that_leads_to_a_pole(self, kind, seed):
        """With mu held at the row p falls to d / 2; the second fit goes to a pole by itself, too.

        There EM stops 0.14 nats below the hyperbolic maximum.
        """
        X = FEW_ROWS[kind](np.random.default_rng(seed), 40, 1)
        result, special = (
            BatchEMFitter().run(family.default_init(X), X)
            for family in (GeneralizedHyperbolic, Hyperbolic)
        )
        assert (special.status, result.status) == (Status.CUSP, Status.UNBOUNDED)
        assert not result.converged
        assert result.rows == special.rows
        assert result.log_likelihood == pytest.approx(special.log_likelihood, rel=1e-12)

    @pytest.mark.parametrize("family", SPECIAL)
    def test_data_of_a_special_case(self, family):
        result = self.check(make(family, 2).rvs(1500, seed=5))
        assert result.converged

    @pytest.mark.parametrize(
        "settings",
        [
            {"acceleration": "none", "max_iter": 60},
            {"criterion": "likelihood"},
            {"algorithm": "mcecm", "max_iter": 30},
            {"max_iter": 3},
            {"bounded": True},
            {"fixed": {"mu": [0.0, 0.0]}},
            {"regularization": "det_sigma_one"},
        ],
    )
    def test_settings(self, settings):
        X = clusters(7, 60, 2)
        families = SPECIAL if "bounded" not in settings else (VarianceGamma,)
        self.check(X, families, **settings)

    def test_weights(self):
        X = clusters(2, 60, 1)
        self.check(X, weights=np.random.default_rng(0).uniform(0.0, 3.0, 60))

    def test_missing_values(self):
        X = clusters(5, 60, 2)
        X[::7, 1] = np.nan
        self.check(X, missing="em")

    def check(self, X, families=SPECIAL, weights=None, **settings):
        fitter = BatchEMFitter(**settings)
        missing = settings.get("missing", "raise")
        wide = GeneralizedHyperbolic.default_init(X, missing=missing)
        result = fitter.run(wide, X, weights)
        assert len(result.log_likelihoods) == len(result.param_changes) == result.n_iter
        assert result.n_iter <= fitter.max_iter
        assert np.diff(result.log_likelihoods).min(initial=0.0) >= -1e-13
        for family in families:
            special = fitter.run(family.default_init(X, missing=missing), X, weights)
            if special.status not in UNDEFINED:
                assert result.log_likelihood >= special.log_likelihood - 1e-6
        return result

    def test_clusters_that_look_like_heavy_tails(self):
        """With 1,500 rows EM's first gains said nothing of a cusp that is 5 nats higher."""
        rng = np.random.default_rng(53)
        centers = rng.standard_t(1.5, (20, 1))
        X = centers[rng.integers(20, size=1500)] + 0.02 * rng.standard_normal((1500, 1))
        assert not StartingRows(X).in_doubt
        self.check(X)

    @pytest.mark.parametrize("seed", [216, 998])
    def test_at_a_limit_no_digit_is_left(self, seed):
        """The fit itself stopped 3e-5 nats below the variance gamma's."""
        rng = np.random.default_rng(seed)
        y = rng.gamma(4.0, 0.25, size=(1200, 1))
        result = self.check(0.5 * y + np.sqrt(y) * rng.standard_normal((1200, 3)))
        assert result.status is Status.VARIANCE_GAMMA_LIMIT

    @pytest.mark.parametrize("seed", [678, 1896])
    def test_a_maximum_inside_and_one_at_a_limit(self, seed):
        """EM's first gains foretold an end of the variance gamma 0.1 nats lower than it has."""
        rng = np.random.default_rng(seed)
        y = rng.gamma(2.5, size=(1500, 1))
        self.check(np.sqrt(y) * rng.standard_normal((1500, 1)))

    def test_an_end_at_a_row_with_a_singular_sigma_counts(self):
        rng = np.random.default_rng(13)
        result = self.check(rng.integers(0, 3, (30, 3)) + 0.02 * rng.standard_normal((30, 3)))
        assert result.status is Status.SINGULAR

    def test_rows_that_repeat_are_a_pole(self):
        """Every law of negative order has one where m of n equal rows are more than n / (d + 1)."""
        X = np.random.default_rng(0).standard_normal((15, 3))
        X[::3] = X[0]
        result = BatchEMFitter().run(GeneralizedHyperbolic.default_init(X), X)
        assert result.status is Status.UNBOUNDED
        assert result.rows == (0, 3, 6, 9, 12)

    def test_a_limit_has_its_status(self):
        """Student's t is the likeliest law: a = 0."""
        X = np.random.default_rng(3).standard_t(4.0, (2000, 3))
        result = GeneralizedHyperbolic.default_init(X).fit(X)
        assert result.status is Status.SKEW_T_LIMIT
        assert result.model.a == 0.0

    def test_all_passes_count(self):
        X = np.random.default_rng(3).standard_t(4.0, (100, 2))
        start = GeneralizedHyperbolic.default_init(X)
        alone = BatchEMFitter(fixed={"p": start.p}).run(start, X)
        result = BatchEMFitter().run(start, X)
        assert alone.n_passes <= 3 * alone.n_iter
        assert result.n_passes > 3 * result.n_iter

    def test_a_source_of_chunks_is_not_compared(self):
        X = clusters(0, 30, 1)
        start = GeneralizedHyperbolic.default_init(X)
        result = BatchEMFitter(max_iter=5).run(start, lambda: [X])
        assert result.n_passes <= 2 * result.n_iter + 1

    @needs_jax
    @pytest.mark.exhaustive
    def test_on_jax(self):
        X = clusters(1, 40, 1)
        both = {"e_step_backend": "jax", "m_step_backend": "jax"}
        start = GeneralizedHyperbolic.default_init(X)
        result = BatchEMFitter(**both, max_iter=30).run(start, X)
        assert result.n_passes > result.n_iter + 4
        for family in SPECIAL:
            special = BatchEMFitter(max_iter=30).run(family.default_init(X), X)
            if special.status not in UNDEFINED:
                assert result.log_likelihood >= special.log_likelihood - 1e-6


def test_the_special_cases_are_the_families():
    d = 3
    fixed = {family._fixed(d) for family in set(FAMILIES) - {GeneralizedHyperbolic}}
    assert set(special_cases(d)) == fixed
