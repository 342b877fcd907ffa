"""What every fit obeys, for every family, gauge, backend and method."""

import numba
import numpy as np
import pytest
from conftest import FAMILIES, ROWS, make, needs_jax
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from nvmix import (
    BatchEMFitter,
    ConvergenceWarning,
    EWMAUpdate,
    GeneralizedHyperbolic,
    Hyperbolic,
    IdentityUpdate,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
    VarianceGamma,
    get_num_threads,
    set_num_threads,
)
from nvmix.backends import get_backend
from nvmix.backends.cpu.backend import CPUBackend
from nvmix.backends.cpu.kernels.gig import table as tables

GAUGES = ["none", "det_sigma_one", "det_sigma_x", "a_eq_b", "unit_mean"]


def has_gauge(family, gauge):
    return gauge != "a_eq_b" or family not in (VarianceGamma, NormalInverseGamma)


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian, d=2).rvs(1500, seed=11)


def test_likelihood_never_falls_and_the_fit_converges(family, X):
    result = family.default_init(X).fit(X, tol=1e-6, max_iter=2000)
    assert result.converged
    assert result.n_iter == len(result.log_likelihoods) == len(result.param_changes)
    assert np.diff(result.log_likelihoods).min(initial=0.0) >= -1e-13
    assert result.param_changes[-1] < 1e-6 < result.param_changes[0]
    assert result.model.marginal_log_likelihood(X) >= result.log_likelihoods[-1] - 1e-13
    assert type(result.model) is family


def test_likelihood_is_that_of_each_iteration_s_model(X):
    start = NormalInverseGaussian.default_init(X)
    result = start.fit(X)
    assert result.log_likelihoods[0] == pytest.approx(start.marginal_log_likelihood(X), rel=1e-12)
    with pytest.warns(ConvergenceWarning):
        one = start.fit(X, max_iter=1).model
    assert result.log_likelihoods[1] == pytest.approx(one.marginal_log_likelihood(X), rel=1e-12)


def test_the_truth_is_recovered(family):
    true = make(family)
    X = true.rvs(40_000, seed=4)
    result = family.default_init(X).fit(X, tol=1e-5, max_iter=2000)
    assert result.log_likelihoods[-1] >= true.marginal_log_likelihood(X)
    assert result.model.mean() == pytest.approx(true.mean(), abs=0.05)
    np.testing.assert_allclose(result.model.cov(), true.cov(), rtol=0.1, atol=0.05)


def test_the_optimum_is_stationary_for_a_general_optimizer():
    """SciPy's optimizer, started at the fit, finds no higher exact likelihood."""
    X = make(NormalInverseGaussian, d=1).rvs(800, seed=2)
    fit = NormalInverseGaussian.default_init(X).fit(X, tol=1e-8, max_iter=5000).model

    def negative(z):
        model = NormalInverseGaussian.from_classical(
            mu=z[:1], gamma=z[1:2], sigma=[[np.exp(z[2])]], mu_ig=1.0, lam=np.exp(z[3])
        )
        return -model.marginal_log_likelihood(X)

    pinned = fit.rescaled(1.0 / fit.mu_ig)
    start = np.array([fit.mu[0], pinned.gamma[0], pinned.log_det_sigma(), np.log(pinned.lam)])
    best = minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-13})
    assert -best.fun - fit.marginal_log_likelihood(X) < 1e-9


@pytest.mark.parametrize("gauge", GAUGES)
def test_gauges_change_only_the_gauge(family, gauge, X):
    start = family.default_init(X)
    if not has_gauge(family, gauge):
        with pytest.raises(ValueError, match="has no meaning for"):
            start.fit(X, regularization=gauge)
        return
    free = start.fit(X)
    result = start.fit(X, regularization=gauge)
    assert result.n_iter == free.n_iter
    np.testing.assert_allclose(result.log_likelihoods, free.log_likelihoods, rtol=1e-12)
    np.testing.assert_allclose(result.model.log_prob(X), free.model.log_prob(X), rtol=1e-9)
    if gauge == "det_sigma_one":
        assert np.linalg.det(result.model.sigma()) == pytest.approx(1.0, abs=1e-12)
        assert result.model.log_det_sigma() == pytest.approx(0.0, abs=1e-12)
    if gauge == "det_sigma_x":
        assert result.model.log_det_sigma() == pytest.approx(start.log_det_sigma(), abs=1e-12)
    if gauge == "a_eq_b":
        _, a, b = result.model.subordinator.gig
        assert a == pytest.approx(b, rel=1e-12)
    if gauge == "unit_mean":
        assert result.model.subordinator.mean() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_shifts_and_rotations_change_nothing(family, scale, X):
    base = family.default_init(X).fit(X)
    c, s = np.cos(0.7), np.sin(0.7)
    A = scale * np.array([[c, -s], [s, c]])
    shift = 1e3 * scale * X.std(axis=0)
    moved = X @ A.T + shift
    result = family.default_init(moved).fit(moved)
    assert result.n_iter == base.n_iter
    jacobian = X.shape[1] * np.log(scale)
    np.testing.assert_allclose(result.log_likelihoods + jacobian, base.log_likelihoods, atol=1e-9)
    np.testing.assert_allclose(
        result.model.sigma() / scale**2, A @ base.model.sigma() @ A.T / scale**2, atol=1e-6
    )


