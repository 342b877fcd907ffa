"""Rules that combine statistics, and targets to shrink towards."""

import pickle

import numpy as np
import pytest
from conftest import make
from scipy.special import kve

from nvmix import (
    AffineUpdate,
    BatchEMFitter,
    EWMAUpdate,
    IdentityUpdate,
    NormalInverseGamma,
    NormalInverseGaussian,
    RobbinsMonroUpdate,
    SampleWeightedUpdate,
    Shrinkage,
    Status,
    SufficientStatistics,
    VarianceGamma,
    eta0_diagonal,
    eta0_from_model,
    eta0_isotropic,
    eta0_with_sigma,
)
from nvmix.foundation.statistics import EXPECTATIONS

MODEL = make(NormalInverseGaussian)
X = MODEL.rvs(600, seed=5)
START = NormalInverseGaussian.default_init(X)
PREVIOUS, BATCH = MODEL.e_step(X[:400]), START.e_step(X[400:])
TARGET = eta0_from_model(make(NormalInverseGaussian).rescaled(1.7))


def means(eta):
    """All expectations in one vector."""
    return np.concatenate([np.ravel(getattr(eta, name)) for name in EXPECTATIONS])


def vector_in(eta, frame):
    """The same, of w = L^-1 (x - o) of the frame of other statistics."""
    there = eta.in_frame(frame.origin, frame.scale)
    return {name: getattr(there, total) / eta.weight for name, total in EXPECTATIONS.items()}


P, B, T = means(PREVIOUS), means(BATCH), means(TARGET)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (IdentityUpdate(), B),
        (EWMAUpdate(0.3), 0.7 * P + 0.3 * B),
        (EWMAUpdate(1.0), B),
        (RobbinsMonroUpdate(3.0), 7 / 8 * P + 1 / 8 * B),
        (RobbinsMonroUpdate(0.0, 0.6), (1 - 5**-0.6) * P + 5**-0.6 * B),
        (SampleWeightedUpdate(), (400 * P + 200 * B) / 600),
        (AffineUpdate(), B),
        (AffineUpdate(b=-0.2, c=1.2), -0.2 * P + 1.2 * B),
        (AffineUpdate(0.1 * TARGET, 0.6, 0.3), 0.1 * T + 0.6 * P + 0.3 * B),
        (Shrinkage(IdentityUpdate(), TARGET, 0.5), (B + 0.5 * T) / 1.5),
        (Shrinkage(IdentityUpdate(), TARGET * 7.0, 0.5), (B + 0.5 * T) / 1.5),
        (Shrinkage(EWMAUpdate(0.3), TARGET, 0.5), 0.7 * P + 0.3 * (B + 0.5 * T) / 1.5),
        (
            Shrinkage(IdentityUpdate(), TARGET, dict.fromkeys(EXPECTATIONS, 0.5)),
            (B + 0.5 * T) / 1.5,
        ),
    ],
    ids=lambda value: repr(value)[:40] if callable(value) else "",
)
def test_formulas_in_means(rule, expected):
    eta = rule(PREVIOUS, BATCH, 4)
    np.testing.assert_allclose(means(eta), expected, rtol=1e-12, atol=1e-13)
    total = 600.0 if isinstance(rule, SampleWeightedUpdate) else 200.0
    assert eta.weight == pytest.approx(total, rel=1e-15)
    np.testing.assert_array_equal(
        means(pickle.loads(pickle.dumps(rule))(PREVIOUS, BATCH, 4)), means(eta)
    )


@pytest.mark.parametrize(
    "rule",
    [
        EWMAUpdate(0.3),
        RobbinsMonroUpdate(3.0),
        SampleWeightedUpdate(),
        AffineUpdate(b=0.4, c=0.6),
    ],
)
def test_without_previous_statistics_the_batch_is_all(rule):
    np.testing.assert_allclose(means(rule(None, BATCH, 0)), B, rtol=1e-13, atol=1e-14)


def test_averages_keep_the_log_likelihood_of_the_batch():
    assert EWMAUpdate(0.3)(TARGET, BATCH, 1).log_likelihood == BATCH.log_likelihood


def test_shrinking_by_name_is_in_the_frame_of_the_target():
    taus = {"E_XXT_inv_Y": 2.0, "E_X": 0.5, "E_log_Y": 1.0}
    eta = Shrinkage(IdentityUpdate(), TARGET, taus)(None, BATCH, 0)
    found, batch, target = (vector_in(s, TARGET) for s in (eta, BATCH, TARGET))
    for name in EXPECTATIONS:
        tau = taus.get(name, 0.0)
        expected = (batch[name] + tau * target[name]) / (1.0 + tau)
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-13)
    assert pytest.approx(BATCH.E_Y, rel=1e-15) == eta.E_Y


