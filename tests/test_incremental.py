"""Incremental EM: steps over batches, streams, and how fast they reach the batch optimum."""

import pickle
from functools import cache
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from conftest import make, needs_jax

from nvmix import (
    BatchEMFitter,
    ConvergenceWarning,
    EWMAUpdate,
    GeneralizedHyperbolic,
    IdentityUpdate,
    IncrementalEMFitter,
    NormalInverseGaussian,
    ReadError,
    RobbinsMonroUpdate,
    SampleWeightedUpdate,
    Shrinkage,
    Status,
    VarianceGamma,
    eta0_isotropic,
)
from nvmix.fitting.incremental.batches import Batches, generator_of_key
from nvmix.foundation.statistics import EXPECTATIONS
from nvmix.sources.factory import source_of
from nvmix.sources.prefetch import readers
from nvmix.sources.source import ArraySource

MODEL = make(NormalInverseGaussian)
X = MODEL.rvs(1000, seed=3)
START = NormalInverseGaussian.default_init(X)


def assert_same(one, other):
    """The same bits."""
    for x, y in zip(one.normal, other.normal, strict=True):
        np.testing.assert_array_equal(x, y)
    assert one.subordinator.gig == other.subordinator.gig


def means(eta):
    return np.concatenate([np.ravel(getattr(eta, name)) for name in EXPECTATIONS])


