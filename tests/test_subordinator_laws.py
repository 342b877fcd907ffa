"""Distribution functions, quantiles, moments and fits of the laws of Y."""

from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from conftest import needs_jax
from hypothesis import given
from hypothesis import strategies as st
from reference.errors import read_table
from scipy import stats

from nvmix import GIG, Gamma, InverseGamma, InverseGaussian
from nvmix.mixture.subordinators import PointMass

LAWS = [
    GIG(0.7, 1.0, 2.0),
    GIG(-50.0, 1e-8, 1e-8),
    GIG(3.0, 1e6, 1e6),
    Gamma(3.7, 2.0),
    Gamma(0.1, 5.0),
    InverseGamma(1.5, 0.3),
    InverseGaussian(1.2, 1.5),
    InverseGaussian(2.0, 1e5),
]
TABLE = Path(__file__).parent / "reference" / "gig_cdf.csv"


def scipy_of(law):
    """The same law in SciPy."""
    if isinstance(law, Gamma):
        return stats.gamma(law.alpha, scale=1.0 / law.beta)
    if isinstance(law, InverseGamma):
        return stats.invgamma(law.alpha, scale=law.beta)
    return stats.invgauss(law.mu_ig / law.lam, scale=law.lam)


def test_tails_of_the_reference_table():
    """Errors are those of the rounded argument and of the logarithm, at every probability."""
    table = read_table(TABLE)
    laws = np.column_stack([table[name] for name in "pab"])
    for p, a, b in np.unique(laws, axis=0):
        rows = (laws == (p, a, b)).all(axis=1)
        law, y = GIG(p, a, b), table["y"][rows]
        density = law.log_prob(y) + np.log(y)
        for name in ("cdf", "sf"):
            log = table[f"log_{name}"][rows]
            tail, log_tail = getattr(law, name)(y), getattr(law, f"log{name}")(y)
            condition = 1.0 + np.exp(density - log)
            error = 1e-15 * condition + 2e-15 * np.maximum(1.0, np.abs(log))
            np.testing.assert_array_less(np.abs(log_tail - log), error)
            seen = log > -690.0
            exact = np.exp(log[seen])
            np.testing.assert_array_less(
                np.abs(tail[seen] / exact - 1.0), error[seen] + 3e-16 * np.abs(log[seen])
            )
            assert (tail[log < -746.0] == 0.0).all()


@pytest.mark.parametrize(
    ("q", "chi", "psi", "p", "expected"),
    [
        (0.1, 1, 1, 0, 0.9986941930676488),
        (0.2, 1, 1, 0, 0.9726685983580131),
        (0.5, 1, 1, 0, 0.7797339136097861),
        (2, 2, 1, 1, 0.6181518477661696),
        (2, 2, 1, -1, 0.1159938316382597),
        (3, 2, 2, 2, 0.3060636385450593),
        (3, 2, 2, -2, 1.469821513077778e-3),
        (5, 3, 3, 4, 8.868482756840722e-2),
        (6, 3, 4, 5, 1.199275449037456e-2),
        (20, 1, 1, 0, 4.824320137970867e-6),
    ],
)
def test_upper_tails_of_slevinsky_and_safouhi(q, chi, psi, p, expected):
    """R GeneralizedHyperbolic, inst/unitTests/runit.pgig.R; its sixth has 13 correct digits."""
    assert GIG(p, psi, chi).sf(q) == pytest.approx(expected, rel=2e-13)


def test_density_of_r_gigrvg():
    """R GIGrvg::dgig(x, .5, 1, 1), as in scipy/stats/tests/test_distributions.py."""
    expected = [
        2.081176820e-21, 0.4488660034, 0.3747774338, 0.2693297528, 0.1905637275, 0.1351476913,
        0.09636538981, 0.06909040154, 0.04978006801, 0.03602084467,
    ]  # fmt: skip
    np.testing.assert_allclose(
        GIG(0.5, 1.0, 1.0).pdf(np.linspace(0.01, 5.0, 10)), expected, rtol=2e-9
    )


