"""Parameters of R's ghyp, of scipy.stats and of textbooks, and back."""

import numpy as np
import pytest
from conftest import make
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import nvmix
from nvmix import (
    GeneralizedHyperbolic,
    Hyperbolic,
    MultivariateNormal,
    NormalInverseGamma,
    NormalInverseGaussian,
    StudentT,
    VarianceGamma,
)

POINTS = np.array([[0.0, 0.0, 0.0], [0.5, -1.0, 0.3], [-1.0, 1.0, 2.0], [2.0, 0.5, -0.5]])
# mu, gamma and the dispersion of copulax's three-dimensional case.
SKEWED = {
    "mu": [0.1, -0.2, 0.3],
    "gamma": [0.3, -0.2, 0.1],
    "sigma": [[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]],
}


def same_law(one, other, rtol=1e-11):
    """Whether two models have the same density around their location."""
    spread = np.sqrt(np.diag(one.sigma()))
    x = one.mu + spread * np.linspace(-4.0, 4.0, 9)[:, None]
    x = x[np.abs(x - one.mu).min(axis=1) > 0.0]
    np.testing.assert_allclose(other.log_prob(x), one.log_prob(x), rtol=rtol, atol=rtol)


def test_univariate_skew_t_of_ghyp():
    """R ghyp 1.6.5, dghyp(10:14, student.t(nu=3.5, mu=10, sigma=5, gamma=1))."""
    expected = [0.112242728024, 0.110072396698, 0.0966770200592, 0.077778584541, 0.0589202246039]
    model = nvmix.from_ghyp(lambda_=-1.75, alpha_bar=0.0, mu=10.0, sigma=5.0, gamma=1.0)
    assert type(model) is NormalInverseGamma
    np.testing.assert_allclose(model.pdf(np.arange(10.0, 15.0)), expected, rtol=1e-11)
    assert model.subordinator.mean() == 1.0


def test_univariate_alpha_bar_of_ghyp():
    """R ghyp 1.6.5, dghyp(c(5, 10, 15), ghyp(-2, alpha.bar=.5, mu=10, sigma=5, gamma=1))."""
    expected = [0.0321166074874, 0.0996712889183, 0.0479123482541]
    model = nvmix.from_ghyp(lambda_=-2.0, alpha_bar=0.5, mu=10.0, sigma=5.0, gamma=1.0)
    np.testing.assert_allclose(model.pdf(np.array([5.0, 10.0, 15.0])), expected, rtol=1e-11)
    assert model.subordinator.mean() == pytest.approx(1.0, rel=1e-14)
    assert model.mean()[0] == pytest.approx(11.0, rel=1e-14)


def test_bivariate_chi_psi_of_ghyp():
    """R ghyp 1.6.5, ghyp(-2, chi=5, psi=.1, mu=10:11, sigma=diag(5:6), gamma=-1:0)."""
    model = GeneralizedHyperbolic.from_ghyp(
        lambda_=-2.0, chi=5.0, psi=0.1, mu=[10.0, 11.0], sigma=np.diag([5.0, 6.0]),
        gamma=[-1.0, 0.0],
    )  # fmt: skip
    x = [[10.0, 11.0], [8.0, 12.0], [12.0, 9.0]]
    expected = [-3.82631969571, -3.98839449562, -5.0460623705]
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-11)
    np.testing.assert_allclose(model.mean(), [7.95598454947, 11.0], rtol=1e-11)
    np.testing.assert_allclose(np.diag(model.cov()), [15.16176908, 12.2640927032], rtol=1e-10)


def test_trivariate_density_of_ghyp_in_copulax():
    """R ghyp 1.6.5, as tabulated in copulax/tests/_r_reference/gh_reference_data.py."""
    model = nvmix.from_ghyp(lambda_=0.5, chi=1.5, psi=1.5, **SKEWED)
    expected = [
        -2.8774946108697028, -3.0778250460228178, -7.2544892337930644, -5.1411923120605199,
    ]  # fmt: skip
    np.testing.assert_allclose(model.log_prob(POINTS), expected, rtol=1e-13)
    symmetric = nvmix.from_ghyp(
        lambda_=0.5, chi=1.5, psi=1.5, mu=np.zeros(3), sigma=SKEWED["sigma"]
    )
    assert symmetric.log_prob(POINTS[0]) == pytest.approx(-2.3231952479673046, rel=1e-14)


