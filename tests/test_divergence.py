"""Divergences: closed forms, integrals, Monte Carlo with its standard error, invariance."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import FAMILIES, HAS_JAX, make, needs_jax
from scipy.integrate import quad_vec
from scipy.special import betaln

import nvmix
from nvmix import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
    kl_divergence,
    squared_hellinger,
)

if HAS_JAX:
    import jax

OTHERS = [NormalInverseGaussian, NormalInverseGamma, VarianceGamma]


def student(df, mu=0.0, scale=1.0):
    return NormalInverseGamma.from_classical(
        mu=[mu], gamma=[0.0], sigma=[[scale**2]], alpha=0.5 * df, beta=0.5 * df
    )


def cauchy(mu, scale):
    return student(1.0, mu, scale)


@pytest.mark.parametrize("other", OTHERS)
def test_divergences_of_one_column_are_integrals(family, other):
    f, g = make(family, 1), make(other, 1).linear([1.3], 0.4)
    kl, hellinger = kl_divergence(f, g), squared_hellinger(f, g)
    cuts = [-np.inf, *sorted({float(f.mu[0]), float(g.mu[0])}), np.inf]

    def terms(x):
        of_f, of_g = f.log_prob(x), g.log_prob(x)
        difference = np.exp(0.5 * of_f) - np.exp(0.5 * of_g)
        return np.array([np.exp(of_f) * (of_f - of_g), 0.5 * difference**2])

    parts = [quad_vec(terms, *ends, epsabs=1e-13, epsrel=1e-11)[0] for ends in pairwise(cuts)]
    assert (kl.value, hellinger.value) == pytest.approx(tuple(sum(parts)), rel=1e-8)
    for found in (kl, hellinger):
        assert found.standard_error <= 1e-11 * found.value


def test_divergences_of_cauchy_laws_in_closed_form():
    """KL = ln ((s + t)^2 + (m - n)^2) / (4 s t).

    F. Chyzak and F. Nielsen, A closed-form formula for the Kullback-Leibler divergence between
    Cauchy distributions, 2019, arXiv:1905.10965.
    """
    for mu, scale in ((0.0, 2.0), (3.0, 0.5), (-100.0, 1.0), (0.0, 1e6)):
        expected = np.log(((1.0 + scale) ** 2 + mu**2) / (4.0 * scale))
        for pair in ((cauchy(0.0, 1.0), cauchy(mu, scale)), (cauchy(mu, scale), cauchy(0.0, 1.0))):
            assert kl_divergence(*pair).value == pytest.approx(expected, rel=1e-12)


def test_hellinger_of_students_t_in_closed_form():
    """t laws with df 1 and 3, in units in which both have the density c / (1 + x^2)^k."""
    one, three = student(1.0), student(3.0, scale=3.0**-0.5)
    # The integral of (1 + x^2)^-k is B(1/2, k - 1/2).
    affinity = np.exp(betaln(0.5, 1.0) - 0.5 * (betaln(0.5, 0.5) + betaln(0.5, 1.5)))
    assert squared_hellinger(one, three).value == pytest.approx(1.0 - affinity, rel=1e-13)


def test_poles_keep_their_mass():
    """Densities with poles at different mu, in units far apart."""
    f = VarianceGamma.from_classical(mu=[0.0], gamma=[0.1], sigma=[[1.0]], alpha=0.2, beta=0.2)
    g = f.linear([1.0], 1e-3)
    for scale in (1e-6, 1e6):
        moved = f.linear([scale], 5.0), g.linear([scale], 5.0)
        # A shift of 1e-3 is 1e-9 in these units next to 5, which leaves it 7 digits.
        for function in (kl_divergence, squared_hellinger):
            one, other = function(f, g), function(*moved)
            assert one.value == pytest.approx(other.value, rel=1e-5)
            assert one.standard_error < 1e-10


def test_nearly_normal_laws():
    """KL of N(0, 1) and N(0.1, 1) is 0.005, and their squared Hellinger distance known."""
    f = NormalInverseGaussian.from_classical(
        mu=[-9.0], gamma=[9.0], sigma=[[1.0]], mu_ig=1.0, lam=1e10
    )
    g = f.linear([1.0], 0.1)
    assert kl_divergence(f, g).value == pytest.approx(0.005, rel=1e-6)
    expected = -np.expm1(-0.01 / 8.0)
    assert squared_hellinger(f, g).value == pytest.approx(expected, rel=1e-6)


def test_infinite_divergences():
    nig = make(NormalInverseGaussian, 1)
    assert kl_divergence(cauchy(0.0, 1.0), nig).value == np.inf
    assert np.isfinite(kl_divergence(student(1.5), nig).value)
    assert kl_divergence(nig, cauchy(0.0, 1.0)).value < 1.0

    def skew_t(gamma, alpha):
        return NormalInverseGamma.from_classical(
            mu=[0.0, 0.0], gamma=gamma, sigma=np.eye(2), alpha=alpha, beta=1.0
        )

    # E[1/Y] is infinite under a gamma law of shape below 1.
    peaked = VarianceGamma.from_classical(mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=0.8, beta=1.0)
    assert kl_divergence(peaked, nig, joint=True).value == np.inf
    assert kl_divergence(peaked, nig).value < 1.0
    assert squared_hellinger(peaked, nig, joint=True).value < 1.0
    heavy = skew_t([1.0, 0.0], 0.8)
    assert kl_divergence(heavy, skew_t([0.0, 1.0], 2.0), n=100).value == np.inf
    assert np.isfinite(kl_divergence(heavy, skew_t([2.0, 0.0], 2.0), n=100, seed=0).value)
    assert np.isfinite(kl_divergence(heavy, skew_t([0.0, 0.0], 2.0), n=100, seed=0).value)
    assert kl_divergence(skew_t([0.0, 0.0], 0.4), heavy, n=100).value == np.inf


@pytest.mark.parametrize("other", OTHERS)
def test_joint_divergences_are_means_over_x_and_y(family, other):
    f, g = make(family, 2), make(other, 2).linear(1.2 * np.eye(2), [0.1, -0.2])
    X, y = f.rvs(200_000, 3, return_mixing=True)

    def log_joint(law):
        z = np.linalg.solve(law.L_sigma, (X - law.mu - np.outer(y, law.gamma)).T) / np.sqrt(y)
        return (
            law.subordinator.log_prob(y)
            - 0.5 * np.square(z).sum(axis=0)
            - np.log(y * np.linalg.det(law.L_sigma))
        )

    ratio = log_joint(f) - log_joint(g)
    kl = kl_divergence(f, g, joint=True)
    assert kl.standard_error == 0.0
    if np.isfinite(kl.value):
        assert ratio.mean() == pytest.approx(kl.value, abs=5.0 * ratio.std() / np.sqrt(len(X)))
    root = np.exp(-0.5 * ratio)
    hellinger = squared_hellinger(f, g, joint=True).value
    assert 1.0 - root.mean() == pytest.approx(hellinger, abs=0.02)
    assert squared_hellinger(g, f, joint=True).value == pytest.approx(hellinger, rel=1e-12)


def test_draws_agree_with_an_integral_of_one_column(family):
    """Two columns of which the second, given the first, is the same under both: X2 is no matter."""
    f, g = make(family, 1), make(NormalInverseGamma, 1)
    exact = kl_divergence(f, g).value, squared_hellinger(f, g).value
    # Both are below those of two columns, and these below the joint ones.
    wide = make(family, 2), make(NormalInverseGamma, 2)
    for function, one in zip((kl_divergence, squared_hellinger), exact, strict=True):
        value, error = function(*wide, seed=1)
        assert one <= value + 5.0 * error
        assert value - 5.0 * error <= function(*wide, joint=True).value
        again = function(*wide, seed=2)
        assert again.value == pytest.approx(value, abs=5.0 * np.hypot(error, again.standard_error))


@pytest.mark.parametrize("other", OTHERS)
def test_draws_agree_with_an_integral_in_the_plane(family, other):
    f, g = make(family, 2), make(other, 2)
    # Trapezoidal rule in polar coordinates about mu, over the log of the radius.
    angles = np.linspace(0.0, 2.0 * np.pi, 128, endpoint=False)
    radii = np.exp(np.linspace(-25.0, 12.0, 1500))
    directions = np.column_stack([np.cos(angles), np.sin(angles)]) @ f.L_sigma.T
    points = (radii[:, None, None] * directions).reshape(-1, 2) + f.mu
    step = (37.0 / 1499.0) * (2.0 * np.pi / 128.0) * np.exp(f.log_det_sigma() / 2.0)
    weights = step * np.repeat(radii**2, 128)
    log_f, log_g = f.log_prob(points), g.log_prob(points)
    p, q = np.exp(log_f), np.exp(log_g)
    assert weights @ p == pytest.approx(1.0, abs=1e-6)
    found = kl_divergence(f, g, seed=1)
    expected = weights @ (p * (log_f - log_g) - p + q)
    assert found.value == pytest.approx(expected, abs=5.0 * found.standard_error + 1e-9)
    found = squared_hellinger(f, g, seed=1)
    expected = 0.5 * weights @ np.square(np.sqrt(p) - np.sqrt(q))
    assert found.value == pytest.approx(expected, abs=5.0 * found.standard_error + 1e-9)


def test_controls_reduce_the_error():
    f, g = make(NormalInverseGaussian, 2), make(Hyperbolic, 2)
    X = f.rvs(100_000, 1)
    plain = (f.log_prob(X) - g.log_prob(X)).std() / np.sqrt(len(X))
    assert kl_divergence(f, g, seed=1).standard_error < 0.1 * plain


@pytest.mark.parametrize("d", [1, 2])
def test_a_law_is_at_no_distance_from_itself(family, d):
    f = make(family, d)
    for other in (f, f.rescaled(3.0)):
        for function in (kl_divergence, squared_hellinger):
            value, error = function(f, other, n=1000, seed=0)
            assert abs(value) < 1e-13
            assert error < 1e-13
    assert kl_divergence(f, f, joint=True).value < 1e-13
    assert squared_hellinger(f, f, joint=True).value < 1e-13
    assert kl_divergence(f, f.rescaled(3.0), joint=True).value > 0.01


def test_divergences_do_not_change_under_maps():
    f, g = make(VarianceGamma, 2), make(GeneralizedHyperbolic, 2)
    A, b = np.array([[2.0, 1.0], [0.0, -1e3]]), np.array([1.0, 2.0])
    for function in (kl_divergence, squared_hellinger):
        moved = function(f.linear(A, b), g.linear(A, b), joint=True).value
        assert moved == pytest.approx(function(f, g, joint=True).value, rel=1e-10)
        # Units alone leave the draws of a seed as they are.
        units = np.diag([2.0, 1e3])
        value, error = function(f.linear(units, b), g.linear(units, b), seed=4)
        same = function(f, g, seed=4)
        assert value == pytest.approx(same.value, rel=1e-6)
        assert error == pytest.approx(same.standard_error, rel=1e-6)


def test_bad_input_is_named():
    f, g = make(NormalInverseGaussian, 2), make(VarianceGamma, 1)
    with pytest.raises(ValueError, match="g must have 2 columns, as f has, got 1"):
        kl_divergence(f, g)
    with pytest.raises(TypeError, match=r"g must be a model such as a NormalInv.*, got str"):
        squared_hellinger(f, "nig")
    with pytest.raises(TypeError, match=r"f must be a model such as .*, got the class"):
        kl_divergence(NormalInverseGaussian, f)
    with pytest.raises(TypeError, match="joint must be True or False"):
        kl_divergence(f, f, joint=1)
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        kl_divergence(f, f, n=1)
    with pytest.raises(TypeError, match="seed must be None"):
        kl_divergence(f, f, seed="x")
    named = [type(f)(f.mu, f.gamma, f.L_sigma, f.subordinator, names)
             for names in (("a", "b"), ("b", "a"))]  # fmt: skip
    with pytest.raises(ValueError, match="g must have the columns of the model"):
        kl_divergence(*named)
    assert set(FAMILIES) <= {getattr(nvmix, name) for name in dir(nvmix) if name[0].isupper()}


@needs_jax
def test_a_traced_model_is_refused():
    f = make(NormalInverseGaussian, 1)
    with pytest.raises(TypeError, match="f must not be traced"):
        jax.jit(lambda m: kl_divergence(m, m).value)(f)
