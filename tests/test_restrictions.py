"""Fits that hold something, weigh rows, or find values missing."""

import numpy as np
import pytest
from conftest import FAMILIES, make

from nvmix import (
    BatchEMFitter,
    ConvergenceWarning,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
    VarianceGamma,
    compare,
    fit_many,
    get_num_threads,
    set_num_threads,
)

TIGHT = {"criterion": "likelihood", "tol": 1e-12, "max_iter": 5000}


@pytest.fixture(scope="module")
def data():
    return {family: make(family).rvs(1500, seed=3) for family in FAMILIES}


class TestWeights:
    @pytest.mark.parametrize("n", [400, 20_000])
    def test_integers_repeat_rows(self, family, n):
        X = make(family).rvs(n, seed=1)
        weights = np.random.default_rng(0).integers(0, 4, n)
        repeated = np.repeat(X, weights, axis=0)
        start = family.default_init(X)
        one, other = start.e_step(X, weights=weights), start.e_step(repeated)
        for name in ("weight", "log_likelihood", "E_log_Y", "E_inv_Y", "E_Y", "E_XXT_inv_Y"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12)
        step, other_step = start.m_step(one), start.m_step(other)
        np.testing.assert_allclose(step.sigma(), other_step.sigma(), rtol=1e-10)
        weighted = BatchEMFitter(**TIGHT).run(start, X, weights.astype(float))
        plain = BatchEMFitter(**TIGHT).run(start, repeated)
        np.testing.assert_allclose(weighted.model.sigma(), plain.model.sigma(), rtol=1e-5)
        difference = weighted.log_likelihood - plain.log_likelihood
        assert abs(difference) <= 1e-10 * abs(plain.log_likelihood)
        assert weighted.n_observations == len(repeated)
        assert weighted.bic == pytest.approx(plain.bic, rel=1e-12)

    def test_only_their_ratios_matter(self, data):
        X = data[NormalInverseGaussian]
        weights = 0.999 ** np.arange(len(X))[::-1]
        start = NormalInverseGaussian.default_init(X)
        one, other = start.fit(X, weights=weights), start.fit(X, weights=1e3 * weights)
        np.testing.assert_allclose(other.model.mu, one.model.mu, rtol=1e-10)
        assert not np.allclose(one.model.mu, start.fit(X).model.mu, rtol=1e-3)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (np.ones(3), r"weights must have shape \(1500,\).*got \(3,\)"),
            (-np.ones(1500), "weights must be nonnegative"),
            (np.zeros(1500), "weights must not all be 0"),
            (np.full(1500, np.nan), "weights must be finite"),
        ],
    )
    def test_bad_ones_are_named(self, data, weights, message):
        X = data[NormalInverseGaussian]
        with pytest.raises(ValueError, match=message):
            NormalInverseGaussian.default_init(X).fit(X, weights=weights)