def test_a_running_average_is_shrunk_once():
    """Shrinkage of a running average is the running average, shrunk."""
    base = RobbinsMonroUpdate(1.0, 0.7)
    plain, shrunk = None, None
    rule = Shrinkage(base, TARGET, 0.4)
    for step in range(30):
        batch = START.e_step(X[20 * step : 20 * step + 20])
        plain, shrunk = base(plain, batch, step), rule(shrunk, batch, step)
    np.testing.assert_allclose(means(shrunk), (means(plain) + 0.4 * T) / 1.4, rtol=1e-11)


@pytest.mark.parametrize("tau", [0.3, {"E_XXT_inv_Y": 0.3}, {"E_Y": 0.2, "E_X": 0.1}])
def test_shrinkage_knows_no_origin_and_no_unit(tau):
    A, shift = np.array([[2e3, 0.0], [1e3, 5e2]]), np.array([1e9, -3e8])
    moved_model = type(START)(
        A @ START.mu + shift, A @ START.gamma, A @ START.L_sigma, START.subordinator
    )
    target = type(MODEL)(
        A @ MODEL.mu + shift, A @ MODEL.gamma, A @ MODEL.L_sigma, MODEL.subordinator
    )
    rule = Shrinkage(IdentityUpdate(), eta0_from_model(MODEL), tau)
    moved_rule = Shrinkage(IdentityUpdate(), eta0_from_model(target), tau)
    here = START.m_step(rule(None, START.e_step(X), 0))
    there = moved_model.m_step(moved_rule(None, moved_model.e_step(X @ A.T + shift), 0))
    np.testing.assert_allclose(there.sigma(), A @ here.sigma() @ A.T, rtol=1e-7)
    np.testing.assert_allclose((there.mu - shift) / 1e3, A @ here.mu / 1e3, atol=1e-7)
    np.testing.assert_allclose(there.subordinator.gig, here.subordinator.gig, rtol=1e-7)


def complete(model, eta):
    """E[log f(X, Y)] of a NIG law under statistics, from its density."""
    p, a, b = model.subordinator.gig
    inverse = np.linalg.inv(model.sigma())
    S = eta.E_XXT_inv_Y - np.outer(eta.E_X_inv_Y, model.mu) - np.outer(model.mu, eta.E_X_inv_Y)
    S = S + eta.E_inv_Y * np.outer(model.mu, model.mu)
    S = S - np.outer(eta.E_X - model.mu, model.gamma) - np.outer(model.gamma, eta.E_X - model.mu)
    S = S + eta.E_Y * np.outer(model.gamma, model.gamma)
    normal = -0.5 * (model.d * np.log(2 * np.pi) + model.d * eta.E_log_Y + model.log_det_sigma())
    z = np.sqrt(a * b)
    norm = np.log(2.0 * kve(p, z)) - z + 0.5 * p * np.log(b / a)
    law = (p - 1.0) * eta.E_log_Y - 0.5 * (a * eta.E_Y + b * eta.E_inv_Y) - norm
    return normal - 0.5 * np.sum(inverse * S) + law


@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_shrunk_em_ascends_the_penalised_likelihood(tau):
    eta0 = eta0_isotropic(MODEL, 3.0)
    rule = Shrinkage(IdentityUpdate(), eta0, tau)
    model, values = START, []
    for step in range(40):
        values.append(model.marginal_log_likelihood(X) + tau * complete(model, eta0))
        model = model.m_step(rule(None, model.e_step(X), step))
    assert np.diff(values).min() >= -1e-12
    assert values[-1] > values[0] + 1e-3
    result = BatchEMFitter(eta_update=rule, tol=1e-8, max_iter=5000).fit(START, X)
    best = result.model.marginal_log_likelihood(X) + tau * complete(result.model, eta0)
    assert best >= values[-1] - 1e-12
    for c in (0.99, 1.01):
        other = type(model)(
            result.model.mu * c, result.model.gamma, result.model.L_sigma, result.model.subordinator
        )
        assert other.marginal_log_likelihood(X) + tau * complete(other, eta0) < best


def test_limits_of_shrinkage():
    free = START.fit(X, tol=1e-8, max_iter=5000)
    for tau, expected in ((1e-9, free.model), (1e9, MODEL)):
        rule = Shrinkage(IdentityUpdate(), eta0_from_model(MODEL), tau)
        found = START.fit(X, eta_update=rule, tol=1e-8, max_iter=5000).model
        np.testing.assert_allclose(found.log_prob(X), expected.log_prob(X), atol=1e-5)