def test_limits_of_alpha_bar_are_exact():
    assert VarianceGamma.from_ghyp(lambda_=2.5, alpha_bar=0.0).subordinator.gig == (2.5, 5.0, 0.0)
    skew_t = NormalInverseGamma.from_ghyp(lambda_=-1.75, alpha_bar=0.0, **SKEWED)
    assert skew_t.subordinator.gig == (-1.75, 0.0, 1.5)
    near = GeneralizedHyperbolic.from_ghyp(lambda_=2.5, alpha_bar=1e-9)
    assert near.a == pytest.approx(5.0, rel=1e-14)
    assert near.b == pytest.approx(2e-19, rel=1.0)


@pytest.mark.parametrize("d", [1, 3])
def test_ghyp_and_back(family, d):
    model = make(family, d)
    parameters = model.to_ghyp()
    same_law(model, family.from_ghyp(**parameters))
    same_law(model, nvmix.from_ghyp(**parameters))
    assert type(nvmix.from_ghyp(**parameters)) is family
    shape = parameters.pop("alpha_bar")
    same_law(model, family.from_ghyp(**parameters))
    for name in ("chi", "psi"):
        del parameters[name]
    if family is not VarianceGamma:
        same_law(model, family.from_ghyp(alpha_bar=shape, **parameters))
    assert np.ndim(parameters["sigma"]) == (0 if d == 1 else 2)


def test_ghyp_where_the_mean_of_y_is_infinite():
    model = NormalInverseGamma.from_classical(
        mu=[0.0], gamma=[0.3], sigma=[[4.0]], alpha=0.5, beta=2.0
    )
    parameters = model.to_ghyp()
    assert parameters["alpha_bar"] is None
    assert (parameters["chi"], parameters["psi"], parameters["sigma"]) == (4.0, 0.0, 2.0)
    same_law(model, NormalInverseGamma.from_ghyp(**parameters))


@pytest.mark.parametrize(
    ("frozen", "family"),
    [
        (stats.norminvgauss(2.0, -1.2, 0.5, 3.0), NormalInverseGaussian),
        (stats.norminvgauss(a=2.0, b=0.0, scale=0.1), NormalInverseGaussian),
        (stats.genhyperbolic(2.0, 3.0, 1.5, loc=0.5, scale=1.5), GeneralizedHyperbolic),
        (stats.genhyperbolic(1.0, 3.0, 1.5, loc=0.5, scale=1.5), Hyperbolic),
        (stats.genhyperbolic(-0.5, 3.0, 1.5, 0.5, 1.5), NormalInverseGaussian),
        (stats.t(3.5, 1.0, 2.0), StudentT),
        (stats.norm(1.0, 2.0), MultivariateNormal),
        (stats.multivariate_t([1.0, 2.0], [[2.0, 0.3], [0.3, 1.0]], df=2.5), StudentT),
        (stats.multivariate_normal([1.0, 2.0], [[2.0, 0.3], [0.3, 1.0]]), MultivariateNormal),
    ],
    ids=lambda value: getattr(value, "__name__", "frozen"),
)
def test_scipy_and_back(frozen, family):
    model = nvmix.from_scipy(frozen)
    assert type(model) is family
    x = np.linspace(-3.0, 4.0, 9)[:, None] * np.array([1.0, 0.7])[: model.d]
    values = x[:, 0] if model.d == 1 else x
    expected = frozen.logpdf(values)
    np.testing.assert_allclose(model.log_prob(values), expected, rtol=1e-12, atol=1e-12)
    again = model.to_scipy()
    np.testing.assert_allclose(again.logpdf(values), expected, rtol=1e-12, atol=1e-12)
    named = getattr(frozen, "dist", None)
    if named is not None and family is not NormalInverseGaussian:
        assert again.dist.name == named.name