class TestHeldParameters:
    def test_symmetric(self, family, data):
        X = data[family]
        result = family.default_init(X).fit(X, symmetric=True, **TIGHT)
        free = family.default_init(X).fit(X, **TIGHT)
        assert result.converged
        assert not result.model.gamma.any()
        assert result.n_parameters == free.n_parameters - 2
        assert result.log_likelihood < free.log_likelihood
        assert result.symmetric
        same = family.default_init(X).fit(X, fixed={"gamma": 0.0}, **TIGHT)
        assert same.log_likelihood == result.log_likelihood
        _is_a_maximum(result, X, {"gamma"})

    def test_location(self, family, data):
        X = data[family]
        mu = np.array([0.2, -0.1])
        result = family.default_init(X).fit(X, fixed={"mu": mu}, **TIGHT)
        np.testing.assert_array_equal(result.model.mu, mu)
        assert result.n_parameters == family.default_init(X).n_parameters - 2
        _is_a_maximum(result, X, {"mu"})

    @pytest.mark.parametrize("backend", ["cpu", "steps"])
    def test_location_and_symmetry(self, data, backend):
        X = data[NormalInverseGaussian]
        method = "newton" if backend == "cpu" else "lbfgs"
        result = NormalInverseGaussian.default_init(X).fit(
            X, fixed={"mu": [0.0, 0.0]}, symmetric=True, m_step_method=method, **TIGHT
        )
        assert not result.model.mu.any()
        assert not result.model.gamma.any()
        _is_a_maximum(result, X, {"mu", "gamma"})

    def test_gh_at_fixed_orders_is_its_special_cases(self, data):
        X = data[NormalInverseGaussian]
        gh = GeneralizedHyperbolic.default_init(X)
        nig = NormalInverseGaussian.default_init(X).fit(X, **TIGHT)
        held = gh.fit(X, fixed={"p": -0.5}, **TIGHT)
        assert held.model.p == -0.5
        assert held.n_parameters == nig.n_parameters
        assert held.log_likelihood == pytest.approx(nig.log_likelihood, abs=1e-7)
        hyperbolic = Hyperbolic.default_init(X).fit(X, **TIGHT)
        held = gh.fit(X, fixed={"p": 1.5}, **TIGHT)
        assert held.log_likelihood == pytest.approx(hyperbolic.log_likelihood, abs=1e-7)

    @pytest.mark.parametrize("family", [VarianceGamma, NormalInverseGamma])
    def test_shapes(self, family, data):
        X = data[family]
        result = family.default_init(X).fit(X, fixed={"alpha": 4.0}, **TIGHT)
        assert result.model.alpha == 4.0
        assert result.n_parameters == family.default_init(X).n_parameters - 1
        _is_a_maximum(result, X, {"alpha"})

    @pytest.mark.parametrize(
        ("family", "fixed", "message"),
        [
            (NormalInverseGaussian, {"p": 1.0}, "must name some of 'mu', 'gamma', got 'p'"),
            (VarianceGamma, {"beta": 1.0}, "'mu', 'gamma', 'alpha', got 'beta'"),
            (VarianceGamma, {"alpha": -1.0}, r"fixed\['alpha'\] must be positive, got -1.0"),
            (VarianceGamma, {"gamma": [0.1, 0.0]}, "must be 0"),
            (VarianceGamma, {"mu": [0.1]}, r"must have shape \(2,\)"),
        ],
    )
    def test_what_cannot_be_held_is_named(self, family, fixed, message):
        X = make(family).rvs(100, seed=0)
        with pytest.raises(ValueError, match=message):
            make(family).fit(X, fixed=fixed)


def _is_a_maximum(result, X, held):
    """No small step of what is free raises the likelihood."""
    model, rng = result.model, np.random.default_rng(0)
    p, a, b = model.subordinator.gig
    for _ in range(60):
        e = 1e-4 * rng.standard_normal(10)
        mu = model.mu if "mu" in held else model.mu + e[:2]
        gamma = model.gamma if "gamma" in held else model.gamma + e[2:4]
        L = model.L_sigma * (1.0 + np.array([[e[4], 0.0], [e[5], e[6]]]))
        order = p if model.fixed.p is not None or held & {"p", "alpha"} else p * (1.0 + e[7])
        theta = (order, a * (1.0 + e[8]), b * (1.0 + e[9]))
        moved = model.at(type(model.normal)(mu.copy(), gamma.copy(), L), theta)
        assert moved.log_prob(X).sum() <= result.log_likelihood + 1e-8