@pytest.mark.parametrize(
    "rule", [Shrinkage(IdentityUpdate(), TARGET, 0.1), AffineUpdate(0.1 * TARGET, 0.0, 0.9)]
)
def test_shrunk_fits_do_not_stop_by_the_likelihood(rule):
    with pytest.raises(ValueError, match=r"criterion must be 'parameters'.*got 'likelihood'"):
        BatchEMFitter(eta_update=rule, criterion="likelihood")
    assert START.fit(X, eta_update=rule).converged


def test_a_shrunk_fit_is_not_taken_for_the_normal_law():
    narrow = NormalInverseGaussian.from_classical(
        mu=[0.0, 0.0], gamma=[0.0, 0.0], sigma=9.0 * np.eye(2), mu_ig=1.0, lam=200.0
    )
    Z = np.random.default_rng(0).standard_normal((400, 2))
    rule = Shrinkage(IdentityUpdate(), eta0_from_model(narrow), 5.0)
    result = narrow.fit(Z, eta_update=rule)
    assert result.status is Status.CONVERGED
    assert result.model.cov()[0, 0] > 5.0


@pytest.mark.parametrize(
    ("rule", "close"),
    [
        (EWMAUpdate(0.4), 1e-10),
        (RobbinsMonroUpdate(0.0, 0.51), 1e-6),
        (AffineUpdate(b=0.3, c=0.7), 1e-10),
        (AffineUpdate(b=-0.6, c=1.6), 1e-10),
    ],
    ids=repr,
)
def test_batch_em_reaches_its_optimum_by_any_rule(rule, close):
    best = START.fit(X, tol=1e-9, max_iter=5000).log_likelihood
    fitter = BatchEMFitter(eta_update=rule, tol=1e-8, max_iter=1500)
    result = fitter.run(START, X)
    assert (best - result.log_likelihood) / len(X) < close


def test_a_rule_derived_from_a_known_one_is_called():
    class Counting(IdentityUpdate):
        def __call__(self, previous, batch, step):
            steps.append(step)
            return super().__call__(previous, batch, step)

    steps: list[int] = []
    found = MODEL.fit(X, eta_update=Counting(), max_iter=500)
    assert steps == list(range(found.n_iter))
    plain = MODEL.fit(X, acceleration="none", max_iter=500)
    # A fit by a rule ends by its criterion, one by EM when that is confirmed.
    assert found.n_iter <= plain.n_iter
    first = plain.log_likelihoods[: found.n_iter]
    np.testing.assert_allclose(found.log_likelihoods, first, rtol=1e-12)


def test_a_plain_average_of_all_iterations_creeps_to_the_optimum():
    best = START.fit(X, tol=1e-9, max_iter=5000).log_likelihood / len(X)
    gaps = [best - START.marginal_log_likelihood(X)]
    for steps in (30, 900):
        fitter = BatchEMFitter(eta_update=SampleWeightedUpdate(), tol=0.0, max_iter=steps)
        gaps.append(best - fitter.run(START, X).log_likelihood / len(X))
    assert 0.0 < gaps[2] < 0.7 * gaps[1] < 0.7 * gaps[0]


def test_over_relaxation_is_faster_than_plain_em():
    plain = START.fit(X, tol=1e-6, acceleration="none", max_iter=2000)
    relaxed = START.fit(X, tol=1e-6, eta_update=AffineUpdate(b=-0.6, c=1.6), max_iter=2000)
    assert plain.converged
    assert relaxed.converged
    assert relaxed.n_iter < 0.8 * plain.n_iter


def test_targets(model):
    Sigma0 = np.array([[2.0, 0.3], [0.3, 1.0]])
    g, m = model.gamma, model.mu
    log_y, inv_y, y = model.subordinator.gig_expectations
    for eta, sigma in (
        (eta0_from_model(model), model.sigma()),
        (eta0_with_sigma(model, Sigma0), Sigma0),
        (eta0_diagonal(model, [2.0, 0.5]), np.diag([2.0, 0.5])),
        (eta0_isotropic(model, 0.7), 0.7 * np.eye(2)),
    ):
        assert eta.weight == 1.0
        assert (eta.E_log_Y, eta.E_inv_Y, eta.E_Y) == (log_y, inv_y, y)
        np.testing.assert_allclose(eta.E_X, m + g * y)
        np.testing.assert_allclose(eta.E_X_inv_Y, m * inv_y + g)
        mean = np.outer(m, g)
        expected = sigma + inv_y * np.outer(m, m) + mean + mean.T + y * np.outer(g, g)
        np.testing.assert_allclose(eta.E_XXT_inv_Y, expected, rtol=1e-12)