@pytest.mark.parametrize("method", ["lbfgs", "bfgs"])
def test_methods_reach_the_same_optimum(family, method, X):
    start = family.default_init(X)
    newton = start.fit(X)
    other = start.fit(X, m_step_method=method)
    assert other.n_iter == newton.n_iter
    np.testing.assert_allclose(other.log_likelihoods, newton.log_likelihoods, atol=1e-9)


@needs_jax
@pytest.mark.exhaustive
def test_jax_leaves_the_user_s_precision_alone(X):
    import jax
    import jax.numpy as jnp

    before = jax.config.jax_enable_x64
    model = NormalInverseGaussian.from_classical(
        mu=jnp.zeros(2), gamma=jnp.array([0.5, 0.0]), sigma=jnp.eye(2), mu_ig=1.0, lam=jnp.array(2)
    )
    assert model.mu.dtype == np.float64
    assert model.e_step(X[:ROWS], backend="jax").x.dtype == np.float64
    assert model.e_step(jnp.asarray(X[:ROWS])).x.dtype == jnp.zeros(1).dtype
    assert jax.config.jax_enable_x64 == before


def test_gh_is_at_least_as_likely_as_its_special_cases(X):
    gh = GeneralizedHyperbolic.default_init(X).fit(X).model.marginal_log_likelihood(X)
    for family in set(FAMILIES) - {GeneralizedHyperbolic}:
        special = family.default_init(X).fit(X).model.marginal_log_likelihood(X)
        assert gh >= special - 1e-12


def test_thin_wrapper(X):
    start = NormalInverseGaussian.default_init(X)
    by_model = start.fit(X, max_iter=150, tol=1e-3)
    by_fitter = BatchEMFitter(max_iter=150, tol=1e-3).fit(start, X)
    np.testing.assert_array_equal(by_model.log_likelihoods, by_fitter.log_likelihoods)


def test_update_rules(X):
    start = NormalInverseGaussian.default_init(X)
    plain = start.fit(X)
    same = start.fit(X, eta_update=IdentityUpdate())
    np.testing.assert_array_equal(plain.log_likelihoods, same.log_likelihoods)
    averaged = start.fit(X, eta_update=EWMAUpdate(0.5), tol=1e-6, max_iter=2000)
    tight = start.fit(X, tol=1e-6, max_iter=2000)
    assert averaged.n_iter > tight.n_iter
    assert averaged.model.marginal_log_likelihood(X) == pytest.approx(
        tight.model.marginal_log_likelihood(X), abs=1e-9
    )
    assert (
        pytest.approx(start.e_step(X[:9]).E_Y)
        == EWMAUpdate(1.0)(start.e_step(X), start.e_step(X[:9]), 1).E_Y
    )


@pytest.mark.parametrize("rule", [None, IdentityUpdate(), EWMAUpdate(0.5)])
def test_max_iter_costs_no_memory(rule, X, monkeypatch):
    """There is room for few iterations at first, and more as they come."""
    start = NormalInverseGaussian.default_init(X)
    settings = {"tol": 1e-9, "acceleration": "none", "eta_update": rule}
    expected = start.fit(X, max_iter=2000, **settings)
    monkeypatch.setattr("nvmix.backends.cpu.fit._ROOM", 3)
    found = start.fit(X, max_iter=10**30, **settings)
    assert found.n_iter == expected.n_iter > 40
    np.testing.assert_array_equal(found.log_likelihoods, expected.log_likelihoods)
    np.testing.assert_array_equal(found.param_changes, expected.param_changes)