class TestMissingValues:
    def _observed(self, model, X):
        """Log-likelihood of what is there, a marginal law for each row."""
        total = 0.0
        for x in X:
            has = np.flatnonzero(~np.isnan(x))
            L = np.linalg.cholesky(model.sigma()[np.ix_(has, has)])
            law = type(model)(model.mu[has], model.gamma[has], L, model.subordinator)
            total += law.log_prob(x[has] if has.size > 1 else x[has][0])
        return total

    def _with_holes(self, family, n, d=3, share=0.3):
        X = make(family, d).rvs(n, seed=4)
        X[np.random.default_rng(0).random(X.shape) < share] = np.nan
        return X[~np.isnan(X).all(axis=1)]

    @pytest.mark.parametrize("n", [150, 600])
    def test_the_likelihood_is_that_of_what_is_there(self, n):
        # At p = -1/2 in every dimension, as marginal laws of a Hyperbolic are none.
        X = self._with_holes(NormalInverseGaussian, n)
        start = NormalInverseGaussian.default_init(X, missing="em")
        result = start.fit(X, missing="em", **TIGHT)
        assert result.converged
        assert np.diff(result.log_likelihoods).min() >= -1e-13
        assert result.log_likelihood == pytest.approx(self._observed(result.model, X), rel=1e-11)
        rng = np.random.default_rng(1)
        for _ in range(10):
            e = 1e-3 * rng.standard_normal(6)
            block = type(result.model.normal)(
                result.model.mu + e[:3], result.model.gamma + e[3:], result.model.L_sigma.copy()
            )
            moved = result.model.at(block, result.model.subordinator.gig)
            assert self._observed(moved, X) <= result.log_likelihood + 1e-9

    def test_statistics_by_sampling(self):
        """E-step of a row with a hole: means over draws of the missing value and of Y."""
        model = make(NormalInverseGaussian)
        draws, y = 400_000, model.subordinator.rvs(400_000, seed=0)
        noise = np.random.default_rng(1).standard_normal((draws, 2)) @ model.L_sigma.T
        X = model.mu + y[:, None] * model.gamma + np.sqrt(y)[:, None] * noise
        near = np.abs(X[:, 0] - 0.8) < 0.02
        holed = np.array([[0.8, np.nan], [0.8, 0.1]])
        backend_placed = BatchEMFitter(missing="em")
        assert backend_placed.missing == "em"
        from nvmix.backends import get_backend

        backend = get_backend()
        eta = backend.e_step(
            backend.place(holed[:1], missing=True), model.normal, model.subordinator.gig
        )
        inverse = 1.0 / y[near]
        assert eta.E_inv_Y == pytest.approx(inverse.mean(), rel=0.03)
        np.testing.assert_allclose(eta.E_X[1], X[near, 1].mean(), atol=0.02)
        expected = (X[near].T * inverse) @ X[near] / near.sum()
        np.testing.assert_allclose(eta.E_XXT_inv_Y, expected, rtol=0.05, atol=0.05)

    def test_every_family_and_weights(self, family):
        X = self._with_holes(family, 500, d=2, share=0.2)
        weights = np.random.default_rng(0).integers(1, 3, len(X))
        start = family.default_init(X, missing="em")
        keywords = {"missing": "em", "max_iter": 2000}
        one = start.fit(X, weights=weights, **keywords)
        other = start.fit(np.repeat(X, weights, axis=0), **keywords)
        assert one.converged
        assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-6)
        np.testing.assert_allclose(one.model.cov(), other.model.cov(), rtol=1e-2)

    def test_no_holes_change_nothing(self, data):
        """Nor where the highest of the cusps is searched."""
        spiked = np.random.default_rng(0).laplace(size=(80, 1)).round(1)
        for family, X in ((NormalInverseGaussian, data[NormalInverseGaussian]),
                          (Hyperbolic, spiked)):  # fmt: skip
            start = family.default_init(X)
            one, other = start.fit(X), start.fit(X, missing="em")
            assert (one.status, one.n_passes) == (other.status, other.n_passes)
            np.testing.assert_array_equal(one.model.mu, other.model.mu)
        assert one.status is Status.CUSP

    @pytest.mark.parametrize("d", [1, 2])
    def test_rows_without_values_leave_complete_data(self, d):
        """Which Newton's method follows."""
        X = np.random.default_rng(0).standard_t(4, size=(60, d))
        start = NormalInverseGaussian.default_init(X)
        one = start.fit(X)
        with pytest.warns(UserWarning, match="the first row 7: passed over"):
            other = start.fit(np.insert(X, 7, np.nan, axis=0), missing="em")
        assert (one.status, one.n_passes) == (other.status, other.n_passes)
        np.testing.assert_array_equal(one.model.mu, other.model.mu)

    def test_a_cusp_at_a_complete_row_is_named(self):
        true = VarianceGamma.from_classical(
            mu=[0.1, 0.0], gamma=[0.05, 0.0], sigma=np.eye(2), alpha=1.2, beta=1.2
        )
        holes = true.rvs(100, seed=3)
        holes[50:54, 1] = np.nan
        start = VarianceGamma.default_init(holes, missing="em")
        with pytest.warns(ConvergenceWarning, match="row"):
            result = start.fit(holes, missing="em")
        assert (result.status, result.rows) == (Status.SINGULAR, (3,))
        np.testing.assert_allclose(result.model.mu, holes[3], atol=1e-6)

    @pytest.mark.parametrize("n_complete", [0, 20])
    def test_rows_at_which_one_column_is_unbounded_are_named(self, n_complete):
        """Order 0.4 of Y bounds neither column's density, and one value of column 0 repeats."""
        X = np.random.default_rng(1).laplace(size=(60, 2))
        X[: 60 - n_complete : 2, 0] = np.nan
        X[1 : 60 - n_complete : 2, 1] = np.nan
        X[1:20:2, 0] = 0.125
        start = VarianceGamma.from_classical(
            mu=[0.125, 0.0], gamma=[0.1, 0.0], sigma=np.eye(2), alpha=0.4, beta=0.4
        )
        with pytest.warns(ConvergenceWarning, match="growing without limit"):
            result = start.fit(X, missing="em", fixed={"mu": start.mu})
        assert (result.status, result.rows) == (Status.UNBOUNDED, tuple(range(1, 20, 2)))

    def test_holes_are_refused_unless_asked_for(self):
        X = self._with_holes(NormalInverseGaussian, 50)
        with pytest.raises(ValueError, match="X must be finite, got nan"):
            NormalInverseGaussian.default_init(X)
        X[7] = np.nan
        X[7] = np.inf
        with pytest.raises(ValueError, match="finite or nan, got inf"):
            NormalInverseGaussian.default_init(X, missing="em")


