"""The JAX backend: the same answers as the CPU's, whole fits, transformations, precision."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from conftest import ROWS, exhaustive, make
from scipy.optimize import approx_fprime

from nvmix import (
    BatchEMFitter,
    ConvergenceWarning,
    EWMAUpdate,
    Gamma,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
    VarianceGamma,
    special,
)
from nvmix.backends import GAUGES, get_backend

jax = pytest.importorskip("jax", reason="JAX is not installed")
jnp = jax.numpy

BOTH = {"e_step_backend": "jax", "m_step_backend": "jax"}
JACOBIANS = (jax.jacfwd, jax.jacrev)
PAIRS = [("jax", "jax"), ("jax", "cpu"), ("cpu", "jax")]


def has_gauge(family, gauge):
    return gauge != "a_eq_b" or family not in (VarianceGamma, NormalInverseGamma)


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian, d=2).rvs(ROWS, seed=11)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def numbers(model):
    """All parameters of a model as one vector."""
    return np.concatenate([np.ravel(np.asarray(x, float)) for x in jax.tree.leaves(model)])


@jax.jit
@jax.grad
def score(model, X):
    """Gradient of the mean log-likelihood by the model."""
    return model.marginal_log_likelihood(X)


# The gauge and held values are no part of a program, which compiles for seconds. Quasi-Newton
# methods compile for half a minute; `test_gig.py` has them of every law.
SETTINGS = [
    *(
        (family, gauge, "newton")
        for family in (NormalInverseGaussian, GeneralizedHyperbolic)
        for gauge in GAUGES
    ),
    *(
        exhaustive(family, gauge, "newton")
        for family in (VarianceGamma, NormalInverseGamma, Hyperbolic)
        for gauge in GAUGES
    ),
    exhaustive(GeneralizedHyperbolic, "none", "lbfgs"),
]


@pytest.mark.parametrize(("family", "gauge", "method"), SETTINGS)
def test_backends_agree(family, gauge, method, X):
    """Every pair of backends: as many iterations, likelihoods to 1e-9, parameters to 1e-6."""
    if not has_gauge(family, gauge):
        pytest.skip("the family has no such gauge")
    start = family.default_init(X)
    base = start.fit(X, regularization=gauge, m_step_method=method)
    for e_step, m_step in PAIRS:
        result = start.fit(
            X,
            regularization=gauge,
            m_step_method=method,
            e_step_backend=e_step,
            m_step_backend=m_step,
        )
        assert result.n_iter == base.n_iter
        assert result.status is base.status
        np.testing.assert_allclose(result.log_likelihoods, base.log_likelihoods, atol=1e-9)
        # Extrapolation enlarges the rounding of quasi-Newton solves.
        atol = 1e-7 if method == "newton" else 1e-6
        np.testing.assert_allclose(result.param_changes, base.param_changes, atol=atol)
        np.testing.assert_allclose(numbers(result.model), numbers(base.model), atol=atol)


@cache
def compiled():
    """A list that has one entry more for each program that XLA compiles from now on."""
    events = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(event)

    # JAX 0.8.0 has no way to take a listener away again.
    jax.monitoring.register_event_duration_secs_listener(listen)
    return events


def compilations(run):
    """How many programs XLA compiles in a call."""
    before = len(compiled())
    run()
    return len(compiled()) - before


def test_a_second_fit_compiles_nothing(X):
    start = NormalInverseGaussian.default_init(X)

    def fit(rows, **keywords):
        return lambda: start.fit(X[:rows], **BOTH, **keywords)

    assert compilations(lambda: jax.jit(lambda x: x + 1.0)(X)) > 0
    fit(ROWS)()
    assert compilations(fit(ROWS)) == 0
    # As many columns, fewer rows, another gauge, tolerance and limit of iterations.
    assert compilations(fit(40, regularization="det_sigma_one", tol=1e-3, max_iter=150)) == 0


@pytest.mark.exhaustive
def test_held_values_are_no_part_of_the_program(X):
    start = VarianceGamma.default_init(X)

    def fit(mu, alpha):
        fitter = BatchEMFitter(fixed={"mu": mu, "alpha": alpha}, symmetric=True, **BOTH)
        return lambda: fitter.run(start, X)

    fit(X[0], 2.0)()
    assert compilations(fit(X[1], 3.0)) == 0


@pytest.mark.parametrize("n", [ROWS - 30, ROWS])
def test_rows_that_fill_up_count_for_nothing(n, X):
    model = make(GeneralizedHyperbolic)
    backend = get_backend("jax")
    placed = backend.place(X[:n])
    assert placed.rows.values.shape[0] > n
    found = backend.e_step(placed, model.normal, model.subordinator.gig)
    expected = model.e_step(X[:n])
    assert found.weight == n
    for name in ("log_likelihood", "log_y", "inv_y", "y", "x", "x_inv_y", "xx_inv_y"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)


def test_blocks_of_rows_add(family, quick_programs):
    model = make(family, d=11)
    X = model.rvs(70_000, seed=0)
    placed = get_backend("jax").place(X)
    assert placed.blocks > 1
    found = model.e_step(X, backend="jax")
    expected = model.e_step(X)
    np.testing.assert_allclose(found.xx_inv_y, expected.xx_inv_y, rtol=1e-10, atol=1e-6)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("p", [-60.0, -2.0, -0.5, 0.0, 0.3, 1.0, 7.5, 60.0])
@pytest.mark.parametrize("span", [(-80.0, 5.0), (-3.0, 6.0), (0.0, 0.0)])
def test_series_of_moments(p, span, x64):
    from nvmix.backends.jax.gig.series import moments_along

    s = np.exp(np.random.default_rng(0).uniform(*span, 2000))
    found = jax.jit(moments_along)(p, 1.7, s)
    exact = get_backend().gig_moments(np.full_like(s, p), np.full_like(s, 1.7), s)
    # lnZ is p log(mode) - r and a correction, which cancel where lnZ passes zero.
    scales = (np.maximum(np.abs(exact[0]), 1.0 + 2.0 * abs(p)), np.maximum(1.0, np.abs(exact[1])))
    for x, value, scale in zip(found, exact, (*scales, exact[2], exact[3]), strict=True):
        assert (np.abs(x - value) / scale).max() <= 1e-12


class TestEndings:
    """Fits on the device end as the others do."""

    @pytest.mark.exhaustive
    def test_repeated_rows(self):
        x = np.random.default_rng(0).standard_t(3, size=(1000, 2))
        x[::2] = 0.0
        with pytest.warns(ConvergenceWarning, match="unbounded"):
            result = VarianceGamma.default_init(x).fit(x, **BOTH)
        assert result.status is Status.UNBOUNDED
        assert np.isfinite(numbers(result.model)).all()

    @pytest.mark.exhaustive
    def test_an_infinite_likelihood_at_the_start(self, X):
        start = VarianceGamma.from_classical(
            mu=X[0], gamma=[0.0, 0.0], sigma=np.eye(2), alpha=0.5, beta=1.0
        )
        with pytest.warns(ConvergenceWarning):
            result = start.fit(X, **BOTH)
        assert result.status is Status.UNBOUNDED
        assert result.n_iter == 0
        np.testing.assert_array_equal(result.model.mu, start.mu)

    @pytest.mark.parametrize(
        ("family", "tol"), [(NormalInverseGaussian, 1e-4), (GeneralizedHyperbolic, 1e-2)]
    )
    def test_light_tails(self, family, tol):
        X = np.random.default_rng(1).uniform(-1.0, 1.0, (1000, 2))
        start = family.default_init(X)
        fits = [BatchEMFitter(tol=tol, **where).run(start, X) for where in ({}, BOTH)]
        assert fits[1].status is fits[0].status
        assert fits[1].log_likelihood == pytest.approx(fits[0].log_likelihood, abs=1e-3)

    @pytest.mark.exhaustive
    def test_boundary(self):
        X = VarianceGamma.from_classical(
            mu=[0.0] * 2, gamma=[0.3] * 2, sigma=np.eye(2), alpha=1.2, beta=1.0
        ).rvs(1000, seed=0)
        result = Hyperbolic.default_init(X).fit(X, tol=1e-3, **BOTH)
        assert result.status is Status.VARIANCE_GAMMA_LIMIT
        assert result.model.b == 0.0

    def test_iteration_limit(self, X):
        with pytest.warns(ConvergenceWarning, match="raise max_iter"):
            result = NormalInverseGaussian.default_init(X).fit(X, max_iter=3, **BOTH)
        assert result.status is Status.MAX_ITER
        assert result.n_iter == len(result.log_likelihoods) == 3

    def test_verbosity(self, X, capsys):
        result = NormalInverseGaussian.default_init(X).fit(X, verbose=2, **BOTH)
        assert len(capsys.readouterr().out.splitlines()) == result.n_iter + 3


class OwnRule:
    """A rule of the user's, which runs step by step."""

    def __call__(self, previous, batch, step):
        return EWMAUpdate(0.5)(previous, batch, step)