@pytest.mark.parametrize(
    ("p", "chi", "psi", "mean", "inverse", "variance"),
    [
        (1.0, 1.0, 1.0, 2.69948393559, 0.699483935594, 4.51072222385),
        (-0.5, 2.0, 3.0, 0.816496580928, 1.72474487139, 0.272165526976),
        (-2.0, 5.0, 0.1, 2.04401545053, 0.840880309011, 4.94169182731),
        (3.5, 0.01, 7.0, 1.00199087756, 1.39361429264, 0.285716838149),
        (10.0, 3.0, 0.5, 40.1658087739, 0.0276347956487, 160.00339159),
    ],
)
def test_moments_of_r_ghyp(p, chi, psi, mean, inverse, variance):
    """R ghyp 1.6.5, Egig(lambda, chi, psi)."""
    law = GIG(p, psi, chi)
    assert law.raw_moment(1) == pytest.approx(mean, rel=3e-12)
    assert law.raw_moment(-1) == pytest.approx(inverse, rel=3e-12)
    assert law.raw_moment(2) - law.raw_moment(1) ** 2 == pytest.approx(variance, rel=1e-10)
    assert law.std() ** 2 == pytest.approx(variance, rel=1e-11)


@pytest.mark.parametrize("mu", [1.0, 1e-3, 30.0])
@pytest.mark.parametrize("shape", [1e-6, 0.01, 1.0, 20.0, 1e4, 1e10])
def test_inverse_gaussian_tails(mu, shape):
    """The formula with exp(2 lam / mu) at 60 digits; mu and lam are those of the doubles."""
    law = InverseGaussian(mu, shape * mu)
    spread = min(1.0, shape**-0.5)
    y = mu * np.array([1.0, 1 + spread, 1 - 0.9 * spread, 1 + 8 * spread, 1 / (1 + 8 * spread)])
    with mp.workdps(80):
        m, lam = mp.mpf(law.mu_ig), mp.mpf(law.lam)

        def tail(x):
            return mp.erfc(x / mp.sqrt(2)) / 2

        for point in y:
            root = mp.sqrt(lam / mp.mpf(point))
            s, t = root * (point / m - 1), root * (point / m + 1)
            second = mp.exp(2 * lam / m + mp.log(tail(t)))
            lower, upper = tail(-s) + second, tail(s) - second
            # What an error of 2e-16 of the point makes of each.
            slope = law.pdf(point) * point * 4e-16
            assert abs(law.cdf(point) / lower - 1) < 1e-14 + slope / lower
            assert abs(law.sf(point) / upper - 1) < 1e-14 + slope / upper
            assert abs(law.logcdf(point) - mp.log(lower)) < 1e-14 + slope / lower
            assert abs(law.logsf(point) - mp.log(upper)) < 1e-14 + slope / upper


@pytest.mark.parametrize("law", LAWS[3:7], ids=str)
def test_agreement_with_scipy(law):
    other = scipy_of(law)
    q = np.array([1e-12, 1e-3, 0.2, 0.5, 0.9, 1.0 - 1e-6])
    y = law.ppf(q)
    np.testing.assert_allclose(y, other.ppf(q), rtol=1e-9)
    for name in ("pdf", "cdf", "sf", "logpdf", "logcdf", "logsf"):
        np.testing.assert_allclose(getattr(law, name)(y), getattr(other, name)(y), rtol=1e-10)
    np.testing.assert_allclose(law.isf(q), other.isf(q), rtol=1e-9)
    np.testing.assert_allclose(law.interval(0.9), other.interval(0.9), rtol=1e-12)
    assert law.median() == pytest.approx(other.median(), rel=1e-12)
    assert law.entropy() == pytest.approx(float(other.entropy()), rel=1e-9)
    if isinstance(law, Gamma):
        assert law.std() == pytest.approx(other.std(), rel=1e-13)