def test_verbosity(X, capsys):
    start = NormalInverseGaussian.default_init(X)
    start.fit(X)
    assert capsys.readouterr().out == ""
    start.fit(X, verbose=1)
    assert len(capsys.readouterr().out.splitlines()) == 2
    result = start.fit(X, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == result.n_iter + 3
    assert lines[2].split()[0] == "1"
    assert "\r" not in "".join(lines)


def test_result_is_frozen(X):
    result = NormalInverseGaussian.default_init(X).fit(X)
    with pytest.raises(AttributeError):
        result.n_iter = 3
    assert list(result.__dataclass_fields__)[:6] == [
        "model",
        "log_likelihoods",
        "param_changes",
        "n_iter",
        "converged",
        "elapsed_time",
    ]
    with pytest.raises(ValueError, match="read-only"):
        result.log_likelihoods[0] = 0.0
    assert result.status is Status.CONVERGED
    assert result.elapsed_time > 0.0


class TestEndings:
    def test_iteration_limit(self, X):
        with pytest.warns(ConvergenceWarning, match="raise max_iter"):
            result = NormalInverseGaussian.default_init(X).fit(X, max_iter=3)
        assert result.status is Status.MAX_ITER
        assert not result.converged
        assert result.n_iter == 3

    @pytest.mark.parametrize(("p", "a", "b"), [(-0.8, 0.0, 1.0), (0.8, 1.0, 0.0)])
    def test_a_start_with_an_infinite_expectation(self, p, a, b, X):
        start = GeneralizedHyperbolic.from_classical(
            mu=X.mean(axis=0), gamma=[0.0, 0.0], sigma=np.cov(X.T), p=p, a=a, b=b
        )
        found, by_steps = start.fit(X), start.fit(lambda: np.array_split(X, 2))
        assert found.converged
        assert found.param_changes[0] == np.inf
        np.testing.assert_allclose(by_steps.log_likelihoods, found.log_likelihoods, rtol=1e-11)
        np.testing.assert_allclose(by_steps.param_changes, found.param_changes, rtol=1e-6)
        with pytest.warns(ConvergenceWarning, match="raise max_iter"):
            assert start.fit(lambda: [X], max_iter=4, acceleration="none").n_passes == 5

    def test_a_singular_variance_gamma_is_never_converged(self):
        rng = np.random.default_rng(0)
        x = np.concatenate([np.zeros(300), rng.standard_t(3, size=300)])[:, None]
        with pytest.warns(ConvergenceWarning, match="unbounded"):
            result = VarianceGamma.default_init(x).fit(x, max_iter=2000)
        assert result.status is Status.UNBOUNDED
        assert np.isfinite(result.log_likelihoods).all()
        assert np.isfinite(result.model.mu).all()
        assert np.isfinite(result.model.sigma()).all()

    def test_an_infinite_likelihood_at_the_start(self, X):
        start = VarianceGamma.from_classical(
            mu=X[0], gamma=[0.0, 0.0], sigma=np.eye(2), alpha=0.5, beta=1.0
        )
        with pytest.warns(ConvergenceWarning):
            result = start.fit(X)
        assert result.status is Status.UNBOUNDED
        assert result.n_iter == 0
        with pytest.warns(ConvergenceWarning) as record:
            pinned = start.rescaled(3.0).fit(X, regularization="det_sigma_one")
        assert pinned.model.log_det_sigma() == pytest.approx(0.0, abs=1e-12)
        assert record[0].filename == __file__
        np.testing.assert_array_equal(result.model.mu, start.mu)

    def test_light_tails_never_end_in_nan(self, family):
        X = np.random.default_rng(1).uniform(-1.0, 1.0, (400, 2))
        result = BatchEMFitter(max_iter=300).run(family.default_init(X), X)
        assert np.isfinite(result.log_likelihoods).all()
        assert np.isfinite(result.model.log_prob(X)).all()
        # The Gaussian limit is approached, and never passed.
        gaussian = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(X).mean()
        assert result.model.marginal_log_likelihood(X) == pytest.approx(gaussian, abs=0.1)

    @pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
    def test_repeated_rows_end_in_words_not_in_nan(self, family, share):
        rng = np.random.default_rng(0)
        zeros = int(600 * share)
        x = np.concatenate([np.zeros(zeros), rng.standard_t(3, size=600 - zeros)])[:, None]
        result = BatchEMFitter(max_iter=1000).run(family.default_init(x), x)
        assert np.isfinite(result.log_likelihoods).all()
        assert np.isfinite(result.model.sigma()).all()
        if result.status in {Status.UNBOUNDED, Status.SINGULAR, Status.DEGENERATE}:
            assert not result.converged
        if family is VarianceGamma:
            assert result.status is Status.UNBOUNDED
        if family is GeneralizedHyperbolic:
            # Y so variable that Sigma vanishes is another way up.
            assert result.status in {Status.UNBOUNDED, Status.DEGENERATE}
        if family is Hyperbolic:
            # E[1/Y] asks for a b below the smallest double; the order stays.
            assert result.status is Status.CUSP
            assert result.model.subordinator.gig[0] == 1.0
            by_steps = BatchEMFitter(max_iter=1000).run(family.default_init(x), lambda: [x])
            assert by_steps.log_likelihood == pytest.approx(result.log_likelihood, rel=1e-9)

    def test_statistics_that_are_not_finite(self, X):
        def broken(previous, batch, step):
            return batch if step < 2 else batch * np.nan

        with pytest.warns(ConvergenceWarning):
            result = NormalInverseGaussian.default_init(X).fit(X, eta_update=broken)
        assert result.status is Status.DEGENERATE
        assert result.n_iter == 2
        assert np.isfinite(result.model.log_prob(X)).all()

    def test_boundary_of_the_hyperbolic(self):
        X = VarianceGamma.from_classical(
            mu=[0.0] * 3, gamma=[0.3] * 3, sigma=np.eye(3), alpha=1.6, beta=1.0
        ).rvs(4000, seed=0)
        result = Hyperbolic.default_init(X).fit(X, max_iter=5000)
        assert result.status is Status.VARIANCE_GAMMA_LIMIT
        assert result.converged
        assert result.model.b == 0.0


class TestStatistics:
    def test_chunks_add(self, model):
        X = model.rvs(3000, seed=0)
        whole = model.e_step(X)
        parts = model.e_step(X[:7]) + model.e_step(X[7:2000]) + model.e_step(X[2000:])
        for name in ("E_log_Y", "E_inv_Y", "E_Y", "E_X", "E_X_inv_Y", "E_XXT_inv_Y"):
            np.testing.assert_allclose(
                getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-13
            )
        assert parts.weight == 3000.0
        assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-13)

    def test_threads_and_order_of_rows(self, model):
        X = model.rvs(30_000, seed=0)
        whole, threads = model.e_step(X), get_num_threads()
        for number in (1, 3):
            set_num_threads(number)
            again = model.e_step(X)
            np.testing.assert_array_equal(again.xx_inv_y, whole.xx_inv_y)
            np.testing.assert_array_equal(model.log_prob(X), model.log_prob(X[::-1])[::-1])
            assert again.log_likelihood == whole.log_likelihood
        set_num_threads(threads)
        shuffled = model.e_step(X[np.random.default_rng(0).permutation(len(X))])
        np.testing.assert_allclose(shuffled.E_XXT_inv_Y, whole.E_XXT_inv_Y, rtol=1e-12)

    def test_many_columns(self):
        # 41 is neither even nor a multiple of 4: every tile and every remainder runs.
        model = make(NormalInverseGaussian, d=41)
        X = model.rvs(3000, seed=0)
        g = np.linalg.solve(model.sigma(), model.gamma)
        q = np.einsum("ni,ij,nj->n", X - model.mu, np.linalg.inv(model.sigma()), X - model.mu)
        p, a, b = model.subordinator.gig
        order, rate = np.full(3000, p - 20.5), np.full(3000, a + model.gamma @ g)
        _, log_y, inv_y, y = CPUBackend().gig_moments(order, rate, b + q)
        eta = model.e_step(X)
        assert eta.E_log_Y == pytest.approx(log_y.mean(), rel=1e-12)
        assert pytest.approx(y.mean(), rel=1e-12) == eta.E_Y
        np.testing.assert_allclose(eta.E_XXT_inv_Y, (X * inv_y[:, None]).T @ X / 3000, rtol=1e-10)
        assert eta.mean_log_likelihood == pytest.approx(model.log_prob(X).mean(), rel=1e-13)

    def test_frames_are_interchangeable(self, model):
        X = model.rvs(500, seed=0)
        eta = model.e_step(X)
        moved = eta.in_frame(np.array([3.0, -1.0]), np.array([[2.0, 0.0], [0.5, 0.1]]))
        np.testing.assert_allclose(moved.E_X, eta.E_X, rtol=1e-12)
        np.testing.assert_allclose(moved.E_XXT_inv_Y, eta.E_XXT_inv_Y, rtol=1e-11)
        again = model.m_step(moved)
        np.testing.assert_allclose(again.sigma(), model.m_step(eta).sigma(), rtol=1e-9)
        assert (2.0 * eta).E_Y == eta.E_Y

    def test_far_from_the_origin(self, model):
        X = model.rvs(500, seed=0)
        far = type(model)(
            model.mu + 1e6, model.gamma.copy(), model.L_sigma.copy(), model.subordinator
        )
        near, away = model.m_step(model.e_step(X)), far.m_step(far.e_step(X + 1e6))
        np.testing.assert_allclose(away.mu - 1e6, near.mu, atol=1e-8)
        np.testing.assert_allclose(away.sigma(), near.sigma(), rtol=1e-8)

    def test_against_direct_sums(self, model, backend):
        X = model.rvs(40, seed=0)
        g = np.linalg.solve(model.sigma(), model.gamma)
        q = np.einsum("ni,ij,nj->n", X - model.mu, np.linalg.inv(model.sigma()), X - model.mu)
        p, a, b = model.subordinator.gig
        order, rate = np.full(40, p - 1.0), np.full(40, a + model.gamma @ g)
        _, log_y, inv_y, y = get_backend("cpu").gig_moments(order, rate, b + q)
        eta = model.e_step(X, backend=backend.name)
        assert eta.E_log_Y == pytest.approx(log_y.mean(), rel=1e-12)
        assert pytest.approx(y.mean(), rel=1e-12) == eta.E_Y
        np.testing.assert_allclose(eta.E_X_inv_Y, X.T @ inv_y / 40, rtol=1e-11)
        np.testing.assert_allclose(eta.E_XXT_inv_Y, (X * inv_y[:, None]).T @ X / 40, rtol=1e-11)
        np.testing.assert_allclose(eta.mean_log_likelihood, model.log_prob(X).mean(), rtol=1e-12)


