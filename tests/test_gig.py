"""GIG moments and eta -> theta on every backend."""

from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from conftest import exhaustive, needs_jax
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import cumulative_trapezoid, quad
from scipy.stats import kstest

from nvmix import GIG, Gamma, InverseGamma, InverseGaussian
from nvmix.backends import get_backend
from nvmix.backends.cpu.kernels import entry_points
from nvmix.backends.types import Fixed, GIGStatus

FREE = Fixed()
logs = st.floats(-4.0, 4.0).map(lambda x: 10.0**x)


def moments(backend, p, a, b):
    columns = backend.gig_moments(*(np.array([float(x)]) for x in (p, a, b)))
    return tuple(float(column[0]) for column in columns)


def integral(p, a, b, weight):
    """Integral of weight(y) y^(p-1) exp(-(a y + b / y) / 2) by mpmath's own quadrature."""
    with mp.workdps(30):
        centre = (p + mp.sqrt(p * p + a * b)) / a
        limits = [mp.mpf(0), centre / 100, centre / 3, centre, 3 * centre, 100 * centre, mp.inf]
        return mp.quad(lambda y: weight(y) * y ** (p - 1) * mp.exp(-(a * y + b / y) / 2), limits)


@pytest.mark.parametrize(
    ("p", "a", "b"), [(-0.5, 1.5, 1.5), (1.0, 0.3, 2.0), (-3.3, 2.0, 5.0), (7.0, 4.0, 0.1)]
)
def test_moments_by_quadrature(backend, p, a, b):
    norm = integral(p, a, b, lambda _: mp.mpf(1))
    expected = (
        mp.log(norm),
        integral(p, a, b, mp.log) / norm,
        integral(p, a, b, lambda y: 1 / y) / norm,
        integral(p, a, b, lambda y: y) / norm,
    )
    assert moments(backend, p, a, b) == pytest.approx([float(x) for x in expected], rel=2e-14)


TABLE = Path(__file__).with_name("reference") / "gig.csv"
MOMENTS = ("log_norm", "log_y", "inv_y", "y")
COVARIANCES = ("ll", "li", "ly", "ii", "iy", "yy")
ADDITIVE = ("log_norm", "log_y")


def table_of_laws(least):
    """Columns of the table by name, for products a b that are 0 or at least so much."""
    rows = np.genfromtxt(TABLE, delimiter=",", names=True)
    product = rows["a"] * rows["b"]
    normal = (np.maximum(rows["a"], rows["b"]) > 0.0) & ((product >= least) | (product == 0.0))
    for name in ("a", "b"):
        normal &= (rows[name] == 0.0) | (rows[name] > 1e-300)
    return {name: rows[name][normal] for name in rows.dtype.names}


def relative_error(name, found, exact):
    """Error relative to the value, to max(1, |value|) for logarithms; 0 where both overflow."""
    scale = np.maximum(1.0, np.abs(exact)) if name in ADDITIVE else np.abs(exact)
    held = np.isfinite(exact) & (scale > 1e-290) & (scale < 1e290)
    np.testing.assert_array_equal(found[np.isinf(exact)], exact[np.isinf(exact)])
    return np.abs(found[held] - exact[held]) / scale[held]


def test_moments_and_covariances_keep_the_promise():
    rows = table_of_laws(least=0.0)
    laws = [rows[name] for name in "pab"]
    assert laws[0].size >= 1000
    cpu = get_backend("cpu")
    for name, found in zip(MOMENTS, cpu.gig_moments(*laws), strict=True):
        assert relative_error(name, found, rows[name]).max() <= 6e-15
    matrices = cpu.gig_covariances(*laws)
    for name, i, j in zip(COVARIANCES, (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2), strict=True):
        assert relative_error(name, matrices[:, i, j], rows[name]).max() <= 3e-14