class TestMany:
    def test_bit_equal_to_single_fits(self, family):
        sets = [make(family, d=1).rvs(n, seed=n) for n in (150, 400, 400, 300)]
        singles = [BatchEMFitter().run(family.default_init(X), X) for X in sets]
        threads = get_num_threads()
        for number in (1, 3):
            set_num_threads(number)
            for alone, result in zip(singles, fit_many(sets, family), strict=True):
                np.testing.assert_array_equal(result.model.mu, alone.model.mu)
                assert result.log_likelihood == alone.log_likelihood
                assert result.n_passes == alone.n_passes
        set_num_threads(threads)

    def test_arrays_names_and_errors(self):
        X = np.random.default_rng(0).standard_t(5, size=(3, 200, 2))
        assert len(fit_many(X, "nig", max_iter=50)) == 3
        X[1, 5, 0] = np.nan
        with pytest.raises(ValueError, match="data set 1: X must be finite"):
            fit_many(X)
        assert fit_many(X, missing="em")[1].converged
        assert fit_many([]) == []
        with pytest.raises(ValueError, match="family must be one of 'nig'"):
            fit_many(X, "laplace")
        with pytest.raises(ValueError, match=r"shape \(k, n, d\).*got \(200, 2\)"):
            fit_many(X[0])
        for several in (fit_many, compare):
            with pytest.raises(ValueError, match="checkpoint is of one fit and not of several"):
                several(X, checkpoint="fit.checkpoint")

    def test_weights(self):
        sets = np.random.default_rng(0).standard_t(5, size=(2, 300, 1))
        weights = np.random.default_rng(1).exponential(size=(2, 300))
        for X, omega, result in zip(sets, weights, fit_many(sets, weights=weights), strict=True):
            alone = NormalInverseGaussian.default_init(X).fit(X, weights=omega)
            assert result.log_likelihood == alone.log_likelihood
        with pytest.raises(ValueError, match="one array for each of 2 data sets, got 1"):
            fit_many(sets, weights=weights[:1])


class TestBounded:
    def test_many_zero_returns(self):
        """Daily returns with zeros: unbounded, the rows named; bounded, a usable model."""
        rng = np.random.default_rng(0)
        X = 0.01 * rng.standard_t(4, size=(2000, 2))
        closed = np.sort(rng.choice(2000, 300, replace=False))
        X[closed] = 0.0
        for family in (VarianceGamma, GeneralizedHyperbolic):
            start = family.default_init(X)
            result = BatchEMFitter(max_iter=1000).run(start, X)
            assert result.status is Status.UNBOUNDED
            assert not result.converged
            assert set(closed) <= set(result.rows)
            assert "Rows at mu: " + str(closed[0]) in result.message
            bounded = BatchEMFitter(max_iter=1000, bounded=True, criterion="likelihood")
            usable = bounded.run(start, X)
            assert usable.converged
            assert usable.model.subordinator.gig[0] >= 1.5
            assert np.isfinite(usable.model.log_prob(X)).all()
            spread = np.sqrt(np.diag(usable.model.cov()) / X.var(axis=0))
            assert (np.abs(np.log(spread)) < 0.5).all()

    def test_a_single_row(self):
        X = make(VarianceGamma).rvs(300, seed=0)
        start = VarianceGamma.from_classical(
            mu=X[5], gamma=[0.0, 0.0], sigma=np.eye(2), alpha=0.3, beta=0.3
        )
        result = BatchEMFitter(max_iter=1000).run(start, X)
        assert result.status is Status.UNBOUNDED
        assert result.rows == (5,)
        again = BatchEMFitter(max_iter=1000, bounded=True).run(start, X)
        assert again.converged

    def test_where_the_bound_does_not_bind_it_changes_nothing(self, data):
        X = data[VarianceGamma]
        start = VarianceGamma.default_init(X)
        one, other = start.fit(X, **TIGHT), start.fit(X, bounded=True, **TIGHT)
        assert one.model.alpha > 1.5
        assert other.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-8)

    def test_a_parameter_at_its_bound_has_no_error(self):
        X = np.random.default_rng(0).standard_t(4, size=(300, 2))
        result = GeneralizedHyperbolic.default_init(X).fit(X, bounded=True)
        assert result.at_bound == ("p",)
        assert result.standard_errors()["p"] == 0.0

    def test_families_without_a_bound_say_so(self, data):
        for family in (NormalInverseGaussian, NormalInverseGamma):
            with pytest.raises(ValueError, match=r"bounded keeps the order p of Y at 1\.5"):
                family.default_init(data[family]).fit(data[family], bounded=True)


