"""Figures that others published: R packages, SciPy's and Distributions.jl's reference data."""

import numpy as np
import pytest

from nvmix import GIG, GeneralizedHyperbolic, NormalInverseGamma, NormalInverseGaussian


def univariate_gh(p, alpha, beta, delta, mu):
    """Classical (lambda, alpha, beta, delta, mu) of R GeneralizedHyperbolic and SciPy's a, b."""
    return GeneralizedHyperbolic.from_classical(
        mu=[mu], gamma=[beta], sigma=[[1.0]], p=p, a=alpha**2 - beta**2, b=delta**2
    )


def test_gh_density_of_r_generalized_hyperbolic():
    """R GeneralizedHyperbolic, as in scipy/stats/tests/test_distributions.py."""
    model = univariate_gh(2.0, 2.0, 1.0, 1.5, 0.5)
    expected = [
        2.94895678275316e-13, 1.75746848647696e-10, 9.48149804073045e-08, 4.17862521692026e-05,
        0.0103947630463822, 0.240864958986839, 0.162833527161649, 0.0374609592899472,
        0.00634894847327781, 0.000941920705790324,
    ]  # fmt: skip
    np.testing.assert_allclose(model.pdf(np.linspace(-10.0, 10.0, 10)), expected, rtol=1e-13)
    # The first two of its published raw moments, 2.36848366948115 and 8.4739346779246.
    assert model.mean()[0] == pytest.approx(2.36848366948115, rel=1e-13)
    assert model.cov()[0, 0] == pytest.approx(8.4739346779246 - 2.36848366948115**2, rel=1e-12)


def test_nig_density_of_r_generalized_hyperbolic():
    """R GeneralizedHyperbolic, as in scipy/stats/tests/test_distributions.py; a = 1, b = 0.5."""
    model = NormalInverseGaussian.from_classical(
        mu=[0.0], gamma=[0.5], sigma=[[1.0]], mu_ig=1.0 / np.sqrt(0.75), lam=1.0
    )
    expected = [1.359600783e-06, 4.413878805e-05, 4.555014266e-01, 7.450485342e-04, 8.917889931e-06]
    np.testing.assert_allclose(model.pdf(np.array([-7.0, -5, 0, 8, 15])), expected, rtol=1e-9)


def test_gig_density_of_r_gigrvg():
    """R GIGrvg::dgig(x, .5, 1, 1), as in scipy/stats/tests/test_distributions.py."""
    expected = [
        2.081176820e-21, 0.4488660034, 0.3747774338, 0.2693297528, 0.1905637275, 0.1351476913,
        0.09636538981, 0.06909040154, 0.04978006801, 0.03602084467,
    ]  # fmt: skip
    x = np.linspace(0.01, 5.0, 10)
    np.testing.assert_allclose(np.exp(GIG(0.5, 1.0, 1.0).log_prob(x)), expected, rtol=2e-9)