@needs_jax
def test_jax_moments_against_the_table():
    rows = table_of_laws(least=1e-20)
    found = get_backend("jax").gig_moments(*(rows[name] for name in "pab"))
    for name, values in zip(MOMENTS, found, strict=True):
        # The log-norm of JAX is rounded on the scale of its terms.
        assert relative_error(name, values, rows[name]).max() <= 1e-11


@pytest.mark.parametrize("p", [0.3, 0.5, 0.999, 1.0, 1.5, 20.0, 1000.0])
def test_no_jump_at_the_gamma_limits(p):
    cpu = get_backend("cpu")
    exact = moments(cpu, p, 2.0, 0.0)
    for b in (1e-320, 1e-300, 1e-120):
        near = moments(cpu, p, 2.0, b)
        # The second term of the expansion is of the order (a b)^p.
        for i in (0, 1, 3):
            assert near[i] == pytest.approx(exact[i], rel=1e-13 + 1e3 * (b / 2.0) ** p)
        mirrored = moments(cpu, -p, b, 2.0)
        assert (mirrored[1], mirrored[2]) == pytest.approx((-near[1], near[3]), rel=1e-13)
    # Where the small-argument form takes over, neither value nor slope jumps.
    below, above = (moments(cpu, p, 2.0, 0.5e-22 * x) for x in (1.0 - 1e-9, 1.0 + 1e-9))
    assert below == pytest.approx(above, rel=1e-8)
    assert below[:2] == pytest.approx(above[:2], rel=1e-9)


def test_improper_laws_have_no_norm(backend):
    assert moments(backend, -1.0, 1.0, 0.0)[0] == np.inf
    assert moments(backend, 0.0, 0.0, 1.0)[0] == np.inf
    assert np.isnan(moments(backend, 1.0, -1.0, 1.0)[0])
    for p, a, b in [(np.nan, 1.0, 1.0), (1.0, np.nan, 1.0), (1.0, 1.0, np.nan)]:
        assert np.isnan(moments(backend, p, a, b)[0])


@given(st.floats(-30.0, 30.0), logs, logs)
def test_moments_obey_jensen_and_scaling(p, a, b):
    cpu = get_backend("cpu")
    log_z, log_y, inv_y, y = moments(cpu, p, a, b)
    assert y * inv_y >= 1.0
    assert -np.log(inv_y) <= log_y <= np.log(y)
    # a E[Y] - b E[1/Y] = 2 p, by parts
    assert a * y - b * inv_y == pytest.approx(2.0 * p, rel=1e-12, abs=1e-12 * (a * y + b * inv_y))
    scaled = moments(cpu, p, a / 7.0, b * 7.0)
    assert scaled[0] == pytest.approx(log_z + p * np.log(7.0), rel=1e-12, abs=1e-12)
    assert scaled[3] == pytest.approx(7.0 * y, rel=1e-13)


@pytest.mark.parametrize("theta", [(50.0, 1.0, 1.0), (-200.0, 1.0, 0.1), (30.0, 1e-3, 1e-3)])
def test_large_orders_are_solved(backend, theta):
    eta = moments(backend, *theta)[1:]
    found, status = backend.gig_fit(eta, FREE, "newton", None)
    assert status <= GIGStatus.INVERSE_GAMMA
    assert moments(backend, *found)[1:] == pytest.approx(eta, rel=1e-9)


@given(st.floats(-300.0, 300.0), logs, logs)
def test_fit_inverts_moments(p, a, b):
    cpu = get_backend("cpu")
    eta = moments(cpu, p, a, b)[1:]
    theta, status = cpu.gig_fit(eta, FREE, "newton", None)
    assert status <= GIGStatus.INVERSE_GAMMA
    again = moments(cpu, *theta)[1:]
    assert again[0] == pytest.approx(eta[0], rel=1e-9, abs=1e-9)
    assert again[1:] == pytest.approx(eta[1:], rel=1e-8)