@pytest.mark.exhaustive
def test_update_rules(X):
    start = NormalInverseGaussian.default_init(X)
    base = start.fit(X, eta_update=EWMAUpdate(0.5))
    whole = start.fit(X, eta_update=EWMAUpdate(0.5), **BOTH)
    by_steps = start.fit(X, eta_update=OwnRule(), **BOTH)
    for result in (whole, by_steps):
        assert result.n_iter == base.n_iter
        np.testing.assert_allclose(result.log_likelihoods, base.log_likelihoods, atol=1e-12)


class TestArrays:
    """Array in, same kind out."""

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("wide", [True, False])
    def test_kinds(self, X, wide):
        model = make(GeneralizedHyperbolic)
        with jax.enable_x64(wide):
            x = jnp.asarray(X[:50])
            for value in (model.log_prob(x), model.pdf(x), jax.jit(model.log_prob)(X[:50])):
                assert isinstance(value, jax.Array)
                assert value.dtype == x.dtype == (np.float64 if wide else np.float32)
            rtol = 1e-13 if wide else 1e-5
            np.testing.assert_allclose(model.log_prob(x), model.log_prob(X[:50]), rtol=rtol)
            assert model.log_prob(x[0]).shape == ()
            assert isinstance(model.marginal_log_likelihood(x), jax.Array)
            assert isinstance(model.log_prob(X[:50]), np.ndarray)
            assert jax.config.jax_enable_x64 == wide

    def test_columns_are_checked(self, model):
        with pytest.raises(ValueError, match="must have shape"):
            model.log_prob(jnp.zeros((4, 3)))
        with pytest.raises(ValueError, match="2 columns"):
            jax.jit(model.marginal_log_likelihood)(jnp.zeros((4, 3)))

    @pytest.mark.parametrize("family", [NormalInverseGaussian, exhaustive(VarianceGamma)])
    def test_gradient(self, family, X, x64, quick_programs):
        model = make(family)
        leaves, tree = jax.tree.flatten(model)
        shapes = [np.shape(leaf) for leaf in leaves]
        cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

        def unflat(z):
            parts = np.split(z, cuts)
            return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

        def value(z):
            mu, gamma, L, *law = unflat(z)
            subordinator = type(model.subordinator)(*map(float, law))
            return type(model)(mu, gamma, np.tril(L), subordinator).marginal_log_likelihood(X)

        gradient = score(model, X)
        assert type(gradient) is type(model)
        expected = approx_fprime(numbers(model), value, 1e-7)
        np.testing.assert_allclose(numbers(gradient), expected, atol=1e-5)
        assert jax.tree.structure(gradient) == tree

    def test_gradient_vanishes_at_the_optimum(self, X, x64, quick_programs):
        fit = NormalInverseGaussian.default_init(X).fit(X, tol=1e-8, max_iter=5000).model
        assert np.abs(numbers(score(fit, X))).max() < 1e-8

    @pytest.mark.exhaustive
    def test_second_derivatives(self, X, x64):
        model = make(GeneralizedHyperbolic)

        def value(z):
            moved = GeneralizedHyperbolic.from_classical(
                mu=model.mu, gamma=z[:2], sigma=model.sigma(), p=z[2], a=z[3], b=z[4]
            )
            return moved.marginal_log_likelihood(X[:300])

        z = np.array([*model.gamma, model.p, model.a, model.b])
        hessian = jax.jit(jax.hessian(value))(z)
        gradient = jax.jit(jax.grad(value))
        numeric = [(gradient(z + h) - gradient(z - h)) / 2e-5 for h in 1e-5 * np.eye(5)]
        np.testing.assert_allclose(hessian, numeric, atol=1e-8)
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-14)

    @pytest.mark.exhaustive
    def test_no_derivative_is_nan_at_a_limit(self, X, x64):
        for family in (VarianceGamma, NormalInverseGamma):
            assert np.isfinite(numbers(score(make(family), X[:9]))).all()
        on_mu = jax.grad(lambda m: m.log_prob(m.mu))(make(NormalInverseGaussian))
        assert np.isfinite(numbers(on_mu)).all()

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("family", [VarianceGamma, GeneralizedHyperbolic])
    def test_moments(self, family, x64):
        model = make(family)
        mean, cov = jax.jit(lambda m: (m.mean(), m.cov()))(model)
        np.testing.assert_allclose(mean, model.mean(), rtol=1e-13)
        np.testing.assert_allclose(cov, model.cov(), rtol=1e-13)
        forward, back = jax.jit(lambda m: [d(lambda m: m.cov())(m) for d in JACOBIANS])(model)
        for x, y in zip(jax.tree.leaves(forward), jax.tree.leaves(back), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-13)
        h = 1e-6
        shifted = [make_with_gamma(model, s * h).cov() for s in (1.0, -1.0)]
        np.testing.assert_allclose(
            forward.gamma[..., 0], (shifted[0] - shifted[1]) / (2.0 * h), atol=1e-7
        )

    def test_infinite_moments(self, x64, quick_programs):
        heavy = NormalInverseGamma.from_classical(
            mu=[0.0, 0.0], gamma=[0.0, 0.3], sigma=np.eye(2), alpha=0.9, beta=1.0
        )
        np.testing.assert_array_equal(jax.jit(lambda m: m.mean())(heavy), heavy.mean())

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("family", [NormalInverseGamma, GeneralizedHyperbolic])
    def test_implicit_derivative_of_the_solve(self, family, x64):
        model = make(family)
        eta = model.expectation_params()

        def law(y):
            moved = replace(eta, inv_y=y)
            return jnp.stack(family.from_expectation(moved).subordinator.gig)

        h = 1e-6
        numeric = (law(jnp.asarray(eta.inv_y + h)) - law(jnp.asarray(eta.inv_y - h))) / (2.0 * h)
        for found in jax.jit(lambda y: [d(law)(y) for d in JACOBIANS])(eta.inv_y):
            np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("family", [VarianceGamma, Hyperbolic])
    def test_expectations_come_back(self, family, x64, quick_programs):
        model = make(family)
        again = jax.jit(lambda m: type(m).from_expectation(m.expectation_params()))(model)
        np.testing.assert_allclose(numbers(again), numbers(model), rtol=1e-8, atol=1e-10)

    @pytest.mark.exhaustive
    def test_em_map(self, X, x64):
        """One EM step is a function JAX differentiates: towards the fixed point it contracts."""
        model = make(NormalInverseGaussian)
        step = jax.jit(lambda m: type(m).from_expectation(m.e_step(jnp.asarray(X))))
        expected = model.m_step(model.e_step(X))
        np.testing.assert_allclose(numbers(step(model)), numbers(expected), rtol=1e-7, atol=1e-9)
        slope = jax.jit(jax.jacfwd(lambda m: step(m).mu))(model).mu
        assert np.abs(np.linalg.eigvals(slope)).max() < 1.0

    @pytest.mark.exhaustive
    def test_statistics_add(self, X, x64):
        model = make(GeneralizedHyperbolic)

        @jax.jit
        def sum_here_and_in_another_frame(model, X):
            total = model.e_step(X[:400]) + 1.0 * model.e_step(X[400:])
            return total, total.in_frame(jnp.ones(2), jnp.eye(2))

        total, moved = sum_here_and_in_another_frame(model, X)
        expected = model.e_step(X)
        np.testing.assert_allclose(total.E_XXT_inv_Y, expected.E_XXT_inv_Y, rtol=1e-11)
        np.testing.assert_allclose(moved.E_X, expected.E_X, rtol=1e-11)

    @pytest.mark.exhaustive
    def test_a_stack_of_models(self, X, x64):
        models = [make(NormalInverseGaussian).rescaled(c) for c in (0.5, 1.0, 2.0)]
        stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
        found = jax.vmap(lambda m: m.marginal_log_likelihood(X))(stack)
        np.testing.assert_allclose(found, models[0].marginal_log_likelihood(X), rtol=1e-13)

    def test_laws_of_y(self, x64, quick_programs):
        law = Gamma(3.0, 2.0)

        @jax.jit
        def slopes(law):
            by_law = jax.grad(lambda law: law.log_prob(1.5))(law)
            outside = jax.grad(law.log_prob)(-1.0)
            return by_law, outside, jax.grad(lambda law: law.var())(law), law.fisher_information()

        by_law, outside, variance, information = slopes(law)
        assert by_law.beta == pytest.approx(3.0 / 2.0 - 1.5)
        assert np.isfinite(outside)
        assert variance.alpha == pytest.approx(1.0 / 4.0)
        np.testing.assert_allclose(information, law.fisher_information(), rtol=1e-13)
        natural = jax.jit(lambda law: law.natural_params())(law)
        np.testing.assert_allclose(natural, law.natural_params(), rtol=1e-13)
        solve = jax.jit(Gamma.from_expectation)
        assert solve(law.expectation_params()).alpha == pytest.approx(3.0, rel=1e-12)
        assert np.isnan(solve(np.array([1.0, 1.0])).alpha)