def test_scipy_parameters_survive():
    frozen = NormalInverseGaussian.from_scipy(stats.norminvgauss(2.0, -1.2, 0.5, 3.0)).to_scipy()
    np.testing.assert_allclose(frozen.args, (2.0, -1.2), rtol=1e-14)
    np.testing.assert_allclose([frozen.kwds["loc"], frozen.kwds["scale"]], [0.5, 3.0], rtol=1e-14)
    t = NormalInverseGamma.from_classical(
        mu=[1.0], gamma=[0.0], sigma=[[4.0]], alpha=2.0, beta=8.0
    ).to_scipy()
    assert t.args == (4.0, 1.0, 4.0)
    assert type(nvmix.from_scipy(stats.t(np.inf, 1.0, 2.0))) is MultivariateNormal


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (make(NormalInverseGaussian, 2), "no skewed, .* distribution of several columns, got Nor"),
        (make(VarianceGamma, 1), "no variance gamma, with b = 0"),
        (make(NormalInverseGamma, 1), "no GH skew-t, with a = 0"),
    ],
)
def test_what_scipy_has_not(model, match):
    with pytest.raises(ValueError, match=match):
        model.to_scipy()


def test_nig_of_fbasics():
    """JuliaStats/Distributions.jl test/ref/continuous_test.ref.json, from R fBasics."""
    model = NormalInverseGaussian.from_alpha_beta_delta(alpha=1.8, beta=1.2, delta=2.3, mu=1.7)
    assert model.log_prob(1.8435240366951) == pytest.approx(-1.85317136283562, rel=1e-13)
    assert model.cov()[0, 0] == pytest.approx(3.08577380894971, rel=1e-13)
    back = model.to_alpha_beta_delta()
    expected = {"lambda_": -0.5, "alpha": 1.8, "beta": 1.2, "delta": 2.3, "mu": 1.7}
    assert back == pytest.approx(expected, rel=1e-15)


def test_classical_parameters_of_r_generalized_hyperbolic():
    """R GeneralizedHyperbolic, as in scipy/stats/tests/test_distributions.py."""
    model = GeneralizedHyperbolic.from_alpha_beta_delta(
        lambda_=2.0, alpha=2.0, beta=1.0, delta=1.5, mu=0.5
    )
    x = np.linspace(-10.0, 10.0, 10)[[0, 4, 9]]
    expected = [2.94895678275316e-13, 0.0103947630463822, 0.000941920705790324]
    np.testing.assert_allclose(model.pdf(x), expected, rtol=1e-13)


def test_limits_of_the_classical_parameters():
    vg = VarianceGamma.from_alpha_beta_delta(lambda_=2.0, alpha=1.5, beta=0.5, delta=0.0)
    assert vg.subordinator.gig == (2.0, 2.0, 0.0)
    skew_t = NormalInverseGamma.from_alpha_beta_delta(lambda_=-2.0, alpha=0.7, beta=-0.7, delta=3.0)
    assert skew_t.subordinator.gig == (-2.0, 0.0, 9.0)
    assert Hyperbolic.from_alpha_beta_delta(alpha=2.0, beta=1.0, delta=1.0).p == 1.0


def test_classical_parameters_and_back(family):
    model = make(family, 1)
    same_law(model, family.from_alpha_beta_delta(**model.to_alpha_beta_delta()), rtol=1e-9)


def test_madan_and_seneta():
    """X = theta G + sigma sqrt(G) Z with Var G = nu has variance sigma^2 + nu theta^2."""
    model = VarianceGamma.from_madan_seneta(sigma=0.5, nu=0.25, theta=-0.1, mu=1.0)
    assert model.mean()[0] == pytest.approx(0.9, rel=1e-15)
    assert model.cov()[0, 0] == pytest.approx(0.25 + 0.25 * 0.01, rel=1e-14)
    same_law(model, GeneralizedHyperbolic.from_madan_seneta(**model.to_madan_seneta()))
    again = model.rescaled(3.0).to_madan_seneta()
    expected = {"sigma": 0.5, "nu": 0.25, "theta": -0.1, "mu": 1.0}
    assert again == pytest.approx(expected, rel=1e-14)
    # The symmetric Laplace distribution, of variance 2.
    laplace = VarianceGamma.from_madan_seneta(sigma=np.sqrt(2.0), nu=1.0, theta=0.0)
    assert laplace.pdf(0.7) == pytest.approx(0.5 * np.exp(-0.7), rel=1e-14)