@given(st.floats(-8.0, 6.0), st.floats(-0.999, 0.999), st.floats(-3.0, 3.0))
def test_any_feasible_eta_is_solved_or_lands_on_its_boundary(log_spread, share, log_scale):
    spread, s = 10.0**log_spread, 10.0**log_scale
    m = np.sqrt(1.0 + spread)
    eta = (share * np.log(m) + np.log(s), m / s, m * s)
    cpu = get_backend("cpu")
    theta, status = cpu.gig_fit(eta, FREE, "newton", None)
    assert status in {GIGStatus.INTERIOR, GIGStatus.GAMMA, GIGStatus.INVERSE_GAMMA}
    _, log_y, inv_y, y = moments(cpu, *theta)
    assert log_y == pytest.approx(eta[0], rel=1e-9, abs=1e-9)
    # On a boundary the multiplier of the missing coordinate has the right sign.
    if status != GIGStatus.INVERSE_GAMMA:
        assert y == pytest.approx(eta[2], rel=1e-8)
        assert inv_y <= eta[1] * (1.0 + 1e-8)
    if status != GIGStatus.GAMMA:
        assert inv_y == pytest.approx(eta[1], rel=1e-8)
        assert y <= eta[2] * (1.0 + 1e-8)


def test_ten_thousand_expectations():
    """Spreads E[Y] E[1/Y] - 1 from 1e-10 to 1e8, interiors and both boundaries: 1e-9 relative."""
    rng, n, cpu = np.random.default_rng(0), 5000, get_backend("cpu")
    m = np.sqrt(1.0 + 10.0 ** rng.uniform(-10.0, 8.0, n))
    s = 10.0 ** rng.uniform(-3.0, 3.0, n)
    anywhere = np.column_stack([rng.uniform(-1.0, 1.0, n) * np.log(m) + np.log(s), m / s, m * s])
    p = rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-2.0, 2.5, n)
    laws = (p, 10.0 ** rng.uniform(-6.0, 6.0, n), 10.0 ** rng.uniform(-6.0, 6.0, n))
    etas = np.concatenate([anywhere, np.transpose(cpu.gig_moments(*laws)[1:])])
    fits = [cpu.gig_fit(tuple(eta), FREE, "newton", None) for eta in etas]
    thetas, statuses = [theta for theta, _ in fits], np.array([status for _, status in fits])
    solved = (GIGStatus.INTERIOR, GIGStatus.GAMMA, GIGStatus.INVERSE_GAMMA)
    assert all((statuses == status).sum() > 1000 for status in solved)
    found = np.transpose(cpu.gig_moments(*np.transpose(thetas))[1:])
    assert np.isin(statuses, solved).all()
    log_error = np.abs(found[:, 0] - etas[:, 0]) / np.maximum(1.0, np.abs(etas[:, 0]))
    assert log_error.max() <= 1e-9
    excess = found[:, 1:] / etas[:, 1:] - 1.0
    # At b = 0 the law's E[1/Y] falls short of the target, at a = 0 its E[Y] does.
    exact = np.column_stack([statuses != GIGStatus.GAMMA, statuses != GIGStatus.INVERSE_GAMMA])
    assert np.abs(excess[exact]).max() <= 1e-9
    assert excess[~exact].max() <= 1e-9


def test_laws_whose_order_rounding_hides():
    """Large orders and nearly Gaussian laws: some law with the same moments is found."""
    rng, n, cpu = np.random.default_rng(1), 2000, get_backend("cpu")
    p = rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(0.0, 3.0, n)
    omega = 10.0 ** rng.uniform(-8.0, 10.0, n)
    etas = np.transpose(cpu.gig_moments(p, omega, omega)[1:])
    for eta in etas:
        theta, status = cpu.gig_fit(tuple(eta), FREE, "newton", None)
        assert status <= GIGStatus.INVERSE_GAMMA
        assert cpu.gig_law(theta)[1:] == pytest.approx(tuple(eta), rel=1e-8, abs=1e-8)
    near = GIG.from_expectation(GIG(-0.5, 1e8, 1e8).expectation_params())
    assert near.var() == pytest.approx(1e-8, rel=1e-6)


