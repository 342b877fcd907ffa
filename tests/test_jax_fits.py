"""Fits by the JAX loop beside those by the numba loop: accelerations, criteria and weights."""

import numpy as np
import pytest
from conftest import ROWS, make, needs_jax

from nvmix import (
    BatchEMFitter,
    EWMAUpdate,
    GeneralizedHyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
)
from nvmix.backends import get_backend
from nvmix.backends.types import UNCONFIRMED, Constraints, EMOptions

pytestmark = needs_jax
BOTH = {"e_step_backend": "jax", "m_step_backend": "jax"}


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGamma).rvs(ROWS, seed=0)


def both(start, X, weights=None, **keywords):
    return (BatchEMFitter(**keywords, **backend).run(start, X, weights) for backend in ({}, BOTH))


def assert_same(here, there):
    assert (there.n_iter, there.n_passes) == (here.n_iter, here.n_passes)
    assert there.status is here.status
    np.testing.assert_allclose(there.log_likelihoods, here.log_likelihoods, atol=1e-10)
    np.testing.assert_allclose(there.param_changes, here.param_changes, rtol=1e-6, atol=1e-9)
    assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-11)


@pytest.mark.parametrize(
    "acceleration",
    ["anderson", *(pytest.param(a, marks=pytest.mark.exhaustive) for a in ("none", "squarem"))],
)
@pytest.mark.parametrize("criterion", ["parameters", "likelihood"])
def test_accelerations_and_criteria(X, acceleration, criterion):
    start = NormalInverseGaussian.default_init(X)
    assert_same(*both(start, X, acceleration=acceleration, criterion=criterion, max_iter=250))


def test_steps_that_are_not_kept(X):
    start = NormalInverseGaussian.from_classical(
        mu=X[1], gamma=[1.0, -1.0], sigma=0.1 * np.eye(2), mu_ig=1.0, lam=3.0
    )
    here, there = both(start, X, criterion="likelihood", max_iter=250)
    assert here.n_passes > here.n_iter + 1
    assert_same(here, there)


def test_an_extrapolated_step_that_is_no_model():
    """Its place is taken in the same pass. Rows of weight 0 fill the array up."""
    few = np.random.default_rng(193).standard_t(2.0, size=(30, 2))
    X = np.concatenate([few, np.zeros((ROWS - len(few), 2))])
    here, there = both(NormalInverseGaussian.default_init(few), X, np.arange(ROWS) < len(few))
    assert here.converged
    assert_same(here, there)


def test_a_fit_that_is_not_confirmed():
    """It meets its criterion far below the maximum, and leaves the rest to Newton's method."""
    rng = np.random.default_rng(2)
    few = np.column_stack([rng.exponential(size=30), rng.standard_normal(30)])
    X = np.concatenate([few, np.zeros((ROWS - len(few), 2))])
    weights = (np.arange(ROWS) < len(few)).astype(float)
    start = NormalInverseGaussian.default_init(few)
    options = EMOptions(
        Constraints(start.fixed), "newton", None, "anderson", "parameters", 250, 1e-4
    )
    traces = []
    for backend in map(get_backend, ("cpu", "jax")):
        placed = backend.place(X, weights=weights)
        for ends_unconfirmed in (True, False):
            asked = options._replace(ends_unconfirmed=ends_unconfirmed)
            traces.append(backend.fit(placed, start.normal, start.subordinator.gig, asked))
    ended, went_on = traces[0::2], traces[1::2]
    assert [int(trace.status) for trace in ended] == [UNCONFIRMED] * 2
    assert float(ended[1].log_likelihood) == pytest.approx(ended[0].log_likelihood, abs=1e-3)
    assert all(trace.n_iter > ended[0].n_iter for trace in went_on)


def test_a_start_with_an_infinite_expectation(X):
    start = GeneralizedHyperbolic.from_classical(
        mu=X.mean(axis=0), gamma=[0.0, 0.0], sigma=np.cov(X.T), p=-0.8, a=0.0, b=1.0
    )
    here, there = both(start, X, max_iter=250)
    assert_same(here, there)


def test_the_iteration_limit(X):
    start = NormalInverseGaussian.default_init(X)
    here, there = both(start, X, max_iter=3)
    assert there.status is Status.MAX_ITER
    assert_same(here, there)


@pytest.mark.exhaustive
def test_max_iter_costs_no_memory(X, monkeypatch):
    """A program has room for few iterations at first, and another one for more."""
    start = make(NormalInverseGaussian)
    settings = {"eta_update": EWMAUpdate(0.5), "tol": 1e-6}
    expected = BatchEMFitter(max_iter=250, **settings).run(start, X)
    for name in ("_CAPACITY", "_MOST_CAPACITY"):
        monkeypatch.setattr(f"nvmix.backends.jax.backend.{name}", 32)
    found = BatchEMFitter(max_iter=10**30, **settings, **BOTH).run(start, X)
    assert found.n_iter == expected.n_iter > 32
    np.testing.assert_allclose(found.log_likelihoods, expected.log_likelihoods, rtol=1e-12)
    np.testing.assert_allclose(found.param_changes, expected.param_changes, rtol=1e-6)


def test_weights(X):
    # As many 0s as 2s, so that as many rows are left.
    weights = np.random.default_rng(0).permutation(np.resize([0.0, 1.0, 2.0, 1.0], len(X)))
    start = GeneralizedHyperbolic.default_init(X)
    here, there = both(start, X, weights, criterion="likelihood")
    assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-10)
    repeated = np.repeat(X, weights.astype(int), axis=0)
    again = start.fit(repeated, criterion="likelihood", **BOTH)
    assert again.log_likelihood == pytest.approx(there.log_likelihood, rel=1e-9)


@pytest.mark.exhaustive
def test_a_batch_of_weights(X):
    """A weighted bootstrap as one program: every lane is the fit it would be by itself."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        start = NormalInverseGaussian.default_init(X)
        fitter = BatchEMFitter(tol=1e-3, **BOTH)
        weights = np.random.default_rng(1).exponential(size=(3, len(X)))
        fits = jax.jit(jax.vmap(lambda w: fitter.fit(start, jnp.asarray(X), weights=w)))(weights)
        for i in range(3):
            single = start.fit(X, weights=weights[i], tol=1e-3)
            assert fits.n_passes[i] == single.n_passes
            np.testing.assert_allclose(fits.model.mu[i], single.model.mu, atol=1e-9)
            np.testing.assert_allclose(fits.bic[i], single.bic, rtol=1e-10)


def test_missing_values_need_the_cpu():
    with pytest.raises(ValueError, match="missing='em' needs e_step_backend='cpu'"):
        BatchEMFitter(missing="em", **BOTH)


def test_complete_jax_arrays_are_fitted_as_such_under_missing_em():
    import jax.numpy as jnp

    X = jnp.asarray(np.random.default_rng(0).standard_t(4, size=(60, 2)))
    start = NormalInverseGaussian.default_init(np.asarray(X))
    one, other = start.fit(X), start.fit(X, missing="em")
    assert (one.status, one.n_passes) == (other.status, other.n_passes)
    assert one.log_likelihood == other.log_likelihood