def make_with_gamma(model, h):
    """The model with its first gamma moved."""
    gamma = model.gamma + np.array([h, 0.0])
    return type(model)(model.mu, gamma, model.L_sigma, model.subordinator)


class TestBessel:
    """`nvmix.special` on JAX arrays."""

    V, Z = np.meshgrid([0.0, 0.3, 2.0, 40.0, 900.0], [1e-90, 1e-3, 1.0, 30.0, 1e50])

    @pytest.mark.exhaustive
    def test_derivatives(self, x64):
        v, z = jnp.asarray(self.V.ravel()), jnp.asarray(self.Z.ravel())
        by_v, by_z = jax.vmap(jax.grad(special.log_kv, (0, 1)))(v, z)
        np.testing.assert_allclose(by_v, special.log_kv_dv(self.V, self.Z).ravel(), rtol=1e-13)
        np.testing.assert_allclose(by_z, special.log_kv_dz(self.V, self.Z).ravel(), rtol=1e-13)
        (vv, vz), (_, zz) = jax.vmap(jax.hessian(special.log_kv, (0, 1)))(v, z)
        exact_vv, exact_vz, exact_zz = (
            getattr(special, name)(self.V, self.Z).ravel()
            for name in ("log_kv_dv2", "log_kv_dvdz", "log_kv_dz2")
        )
        np.testing.assert_allclose(vv, exact_vv, rtol=1e-12)
        np.testing.assert_allclose(zz, exact_zz, rtol=1e-12)
        scale = np.sqrt(exact_vv) * np.sqrt(exact_zz)
        np.testing.assert_allclose(vz / scale, exact_vz / scale, atol=1e-12)
        ratio = jax.vmap(jax.grad(special.kv_ratio, 1))(v[10:], z[10:])
        numeric = -(special.log_kv_dz2(self.V, self.Z) + self.V / self.Z**2).ravel()[10:]
        np.testing.assert_allclose(ratio, numeric, rtol=1e-9)

    def test_ends_leave_other_lanes_alone(self, x64):
        z = jnp.array([0.0, -1.0, jnp.inf, jnp.nan, 2.0])

        def last_and_all(z):
            values = special.log_kv(1.5, z)
            return values[4], values

        (_, values), slope = jax.jit(jax.value_and_grad(last_and_all, has_aux=True))(z)
        assert values[0] == jnp.inf
        assert values[2] == -jnp.inf
        assert np.isnan(np.asarray(values)[[1, 3]]).all()
        assert np.isfinite(slope[4])

    @pytest.mark.exhaustive
    def test_single_precision(self):
        rng = np.random.default_rng(0)
        v = np.exp(rng.uniform(-7.0, 6.9, 5000)).astype(np.float32)
        z = np.exp(rng.uniform(-13.0, 13.0, 5000)).astype(np.float32)
        V, Z = v.astype(float), z.astype(float)
        functions = (special.log_kv, special.kv_ratio, special.log_kv_dv2, special.log_kv_dz2)

        def values(v, z):
            return [function(v, z) for function in functions]

        exact = values(V, Z)
        scales = [np.maximum(1.0, V * np.arcsinh(V / Z) + np.hypot(V, Z)), *map(np.abs, exact[1:])]
        with jax.enable_x64(False):
            # Rounded on the way out only, and summed in single precision under a trace.
            for found, bound in ((values(jnp.asarray(v), z), 2e-7), (jax.jit(values)(v, z), 5e-6)):
                for x, value, scale in zip(found, exact, scales, strict=True):
                    assert x.dtype == np.float32
                    assert (np.abs(np.asarray(x, float) - value) / scale).max() <= bound