class TestBatches:
    @pytest.mark.parametrize(("n", "size"), [(10, 5), (10, 4), (10, 3), (7, 7), (5, 9), (3, 1)])
    def test_passes_meet_every_row_once(self, n, size):
        rows, size = np.arange(float(n))[:, None], min(size, n)
        drawn = list(islice(Batches(ArraySource(rows), size, np.random.default_rng(0)), 6 * n))
        assert {len(batch) for batch in drawn} == {size}
        passes = np.concatenate(drawn)[: n * (6 * n * size // n)].reshape(-1, n)
        np.testing.assert_array_equal(
            np.sort(passes, axis=1), np.tile(np.arange(n), (len(passes), 1))
        )
        assert n == 1 or len({tuple(order) for order in passes}) > 1

    def test_they_are_copies(self):
        rows = np.zeros((4, 1))
        next(iter(Batches(ArraySource(rows), 4, np.random.default_rng(0))))[:] = 1.0
        assert not rows.any()


class TestSteps:
    def test_one_step_is_e_step_rule_and_m_step(self, family):
        start = family.default_init(X)
        fitter = IncrementalEMFitter().partial_fit(X[:100], model=start)
        batch, own = start.e_step(X[:100]), start.expectation_params()
        w = 1 / 11
        expected = batch * w + own * (100.0 * (1.0 - w))
        np.testing.assert_allclose(means(fitter.eta), means(expected), rtol=1e-12, atol=1e-13)
        assert_same(fitter.model, start.m_step(fitter.eta))
        assert fitter.eta.mean_log_likelihood == batch.mean_log_likelihood

    def test_inner_iterations_start_from_the_same_statistics(self):
        rule = EWMAUpdate(0.3)
        model, own = START, START.expectation_params()
        for _ in range(3):
            model = model.m_step(rule(own, model.e_step(X[:100]), 0))
        fitter = IncrementalEMFitter(eta_update=rule, inner_iter=3)
        assert_same(fitter.partial_fit(X[:100], model=START).model, model)
        assert (fitter.n_steps, fitter.n_rows) == (1, 100.0)

    def test_one_batch_of_all_rows_is_batch_em(self):
        fitter = IncrementalEMFitter(eta_update=IdentityUpdate(), batch_size=10**6, max_steps=20)
        result = fitter.fit(START, X, key=0)
        plain = BatchEMFitter(acceleration="none", max_iter=20, tol=0.0)
        with pytest.warns(ConvergenceWarning):
            expected = plain.fit(START, X)
        np.testing.assert_allclose(result.model.log_prob(X), expected.model.log_prob(X), rtol=1e-11)
        np.testing.assert_allclose(result.param_changes, expected.param_changes, rtol=1e-6)

    def test_chunks_of_equal_worth_make_the_one_pass_statistics(self):
        total, rule = None, SampleWeightedUpdate()
        for step, rows in enumerate(np.split(X, [10, 500, 730])):
            total = rule(total, START.e_step(rows), step)
        np.testing.assert_allclose(means(total), means(START.e_step(X)), rtol=1e-12, atol=1e-13)
        assert total.weight == 1000.0
        assert total.log_likelihood == pytest.approx(START.e_step(X).log_likelihood, rel=1e-13)

    def test_equal_weights_sum_the_likelihoods_that_rows_had(self):
        fitter = IncrementalEMFitter(eta_update=SampleWeightedUpdate())
        value = START.e_step(X[:400]).log_likelihood
        value += fitter.partial_fit(X[:400], model=START).model.e_step(X[400:]).log_likelihood
        assert fitter.partial_fit(X[400:]).eta.log_likelihood == pytest.approx(value, rel=1e-9)

    def test_a_start_with_infinite_expectations_counts_for_nothing(self):
        start = VarianceGamma.from_classical(
            mu=X[0] + 0.01, gamma=[0.0, 0.0], sigma=np.eye(2), alpha=0.9, beta=1.0
        )
        fitter = IncrementalEMFitter().partial_fit(X, model=start)
        np.testing.assert_array_equal(means(fitter.eta), means(start.e_step(X)))

    def test_the_average_weighs_late_steps_more(self):
        fitter = IncrementalEMFitter(averaging=True)
        expected = None
        for t, rows in enumerate(np.split(X, 10), 1):
            fitter.partial_fit(rows, model=START)
            w = 4.0 / (t + 3.0)
            now = means(fitter.eta)
            expected = now if expected is None else (1.0 - w) * expected + w * now
        found = fitter.model.expectation_params()
        # The law of Y fixes p, so that E[log Y] alone need not be met.
        np.testing.assert_allclose(means(found)[1:], expected[1:], rtol=1e-9)

    @pytest.mark.parametrize("gauge", ["det_sigma_one", "det_sigma_x", "a_eq_b"])
    @pytest.mark.parametrize("averaging", [False, True])
    def test_gauges_change_only_the_model_handed_out(self, gauge, averaging):
        free = IncrementalEMFitter(max_steps=20, averaging=averaging)
        fitter = IncrementalEMFitter(max_steps=20, averaging=averaging, regularization=gauge)
        base, result = free.fit(START, X, key=1), fitter.fit(START, X, key=1)
        np.testing.assert_array_equal(result.param_changes, base.param_changes)
        np.testing.assert_allclose(result.model.log_prob(X), base.model.log_prob(X), rtol=1e-9)
        assert_same(fitter.model, result.model)
        target = {"det_sigma_one": 0.0, "det_sigma_x": START.log_det_sigma()}
        if gauge in target:
            assert result.model.log_det_sigma() == pytest.approx(target[gauge], abs=1e-12)
        else:
            _, a, b = result.model.subordinator.gig
            assert a == pytest.approx(b, rel=1e-12)

    def test_units_shifts_and_rotations_change_nothing(self, family):
        c, s = np.cos(0.7), np.sin(0.7)
        A, shift = 1e-3 * np.array([[c, -s], [s, c]]), np.array([1.0, -2.0])
        start, fitter = family.default_init(X), IncrementalEMFitter(max_steps=40, batch_size=100)
        moved = type(start)(
            A @ start.mu + shift,
            A @ start.gamma,
            np.linalg.cholesky(A @ start.sigma() @ A.T),
            start.subordinator,
        )
        here = fitter.fit(start, X, key=1)
        there = fitter.fit(moved, X @ A.T + shift, key=1)
        np.testing.assert_allclose(there.param_changes, here.param_changes, rtol=1e-6)
        np.testing.assert_allclose(
            there.model.sigma(), A @ here.model.sigma() @ A.T, rtol=1e-7, atol=1e-12
        )

    def test_shrinkage_of_a_running_average_leads_to_that_of_batch_em(self):
        eta0 = eta0_isotropic(MODEL, 4.0)
        batch = START.fit(X, eta_update=Shrinkage(IdentityUpdate(), eta0, 0.3), tol=1e-8)
        rule = Shrinkage(RobbinsMonroUpdate(2.0, 0.6), eta0, 0.3)
        fitter = IncrementalEMFitter(eta_update=rule, batch_size=50, max_steps=2000, averaging=True)
        found = fitter.fit(START, X, key=0).model
        np.testing.assert_allclose(found.sigma(), batch.model.sigma(), rtol=0.01, atol=0.01)

    @needs_jax
    @pytest.mark.exhaustive
    def test_backends_agree(self):
        fits = [
            IncrementalEMFitter(max_steps=12, e_step_backend=e, m_step_backend=m, verbose=0)
            .fit(START, X, key=2)
            .model
            for e, m in (("cpu", "cpu"), ("jax", "jax"), ("jax", "cpu"))
        ]
        for other in fits[1:]:
            np.testing.assert_allclose(other.sigma(), fits[0].sigma(), rtol=1e-9)
            np.testing.assert_allclose(other.mu, fits[0].mu, atol=1e-9)


class TestRecord:
    def test_nothing_tells_of_convergence(self):
        result = IncrementalEMFitter(max_steps=30, batch_size=64).fit(START, X, key=0)
        assert result.converged is None
        assert result.status is Status.STEPS_DONE
        assert int(Status.STEPS_DONE) == result.code
        assert "max_steps" in result.message
        assert result.n_iter == len(result.param_changes) == 30
        assert result.n_passes == 2
        assert result.log_likelihoods.size == 0
        assert np.isnan(result.log_likelihood)
        assert not result.usable
        assert result.n_observations == 1000.0
        with pytest.raises(ValueError, match="need a fit that converged, got STEPS_DONE"):
            result.standard_errors(X)
        assert pickle.loads(pickle.dumps(result)).converged is None

    @pytest.mark.parametrize(("steps", "number"), [(25, 10), (3, 3)])
    @pytest.mark.parametrize("averaging", [False, True])
    def test_a_verbose_fit_tells_the_likelihood(self, steps, number, averaging, capsys):
        settings = {"max_steps": steps, "averaging": averaging, "regularization": "det_sigma_one"}
        quiet = IncrementalEMFitter(**settings).fit(START, X, key=0)
        assert capsys.readouterr().out == ""
        result = IncrementalEMFitter(**settings, verbose=1).fit(START, X, key=0)
        assert_same(result.model, quiet.model)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == number + 2
        assert "steps_done" in lines[-1]
        assert len(result.log_likelihoods) == number
        expected = result.model.log_prob(X)
        assert result.log_likelihood == pytest.approx(expected.sum(), rel=1e-12)
        assert result.log_likelihoods[-1] == pytest.approx(expected.mean(), rel=1e-12)
        assert np.isfinite(result.aic)
        assert result.usable
        assert result.n_passes == quiet.n_passes + number

    def test_verbose_2_has_a_line_for_each_step(self, capsys):
        IncrementalEMFitter(max_steps=20, verbose=2).fit(START, X, key=0)
        assert len(capsys.readouterr().out.splitlines()) == 2 + 1 + 20 + 10
        IncrementalEMFitter(verbose=2).partial_fit(X[:50], model=START)
        (line,) = capsys.readouterr().out.splitlines()
        expected = START.marginal_log_likelihood(X[:50])
        assert float(line.split()[1]) == pytest.approx(expected, abs=1e-9)

    def test_an_impossible_m_step_ends_a_fit(self):
        def broken(previous, batch, step):
            return batch if step < 4 else batch * np.nan

        fitter = IncrementalEMFitter(eta_update=broken, verbose=1)
        with pytest.warns(ConvergenceWarning, match="last valid model") as record:
            result = fitter.fit(START, X, key=0)
        assert record[0].filename == __file__
        assert result.status is Status.DEGENERATE
        assert result.converged is False
        assert result.n_iter == fitter.n_steps == 4
        assert result.log_likelihood == pytest.approx(result.model.log_prob(X).sum(), rel=1e-12)

    def test_columns_have_names(self):
        frame = pd.DataFrame(X, columns=["a", "b"])
        assert IncrementalEMFitter(max_steps=2).fit(START, frame).model.columns == ("a", "b")
        fitter = IncrementalEMFitter().partial_fit(frame, model=START)
        with pytest.raises(ValueError, match="batch must have the columns of the model"):
            fitter.partial_fit(frame[["b", "a"]])


class TestKeys:
    def test_the_same_key_gives_the_same_bits(self):
        fitter = IncrementalEMFitter(max_steps=10)
        one = fitter.fit(START, X, key=7).model
        assert_same(fitter.fit(START, X, key=7).model, one)
        assert_same(fitter.fit(START, X, key=np.random.default_rng(7)).model, one)
        other = fitter.fit(START, X, key=8).model
        assert not np.array_equal(other.mu, one.mu)
        assert np.isfinite(fitter.fit(START, X).model.mu).all()

    @needs_jax
    def test_keys_of_jax(self):
        import jax

        draws = [
            generator_of_key(key).random()
            for key in (jax.random.key(3), jax.random.PRNGKey(3), jax.random.key(4))
        ]
        assert draws[0] == draws[1] != draws[2]
        with pytest.raises(ValueError, match=r"key must be one key of JAX, got .* \(3, 2\)"):
            generator_of_key(jax.random.split(jax.random.key(0), 3))
        with pytest.raises(ValueError, match="key must be one key of JAX, got float32"):
            generator_of_key(jax.numpy.zeros(2, "float32"))
        with pytest.raises(TypeError, match="key must be concrete"):
            jax.jit(lambda key: generator_of_key(key).random())(jax.random.key(0))

    @needs_jax
    def test_rows_of_jax(self):
        import jax.numpy as jnp

        rows = jnp.asarray(X)
        fitter = IncrementalEMFitter(max_steps=5)
        expected = fitter.fit(START, np.asarray(rows), key=0).model
        assert_same(fitter.fit(START, rows, key=0).model, expected)
        with pytest.raises(ValueError, match=r"X must be finite, got nan at index \(5, 0\)"):
            fitter.fit(START, rows.at[5, 0].set(np.nan))


class TestStreams:
    def test_a_pickled_stream_goes_on_to_the_same_bits(self, family):
        start = family.default_init(X)
        rule = Shrinkage(RobbinsMonroUpdate(2.0, 0.6), eta0_isotropic(MODEL, 2.0), 0.01)
        fitter = IncrementalEMFitter(eta_update=rule, averaging=True, regularization="det_sigma_x")
        for rows in np.split(X[:500], 5):
            fitter.partial_fit(rows, model=start)
        again = pickle.loads(pickle.dumps(fitter))
        for rows in np.array_split(X[500:], 7):
            fitter.partial_fit(rows)
            again.partial_fit(rows)
            assert_same(again.model, fitter.model)
        np.testing.assert_array_equal(means(again.eta), means(fitter.eta))
        assert (again.n_steps, again.n_rows) == (12, 1000.0)

    def test_before_the_first_step(self):
        fitter = IncrementalEMFitter()
        assert (fitter.model, fitter.eta, fitter.n_steps, fitter.n_rows) == (None, None, 0, 0.0)
        assert repr(fitter).startswith("IncrementalEMFitter(eta_update=None, batch_size=256,")

    def test_a_stream_goes_on_from_a_fit(self):
        fitter = IncrementalEMFitter(max_steps=5, batch_size=100)
        result = fitter.fit(START, X, key=0)
        assert_same(fitter.model, result.model)
        fitter.partial_fit(X[:30])
        assert (fitter.n_steps, fitter.n_rows) == (6, 530.0)
        fitter.fit(START, X, key=0)
        assert_same(fitter.model, result.model)

    def test_the_start_is_the_same_in_all_calls(self):
        fitter = IncrementalEMFitter().partial_fit(X[:50], model=START)
        fitter.partial_fit(X[50:90], model=NormalInverseGaussian.default_init(X))
        assert fitter.n_steps == 2
        for other in (MODEL, GeneralizedHyperbolic.default_init(X), make(NormalInverseGaussian, 3)):
            with pytest.raises(ValueError, match="model must be the one that this stream of 2 st"):
                fitter.partial_fit(X[:50], model=other)

    def test_batches_of_one_row(self):
        fitter = IncrementalEMFitter()
        for row in X[:200]:
            fitter.partial_fit(row[None], model=START)
        assert (fitter.n_steps, fitter.n_rows) == (200, 200.0)
        gain = fitter.model.marginal_log_likelihood(X) - MODEL.marginal_log_likelihood(X)
        assert gain > -0.05

    def test_a_batch_without_a_model_is_left_out(self):
        fitter = IncrementalEMFitter(eta_update=IdentityUpdate()).partial_fit(X, model=START)
        before = pickle.dumps(fitter)
        with pytest.warns(ConvergenceWarning, match="batch after step 1 was left out") as record:
            fitter.partial_fit(X[:1])
        assert record[0].filename == __file__
        assert pickle.dumps(fitter) == before
        assert fitter.partial_fit(X).n_steps == 2

    def test_a_first_batch_without_a_model_leaves_the_start(self):
        fitter = IncrementalEMFitter(eta_update=IdentityUpdate())
        with pytest.warns(ConvergenceWarning, match="batch after step 0"):
            fitter.partial_fit(X[:1], model=START)
        assert_same(fitter.model, START)

    def test_the_scale_of_a_long_stream_stays(self):
        """Free, |Sigma| would fall by e^-2 in so many steps, and mix gauges in the average."""
        fitter = IncrementalEMFitter(eta_update=EWMAUpdate(0.2), averaging=True)
        for rows in islice(Batches(ArraySource(X), 32, np.random.default_rng(0)), 2000):
            fitter.partial_fit(rows, model=None if fitter.n_steps else START)
        assert abs(fitter.model.log_det_sigma() - START.log_det_sigma()) < 0.5
        best = START.fit(X).model.marginal_log_likelihood(X)
        assert best - fitter.model.marginal_log_likelihood(X) < 5e-3

    def test_ewma_follows_a_drift_where_equal_weights_lag(self):
        rng = np.random.default_rng(0)
        errors = {}
        for name, rule in (("ewma", EWMAUpdate(0.2)), ("equal", SampleWeightedUpdate())):
            fitter = IncrementalEMFitter(eta_update=rule)
            for t in range(80):
                shift = 0.05 * t
                fitter.partial_fit(MODEL.rvs(200, seed=rng) + shift, model=START)
            errors[name] = np.abs(fitter.model.mean() - MODEL.mean() - shift).max()
        assert errors["ewma"] < 0.4
        assert errors["equal"] > 1.5


RATE_ROWS, RATE_BATCH, RATE_PASSES = 2048, 64, 50


@cache
def rate_problem():
    """Data in five columns, their start and the batch optimum."""
    rows = make(NormalInverseGaussian, 5).rvs(RATE_ROWS, seed=0)
    start = NormalInverseGaussian.default_init(rows)
    best = start.fit(rows, criterion="likelihood", tol=1e-13, max_iter=5000)
    assert best.converged
    return rows, start, best


def resampled(rows, size, rng):
    """Independent batches from the rows."""
    while True:
        yield rows[rng.integers(len(rows), size=size)]


def reshuffled(X, size, rng):
    """Batches in which each pass meets every row once."""
    return Batches(ArraySource(X), size, rng)


def mean_gaps(draw, averaging, passes, seeds=2):
    """Mean log-likelihood short of the batch optimum after each of some passes, over seeds."""
    rows, start, best = rate_problem()
    steps, gaps = RATE_ROWS // RATE_BATCH, np.zeros(len(passes))
    for seed in range(seeds):
        fitter = IncrementalEMFitter(eta_update=RobbinsMonroUpdate(2.0, 0.6), averaging=averaging)
        source = draw(rows, RATE_BATCH, np.random.default_rng(seed))
        for batch in islice(source, RATE_PASSES * steps):
            fitter.partial_fit(batch, model=None if fitter.n_steps else start)
            if fitter.n_steps % steps == 0 and fitter.n_steps // steps in passes:
                gap = best.log_likelihood / RATE_ROWS - fitter.model.marginal_log_likelihood(rows)
                gaps[passes.index(fitter.n_steps // steps)] += gap / seeds
    return gaps


class TestRate:
    """Cappé-Moulines steps t^-0.6 over 50 passes, by the slope of log gap against log passes."""

    passes = (2, 3, 5, 7, 10, 14, 20, 28, 35, 42, 50)

    def slope(self, gaps):
        return np.polyfit(np.log(self.passes), np.log(gaps), 1)[0]

    def test_polyak_averaging_over_independent_batches_is_efficient(self):
        """1/t, with the constant of theory: 16/7 of k / (2 N) for k parameters and N rows."""
        gaps = mean_gaps(resampled, averaging=True, passes=self.passes)
        assert -1.15 < self.slope(gaps) < -0.8
        best = rate_problem()[2]
        bound = best.n_parameters / (2.0 * RATE_PASSES * RATE_ROWS)
        assert 0.5 < gaps[-1] / (16.0 / 7.0 * bound) < 1.5

    def test_without_averaging_the_gap_falls_as_the_step(self):
        gaps = mean_gaps(resampled, averaging=False, passes=self.passes)
        assert -0.8 < self.slope(gaps) < -0.45

    def test_polyak_averaging_over_passes_reaches_the_batch_optimum(self):
        """Rows that return once in each pass: faster than 1/t."""
        gaps = mean_gaps(reshuffled, averaging=True, passes=self.passes)
        assert -2.7 < self.slope(gaps) < -1.9
        assert 0.0 < gaps[-1] < 1e-6

    def test_fit_is_that_stream(self):
        rows, start, best = rate_problem()
        fitter = IncrementalEMFitter(
            eta_update=RobbinsMonroUpdate(2.0, 0.6),
            batch_size=RATE_BATCH,
            max_steps=RATE_PASSES * RATE_ROWS // RATE_BATCH,
            averaging=True,
            verbose=1,
        )
        result = fitter.fit(start, rows, key=0)
        assert (best.log_likelihood - result.log_likelihood) / RATE_ROWS < 1e-6
        np.testing.assert_allclose(result.model.cov(), best.model.cov(), rtol=0.01, atol=0.01)


@pytest.mark.parametrize(
    ("keywords", "error", "match"),
    [
        ({"eta_update": 3}, TypeError, "eta_update must be callable or None, .* got 3"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer, got 2.0"),
        ({"max_steps": 0}, ValueError, "max_steps must be at least 1, got 0"),
        ({"inner_iter": 0}, ValueError, "inner_iter must be at least 1, got 0"),
        ({"verbose": -1}, ValueError, "verbose must be at least 0, got -1"),
        ({"regularization": "ridge"}, ValueError, "regularization must be one of 'none'"),
        ({"e_step_backend": "gpu"}, ValueError, "e_step_backend must be one of 'cpu', 'jax'"),
        ({"m_step_backend": None}, ValueError, "m_step_backend must be one of"),
        ({"m_step_method": "adam"}, ValueError, "m_step_method must be one of 'newton'"),
        ({"averaging": 1}, TypeError, "averaging must be True or False, got 1"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a Checkpoint, a path"),
        ({"eta_update": EWMAUpdate}, TypeError, "eta_update must be callable or None, and no cl"),
    ],
)
def test_bad_settings(keywords, error, match):
    with pytest.raises(error, match=match):
        IncrementalEMFitter(**keywords)


def test_settings_are_keywords():
    with pytest.raises(TypeError):
        IncrementalEMFitter(None)


def with_nan(rows):
    rows = rows.copy()
    rows[7, 1] = np.nan
    return rows


@pytest.mark.parametrize(
    ("batch", "error", "match"),
    [
        (with_nan(X), ValueError, r"batch must be finite, got nan at index \(7, 1\)"),
        (X[:, :1], ValueError, r"batch must have 2 columns, as the model has, got shape"),
        (X[0], ValueError, r"batch must have shape \(n, d\), got \(2,\)"),
        (X[:0], ValueError, "batch must not be empty"),
        ("rows", TypeError, "batch must hold real numbers"),
    ],
)
def test_bad_batches(batch, error, match):
    fitter = IncrementalEMFitter()
    with pytest.raises(error, match=match):
        fitter.partial_fit(batch, model=START)
    assert fitter.model is None


def test_bad_calls():
    fitter = IncrementalEMFitter(max_steps=2)
    with pytest.raises(ValueError, match="model must be given in the first call of partial_fit"):
        fitter.partial_fit(X)
    with pytest.raises(TypeError, match=r"model must be a model to start from, .* got int"):
        fitter.partial_fit(X, model=3)
    with pytest.raises(TypeError, match=r"model must be a model to start from, .* got NoneType"):
        fitter.fit(None, X)
    with pytest.raises(ValueError, match=r"X must be finite, got nan at index \(7, 1\)"):
        fitter.fit(START, with_nan(X))
    with pytest.raises(ValueError, match="X must have more rows than columns"):
        fitter.fit(START, X[:2])
    with pytest.raises(TypeError, match=r"key must be None, a nonnegative integer or a Gen.*'a'"):
        fitter.fit(START, X, key="a")
    with pytest.raises(ValueError, match=r"key must be None, .*got -1"):
        fitter.fit(START, X, key=-1)
    gauged = IncrementalEMFitter(regularization="a_eq_b")
    for call in (
        lambda: gauged.fit(VarianceGamma.default_init(X), X),
        lambda: gauged.partial_fit(X, model=VarianceGamma.default_init(X)),
    ):
        with pytest.raises(ValueError, match="has no meaning for"):
            call()


class TestSources:
    """Rows that come in chunks."""

    def fit(self, source, key=0, **settings):
        settings = {"batch_size": 64, "max_steps": 50, **settings}
        return IncrementalEMFitter(**settings).fit(START, source, key=key)

    def test_one_chunk_is_an_array(self):
        one, other = self.fit(X), self.fit(lambda: [X])
        np.testing.assert_allclose(one.param_changes[:5], other.param_changes[:5], rtol=1e-9)

    def test_the_same_key_gives_the_same_bits(self, tmp_path):
        np.save(tmp_path / "x.npy", X)
        one, other = self.fit(tmp_path / "x.npy"), self.fit(np.load(tmp_path / "x.npy", "r"))
        np.testing.assert_array_equal(one.model.mu, other.model.mu)
        different = self.fit(tmp_path / "x.npy", key=1)
        assert different.model.mu[0] != one.model.mu[0]

    def test_a_pass_meets_each_row_once(self):
        rows = np.arange(103.0)[:, None]
        source = source_of(lambda: np.array_split(rows, 7))
        drawn = iter(Batches(source, 10, np.random.default_rng(0)))
        met = np.sort(np.concatenate([next(drawn) for _ in range(103)])[:, 0])
        np.testing.assert_array_equal(met, np.repeat(rows[:, 0], 10))

    def test_few_rows_are_one_batch(self):
        source = source_of(lambda: [X[:3], X[3:5]])
        drawn = iter(Batches(source, 10, np.random.default_rng(0)))
        for _ in range(3):
            np.testing.assert_array_equal(np.sort(next(drawn), axis=0), np.sort(X[:5], axis=0))

    def test_verbose_passes_are_over_the_source(self, capsys):
        result = self.fit(lambda: np.array_split(X, 3), verbose=1)
        assert len(result.log_likelihoods) == 10
        assert result.n_observations == len(X)
        at_hand = result.model.marginal_log_likelihood(X)
        assert result.log_likelihoods[-1] == pytest.approx(at_hand, rel=1e-12)

    def test_passes_of_different_rows_are_refused(self):
        sizes = iter([300, 200])
        with pytest.raises(ValueError, match="same rows in each pass, got 300 and 200 from"):
            self.fit(lambda: [X[: next(sizes)]])
        once = iter(np.array_split(X, 3))
        with pytest.raises(ValueError, match=f"same rows in each pass, got {len(X)} and 0 from"):
            self.fit(lambda: once)

    def test_passes_that_get_in_each_other_s_way_are_refused(self):
        class File:
            def __iter__(self):
                self.place = 0
                while self.place < len(X):
                    self.place += 20
                    yield X[self.place - 20 : self.place]

        assert self.fit(File()).n_observations == len(X)
        with pytest.raises(ValueError, match="a verbose fit makes further passes"):
            self.fit(File(), verbose=1)

    def test_a_verbose_fit_is_the_same(self):
        constant = X.copy()
        constant[:, 1] = 3.0
        for rows in (X, constant):
            one, other = (self.fit(lambda: [rows], verbose=v) for v in (0, 1))  # noqa: B023
            assert one.status is other.status
            np.testing.assert_array_equal(one.model.sigma(), other.model.sigma())

    def test_names_of_chunks_go_to_the_model(self):
        pandas = pytest.importorskip("pandas")
        columns = [f"asset {j}" for j in range(X.shape[1])]
        frame = pandas.DataFrame(X, columns=columns)
        fitter = IncrementalEMFitter(batch_size=64, max_steps=5)
        fitted = fitter.fit(START, lambda: [frame], key=0).model
        assert fitted.columns == fitter.model.columns == tuple(columns)
        with pytest.raises(ValueError, match="columns"):
            fitter.partial_fit(frame[columns[::-1]])

    def test_an_error_keeps_the_steps_before_it(self):
        def disk():
            yield X[:640]
            message = "no more disk"
            raise OSError(message)

        fitter = IncrementalEMFitter(batch_size=64)
        with pytest.raises(ReadError, match="chunk 1"):
            fitter.fit(START, disk, key=0)
        assert fitter.n_steps == 10
        assert fitter.partial_fit(X[640:]).n_steps == 11

    def test_a_parquet_file_that_two_passes_read_at_once(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        parquet = pytest.importorskip("pyarrow.parquet")
        table = pyarrow.table({"a": X[:, 0], "b": X[:, 1]})
        parquet.write_table(table, tmp_path / "x.parquet", row_group_size=37)
        one = self.fit(parquet.ParquetFile(tmp_path / "x.parquet"), verbose=1, max_steps=300)
        other = self.fit(tmp_path / "x.parquet", max_steps=300)
        np.testing.assert_array_equal(one.param_changes, other.param_changes)

    def test_a_fit_that_ends_amid_a_pass_leaves_no_reader(self):
        self.fit(lambda: np.array_split(X, 30), max_steps=3)
        assert not readers

    def test_nan_and_weights_are_refused(self):
        bad = X.copy()
        bad[700, 0] = np.nan
        with pytest.raises(ValueError, match="nan at row 700, column 0"):
            self.fit(lambda: np.array_split(bad, 3))
        with pytest.raises(ValueError, match="no weights in incremental fits"):
            self.fit(lambda: [(X, np.ones(len(X)))])