@given(
    p=st.floats(-5.0, 5.0),
    a=st.floats(1e-3, 1e3),
    b=st.floats(1e-3, 1e3),
    gamma=st.floats(-3.0, 3.0),
    s=st.floats(0.1, 10.0),
)
def test_round_trips_keep_the_density(p, a, b, gamma, s):
    model = GeneralizedHyperbolic.from_classical(
        mu=[0.3], gamma=[gamma], sigma=[[s * s]], p=p, a=a, b=b
    )
    same_law(model, GeneralizedHyperbolic.from_ghyp(**model.to_ghyp()), rtol=1e-9)
    same_law(
        model, GeneralizedHyperbolic.from_alpha_beta_delta(**model.to_alpha_beta_delta()), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("call", "kind", "match"),
    [
        (lambda: nvmix.from_ghyp(lambda_=1.0), TypeError, "takes alpha_bar, or chi and psi, got"),
        (lambda: nvmix.from_ghyp(lambda_=1.0, chi=1.0), TypeError, "alpha_bar, or chi and psi"),
        (lambda: nvmix.from_ghyp(lambda_=1.0, alpha_bar=-1.0), ValueError, "alpha_bar must not"),
        (
            lambda: nvmix.from_ghyp(lambda_=1.0, alpha_bar=1.0, chi=4.0, psi=1.0),
            ValueError, r"alpha_bar must be sqrt\(chi psi\) = 2.0 beside chi and psi, got 1.0",
        ),
        (
            lambda: nvmix.from_ghyp(lambda_=-0.5, alpha_bar=0.0),
            ValueError, "alpha_bar = 0 needs lambda_ > 0 or lambda_ < -1, .* got -0.5",
        ),
        (
            lambda: NormalInverseGaussian.from_ghyp(lambda_=1.0, alpha_bar=1.0),
            ValueError, r"NormalInverseGaussian has p = -0.5 of Y ~ GIG\(p, a, b\), got 1.0",
        ),
        (
            lambda: VarianceGamma.from_ghyp(lambda_=1.0, chi=1.0, psi=1.0),
            ValueError, "VarianceGamma has b = 0.0",
        ),
        (lambda: nvmix.from_ghyp(lambda_="1", alpha_bar=1.0), TypeError, "lambda_ must be a real"),
        (lambda: nvmix.from_ghyp(lambda_=1.0, alpha_bar=1.0, sigma=-1.0), ValueError, "sigma must"),
        (
            lambda: NormalInverseGaussian.from_alpha_beta_delta(alpha=1.0, beta=-2.0, delta=1.0),
            ValueError, "beta must be between -alpha and alpha = 1.0, got -2.0",
        ),
        (
            lambda: GeneralizedHyperbolic.from_alpha_beta_delta(alpha=1.0, beta=0.0, delta=1.0),
            TypeError, "lambda_ must be given for GeneralizedHyperbolic, got None",
        ),
        (lambda: make(VarianceGamma).to_alpha_beta_delta(), ValueError, "one column, got 2"),
        (lambda: make(NormalInverseGaussian, 1).to_madan_seneta(), ValueError, "b = 0, got b"),
        (
            lambda: VarianceGamma.from_madan_seneta(sigma=1.0, nu=0.0, theta=0.0),
            ValueError, "nu must be positive, got 0.0",
        ),
        (lambda: MultivariateNormal.from_scipy(stats.t(3.0)), ValueError, "has p = -0.5 .* -1.5"),
        (
            lambda: MultivariateNormal.from_scipy(stats.norm()).to_ghyp(),
            ValueError, "to_ghyp is of models whose Y varies, got MultivariateNormal",
        ),
        (lambda: nvmix.from_scipy(stats.gamma(2.0)), TypeError, "frozen must be .* got gamma"),
        (lambda: nvmix.from_scipy(3.0), TypeError, "frozen must be .* got float"),
        (
            lambda: VarianceGamma.from_scipy(stats.norminvgauss(2.0, 1.0)),
            ValueError, "VarianceGamma has b = 0.0",
        ),
    ],
)  # fmt: skip
def test_bad_parameters_name_themselves(call, kind, match):
    with pytest.raises(kind, match=match):
        call()
