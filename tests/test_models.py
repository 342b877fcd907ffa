"""One table of families times the invariants that every normal mixture obeys."""

import pickle

import numpy as np
import pytest
from conftest import FAMILIES, make, normal_block
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from nvmix import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)


def test_density_integrates_to_one_in_one_dimension(family):
    model = make(family, d=1)
    total, _ = quad(lambda t: model.pdf(np.sinh(t)) * np.cosh(t), -12.0, 12.0, limit=400)
    assert total == pytest.approx(1.0, abs=1e-7)


def test_density_integrates_to_one_in_two_dimensions(family):
    # The trapezoidal rule after x = sinh(t), on a grid wide and fine enough for a smooth density.
    t = np.linspace(-8.0, 8.0, 401)
    x, y = np.meshgrid(np.sinh(t), np.sinh(t))
    density = make(family).pdf(np.column_stack([x.ravel(), y.ravel()]))
    weights = np.outer(np.cosh(t), np.cosh(t)).ravel() * (t[1] - t[0]) ** 2
    assert density @ weights == pytest.approx(1.0, abs=2e-4)


def test_moments_of_draws(model):
    X = model.rvs(200_000, seed=1)
    spread = np.sqrt(np.diag(model.cov()))
    assert (np.abs(X.mean(axis=0) - model.mean()) < 5.0 * spread / np.sqrt(len(X))).all()
    np.testing.assert_allclose(np.cov(X.T), model.cov(), rtol=0.05)


def test_draws_follow_the_density(family):
    model = make(family, d=1)
    x = np.sort(model.rvs(5000, seed=5)[:, 0])
    grid = np.linspace(-40.0, 60.0, 40001)
    cdf = np.cumsum(model.pdf(grid[:, None])) * (grid[1] - grid[0])
    assert stats.kstest(x, lambda t: np.interp(t, grid, cdf)).pvalue > 1e-3


def test_same_seed_same_bits(model):
    np.testing.assert_array_equal(model.rvs(10, seed=7), model.rvs(10, seed=7))
    np.testing.assert_array_equal(
        model.rvs(10, seed=7), model.rvs(10, seed=np.random.default_rng(7))
    )
    assert model.rvs(0).shape == (0, model.d)
    assert not np.array_equal(model.rvs(5), model.rvs(5))


def test_affine_equivariance(family):
    model = make(family)
    A, c = np.array([[2.0, 0.5], [-1.0, 3.0]]), np.array([10.0, -5.0])
    moved = family.from_classical(
        mu=A @ model.mu + c,
        gamma=A @ model.gamma,
        sigma=A @ model.sigma() @ A.T,
        **FAMILIES[family],
    )
    X = model.rvs(50, seed=0)
    jacobian = np.log(abs(np.linalg.det(A)))
    np.testing.assert_allclose(
        moved.log_prob(X @ A.T + c), model.log_prob(X) - jacobian, rtol=1e-12, atol=1e-12
    )


@given(st.floats(0.01, 100.0))
def test_gauge_leaves_the_law_alone(c):
    for family in FAMILIES:
        model = make(family)
        X = model.rvs(20, seed=0)
        np.testing.assert_allclose(
            model.rescaled(c).log_prob(X), model.log_prob(X), rtol=1e-11, atol=1e-11
        )


def test_shapes_and_kinds(model):
    X = model.rvs(6, seed=0)
    assert isinstance(model.log_prob(X[0]), float)
    assert model.log_prob(X).shape == (6,)
    np.testing.assert_allclose(model.pdf(X), np.exp(model.log_prob(X)))
    assert model.log_prob(X[0]) == pytest.approx(model.log_prob(X)[0], rel=1e-13)
    assert model.marginal_log_likelihood(X) == pytest.approx(model.log_prob(X).mean())