@given(
    law=st.sampled_from(LAWS),
    q=st.one_of(st.floats(1e-300, 1e-3), st.floats(1e-3, 0.999), st.floats(1e-12, 1e-3)),
)
def test_quantiles_invert(law, q):
    # An error of a few 1e-16 of y is one of y f / F of the probability.
    for quantile, tail in ((law.ppf, law.cdf), (law.isf, law.sf)):
        y = quantile(q)
        if 1e-300 < y < np.inf:
            slope = law.pdf(y) * y / q
            assert tail(y) == pytest.approx(q, rel=2e-13 + 1e-15 * slope)
            assert slope * abs(float(quantile(tail(y))) / y - 1.0) < 1e-12 + 1e-15 * slope


@given(
    p=st.floats(-60.0, 60.0),
    root=st.floats(1e-8, 1e6),
    scale=st.floats(1e-6, 1e6),
    y=st.floats(1e-3, 1e3),
)
def test_the_law_of_the_inverse(p, root, scale, y):
    law, inverse = GIG(p, root / scale, root * scale), GIG(-p, root * scale, root / scale)
    point = y * scale
    assert law.cdf(point) + law.sf(point) == pytest.approx(1.0, rel=1e-15)
    slope = max(law.pdf(point) * point / max(law.cdf(point), 1e-300), 1.0)
    assert law.logcdf(point) == pytest.approx(
        inverse.logsf(1.0 / point), rel=1e-14, abs=1e-15 * slope
    )


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_ends_of_the_support_and_shapes(law):
    y = np.array([[-1.0, 0.0], [np.inf, np.nan]])
    np.testing.assert_array_equal(law.cdf(y), [[0.0, 0.0], [1.0, np.nan]])
    np.testing.assert_array_equal(law.sf(y), [[1.0, 1.0], [0.0, np.nan]])
    np.testing.assert_array_equal(law.logcdf(y), [[-np.inf, -np.inf], [0.0, np.nan]])
    np.testing.assert_array_equal(law.logsf(y), [[0.0, 0.0], [-np.inf, np.nan]])
    np.testing.assert_array_equal(law.pdf(y[0]), [0.0, 0.0])
    q = np.array([0.0, 1.0, -0.1, 1.1, np.nan])
    np.testing.assert_array_equal(law.ppf(q), [0.0, np.inf, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(law.isf(q), [np.inf, 0.0, np.nan, np.nan, np.nan])
    for value in (law.cdf(1.0), law.logsf(1), law.ppf(0.3), law.isf(0.3), law.pdf(1.0)):
        assert isinstance(value, float)
    assert law.cdf([]).shape == (0,)
    assert law.cdf(law.mean()) + law.sf(law.mean()) == pytest.approx(1.0)
    assert np.isnan(law.interval([-0.1, 1.5])).all()
    low, high = law.interval([0.5, 0.9])
    assert (low < law.median()).all()
    assert (high > law.median()).all()


def test_quantiles_beyond_the_range_of_doubles():
    assert Gamma(1e-8, 1.0).ppf(0.5) == 0.0
    assert InverseGamma(1e-8, 1.0).isf(0.5) == np.inf
    # E1(beta y) / Gamma(alpha) next to alpha = 0, where log Y is flat over all doubles.
    flat, y = Gamma(1e-6, 1e-200), 1e-300
    assert flat.sf(y) == pytest.approx(1e-6 * (500.0 * np.log(10.0) - np.euler_gamma), rel=1e-3)
    assert 1.0 / InverseGamma(1e-6, 1e-200).ppf(1e-9) == pytest.approx(
        Gamma(1e-6, 1e-200).isf(1e-9), rel=1e-12
    )
    assert Gamma(3.0, 1.0).logsf(1e5) == pytest.approx(-1e5 + np.log(0.5 * 1e10 + 1e5 + 1.0))


def test_bad_arguments_name_themselves():
    law = GIG(0.7, 1.0, 2.0)
    for call, kind, match in (
        (lambda: law.cdf("x"), TypeError, "y must hold real numbers"),
        (lambda: law.ppf(None), TypeError, "q must hold real numbers"),
        (lambda: law.raw_moment(np.inf), ValueError, "k must be finite"),
        (lambda: law.raw_moment("1"), TypeError, "k must be a real number"),
        (law.rvs, TypeError, "rvs takes n or size"),
        (lambda: law.rvs(3, size=3), TypeError, "rvs takes n or size"),
        (lambda: law.rvs(3, 1, random_state=1), TypeError, "seed or random_state"),
        (lambda: law.rvs(size=(2, -1)), ValueError, "size must be at least 0"),
        (lambda: law.rvs(size=2, random_state="a"), TypeError, "random_state must be"),
        (lambda: law.sufficient_statistics([1.0, 0.0]), ValueError, "y must be positive .* 0.0"),
        (lambda: GIG.fit([1.0, -2.0, 3.0]), ValueError, "y must be positive and finite, got -2"),
        (lambda: GIG.fit([1.0, np.nan, 3.0]), ValueError, "y must be positive and finite, got nan"),
        (lambda: GIG.fit([1.0, 2.0]), ValueError, r"n at least 3, got \(2,\)"),
        (lambda: Gamma.fit([[1.0, 2.0]]), ValueError, r"y must have shape \(n,\)"),
        (lambda: Gamma.fit([2.0] * 9), ValueError, "y must not be constant, got 9 times 2.0"),
        (InverseGaussian, TypeError, "mu_ig .or mu. and lam"),
        (lambda: InverseGaussian(mu_ig=1.0, mu=1.0, lam=2.0), TypeError, "mu_ig .or mu."),
    ):
        with pytest.raises(kind, match=match):
            call()


@pytest.mark.parametrize("k", [-2.5, -1, 0, 0.3, 1, 2, 7])
@pytest.mark.parametrize(
    "theta",
    [
        (0.7, 1.0, 2.0), (-3.0, 1e-4, 2.0), (0.0, 1e-8, 1e-8), (2.0, 1e3, 1e3), (-0.4, 1e6, 1e6),
        (50.0, 2.0, 1e-9),
    ],
)  # fmt: skip
def test_moments_of_any_order(theta, k):
    with mp.workdps(40):
        p, a, b = map(mp.mpf, theta)
        z = mp.sqrt(a * b)
        exact = (b / a) ** (mp.mpf(k) / 2) * mp.besselk(p + k, z) / mp.besselk(p, z)
    assert GIG(*theta).raw_moment(k) == pytest.approx(float(exact), rel=3e-14)


def test_moments_of_gamma_laws():
    with mp.workdps(40):
        for alpha in (0.3, 1.0, 7.5, 400.0, 1e5):
            for k in (-0.2, 0.5, 1, 3):
                exact = float(
                    mp.gamma(mp.mpf(alpha) + k) / mp.gamma(mp.mpf(alpha)) / mp.mpf(2) ** k
                )
                assert Gamma(alpha, 2.0).raw_moment(k) == pytest.approx(exact, rel=3e-14)
                assert InverseGamma(alpha, 2.0).raw_moment(-k) == pytest.approx(exact, rel=3e-14)
    assert Gamma(0.5, 1.0).raw_moment(-0.5) == np.inf
    assert InverseGamma(1.0, 1.0).raw_moment(1) == np.inf
    assert InverseGamma(1.0, 1.0).std() == np.inf


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_mode_and_entropy(law):
    around = law.mode() * np.array([1.0, 1.0 - 1e-4, 1.0 + 1e-4])
    if law.mode() > 0.0:
        assert np.argmax(law.log_prob(around)) == 0
    else:
        assert law.log_prob(1e-8) > law.log_prob(1e-4)
    q = (np.arange(4000) + 0.5) / 4000
    middle = -law.log_prob(law.ppf(q)).mean()
    assert law.entropy() == pytest.approx(middle, abs=5e-2)


def test_entropy_in_closed_form():
    with mp.workdps(40):
        for alpha in (0.2, 3.0, 1e5):
            x = mp.mpf(alpha)
            exact = x - mp.log(2) + mp.loggamma(x) + (1 - x) * mp.digamma(x)
            assert Gamma(alpha, 2.0).entropy() == pytest.approx(float(exact), rel=2e-14)
        p, z = mp.mpf("0.25"), mp.mpf(1e4)
        log_k = mp.log(mp.besselk(p, z))
        slope = mp.diff(lambda v: mp.log(mp.besselk(v, z)), p)
        ratio = (mp.besselk(p + 1, z) + mp.besselk(p - 1, z)) / mp.besselk(p, z)
        exact = mp.log(2) + log_k - (p - 1) * slope + z / 2 * ratio
    assert GIG(0.25, 1e4, 1e4).entropy() == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize("law", [LAWS[0], LAWS[3], LAWS[5], LAWS[6]], ids=str)
def test_fits_are_of_maximum_likelihood(law):
    y = law.rvs(size=4000, random_state=3)
    fitted = type(law).fit(y)
    means = law.sufficient_statistics(y).mean(axis=0)
    np.testing.assert_allclose(fitted.expectation_params(), means, rtol=1e-9)
    best = fitted.log_prob(y).sum()
    assert best > law.log_prob(y).sum()
    for name, value in fitted.parameters.items():
        for factor in (0.98, 1.02):
            other = type(law)(**(fitted.parameters | {name: factor * value}))
            assert other.log_prob(y).sum() < best
    np.testing.assert_allclose(type(law).fit(1e-6 * y).mean(), 1e-6 * fitted.mean(), rtol=1e-8)


def test_statistics_keep_their_order():
    y = np.array([[0.5, 2.0], [1.0, 3.0]])
    expected = {"log_y": np.log(y), "inv_y": 1.0 / y, "y": y}
    for law in LAWS:
        statistics = law.sufficient_statistics(y)
        assert statistics.shape == (2, 2, len(law.statistics))
        for i, name in enumerate(law.statistics):
            np.testing.assert_array_equal(statistics[..., i], expected[name])


def test_variates_as_scipy_names_them():
    law = InverseGaussian(mu=1.2, lam=1.5)
    assert law == InverseGaussian(1.2, 1.5)
    draws = law.rvs(size=(3, 4), random_state=5)
    np.testing.assert_array_equal(draws.ravel(), law.rvs(12, 5))
    assert law.rvs(size=2, random_state=np.random.default_rng(0)).shape == (2,)
    y = np.sort(law.rvs(size=4000, random_state=0))
    assert stats.kstest(y, law.cdf).pvalue > 1e-3


def test_the_constant_law():
    law = PointMass()
    np.testing.assert_array_equal(law.cdf([0.5, 1.0, 2.0]), [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(law.sf([0.5, 1.0, 2.0]), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(law.ppf([0.0, 0.3, 2.0]), [1.0, 1.0, np.nan])
    assert (law.mean(), law.var(), law.mode(), law.raw_moment(3)) == (1.0, 0.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="c must be 1 for Y = 1"):
        law.scaled(2.0)


@needs_jax
def test_jax_arrays_are_refused():
    import jax.numpy as jnp

    law = GIG(0.7, 1.0, 2.0)
    for call in (law.cdf, law.logsf, law.ppf, law.isf):
        with pytest.raises(TypeError, match=r"runs on NumPy alone, got a JAX array: give it numpy"):
            call(jnp.array([0.5]))
    assert law.sufficient_statistics(jnp.array([0.5])).shape == (1, 3)