@pytest.mark.parametrize("c", [1e-300, 1e-160, 1e160, 1e300])
def test_units_do_not_matter_to_the_solve(c):
    law = GIG(1.0, 2.0, 3.0).scaled(c)
    assert GIG.from_expectation(law.expectation_params()).gig == pytest.approx(law.gig, rel=1e-9)


@pytest.mark.parametrize(
    ("backend", "method"),
    [
        ("cpu", "newton"),
        ("cpu", "lbfgs"),
        pytest.param("jax", "newton", marks=needs_jax),
        *(
            pytest.param("jax", method, marks=[needs_jax, pytest.mark.exhaustive])
            for method in ("lbfgs", "bfgs")
        ),
        exhaustive("cpu", "bfgs"),
    ],
    indirect=["backend"],
)
@pytest.mark.parametrize(
    "fixed", [Fixed(), Fixed(p=1.5), Fixed(p=-0.5), Fixed(b=0.0), Fixed(a=0.0)]
)
@pytest.mark.parametrize("theta", [(0.4, 1.3, 0.7), (-1.7, 0.4, 3.0), (5.0, 1e3, 1e3)])
def test_methods_and_backends_agree(backend, method, fixed, theta):
    eta = moments(backend, *theta)[1:]
    expected, _ = get_backend("cpu").gig_fit(eta, fixed, "newton", None)
    found, status = backend.gig_fit(eta, fixed, method, None)
    assert status <= GIGStatus.INVERSE_GAMMA
    # p and a, b trade off along the flat direction of a nearly Gaussian law.
    assert found == pytest.approx(expected, rel=1e-3 if theta[1] == 1e3 else 1e-5)
    assert moments(backend, *found)[3] == pytest.approx(moments(backend, *expected)[3], rel=1e-7)


@pytest.mark.parametrize("p", [1.5, -30.5])
def test_fixed_order_beyond_its_limit_lands_on_the_boundary(backend, p):
    theta, status = backend.gig_fit((np.nan, 3.0, 1.5), Fixed(p=p), "newton", None)
    assert status == (GIGStatus.GAMMA if p > 0.0 else GIGStatus.INVERSE_GAMMA)
    assert theta[2 if p > 0.0 else 1] == 0.0
    assert theta[0] == p


@needs_jax
def test_fixed_orders_share_a_program():
    import nvmix.backends.jax.backend as module

    sizes = []
    for p in (1.5, -30.5):
        get_backend("jax").gig_fit((np.nan, 3.0, 1.5), Fixed(p=p), "newton", None)
        sizes.append(module._gig_fit._cache_size())
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fixed_order_stays_where_doubles_end(sign):
    """E[1/Y] of 1000 at p = 1 asks for a b of 1e-391: it is 0 then, and a that of E[Y]."""
    eta = (-0.9, 1000.0, 0.9) if sign > 0.0 else (0.9, 0.9, 1000.0)
    (p, a, b), status = get_backend("cpu").gig_fit(eta, Fixed(p=sign), "newton", None)
    assert status == (GIGStatus.GAMMA if sign > 0.0 else GIGStatus.INVERSE_GAMMA)
    assert p == sign
    assert ((a, b) if sign > 0.0 else (b, a)) == (pytest.approx(2.0 / 0.9, rel=1e-14), 0.0)


@pytest.mark.parametrize(
    ("eta", "status"),
    [
        ((0.0, 0.5, 1.0), GIGStatus.INFEASIBLE),
        ((1.0, 2.0, 1.5), GIGStatus.INFEASIBLE),
        ((0.0, 1.0, 1.0), GIGStatus.DEGENERATE),
        ((0.0, np.inf, 1.0), GIGStatus.INFEASIBLE),
        ((np.nan, 2.0, 1.0), GIGStatus.INFEASIBLE),
    ],
)
def test_infeasible_expectations_have_a_status(backend, eta, status):
    assert backend.gig_fit(eta, FREE, "newton", None)[1] == status
    if np.isfinite(eta).all():
        with pytest.raises(ValueError, match="eta must be expectations of a GIG, got"):
            GIG.from_expectation(eta)