def test_one_column_takes_a_vector_of_points():
    model = make(VarianceGamma, d=1)
    x = np.linspace(-2.0, 2.0, 7)
    np.testing.assert_array_equal(model.log_prob(x), model.log_prob(x[:, None]))
    assert isinstance(model.log_prob(0.3), float)


def test_models_are_frozen_picklable_and_hashed_by_identity(model):
    again = pickle.loads(pickle.dumps(model))
    assert again != model
    assert len({model, again}) == 2
    np.testing.assert_array_equal(again.sigma(), model.sigma())
    assert again.subordinator == model.subordinator
    for target in (model, again):
        with pytest.raises(AttributeError):
            model.sigma = 1.0
        with pytest.raises(ValueError, match="read-only"):
            target.mu[0] = 1.0
        with pytest.raises(AttributeError):
            target.mu = np.zeros(2)


def test_from_classical_keeps_its_own_copy(family):
    block = normal_block(2)
    model = family.from_classical(**block, **FAMILIES[family])
    block["mu"][0] = 99.0
    assert model.mu[0] != 99.0


def test_named_parameters_and_repr(family):
    model = make(family)
    for name, value in FAMILIES[family].items():
        assert getattr(model, name) == value
    text = repr(model)
    assert text.startswith(family.__name__)
    assert "gamma=" in text


def test_expectations_invert(family):
    model = make(family)
    again = family.from_expectation(model.expectation_params())
    np.testing.assert_allclose(again.mu, model.mu, atol=1e-8)
    np.testing.assert_allclose(again.gamma, model.gamma, atol=1e-8)
    np.testing.assert_allclose(again.sigma(), model.sigma(), rtol=1e-8)
    assert again.subordinator.gig == pytest.approx(model.subordinator.gig, rel=1e-7)


def test_expectations_are_those_of_the_data(family):
    model = make(family)
    eta = model.e_step(model.rvs(200_000, seed=2))
    own = model.expectation_params()
    for name in ("E_log_Y", "E_inv_Y", "E_Y", "E_X", "E_X_inv_Y", "E_XXT_inv_Y"):
        np.testing.assert_allclose(getattr(eta, name), getattr(own, name), rtol=0.03, atol=0.03)


class TestIdentities:
    def test_inverse_gaussian_is_gig(self):
        block = normal_block(3)
        nig = NormalInverseGaussian.from_classical(**block, mu_ig=1.3, lam=2.0)
        gh = GeneralizedHyperbolic.from_classical(**block, p=-0.5, a=2.0 / 1.69, b=2.0)
        X = nig.rvs(30, seed=0)
        np.testing.assert_allclose(nig.log_prob(X), gh.log_prob(X), rtol=1e-13)

    def test_variance_gamma_and_skew_t_are_limits(self):
        block = normal_block(2)
        for b, rtol in ((1e-6, 1e-4), (1e-12, 1e-9), (0.0, 1e-14)):
            gh = GeneralizedHyperbolic.from_classical(**block, p=2.5, a=4.0, b=b)
            vg = VarianceGamma.from_classical(**block, alpha=2.5, beta=2.0)
            X = vg.rvs(30, seed=0)
            np.testing.assert_allclose(gh.log_prob(X), vg.log_prob(X), rtol=rtol)
            gh = GeneralizedHyperbolic.from_classical(**block, p=-2.5, a=b, b=4.0)
            skew_t = NormalInverseGamma.from_classical(**block, alpha=2.5, beta=2.0)
            np.testing.assert_allclose(gh.log_prob(X), skew_t.log_prob(X), rtol=rtol)

    def test_hyperbolic_has_its_order(self):
        block = normal_block(2)
        model = Hyperbolic.from_classical(**block, a=1.0, b=2.0)
        gh = GeneralizedHyperbolic.from_classical(**block, p=1.5, a=1.0, b=2.0)
        assert model.p == 1.5
        assert model.log_prob([0.3, 0.4]) == gh.log_prob([0.3, 0.4])

    def test_gaussian_limit(self):
        block = normal_block(2)
        model = NormalInverseGaussian.from_classical(**block, mu_ig=1.0, lam=1e9)
        gauss = stats.multivariate_normal(block["mu"] + block["gamma"], block["sigma"])
        X = gauss.rvs(20, random_state=0)
        np.testing.assert_allclose(model.log_prob(X), gauss.logpdf(X), atol=1e-7)

    def test_student_t_in_d_dimensions(self):
        block = normal_block(3) | {"gamma": np.zeros(3)}
        model = NormalInverseGamma.from_classical(**block, alpha=2.5, beta=2.5)
        student = stats.multivariate_t(block["mu"], block["sigma"], df=5.0)
        X = student.rvs(30, random_state=0)
        np.testing.assert_allclose(model.log_prob(X), student.logpdf(X), rtol=1e-13)

    def test_laplace(self):
        model = VarianceGamma.from_classical(
            mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=1.0, beta=1.0
        )
        x = np.linspace(-30.0, 30.0, 61)
        expected = stats.laplace(scale=np.sqrt(0.5)).logpdf(x)
        np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-13, atol=1e-13)

    def test_infinite_density_is_reported(self):
        model = VarianceGamma.from_classical(
            mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=0.4, beta=1.0
        )
        assert model.log_prob(0.0) == np.inf
        assert np.isfinite(model.log_prob(1e-100))

    def test_moments_that_do_not_exist(self):
        model = NormalInverseGamma.from_classical(
            mu=[1.0, 2.0], gamma=[0.5, 0.0], sigma=np.eye(2), alpha=0.9, beta=1.0
        )
        np.testing.assert_array_equal(model.mean(), [np.inf, 2.0])
        assert model.cov()[0, 0] == np.inf


