"""Distribution function, quantiles and entropy of models of one column."""

import importlib.util
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, HAS_JAX, exhaustive, make, needs_jax
from hypothesis import given
from hypothesis import strategies as st

from nvmix import (
    GeneralizedHyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.backends import get_backend
from nvmix.backends.types import NormalParameters

if HAS_JAX:
    import jax
    import jax.numpy as jnp

REFERENCE = Path(__file__).with_name("reference")
TABLE = np.genfromtxt(REFERENCE / "cdf.csv", delimiter=",", names=True, dtype=None, encoding=None)
# Largest errors of the log of a tail, relative to 1 + |value| / 100: of the tail itself 1e-13 where
# it is 1e-43, and 8e-13 at 1e-300, where a change of x in its last place does as much.
PROMISED = 1e-13
PROMISED_ON_JAX = 1e-12


def exact():
    """The script of the references."""
    spec = importlib.util.spec_from_file_location("generate_cdf", REFERENCE / "generate_cdf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def laws():
    """(normal, theta, rows) of each law of the table."""
    names = ("mu", "gamma", "sigma", "p", "a", "b")
    keys = [tuple(float(row[name]) for name in names) for row in TABLE]
    for key in dict.fromkeys(keys):
        rows = TABLE[[key == other for other in keys]]
        mu, gamma, sigma = (np.array([t]) for t in key[:3])
        yield NormalParameters(mu, gamma, sigma[:, None]), key[3:], rows


def errors(backend, normal, theta, rows, repeat=1):
    """Errors of the logs of the tails in the table."""
    found = np.empty(len(rows))
    for sign, upper in ((1, False), (-1, True)):
        held = rows["sign"] == sign
        x = np.repeat(rows["x"][held], repeat)
        values = get_backend(backend).tails(x, normal, theta, upper=upper, log=True)
        found[held] = values[::repeat]
    return np.abs(found - rows["log_tail"]) / (1.0 + np.abs(rows["log_tail"]) / 100.0)


def univariate(family):
    return make(family, 1)


def univariate_gh(p, alpha, beta, delta, mu):
    """Classical (lambda, alpha, beta, delta, mu) of R GeneralizedHyperbolic and SciPy's a, b."""
    return GeneralizedHyperbolic.from_classical(
        mu=[mu], gamma=[beta], sigma=[[1.0]], p=p, a=alpha**2 - beta**2, b=delta**2
    )


@pytest.mark.parametrize("repeat", [1, 1000])
def test_tails_keep_the_promise(repeat):
    """Directly, and by the table of many points."""
    for normal, theta, rows in laws():
        worst = errors("cpu", normal, theta, rows, repeat)
        assert worst.max() <= PROMISED, (theta, normal, rows[worst.argmax()])


@needs_jax
@pytest.mark.exhaustive
def test_tails_keep_the_promise_on_jax():
    for normal, theta, rows in laws():
        if rows["law"][0] != "scaled":
            kept = np.abs(rows["x"]) < 1e60
            padded = np.resize(rows[kept], 24)
            worst = _on_jax(normal, theta, padded)
            assert worst.max() <= PROMISED_ON_JAX, (theta, normal, padded[worst.argmax()])


def _on_jax(normal, theta, rows):
    """Errors of both tails from calls of one shape."""
    lower, upper = (
        get_backend("jax").tails(rows["x"], normal, theta, upper=side, log=True)
        for side in (False, True)
    )
    found = np.where(rows["sign"] == 1, lower, upper)
    return np.abs(found - rows["log_tail"]) / (1.0 + np.abs(rows["log_tail"]) / 100.0)


def test_the_table_is_that_of_its_script():
    script = exact()
    for row in TABLE[:: len(TABLE) // 8]:
        normal, theta = (
            tuple(float(row[name]) for name in names) for names in (("mu", "gamma", "sigma"), "pab")
        )
        value = float(script.log_tail(normal, theta, float(row["x"]), int(row["sign"])))
        assert value == pytest.approx(row["log_tail"], rel=1e-15)


def test_quantiles_of_the_table():
    """The quantile of a tail of the table is its x, to 1e-12 or its condition."""
    for normal, theta, rows in laws():
        for row in rows:
            x, log_tail = float(row["x"]), float(row["log_tail"])
            if not -690.0 < log_tail < -0.7:
                continue
            upper = row["sign"] == -1
            q = np.array(math.exp(log_tail))
            found = float(get_backend("cpu").quantiles(q, normal, theta, upper=upper))
            # exp has rounded q by |log q| units of 1e-16, of which x takes the tail over density.
            point = np.array([[x]])
            placed = get_backend("cpu").place(point)
            log_density = get_backend("cpu").log_prob(placed, normal, theta)[0]
            condition = math.exp(min(log_tail - log_density, 700.0)) * 8e-16 * (2.0 - log_tail)
            # At a pole of the density x is known to far below the size of the law.
            least = 1e-100 * float(normal.L[0, 0]) if log_density == math.inf else 0.0
            assert abs(found - x) <= 1e-12 * abs(x) + condition + least, (theta, normal, row)


def test_quantiles_of_many_are_those_of_one():
    """By the table and directly, to 1e-12 of x or what 8e-16 (2 + |log q|) of q moves it."""
    backend = get_backend("cpu")
    random = np.random.default_rng(0)
    for normal, theta, _ in laws():
        at_mu = backend.tails(normal.mu, normal, theta, upper=False, log=False)[0]
        q = np.concatenate([random.random(1200), 10.0 ** -random.uniform(0.0, 20.0, 200)])
        # The density is not smooth at mu.
        q = np.concatenate([q, np.clip(at_mu * (1.0 + 10.0 ** -np.arange(1.0, 12.0)), 0.0, 1.0)])
        some = np.append(np.arange(0, q.size, 20), np.arange(q.size - 11, q.size))
        some = some[(q[some] > 0.0) & (q[some] < 1.0)]
        found, q = backend.quantiles(q, normal, theta, upper=False)[some], q[some]
        few = np.array([backend.quantiles(t, normal, theta, upper=False) for t in q])
        log_density = backend.log_prob(backend.place(few[:, None]), normal, theta)
        log_q = np.log(np.minimum(q, 1.0 - q))
        condition = np.exp(np.minimum(log_q - log_density, 700.0)) * 8e-16 * (2.0 - log_q)
        # Both may be off.
        worst = np.abs(found - few) - 2.0 * (1e-12 * np.abs(few) + condition)
        assert (worst <= 0.0).all(), (theta, normal, q[worst.argmax()])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_a_location_far_from_zero(family):
    """Tables are of x - mu, so that they have the same bits at any mu that leaves x - mu exact."""
    model, mu = univariate(family), 2.0**20
    near, far = (type(model)([t], model.gamma, model.L_sigma, model.subordinator) for t in (0, mu))
    x = np.arange(-2048.0, 2048.0) / 64.0
    np.testing.assert_array_equal(far.logcdf(mu + x), near.logcdf(x))
    q = np.linspace(0.0005, 0.9995, 2000)
    np.testing.assert_array_equal(far.ppf(q), mu + near.ppf(q))


def test_quantiles_beyond_all_doubles():
    model = NormalInverseGamma.from_classical(mu=0.0, gamma=0.0, sigma=1.0, alpha=0.05, beta=0.05)
    q = 10.0 ** -np.linspace(1.0, 60.0, 1200)
    x = model.ppf(q)
    assert (x[-500:] == -np.inf).all()
    few = np.array([model.ppf(t) for t in q[:500:50]])
    np.testing.assert_allclose(x[:500:50], few, rtol=2e-12)


# gamma, sigma, (p, a, b), x, sign and log of the tail, by Gauss-Legendre sums with 19 digits.
EXTREMES = [
    # Phi falls within y's rounding.
    (1e-14, 2.0, (-0.03, 0.0, 2.0), 1e50, -1, -4.4043765246709978),
    (1e-14, 4.0, (-0.03, 0.0, 2.0), 1e66, -1, -5.5096173693081397),
    (1e-14, 2.0, (-0.03, 0.0, 2.0), 1e186, -1, -13.798923704086704),
    (1.16e16, 1.0, (0.0111, 0.00756, 0.0), 1e14, -1, -2.27585553644717),
    # It falls in 1/40 of a narrow law.
    (-26000.0, 0.0045, (1.0, 2e10, 2.6e5), -93.75, -1, -0.36234902939344329),
    # Terms down to y = 1e-600.
    (0.78, 0.1, (0.032, 0.45, 0.0), 6e-192, -1, -0.52663404085999588),
    # Far points, about which Phi makes the peak narrow.
    (0.0026, 1.0, (-0.5, 7.4e-12, 3.3e-4), 2.3e18, -1, -3273076078.290892),
    (-8.7e12, 1.0, (1.0, 1.3e-6, 4e-7), -5e187, 1, -3.7356321839080462e168),
    # x / sigma or x gamma / sigma^2 is beyond the range of doubles.
    (0.0, 0.02, (-0.05, 0.0, 0.007), 3.6e306, -1, -71.985119982074423),
    (1.8e9, 0.5, (-0.11, 0.0, 0.05), 3e298, -1, -73.607109030765652),
]


def skewed(gamma, sigma):
    """Parameters of the normal part about mu = 0."""
    return NormalParameters(np.zeros(1), np.array([gamma]), np.array([[sigma]]))


@pytest.mark.parametrize(("gamma", "sigma", "theta", "x", "sign", "expected"), EXTREMES)
def test_tails_of_extreme_laws(gamma, sigma, theta, x, sign, expected):
    normal = skewed(gamma, sigma)
    found = get_backend("cpu").tails(np.array([x]), normal, theta, upper=sign == -1, log=True)
    assert found[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("gamma", "sigma", "theta"),
    [
        (0.3, 2.0, (-0.03, 0.0, 2.0)),
        (1.16e16, 1.0, (0.0111, 0.00756, 0.0)),
        (-2.4e10, 0.0055, (19.0, 4e-4, 1.8e3)),
    ],
)
def test_quantiles_of_extreme_laws(gamma, sigma, theta):
    """Also where Newton's steps on the log of a tail go far beyond mu."""
    normal, q = skewed(gamma, sigma), np.array([1e-8, 1e-6, 0.1, 0.9])
    for upper in (False, True):
        x = get_backend("cpu").quantiles(q, normal, theta, upper=upper)
        found = get_backend("cpu").tails(x, normal, theta, upper=upper, log=False)
        np.testing.assert_allclose(found, q, rtol=1e-10)


def test_quantiles_beyond_the_range_of_doubles():
    theta = (-0.03, 0.0, 2.0)
    x = get_backend("cpu").quantiles(np.array([1e-30]), skewed(0.0, 1.0), theta, upper=True)
    assert x[0] == math.inf


def test_cdf_of_r_generalized_hyperbolic():
    """R GeneralizedHyperbolic, as in scipy/stats/tests/test_distributions.py."""
    model = univariate_gh(2.0, 2.0, 1.0, 1.5, 0.5)
    expected = [
        1.01881590921421e-13, 6.13697274983578e-11, 3.37504977637992e-08, 1.55258698166181e-05,
        0.00447005453832497, 0.228935323956347, 0.755759458895243, 0.953061062884484,
        0.992598013917513, 0.998942646586662,
    ]  # fmt: skip
    # R integrates the density, to 7 digits.
    np.testing.assert_allclose(model.cdf(np.linspace(-10.0, 10.0, 10)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("upper", "x", "p", "a", "b", "loc", "scale", "expected"),
    [
        (False, -15, 2, 3, 1.5, 0.5, 1.5, 4.770036428808252e-20),
        (False, -15, 10, 1.5, 0.25, 1, 5, 0.03282964575089294),
        (False, -15, 10, 1.5, 1.375, 0, 1, 3.3711159600215594e-23),
        (False, -1, 0.125, 1.5, 1.49995, 0, 1, 0.0003565725914786859),
        (False, 5, -0.125, 1.5, 1.49995, 0, 1, 0.2600651974023352),
        (False, 5, -0.125, 1000, 999, 0, 1, 5.923270556517253e-28),
        (False, 20, -0.125, 1000, 999, 0, 1, 0.23452293711665634),
        (False, 40, -0.125, 1000, 999, 0, 1, 0.9999648749561968),
        (True, 0, 1e-6, 12, -1, 0, 1, 0.38520358671350524),
        (True, -1, 3, 2.5, 2.375, 1, 3, 0.9999901774267577),
        (True, 25, 2, 3, 1.5, 0.5, 1.5, 8.593419916523976e-10),
        (True, 300, 10, 1.5, 0.25, 1, 5, 6.137415609872158e-24),
        (True, 60, -0.125, 1000, 999, 0, 1, 2.4524915075944173e-12),
        (True, 75, -0.125, 1000, 999, 0, 1, 2.9435194886214633e-18),
    ],
)
def test_tails_of_scipy(upper, x, p, a, b, loc, scale, expected):
    """Figures of mpmath in scipy/stats/tests/test_distributions.py, genhyperbolic."""
    model = GeneralizedHyperbolic.from_classical(
        mu=loc, gamma=b * scale, sigma=scale**2, p=p, a=(a - b) * (a + b), b=1.0
    )
    assert (model.sf if upper else model.cdf)(float(x)) == pytest.approx(expected, rel=2e-12)


def nig(alpha, beta):
    """SciPy's norminvgauss(alpha, beta)."""
    g = math.sqrt((alpha - beta) * (alpha + beta))
    return NormalInverseGaussian.from_classical(
        mu=0.0, gamma=beta, sigma=1.0, mu_ig=1.0 / g, lam=1.0
    )


def test_tails_of_scipys_nig():
    """R GeneralizedHyperbolic's and mpmath's figures in SciPy's tests of norminvgauss."""
    x = [-7.0, -5.0, 0.0, 8.0, 15.0]
    expected = [8.034920282e-07, 2.512671945e-05, 3.186661051e-01, 9.988650664e-01, 9.999848769e-01]
    # R integrates the density, to 6 digits.
    np.testing.assert_allclose(nig(1.0, 0.5).cdf(x), expected, rtol=2e-6)
    for point, alpha, beta, tail in (
        (-1.0, 1.0, 0.0, 0.8759652211005315),
        (25.0, 1.0, 0.0, 1.1318690184042579e-13),
        (1.0, 5.0, -1.5, 0.002066711134653577),
        (10.0, 5.0, -1.5, 2.308435233930669e-29),
    ):
        assert nig(alpha, beta).sf(point) == pytest.approx(tail, rel=1e-13)
    # R gives 0.9999999999418577, mpmath's integral of the density this.
    assert nig(0.1, 0.09).sf(1500.0) == pytest.approx(6.354357899116773e-11, rel=1e-13)


@pytest.mark.parametrize(
    ("x", "alpha", "beta", "mu", "delta", "expected"),
    [
        (-4.604071233357971, 3.6657475914309767, 0.7092804876659019, 1.8311355410684056,
         2.944409380505328, 6.3837891686870760e-11),
        (-3.723793135039304, 2.196780202545397, 1.4002843362379838, -1.378789114137724,
         2.4865418652853744, 1.0219046445719785e-4),
        (-3.818947728491413, 4.16953868002984, 0.9690167766512614, 1.479701639412406,
         0.1626671633940654, 5.8440895630634032e-15),
    ],
)  # fmt: skip
def test_nig_of_navas_palencia(x, alpha, beta, mu, delta, expected):
    """guillermo-navas-palencia/normal-inverse-gaussian (arXiv 2502.16015), by mpmath."""
    g = math.sqrt((alpha - beta) * (alpha + beta))
    model = NormalInverseGaussian.from_classical(
        mu=mu, gamma=beta, sigma=1.0, mu_ig=delta / g, lam=delta**2
    )
    assert model.cdf(x) == pytest.approx(expected, rel=1e-13)


def test_r_ghyp():
    """R ghyp 1.6.5, ghyp(-2, alpha.bar=0.5, mu=10, sigma=5, gamma=1): pghyp and qghyp."""
    k = float(mp.besselk(-1, 0.5) / mp.besselk(-2, 0.5))
    model = GeneralizedHyperbolic.from_classical(
        mu=10.0, gamma=1.0, sigma=25.0, p=-2.0, a=0.5 * k, b=0.5 / k
    )
    expected = [0.0866464397, 0.4279531142, 0.8325052567]
    np.testing.assert_allclose(model.cdf([5.0, 10.0, 15.0]), expected, rtol=1e-7)
    expected = [-0.9590633653, 10.7180302, 26.30782047]
    np.testing.assert_allclose(model.ppf([0.01, 0.5, 0.99]), expected, rtol=1e-5)


class TestInvariants:
    q = st.floats(1e-12, 1.0 - 1e-9)

    @given(q=q)
    @pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
    def test_quantiles_invert(self, family, q):
        model = univariate(family)
        assert model.cdf(model.ppf(q)) == pytest.approx(q, rel=1e-13)
        assert model.sf(model.isf(q)) == pytest.approx(q, rel=1e-13)

    @given(x=st.floats(-1e3, 1e3))
    @pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
    def test_tails_add_up_and_reflect(self, family, x):
        model = univariate(family)
        assert model.cdf(x) + model.sf(x) == pytest.approx(1.0, abs=2e-15)
        mirrored = type(model)(-model.mu, -model.gamma, model.L_sigma, model.subordinator)
        assert mirrored.logsf(-x) == pytest.approx(model.logcdf(x), rel=1e-14, abs=1e-15)

    @given(c=st.floats(-1e3, 1e3), s=st.sampled_from([2.0**-300, 0.5, 2.0**300]))
    def test_location_and_scale(self, c, s):
        model = univariate(GeneralizedHyperbolic)
        moved = type(model)(s * model.mu, s * model.gamma, s * model.L_sigma, model.subordinator)
        assert moved.cdf(s * c) == pytest.approx(model.cdf(c), rel=1e-14)
        assert moved.ppf(0.3) == pytest.approx(s * model.ppf(0.3), rel=1e-13)

    @pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
    def test_the_density_is_the_derivative(self, family):
        model, h = univariate(family), 1e-4
        x = np.linspace(-6.0, 6.0, 25)
        terms = [(model.cdf(x + k * h) - model.cdf(x - k * h)) * c for k, c in ((1, 8), (2, -1))]
        np.testing.assert_allclose(sum(terms) / (12.0 * h), model.pdf(x), rtol=1e-9, atol=1e-11)

    @pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
    def test_tables_agree_with_single_points_and_rise(self, family):
        model = univariate(family)
        x = np.linspace(-40.0, 40.0, 5001)
        many = model.logcdf(x)
        assert (np.diff(many) >= 0.0).all()
        few = np.array([model.logcdf(t) for t in x[::250]])
        np.testing.assert_allclose(many[::250], few, rtol=1e-14, atol=2e-14 * np.abs(few).max())
        q = np.linspace(0.0, 1.0, 5001)
        many = model.ppf(q)
        assert (np.diff(many) > 0.0).all()
        few = np.array([model.ppf(t) for t in q[::250]])
        np.testing.assert_allclose(many[::250], few, rtol=1e-11)


def test_gaussian_limit():
    model = NormalInverseGaussian.from_classical(mu=0.0, gamma=0.0, sigma=1.0, mu_ig=1.0, lam=1e14)
    for x in (-10.0, -1.0, 0.0):
        assert model.cdf(x) == pytest.approx(0.5 * math.erfc(-x / math.sqrt(2.0)), rel=1e-10)


def test_very_heavy_tails():
    model = NormalInverseGamma.from_classical(mu=0.0, gamma=0.0, sigma=1.0, alpha=0.05, beta=0.05)
    far = model.ppf(1e-20)
    assert -1e205 < far < -1e195
    assert model.cdf(far) == pytest.approx(1e-20, rel=1e-12)
    # P(X <= x) falls as |x|^-0.1.
    ratio = model.logcdf(-1e200) - model.logcdf(-1e100)
    assert ratio == pytest.approx(-10.0 * math.log(10.0), rel=1e-13)


def test_a_pole_of_the_density():
    model = VarianceGamma.from_classical(mu=1.0, gamma=0.0, sigma=1.0, alpha=0.05, beta=1.0)
    assert model.cdf(1.0) == pytest.approx(0.5, rel=1e-14)
    assert model.ppf(0.5) == pytest.approx(1.0, rel=1e-14)
    x = model.ppf(0.3)
    assert model.cdf(x) == pytest.approx(0.3, rel=1e-9)


class TestCalls:
    def test_shapes_and_kinds(self, family):
        model = univariate(family)
        for name in ("cdf", "sf", "logcdf", "logsf", "ppf", "isf"):
            function = getattr(model, name)
            assert type(function(0.25)) is float
            assert function(np.full((2, 3), 0.25)).shape == (2, 3)
            assert function([]).shape == (0,)
            assert function(np.float32(0.25)) == function(0.25)
            assert math.isnan(function(np.nan))
            frame = pd.DataFrame({"x": [0.25, 0.5]})
            np.testing.assert_array_equal(function(frame["x"]), function([0.25, 0.5]))
            assert function(frame).shape == (2, 1)
        assert model.cdf(1) == model.cdf(1.0)

    def test_ends(self, family):
        model = univariate(family)
        ends = [-np.inf, np.inf]
        assert model.cdf(ends).tolist() == [0.0, 1.0]
        assert model.sf(ends).tolist() == [1.0, 0.0]
        assert model.logcdf(ends).tolist() == [-np.inf, 0.0]
        assert model.logsf(ends).tolist() == [0.0, -np.inf]
        assert model.ppf([0, 1]).tolist() == ends
        assert model.isf([0, 1]).tolist() == ends[::-1]
        assert np.isnan(model.ppf([-0.1, 1.1, np.nan])).all()
        assert model.cdf([-1e308, 1e308]) == pytest.approx([0.0, 1.0], abs=1e-300)

    def test_names_of_scipy(self, family):
        model = univariate(family)
        assert model.logpdf(0.3) == model.log_prob(0.3)
        assert model.median() == model.ppf(0.5)
        low, high = model.interval(0.9)
        assert (low, high) == pytest.approx((model.ppf(0.05), model.isf(0.05)), rel=1e-13)
        assert np.isnan(model.interval([-0.1, 2.0])).all()
        np.testing.assert_array_equal(model.rvs(size=4, random_state=1), model.rvs(4, 1))
        assert model.rvs(size=(2, 3), random_state=1).shape == (2, 3, 1)
        states = (np.random.RandomState(3) for _ in range(2))
        first, second = (model.rvs(4, random_state=state) for state in states)
        np.testing.assert_array_equal(first, second)

    @pytest.mark.parametrize("name", ["cdf", "sf", "logcdf", "logsf", "ppf", "isf", "interval"])
    def test_refusals(self, name):
        with pytest.raises(ValueError, match=r"one column, got d = 2: take model\.linear\(w\)"):
            getattr(make(VarianceGamma), name)(0.5)
        with pytest.raises(TypeError, match=r"(x|q|confidence) must hold real numbers, got"):
            getattr(univariate(VarianceGamma), name)("0.5")

    def test_further_refusals(self):
        for name in ("median", "entropy"):
            with pytest.raises(ValueError, match="one column, got d = 2"):
                getattr(make(VarianceGamma), name)()
        for wrong in ({}, {"n": 1, "size": 1}, {"n": 1, "seed": 1, "random_state": 1}):
            with pytest.raises(TypeError, match="rvs takes one of"):
                univariate(VarianceGamma).rvs(**wrong)
        with pytest.raises(TypeError, match="size must be an integer"):
            univariate(VarianceGamma).rvs(size=1.5)


class TestEntropy:
    def test_student(self):
        """SciPy's t(4).entropy() is 1.681760016878672."""
        model = NormalInverseGamma.from_classical(mu=0, gamma=0, sigma=1, alpha=2, beta=2)
        assert model.entropy() == pytest.approx(1.681760016878672, abs=1e-12)

    def test_laplace(self):
        """Of scale 1: 1 + log 2."""
        model = VarianceGamma.from_classical(mu=3, gamma=0, sigma=1, alpha=1, beta=0.5)
        assert model.entropy() == pytest.approx(1.0 + math.log(2.0), abs=1e-12)

    def test_scale(self, family):
        model = univariate(family)
        larger = type(model)(model.mu, 8 * model.gamma, 8 * model.L_sigma, model.subordinator)
        assert larger.entropy() == pytest.approx(model.entropy() + math.log(8.0), abs=1e-11)

    def test_pole(self):
        pole = VarianceGamma.from_classical(mu=0, gamma=0, sigma=1, alpha=0.3, beta=1)
        with mp.workdps(20):
            # X is the difference of two gamma variables: a density with K of order 0.2.
            def f(x):
                z = mp.sqrt(2) * x
                c = 2 / (mp.sqrt(2 * mp.pi) * mp.gamma(mp.mpf("0.3")))
                return c * (x / mp.sqrt(2)) ** mp.mpf("-0.2") * mp.besselk(mp.mpf("-0.2"), z)

            def term(t):
                x = mp.exp(t)
                density = f(x)
                return -2 * density * mp.log(density) * x

            known = float(mp.quad(term, mp.linspace(-100, 5, 60)))
        assert pole.entropy() == pytest.approx(known, abs=1e-10)


@needs_jax
class TestJax:
    @pytest.fixture(autouse=True)
    def _doubles(self):
        with jax.enable_x64(True):
            yield

    @pytest.mark.parametrize(
        "names",
        [
            ("cdf",),
            exhaustive(("ppf", "logsf")),
        ],
    )
    def test_values(self, names):
        x, q = (
            np.linspace(-5.0, 5.0, 9),
            np.array([0.0, 1e-9, 0.1, 0.5, 0.9, 1.0, 2.0, np.nan, 0.3]),
        )
        model = univariate(NormalInverseGaussian)
        for name in names:
            points, rtol = (q, 1e-11) if name in ("ppf", "isf") else (x, 1e-12)
            found = getattr(model, name)(jnp.asarray(points))
            np.testing.assert_allclose(found, getattr(model, name)(points), rtol=rtol)

    @pytest.mark.parametrize("family", [NormalInverseGaussian, exhaustive(GeneralizedHyperbolic)])
    def test_quantiles_of_many_levels(self, family):
        """Those that have arrived stay where they are while others move."""
        model = univariate(family)
        q = np.concatenate([np.linspace(0.001, 0.999, 200), 10.0 ** -np.linspace(1.0, 12.0, 100)])
        np.testing.assert_allclose(model.ppf(jnp.asarray(q)), model.ppf(q), rtol=1e-10, atol=1e-12)

    @pytest.mark.exhaustive
    def test_slopes(self):
        model, x = univariate(NormalInverseGaussian), jnp.linspace(-3.0, 3.0, 9)
        slopes = jax.vmap(jax.grad(model.cdf))(x)
        np.testing.assert_allclose(slopes, model.pdf(x), rtol=1e-11)

    @pytest.mark.exhaustive
    def test_derivatives(self):
        """By the parameters; those of quantiles are made of the distribution function's."""
        leaves, tree = jax.tree.flatten(univariate(GeneralizedHyperbolic))
        q, h = jnp.linspace(0.1, 0.9, 9), 1e-5

        @jax.jit
        def total(leaves):
            return jax.tree.unflatten(tree, leaves).ppf(q).sum()

        leaves = [jnp.asarray(leaf, float) for leaf in leaves]
        gradient = jax.grad(total)(leaves)
        for i, leaf in enumerate(leaves):
            ahead, behind = (total([*leaves[:i], leaf + x, *leaves[i + 1 :]]) for x in (h, -h))
            known = float(ahead - behind) / (2.0 * h)
            assert float(gradient[i].sum()) == pytest.approx(known, rel=1e-7)

    @pytest.mark.exhaustive
    def test_a_point_of_one_column(self):
        model = univariate(NormalInverseGaussian)
        X = jnp.linspace(-1.0, 1.0, 5)
        expected = model.log_prob(np.asarray(X))
        for rows in (X, X[:, None]):
            found = jax.vmap(model.log_prob)(rows)
            np.testing.assert_allclose(found, expected, rtol=1e-13)
            found = jax.jit(jax.vmap(model.log_prob))(rows)
            np.testing.assert_allclose(found, expected, rtol=1e-13)
        assert model.log_prob(X[:1]).shape == (1,)
        slopes = jax.vmap(jax.grad(model.log_prob))(X[:, None])
        assert slopes.shape == (5, 1)


def test_broadcast_points_are_taken_without_a_warning():
    # NumPy warns where the flag of such an array is read.
    q = np.broadcast_arrays(np.full(5, 0.3), np.ones((1, 5)))[0]
    model = make(NormalInverseGaussian, d=1)
    np.testing.assert_array_equal(model.ppf(q), model.ppf(np.full((1, 5), 0.3)))