NO_LAWS = [(np.nan, 1.0, 1.0), (-np.nan, 1.0, 2.0), (1.0, np.inf, 1.0), (np.nan, np.nan, np.nan)]


@pytest.mark.parametrize("theta", NO_LAWS)
def test_no_law_has_no_covariance(theta):
    cpu = get_backend("cpu")
    assert np.isnan(cpu.gig_covariances(*(np.array([x]) for x in theta))).all()
    assert np.isnan(cpu.gig_law(theta)[1:]).any()
    assert cpu.gig_fit(theta, FREE, "newton", None)[1] == GIGStatus.INFEASIBLE
    # A nan made by the processor has its sign bit set, unlike numpy's.
    nan = float(np.array([0xFFF8000000000000], np.uint64).view(np.float64)[0])
    assert np.isnan(entry_points.gig_objective_entry(nan, nan, 1.0, (0.0, 0.1, 0.1))).all()
    for sign in (1.0, -1.0):
        nan = sign * np.array([np.nan])
        assert np.isnan(cpu.log_bessel_derivatives(nan, np.array([1.0]))).all()


def test_backends_agree_on_covariances(backend):
    inside = [(0.4, 1.3, 0.7), (-5.0, 2.0, 30.0), (12.0, 1.0, 1e-3)]
    for theta in [*inside, (1.5, 3.0, 0.0), (-4.5, 0.0, 2.0)]:
        found = backend.gig_covariances(*(np.array([x]) for x in theta))[0]
        np.testing.assert_allclose(
            found,
            get_backend("cpu").gig_covariances(*(np.array([x]) for x in theta))[0],
            rtol=1e-11,
        )