def test_parameter_counts():
    counts = {family: make(family, d=3).n_parameters for family in FAMILIES}
    assert counts[NormalInverseGaussian] == counts[VarianceGamma] == counts[Hyperbolic] == 13
    assert counts[NormalInverseGamma] == 13
    assert counts[GeneralizedHyperbolic] == 14


def test_scipy_norminvgauss():
    for a, b in [(1.0, 0.5), (2.0, -1.0), (10.0, 3.0)]:
        ref = stats.norminvgauss(a, b, loc=0.3, scale=1.7)
        g = np.sqrt(a * a - b * b)
        model = NormalInverseGaussian.from_classical(
            mu=[0.3], gamma=[b * 1.7], sigma=[[1.7**2]], mu_ig=1.0 / g, lam=1.0
        )
        x = np.linspace(-12.0, 12.0, 101)
        np.testing.assert_allclose(model.log_prob(x), ref.logpdf(x), rtol=1e-12, atol=1e-12)


def test_scipy_genhyperbolic():
    for p, a, b in [(0.5, 1.5, -0.5), (2.0, 3.0, 1.5), (-1.5, 2.0, 1.0)]:
        ref = stats.genhyperbolic(p, a, b, loc=-0.2, scale=0.8)
        model = GeneralizedHyperbolic.from_classical(
            mu=[-0.2], gamma=[b * 0.8], sigma=[[0.64]], p=p, a=a * a - b * b, b=1.0
        )
        x = np.linspace(-6.0, 6.0, 101)
        np.testing.assert_allclose(model.log_prob(x), ref.logpdf(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("VaR", "nvmix.risk.value_at_risk"),
        ("quantile", "ppf"),
        ("get_params", "mu, gamma"),
        ("es", "expected"),
    ],
)
def test_names_of_other_packages_lead_to_ours(model, name, ours):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}': use .*{ours}"):
        getattr(model, name)
    assert not hasattr(model, "nothing_of_the_kind")


def test_names_of_other_packages_of_a_result(model):
    result = model.fit(model.rvs(200, 0), tol=1.0)
    with pytest.raises(AttributeError, match="no attribute 'llf': use log_likelihood"):
        _ = result.llf