# What it compiles is kept where conftest.py keeps all that is made of these kernels.
@numba.njit(cache=True)
def _from_table(p, s, table, out):
    inside = tables.moments_covered(p, 1.0, 0.0, s, table, len(table))
    for i in range(s.size):
        out[i] = tables.scaled_moments(p, 1.0, s[i], table)
    return inside


@pytest.mark.parametrize("p", [-60.0, -2.0, -0.5, 0.0, 0.3, 1.0, 7.5, 60.0])
def test_every_interval_of_the_table(p):
    binades = 2.0 ** np.arange(-32, 32)
    # Ends and insides of all four intervals of each binade that a table serves.
    s = np.outer(binades, [1.0, 1.1, 1.2499, 1.25, 1.4, 1.5, 1.62, 1.75, 1.9, 1.9999999]).ravel()
    table = tables.new_table()
    found = np.empty((s.size, 4))
    assert _from_table(p, s, table, found)
    assert not _from_table(p, np.array([2.0**32, 1.0]), table, np.empty((2, 4)))
    ones = np.ones_like(s)
    exact = np.transpose(CPUBackend().gig_moments(p * ones, ones, s))
    scale = np.abs(exact)
    # lnZ is p log(mode) - r and a correction, which cancel where lnZ passes zero.
    scale[:, 0] = np.maximum(scale[:, 0], 1.0 + 2.0 * abs(p))
    scale[:, 1] = np.maximum(scale[:, 1], 1.0)
    assert (np.abs(found - exact) / scale).max() <= 1e-13