class TestBatches:
    """A vmapped fit is the fits of its lanes."""

    @pytest.mark.exhaustive
    def test_bootstrap(self, X):
        with jax.enable_x64(True):
            rows = np.random.default_rng(0).integers(0, len(X), (4, 300))
            batch = jnp.asarray(X[rows])
            start = NormalInverseGaussian.default_init(X)
            starts = [start, start, make(NormalInverseGaussian), start]
            stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
            fitter = BatchEMFitter(tol=1e-3, **BOTH)
            result = jax.jit(jax.vmap(fitter.fit))(stack, batch)
            assert result.model.mu.dtype == batch.dtype
            singles = [
                BatchEMFitter(tol=1e-3).fit(start, np.asarray(x, float))
                for start, x in zip(starts, batch, strict=True)
            ]
            assert result.n_iter.tolist() == [single.n_iter for single in singles]
            assert result.converged.all()
            for i, single in enumerate(singles):
                lane = jax.tree.map(lambda leaf, i=i: leaf[i], result)
                assert Status.of(lane.code) is single.status
                np.testing.assert_allclose(numbers(lane.model), numbers(single.model), atol=1e-9)
                history = lane.log_likelihoods
                assert history.shape == (fitter.max_iter,)
                np.testing.assert_allclose(
                    history[: single.n_iter], single.log_likelihoods, rtol=1e-9
                )
                assert np.isnan(history[single.n_iter :]).all()

    @pytest.mark.exhaustive
    def test_free_order_in_the_default_precision(self, X):
        start = GeneralizedHyperbolic.default_init(X)
        result = jax.jit(lambda x: start.fit(x, tol=1e-3, **BOTH))(X)
        # X is rounded to float32 on the way in; a traced fit is not compared with special cases.
        assert Status.of(result.code).converged
        eager = start.fit(X.astype(np.float32), tol=1e-3)
        assert float(result.log_likelihood) == pytest.approx(eager.log_likelihood, rel=1e-4)
        with pytest.raises(ValueError, match="each lane"):
            Status.of(np.array([0, 1]))

    @pytest.mark.exhaustive
    def test_nan_in_a_lane(self, X):
        start = NormalInverseGaussian.default_init(X)
        spoilt = X.copy()
        spoilt[3, 1] = np.nan
        result = jax.jit(lambda x: start.fit(x, tol=1e-3, **BOTH))(spoilt)
        assert Status.of(result.code) is Status.NON_FINITE
        assert not result.converged

    def test_what_does_not_trace_says_so(self, X):
        start = NormalInverseGaussian.default_init(X)
        with pytest.raises(TypeError, match="default_init does not run under a JAX trace"):
            jax.jit(NormalInverseGaussian.default_init)(X)
        with pytest.raises(TypeError, match="rvs draws by NumPy"):
            jax.jit(lambda m: m.rvs(3, seed=0))(start)
        with pytest.raises(TypeError, match="a fit cannot be differentiated"):
            jax.grad(lambda x: start.fit(x, **BOTH).model.mu.sum())(jnp.asarray(X))
        stack = jax.tree.map(lambda *leaves: np.stack(leaves), start, start)
        for method in (stack.mean, stack.cov, stack.sigma, lambda: stack.log_prob(X)):
            with pytest.raises(ValueError, match="in a stack of models"):
                method()
        assert repr(stack)
        assert repr(jax.eval_shape(lambda m: m, start))

    def test_kinds_of_arrays_share_a_program(self, X):
        start = NormalInverseGaussian.default_init(X)
        start.fit(X, **BOTH)
        start.fit(jnp.asarray(X), **BOTH)
        assert compilations(lambda: start.fit(jnp.asarray(X[::-1]), **BOTH)) == 0

    def test_backends_that_cannot_trace(self, X):
        start = NormalInverseGaussian.default_init(X)
        with pytest.raises(TypeError, match="e_step_backend='jax'"):
            jax.jit(start.fit)(X)


