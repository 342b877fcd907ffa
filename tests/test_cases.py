"""Small data sets on which a careless fit ends elsewhere, with values found by other means.

tests/cases has clusters of unequal spread, sharp edges and one-sided columns, of two (nig30,
skewt20, nig20) and of one (bimodal12), and six values (cauchy6). The values were confirmed by
densities written with SciPy's kve and its optimizers, and by plain EM of 20,000 steps.
"""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from conftest import needs_jax

import nvmix
from nvmix import (
    BatchEMFitter,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
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

    @pytest.mark.parametrize(("family", "value"), [("nig", -30.014), ("skewt", -26.909)])
    def test_a_tight_core_is_no_gaussian_limit(self, backend, family, value):
        result = fit(rows("bimodal12"), family, backend, symmetric=True)
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