def test_tables_leave_e_steps_as_they_are():
    """Sums over rows within and beyond the table's range, over orders, rates and limits: 1e-13."""
    rng = np.random.default_rng(0)
    backend = CPUBackend()
    laws = [(-2.0, 1.7, 1.5), (-0.3, 1.7, 0.0), (0.3, 2.0, 0.0), (-50.0, 1.0, 1.0)]
    for p, a, b in [*laws, (3.0, 1e-3, 0.0), (-0.5, 1.0, 100.0), (40.0, 50.0, 3.0)]:
        model = GeneralizedHyperbolic.from_classical(
            mu=[0.0], gamma=[0.0], sigma=[[1.0]], p=p + 0.5, a=a, b=b
        )
        x = np.sqrt(np.exp(rng.uniform(-12.0, 6.0, 20_000)))
        tabulated = model.log_prob(x)
        moments = backend.gig_moments(np.full_like(x, p), np.full_like(x, a), b + x * x)
        statistics = model.e_step(x[:, None])
        for name, column in zip(("log_y", "inv_y", "y"), moments[1:], strict=True):
            total = getattr(statistics, name)
            assert abs(total - column.sum()) <= 1e-13 * np.abs(column).sum()
        law = moments[0]
        expected = law - backend.gig_moments(*(np.array([t]) for t in (p + 0.5, a, b)))[0]
        expected = expected - 0.5 * np.log(2.0 * np.pi)
        # lnZ is p log(mode) - r and a correction, which cancel where lnZ passes zero.
        scale = np.maximum(np.abs(law), 1.0 + 2.0 * abs(p))
        assert (np.abs(tabulated - expected) / scale).max() < 1e-13