class TestPlaces:
    """Data on devices, and what is asked of it there."""

    def test_a_device(self, X, quick_programs):
        start = NormalInverseGaussian.default_init(X)
        device = jax.devices()[0]
        result = start.fit(X, device=device, e_step_backend="jax")
        assert result.n_iter == start.fit(X).n_iter
        with pytest.raises(TypeError, match=r"device must be a jax\.Device"):
            start.fit(X, device="cpu", **BOTH)
        with pytest.raises(ValueError, match="device needs e_step_backend='jax'"):
            start.fit(X, device=device)

    def test_jax_arrays_are_fitted_by_every_backend(self, X):
        start = NormalInverseGaussian.default_init(jnp.asarray(X))
        values = jnp.asarray(X)
        base = start.fit(np.asarray(values, float))
        for e_step, m_step in [("cpu", "cpu"), *PAIRS]:
            result = start.fit(values, e_step_backend=e_step, m_step_backend=m_step)
            assert isinstance(result.model.mu, np.ndarray)
            assert result.n_iter == base.n_iter
            np.testing.assert_allclose(numbers(result.model), numbers(base.model), atol=1e-9)

    @pytest.mark.exhaustive
    def test_models_that_jax_has_made_are_fitted_by_every_backend(self, X):
        start = jax.tree.map(jnp.asarray, make(VarianceGamma))
        base = make(VarianceGamma).fit(X, tol=1e-3)
        for e_step, m_step in [("cpu", "cpu"), *PAIRS]:
            result = start.fit(X, tol=1e-3, e_step_backend=e_step, m_step_backend=m_step)
            assert isinstance(result.model.mu, np.ndarray)
            assert result.n_iter == base.n_iter

    @pytest.mark.parametrize(
        ("spoil", "match"),
        [
            (lambda x: x.at[3, 1].set(jnp.nan), r"X must be finite, got nan at index \(3, 1\)"),
            (lambda x: x.at[:, 0].set(2.0), "constant column, got column 0"),
            (lambda x: x.at[:, 1].set(x[:, 0]), "collinear columns, got column 1"),
            (lambda x: x[:2], "more rows than columns"),
        ],
    )
    def test_bad_arrays_are_named(self, spoil, match, X):
        start = make(NormalInverseGaussian)
        with pytest.raises(ValueError, match=match):
            start.fit(spoil(jnp.asarray(X)), **BOTH)

    def test_missing_values_are_for_numpy(self, X):
        spoilt = jnp.asarray(X).at[3, 1].set(jnp.nan)
        for f in (NormalInverseGaussian.default_init, make(NormalInverseGaussian).fit):
            with pytest.raises(ValueError, match="NumPy array if values are missing"):
                f(spoilt, missing="em")

    @pytest.mark.exhaustive
    def test_shards(self):
        run = run_python(
            """
            import numpy as np, jax
            from jax.sharding import Mesh, NamedSharding, PartitionSpec
            from nvmix import NormalInverseGaussian
            assert len(jax.devices()) == 4
            rows = NamedSharding(Mesh(jax.devices(), ("rows",)), PartitionSpec("rows"))
            X = NormalInverseGaussian.from_classical(
                mu=[0.0, 0.1], gamma=[0.4, -0.2], sigma=np.eye(2), mu_ig=1.2, lam=1.5
            ).rvs(2000, seed=0)
            start = NormalInverseGaussian.default_init(X)
            explicit = NamedSharding(jax.make_mesh((4,), ("rows",)), PartitionSpec("rows"))
            with jax.enable_x64(True):
                placed = jax.device_put(X, explicit)
            for data, device in ((placed, None), (X[:1999], rows)):
                base = start.fit(np.asarray(data))
                result = start.fit(data, e_step_backend="jax", m_step_backend="jax", device=device)
                assert result.n_iter == base.n_iter
                assert np.allclose(result.model.mu, base.model.mu, rtol=0, atol=1e-12)
            from nvmix.backends import get_backend
            where = get_backend("jax").place(X, rows).rows
            assert len(where.values.sharding.device_set) == 4
            assert len(where.weights.sharding.device_set) == 4
            print("done")
            """,
            XLA_FLAGS=f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4",
        )
        assert run == "done"