def test_limits_are_reached_and_named():
    X = make(VarianceGamma).rvs(4000, seed=1)
    result = GeneralizedHyperbolic.default_init(X).fit(X, **TIGHT)
    assert result.status is Status.VARIANCE_GAMMA_LIMIT
    assert result.model.b == 0.0
    special = VarianceGamma.default_init(X).fit(X, **TIGHT)
    assert result.log_likelihood == pytest.approx(special.log_likelihood, abs=1e-7)
    X = make(NormalInverseGamma).rvs(4000, seed=2)
    result = GeneralizedHyperbolic.default_init(X).fit(X, **TIGHT)
    assert result.status is Status.SKEW_T_LIMIT
    assert result.model.a == 0.0


def test_the_gaussian_limit(family):
    rng = np.random.default_rng(3)
    X = rng.uniform(-1.0, 1.0, size=(200, 1))
    result = BatchEMFitter(max_iter=2000, symmetric=True, criterion="likelihood").run(
        family.default_init(X), X
    )
    assert result.status is Status.GAUSSIAN_LIMIT
    assert result.converged
    gaussian = -0.5 * len(X) * (np.log(2.0 * np.pi * X.var()) + 1.0)
    assert result.log_likelihood >= gaussian - 1e-9
    np.testing.assert_allclose(result.model.cov(), X.var(), rtol=0.01)


def test_a_cusp_is_the_highest_one_nearby():
    """alpha < 1: every row near the centre is a local maximum."""
    X = VarianceGamma.from_classical(
        mu=[0.1], gamma=[0.05], sigma=[[1.0]], alpha=0.8, beta=0.8
    ).rvs(400, seed=0)
    keywords = {"criterion": "likelihood", "tol": 1e-11, "max_iter": 2000}
    result = BatchEMFitter(**keywords).run(VarianceGamma.default_init(X), X)
    assert result.status is Status.CUSP
    assert result.model.mu[0] == X[result.rows[0], 0]
    best = -np.inf
    for row in np.argsort(np.abs(X[:, 0] - 0.1))[:60]:
        held = VarianceGamma.default_init(X).fit(X, fixed={"mu": X[row]}, **keywords)
        best = max(best, held.log_likelihood)
    assert result.log_likelihood >= best - 1e-7


def test_data_without_an_interior_maximum_are_not_called_converged():
    """One-sided data are likeliest where Sigma is singular and Y alone makes the variance."""
    X = np.random.default_rng(7).exponential(size=(500, 1))
    for acceleration in ("squarem", "anderson"):
        fitter = BatchEMFitter(criterion="likelihood", tol=1e-8, acceleration=acceleration)
        result = fitter.run(NormalInverseGaussian.default_init(X), X)
        assert not result.converged
        # Not the likelihood of rounding, either.
        expected = result.model.log_prob(X).sum()
        assert result.log_likelihood == pytest.approx(expected, abs=1e-4)
        assert np.diff(result.log_likelihoods).min() >= -1e-8


def test_gh_starts_no_lower_than_its_special_cases():
    """A cusp of the hyperbolic on which a generalized hyperbolic cannot improve is kept.

    Sigma is next to singular there, where the last digits are those of rounding.
    """
    X = np.random.default_rng(15).exponential(size=(100, 1))
    keywords = {"criterion": "likelihood", "tol": 1e-8}
    special = BatchEMFitter(**keywords).run(Hyperbolic.default_init(X), X)
    wide = BatchEMFitter(**keywords).run(GeneralizedHyperbolic.default_init(X), X)
    assert wide.log_likelihood >= special.log_likelihood - 1e-2


def test_more_columns_than_newton_liked():
    X = np.random.default_rng(1).standard_t(10, size=(1000, 40))
    start = Hyperbolic.default_init(X)
    newton, other = start.fit(X, tol=1e-6), start.fit(X, tol=1e-6, m_step_method="lbfgs")
    assert newton.converged
    assert newton.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)