def test_nig_of_distributions_jl():
    """JuliaStats/Distributions.jl test/ref/continuous_test.ref.json, from R fBasics."""
    mu, alpha, beta, delta = 1.7, 1.8, 1.2, 2.3
    g = np.sqrt(alpha**2 - beta**2)
    model = NormalInverseGaussian.from_classical(
        mu=[mu], gamma=[beta], sigma=[[1.0]], mu_ig=delta / g, lam=delta**2
    )
    assert model.mean()[0] == pytest.approx(3.75718253929981, rel=1e-13)
    assert model.cov()[0, 0] == pytest.approx(3.08577380894971, rel=1e-13)
    x = [1.8435240366951, 2.35190850897177, 3.4819646258047, 4.99538878616374, 6.01645845503095]
    expected = [
        -1.85317136283562, -1.45584368677614, -1.34146300822719, -2.0232664208608,
        -2.67110567413142,
    ]  # fmt: skip
    np.testing.assert_allclose(model.log_prob(np.array(x)), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("theta", "mean", "inverse", "log", "variance"),
    [
        ((1.0, 1.0, 1.0), 2.69948393559, 0.699483935594, 0.69948393559, 4.51072222385),
        ((-0.5, 2.0, 3.0), 0.816496580928, 1.72474487139, -0.376196853375, 0.272165526976),
        ((-2.0, 5.0, 0.1), 2.04401545053, 0.840880309011, 0.408830043358, 4.94169182731),
        ((3.5, 0.01, 7.0), 1.00199087756, 1.39361429264, -0.146829470431, 0.285716838149),
        ((10.0, 3.0, 0.5), 40.1658087739, 0.0276347956487, 3.64263941219, 160.00339159),
    ],
)
def test_gig_moments_of_r_ghyp(theta, mean, inverse, log, variance):
    """R ghyp 1.6.5, Egig(lambda, chi, psi); its E[log x] is a numerical derivative."""
    p, chi, psi = theta
    law = GIG(p=p, a=psi, b=chi)
    log_y, inv_y, y = law.expectation_params()
    assert y == pytest.approx(mean, rel=3e-12)
    assert inv_y == pytest.approx(inverse, rel=3e-12)
    # ghyp's figures of E[log x] are those of its finite difference in lambda.
    assert log_y == pytest.approx(log, rel=1e-8)
    assert law.var() == pytest.approx(variance, rel=1e-11)


def test_multivariate_gh_of_r_ghyp():
    """R ghyp 1.6.5, tabulated by tfm000/copulax (gh_d3_skewed, gh_d3_symmetric)."""
    sigma = [[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]]
    skewed = GeneralizedHyperbolic.from_classical(
        mu=[0.1, -0.2, 0.3], gamma=[0.3, -0.2, 0.1], sigma=sigma, p=0.5, a=1.5, b=1.5
    )
    points = [(0.0, 0.0, 0.0), (0.5, -1.0, 0.3), (-1.0, 1.0, 2.0), (2.0, 0.5, -0.5)]
    expected = [-2.8774946108697028, -3.0778250460228178, -7.2544892337930644, -5.1411923120605199]
    np.testing.assert_allclose(skewed.log_prob(points), expected, rtol=1e-13)
    symmetric = GeneralizedHyperbolic.from_classical(
        mu=np.zeros(3), gamma=np.zeros(3), sigma=sigma, p=0.5, a=1.5, b=1.5
    )
    assert symmetric.log_prob(np.zeros(3)) == pytest.approx(-2.3231952479673046, rel=1e-13)


def test_bivariate_gh_of_r_ghyp():
    """R ghyp 1.6.5: ghyp(-2, chi=5, psi=.1, mu=10:11, sigma=diag(5:6), gamma=-1:0)."""
    model = GeneralizedHyperbolic.from_classical(
        mu=[10.0, 11.0], gamma=[-1.0, 0.0], sigma=np.diag([5.0, 6.0]), p=-2.0, a=0.1, b=5.0
    )
    expected = [-3.82631969571, -3.98839449562, -5.0460623705]
    np.testing.assert_allclose(
        model.log_prob([(10.0, 11.0), (8.0, 12.0), (12.0, 9.0)]), expected, rtol=1e-11
    )
    np.testing.assert_allclose(model.mean(), [7.95598454947, 11.0], rtol=1e-11)
    np.testing.assert_allclose(
        model.cov(), np.diag([15.16176908, 12.2640927032]), rtol=1e-9, atol=1e-12
    )


def test_skew_t_of_r_ghyp():
    """R ghyp 1.6.5: student.t(nu=3.5, mu=10, sigma=5, gamma=1), chi = nu - 2."""
    nu = 3.5
    model = NormalInverseGamma.from_classical(
        mu=[10.0], gamma=[1.0], sigma=[[25.0]], alpha=nu / 2.0, beta=(nu - 2.0) / 2.0
    )
    expected = [0.112242728024, 0.110072396698, 0.0966770200592, 0.077778584541, 0.0589202246039]
    np.testing.assert_allclose(model.pdf(np.arange(10.0, 15.0)), expected, rtol=1e-11)