class TestLoading:
    """JAX is loaded when asked for, in silence, and classes are pytrees from then on."""

    def test_pytrees_in_whatever_order(self):
        for lines in ("import jax, nvmix", "import nvmix; nvmix.VarianceGamma; import jax"):
            run = run_python(
                f"""
                {lines}
                model = nvmix.VarianceGamma.from_classical(
                    mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=2.0, beta=1.0)
                print(len(jax.tree.leaves(model)), jax.config.jax_enable_x64)
                """
            )
            assert run == "5 False"

    def test_no_warning_and_no_flag(self):
        run = run_python(
            """
            import numpy as np
            from nvmix import NormalInverseGaussian as N
            X = np.random.default_rng(0).standard_t(4, (1000, 2))
            both = {"e_step_backend": "jax", "m_step_backend": "jax"}
            result = N.default_init(X).fit(X, **both)
            import jax
            print(result.status.name, result.model.mu.dtype, jax.config.jax_enable_x64)
            """
        )
        assert run == "CONVERGED float64 False"

    def test_pickles_after_jax(self, model):
        again = pickle.loads(pickle.dumps(jax.tree.map(jnp.asarray, model)))
        np.testing.assert_array_equal(numbers(again), numbers(jax.tree.map(jnp.asarray, model)))

    def test_results_are_pytrees(self, X):
        result = NormalInverseGaussian.default_init(X).fit(X, **BOTH)
        again = jax.tree.map(lambda leaf: leaf, result)
        assert again.status is result.status
        assert repr(jax.tree.map(jnp.asarray, result.model)).startswith("NormalInverseGaussian(mu=")


def run_python(code, **environment):
    """What a new process prints, warnings being errors."""
    lines = code.splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    code = "\n".join(line[indent:] for line in lines)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()