LAWS = [
    GIG(0.4, 1.3, 0.7),
    GIG(-2.0, 0.5, 3.0),
    Gamma(2.5, 1.5),
    InverseGamma(4.5, 2.0),
    InverseGaussian(1.3, 0.8),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
class TestExponentialFamily:
    def test_maps_invert(self, law):
        natural = type(law).from_natural(law.natural_params())
        assert natural.gig == pytest.approx(law.gig, rel=1e-14)
        expected = type(law).from_expectation(law.expectation_params())
        assert expected.gig == pytest.approx(law.gig, rel=1e-8)

    def test_gradient_and_hessian_of_the_log_partition(self, law):
        theta = law.natural_params()
        for i, step in enumerate(1e-5 * np.maximum(1.0, np.abs(theta))):
            shift = np.zeros_like(theta)
            shift[i] = step
            up, down = (type(law).from_natural(theta + s * shift) for s in (1, -1))
            slope = (up.log_partition() - down.log_partition()) / (2.0 * step)
            assert slope == pytest.approx(law.expectation_params()[i], rel=1e-8)
            rise = (up.expectation_params() - down.expectation_params()) / (2.0 * step)
            np.testing.assert_allclose(law.fisher_information()[i], rise, rtol=1e-7)

    def test_density_integrates_to_one(self, law):
        total, _ = quad(lambda t: np.exp(law.log_prob(np.exp(t)) + t), -40.0, 12.0, limit=200)
        assert total == pytest.approx(1.0, abs=1e-9)
        first, _ = quad(lambda t: np.exp(law.log_prob(np.exp(t)) + 2.0 * t), -40.0, 15.0, limit=200)
        assert first == pytest.approx(law.mean(), rel=1e-7)
        assert law.log_prob([-1.0, 0.0]).tolist() == [-np.inf, -np.inf]

    def test_variates_follow_the_law(self, law):
        grid = np.linspace(-25.0, 12.0, 20001)
        density = np.exp(law.log_prob(np.exp(grid)) + grid)
        cdf = cumulative_trapezoid(density, grid, initial=0.0)
        y = law.rvs(20000, seed=3)
        assert kstest(np.log(y), lambda t: np.interp(t, grid, cdf)).pvalue > 1e-3
        np.testing.assert_array_equal(y, law.rvs(20000, seed=np.random.default_rng(3)))

    def test_scaling(self, law):
        assert law.scaled(3.0).mean() == pytest.approx(3.0 * law.mean(), rel=1e-13)
        assert law.scaled(3.0).var() == pytest.approx(9.0 * law.var(), rel=1e-12)


EXTREMES = [
    (0.0, 1e-8, 1e-8),
    (0.0, 1.0, 1e-200),
    (0.01, 1.0, 1e-12),
    (-0.3, 1e-150, 1e-150),
    (2.5, 1e-8, 1e-8),
    (-40.0, 1.0, 1e-3),
    (30.0, 1e4, 1e4),
    (0.5, 1e9, 1e9),
    (0.3, 2.0, 0.0),
    (-3.0, 0.0, 2.0),
]


@pytest.mark.parametrize(("p", "a", "b"), EXTREMES)
def test_variates_at_extremes(p, a, b):
    law = GIG(p, a, b)
    t = np.log(law.rvs(20000, seed=0))
    mean, spread = law.expectation_params()[0], np.sqrt(law.fisher_information()[0, 0])
    # Fifteen standard deviations, as far as doubles reach.
    ends = np.clip((np.array([-700.0, 700.0]) - mean) / spread, -15.0, 15.0)
    t, grid = (t - mean) / spread, np.linspace(*ends, 200_001)
    log_density = law.log_prob(np.exp(mean + spread * grid)) + mean + spread * grid
    cdf = cumulative_trapezoid(spread * np.exp(log_density), grid, initial=0.0)
    assert cdf[-1] == pytest.approx(1.0, abs=1e-5)
    assert kstest(t, lambda x: np.interp(x, grid, cdf)).pvalue > 1e-3


def test_infinite_moments_are_infinite():
    assert InverseGamma(0.8, 1.0).mean() == np.inf
    assert InverseGamma(1.8, 1.0).var() == np.inf
    assert Gamma(0.8, 1.0).expectation_params()[1] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0.5, -1.0, 1.0), "a must not be negative, got -1.0"),
        ((-0.5, 1.0, 0.0), "b must be positive unless"),
        ((0.5, 0.0, 1.0), "a must be positive unless"),
        ((np.nan, 1.0, 1.0), "p must be finite, got nan"),
    ],
)
def test_gig_domain(arguments, match):
    with pytest.raises(ValueError, match=match):
        GIG(*arguments)


@pytest.mark.parametrize(
    ("backend", "p"),
    [
        *(("cpu", p) for p in (-30.5, 10.5, 30.5, 100.5)),
        # Each order compiles.
        *(pytest.param("jax", p, marks=needs_jax) for p in (-30.5, 100.5)),
    ],
    indirect=["backend"],
)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_large_orders_held_near_the_limit(p, share, backend):
    """Narrow laws whose b, or a, is a small part of the other; Newton overshot to the limit."""
    spread = share / (abs(p) - 1.0)
    fixed = Fixed(p=p)
    theta, status = backend.gig_fit((np.nan, 1.0 + spread, 1.0), fixed, "newton", None)
    assert status is GIGStatus.INTERIOR
    _, _, inv_y, y = backend.gig_law(theta)
    assert y == pytest.approx(1.0, rel=1e-9)
    assert inv_y == pytest.approx(1.0 + spread, rel=1e-9)


def test_a_solve_at_a_fixed_order_may_start_from_another(backend):
    eta = (0.2905971069660047, 1.5106862095566551, 1.947740222957932)
    start = (1.5024524454375487, 1.5358535111699216, 0.0001408544413322792)
    alone, status = backend.gig_fit(eta, Fixed(p=1.5), "newton", None)
    found, other = backend.gig_fit(eta, Fixed(p=1.5), "newton", start)
    assert status is other is GIGStatus.INTERIOR
    np.testing.assert_allclose(found, alone, rtol=1e-8)