def test_statistics_rescale_as_models_do(model):
    eta, c = model.e_step(X), 2.5
    np.testing.assert_allclose(
        means(eta.rescaled(c)), means(model.rescaled(c).e_step(X)), rtol=1e-12, atol=1e-13
    )
    found, expected = model.m_step(eta.rescaled(c)), model.m_step(eta).rescaled(c)
    np.testing.assert_allclose(found.sigma(), expected.sigma(), rtol=1e-10)
    np.testing.assert_allclose(found.log_prob(X), expected.log_prob(X), rtol=1e-9)
    with pytest.raises(ValueError, match=r"c must be positive, got 0\.0"):
        eta.rescaled(0.0)


def infinite(family):
    """A model with E[1/Y], or E[Y], infinite."""
    return family.from_classical(mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=0.9, beta=1.0)


BAD_STATISTICS = SufficientStatistics(
    1.0, 0.0, 0.0, np.inf, 1.0, np.zeros(2), np.zeros(2), np.eye(2), np.zeros(2), np.eye(2)
)


@pytest.mark.parametrize(
    ("make_it", "error", "match"),
    [
        (lambda: EWMAUpdate(1.5), ValueError, "w must be at most 1, got 1.5"),
        (lambda: RobbinsMonroUpdate(-1.0), ValueError, "tau0 must not be negative, got -1.0"),
        (lambda: RobbinsMonroUpdate("1"), TypeError, "tau0 must be a real number, got '1'"),
        (lambda: RobbinsMonroUpdate(1.0, 0.5), ValueError, "exponent must be above 0.5.*got 0.5"),
        (lambda: RobbinsMonroUpdate(1.0, 1.1), ValueError, "exponent must be .* most 1, got 1.1"),
        (lambda: AffineUpdate(a=1.0), TypeError, "a must be a SufficientStatistics, got float"),
        (lambda: AffineUpdate(BAD_STATISTICS, 0.0, 0.0), ValueError, "a must be finite, got E_inv"),
        (lambda: AffineUpdate(b=np.nan), ValueError, "b must be finite, got nan"),
        (lambda: AffineUpdate(b=0.5), ValueError, "must sum to 1, got 0.0, 0.5 and 1.0"),
        (lambda: AffineUpdate(a=TARGET), ValueError, "must sum to 1, got 1.0, 0.0 and 1.0"),
        (lambda: Shrinkage(None, TARGET, 1.0), TypeError, "base must be an EtaUpdate, got None"),
        (lambda: Shrinkage(IdentityUpdate(), MODEL, 1.0), TypeError, "eta0 must be a Sufficient"),
        (lambda: Shrinkage(IdentityUpdate(), TARGET, -1.0), ValueError, "tau must not be negative"),
        (
            lambda: Shrinkage(IdentityUpdate(), TARGET, {"E_Z": 1.0}),
            ValueError,
            "a name in tau must be one of 'E_log_Y'.*got 'E_Z'",
        ),
        (
            lambda: Shrinkage(IdentityUpdate(), TARGET, {"E_Y": -1.0}),
            ValueError,
            r"tau\['E_Y'\] must not be negative, got -1.0",
        ),
        (
            lambda: Shrinkage(IdentityUpdate(), BAD_STATISTICS, 1.0),
            ValueError,
            "eta0 must be finite, got E_inv_Y inf",
        ),
        (
            lambda: Shrinkage(IdentityUpdate(), TARGET * 0.0, 1.0),
            ValueError,
            "the weight of eta0 must be positive, got 0.0",
        ),
        (lambda: eta0_from_model(3), TypeError, "model must be a model to start from"),
        (lambda: eta0_from_model(infinite(VarianceGamma)), ValueError, "got E_inv_Y infinite"),
        (lambda: eta0_from_model(infinite(NormalInverseGamma)), ValueError, "got E_Y infinite"),
        (lambda: eta0_isotropic(MODEL, 0.0), ValueError, "sigma2 must be positive, got 0.0"),
        (lambda: eta0_diagonal(MODEL, [1.0]), ValueError, r"diag must have shape \(2,\), got"),
        (lambda: eta0_diagonal(MODEL, [1.0, -1.0]), ValueError, "diag must be positive, got"),
        (lambda: eta0_with_sigma(MODEL, np.eye(3)), ValueError, r"Sigma0 must have shape \(2, 2\)"),
        (lambda: eta0_with_sigma(MODEL, -np.eye(2)), ValueError, "Sigma0 must be positive def"),
    ],
)
def test_bad_values(make_it, error, match):
    with pytest.raises(error, match=match):
        make_it()
