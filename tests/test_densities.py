"""Log-densities keep their digits, and every finite double has one, on every backend."""

import importlib.util
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from conftest import HAS_JAX, exhaustive, make, needs_jax

from nvmix import (
    GIG,
    Gamma,
    GeneralizedHyperbolic,
    InverseGamma,
    InverseGaussian,
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
BACKENDS = ["cpu", pytest.param("jax", marks=needs_jax)]
# Largest errors relative to max(1, |value|), on any processor.
PROMISED = 1e-12
LARGEST = np.finfo(float).max
# From the least double to the largest.
SIZES = np.array([0.0, 5e-324, 1e-310, 1e-200, 1e-3, 1.0, 1e8, 1e77, 1e150, 1e153, 1e200, LARGEST])


def load(name):
    """A script of the reference folder as a module."""
    spec = importlib.util.spec_from_file_location(name, REFERENCE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


exact = load("generate_density")
TABLE = np.genfromtxt(
    REFERENCE / "density.csv", delimiter=",", names=True, dtype=None, encoding=None
)


def normal_of(d, size):
    mu, L, direction = (np.array(x) for x in exact.BLOCK[d])
    return NormalParameters(mu, size * direction, L)


def laws(d):
    """(p, a, b) and size of gamma of each law of d columns, with its points and log-densities."""
    rows = TABLE[TABLE["d"] == d]
    keys = [tuple(float(row[name]) for name in ("p", "a", "b", "gamma")) for row in rows]
    for key in dict.fromkeys(keys):
        own = rows[[key == other for other in keys]]
        points = np.column_stack([own[name] for name in ("x1", "x2", "x3")[:d]])
        yield key[:3], key[3], points, own["log_density"]


def log_prob(backend, X, normal, theta):
    chosen = get_backend(backend)
    return chosen.log_prob(chosen.place(np.asarray(X, float)), normal, theta)


def error(found, known):
    """Errors relative to max(1, |value|)."""
    return np.abs(found - known) / np.maximum(1.0, np.abs(known))


@pytest.mark.parametrize(
    ("backend", "d"),
    [
        *(("cpu", d) for d in exact.BLOCK),
        pytest.param("jax", 2, marks=needs_jax),
        *(pytest.param("jax", d, marks=[needs_jax, pytest.mark.exhaustive]) for d in (1, 3)),
    ],
)
def test_densities_keep_the_promise(backend, d):
    for theta, size, points, known in laws(d):
        normal = normal_of(d, size)
        # Rows repeated, so that JAX compiles once for each number of columns.
        X = np.resize(points, (64, d))
        found = log_prob(backend, X, normal, theta)[: len(points)]
        assert error(found, known).max() <= PROMISED, (theta, size)
        if backend == "cpu":
            # Few rows have no table.
            assert error(log_prob("cpu", points, normal, theta), known).max() <= PROMISED


@pytest.mark.parametrize(
    "backend", ["cpu", pytest.param("jax", marks=[needs_jax, pytest.mark.exhaustive])]
)
def test_e_steps_keep_the_promise(backend):
    chosen = get_backend(backend)
    for d in exact.BLOCK:
        for theta, size, points, known in laws(d):
            normal = normal_of(d, size)
            # Rows of one sign, which do not cancel in the sum.
            held = known < 0.0
            weights = np.resize(held.astype(float), 64)
            weights[len(points) :] = 0.0
            # Rows beyond are no data.
            weights[: len(points)] *= np.abs(points).max(axis=1) < 1e130
            placed = chosen.place(np.resize(points, (64, d)), weights=weights)
            found = chosen.e_step(placed, normal, theta).log_likelihood
            total = (weights[: len(points)] * known).sum()
            assert abs(found - total) <= PROMISED * max(1.0, abs(total)), (theta, size)


def test_a_table_of_many_rows_keeps_the_promise():
    for theta, size, points, known in laws(1):
        X = np.resize(points, (1000, 1))
        found = log_prob("cpu", X, normal_of(1, size), theta)
        assert error(found, np.resize(known, 1000)).max() <= PROMISED, (theta, size)


def test_the_table_is_that_of_its_script():
    for row in TABLE[:: len(TABLE) // 12]:
        d = int(row["d"])
        theta = tuple(float(row[name]) for name in "pab")
        x = [float(row[f"x{i + 1}"]) for i in range(d)]
        with mp.workdps(700):
            value = float(exact.log_density(theta, float(row["gamma"]), x))
        assert value == pytest.approx(row["log_density"], rel=1e-15)


def test_the_heavy_side_of_a_skewed_law():
    model = NormalInverseGamma.from_classical(mu=0.0, gamma=1.0, sigma=1.0, alpha=2.0, beta=2.0)
    assert model.log_prob(1e10) == pytest.approx(-67.6912584286015, rel=1e-14)
    assert model.pdf(1e20) == pytest.approx(3.99e-60, rel=1e-2)


@pytest.mark.parametrize(
    ("backend", "d"),
    [
        ("cpu", 1),
        ("cpu", 2),
        pytest.param("jax", 1, marks=[needs_jax, pytest.mark.exhaustive]),
        pytest.param("jax", 2, marks=needs_jax),
    ],
)
def test_every_finite_row_has_a_log_density(family, backend, d):
    model = make(family, d)
    grid = np.concatenate([SIZES, -SIZES])
    X = np.stack(np.meshgrid(*[grid] * d), axis=-1).reshape(-1, d)
    found = log_prob(backend, X, model.normal, model.subordinator.gig)
    assert not np.isnan(found).any()
    # The densities are bounded.
    assert (found < 10.0).all()
    if backend == "cpu":
        np.testing.assert_array_equal(model.log_prob(X), found)
    # Skewed, symmetric and tiny scales.
    for gamma, scale in ((0.0, 1.0), (1e100, 1.0), (1.0, 1e-100)):
        normal = NormalParameters(model.mu, np.full(d, gamma), scale * model.L_sigma)
        found = log_prob(backend, X, normal, model.subordinator.gig)
        assert not np.isnan(found).any()
        assert (found < 1000.0).all()


def test_far_rows_of_symmetric_laws_follow_their_tails(backend):
    # Two columns, so that JAX has the program of other tests.
    block = {"mu": np.zeros(2), "gamma": np.zeros(2), "sigma": np.eye(2)}
    tail = NormalInverseGamma.from_classical(**block, alpha=1.5, beta=1.5)
    x = np.array([1e100, 1e200, 1e300])
    X = np.column_stack([x, np.zeros(3)])
    found = log_prob(backend.name, X, tail.normal, tail.subordinator.gig)
    # f(x, 0) is proportional to x^-5.
    np.testing.assert_allclose(np.diff(found), -500.0 * math.log(10.0), rtol=1e-14)
    line = NormalInverseGaussian.from_classical(**block, mu_ig=1.0, lam=1.0)
    found = log_prob(backend.name, X, line.normal, line.subordinator.gig)
    np.testing.assert_allclose(found, -x, rtol=1e-14)


def test_rows_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="x must be finite, got inf at index"):
        make(VarianceGamma).log_prob([[1.0, np.inf]])


def test_a_missing_value_leaves_the_marginal_density():
    model = NormalInverseGamma.from_classical(
        mu=[0.0, 0.5], gamma=[1.0, 2.0], sigma=[[1.0, 0.3], [0.3, 2.0]], alpha=2.0, beta=2.0
    )
    first = NormalInverseGamma.from_classical(mu=0.0, gamma=1.0, sigma=1.0, alpha=2.0, beta=2.0)
    cpu = get_backend("cpu")
    for x in (1e6, 1e10, 1e16, 1e30):
        placed = cpu.place(np.array([[x, np.nan]]), missing=True)
        found = cpu.e_step(placed, model.normal, model.subordinator.gig).log_likelihood
        assert found == pytest.approx(first.log_prob(x), rel=1e-13)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_limits_at_the_singularity_of_a_variance_gamma(backend, alpha):
    model = VarianceGamma.from_classical(
        mu=[0.5, 1.0], gamma=[0.2, 0.1], sigma=np.eye(2), alpha=alpha, beta=1.0
    )
    found = backend.e_step(backend.place(model.mu[None, :]), model.normal, model.subordinator.gig)
    assert (found.log_y, found.inv_y, found.y) == (-np.inf, np.inf, 0.0)
    assert found.log_likelihood == np.inf
    np.testing.assert_array_equal(found.x, 0.0)
    # The mirror image, which has its mass at infinity.
    log_z, log_y, inv_y, y = backend.gig_moments(*(np.array([x]) for x in (0.3, 0.0, 2.0)))
    assert (log_z[0], log_y[0], inv_y[0], y[0]) == (np.inf, np.inf, 0.0, np.inf)


class TestSubordinators:
    def test_narrow_inverse_gaussians(self):
        assert InverseGaussian(1.0, 1e12).log_prob(1.0) == pytest.approx(
            12.8965720247596, rel=1e-14
        )
        for mu_ig in (1.0, 3.0):
            for lam in (1e-3, 1.0, 1e6, 1e12, 1e16):
                y = mu_ig * (1.0 + np.array([0.0, 0.5, -0.9, 3.0]) * min(1.0, (mu_ig / lam) ** 0.5))
                with mp.workdps(50):
                    mean, shape = mp.mpf(mu_ig), mp.mpf(lam)
                    known = [
                        mp.log(shape / (2 * mp.pi * t**3)) / 2
                        - shape * (t - mean) ** 2 / (2 * mean**2 * t)
                        for t in map(mp.mpf, y.tolist())
                    ]
                found = InverseGaussian(mu_ig, lam).log_prob(y)
                assert error(found, np.array(known, float)).max() <= 1e-14

    @pytest.mark.parametrize("p", [-1e5, -3.0, -0.5, 0.0, 0.7, 40.0, 1e8])
    @pytest.mark.parametrize("z", [1e-30, 1e-3, 1.0, 1e4, 1e10, 1e16])
    def test_laws_of_any_width(self, backend, p, z):
        a, b = 1.25 * z, 0.75 * z
        r = math.hypot(p, math.sqrt(a * b))
        mode = (p + r) / a if p >= 0.0 else b / (r - p)
        width = min(0.9, r**-0.5)
        y = mode * np.array([1.0, 1.0 + width, 1.0 - width, 7.0, 0.01, 1e10])
        self.check(backend, (p, a, b), y)

    @pytest.mark.parametrize("alpha", [0.1, 3.0, 1e4, 1e14])
    def test_gamma_laws_of_any_width(self, backend, alpha):
        y = np.array([1.0, 1.0 + min(0.5, alpha**-0.5), 3.0, 0.1])
        self.check(backend, (alpha, 2.0 * alpha, 0.0), y)
        self.check(backend, (-alpha, 0.0, 2.0 * alpha), y)
        assert Gamma(alpha, alpha).log_prob(LARGEST) < -1e300
        assert not np.isnan(InverseGamma(alpha, alpha).log_prob([5e-324, 1e-300, LARGEST])).any()

    def test_ends_of_a_law_next_to_a_limit(self, backend):
        y = np.array([1e-304, 1e-202, 1.0, 1e304])
        self.check(backend, (0.0, 1.0, 1e-200), y)
        self.check(backend, (0.0, 1e-200, 1.0), 1.0 / y)

    @staticmethod
    def check(backend, theta, y):
        with mp.workdps(120):
            p, a, b = map(mp.mpf, theta)
            log_norm = exact._log_norm(p, a, b)
            points = [mp.mpf(t) for t in y.tolist()]
            known = [(p - 1) * mp.log(t) - (a * t + b / t) / 2 - log_norm for t in points]
        found = backend.gig_log_density(y, theta)
        assert error(found, np.array(known, float)).max() <= 2e-14

    def test_parameters_that_leave_the_range_of_doubles(self):
        message = (
            "mu_ig and lam must leave a of the GIG in the range of doubles, got .*mu_ig=1e-300"
        )
        with pytest.raises(ValueError, match=message):
            InverseGaussian(1e-300, 1.0)
        for refused in (
            lambda: InverseGaussian(1e200, 1.0),
            lambda: Gamma(1.0, 1e308),
            lambda: InverseGamma(1.0, 1e308),
        ):
            with pytest.raises(ValueError, match=r"range of doubles, got .*1e\+[23]0"):
                refused()
        assert np.isfinite(InverseGaussian(1e-100, 1e100).log_prob(1e-100))
        assert np.isfinite(GIG(0.5, 1e300, 1e300).log_prob(1.0))


@needs_jax
@pytest.mark.usefixtures("quick_programs")
class TestDerivatives:
    @pytest.mark.parametrize(
        "family",
        [exhaustive(GeneralizedHyperbolic), exhaustive(VarianceGamma)],
        ids=lambda family: family.__name__,
    )
    def test_gradients_are_finite(self, family):
        with jax.enable_x64(True):
            model = make(family)
            X = jnp.array([[1.0, 2.0], [1e10, -1e10], [1e200, 1.0], [0.0, -LARGEST]])
            by_x = jax.grad(lambda X: model.log_prob(X)[:3].sum())(X)
            by_model = jax.grad(lambda model: model.log_prob(X)[:2].sum())(model)
            for leaf in jax.tree.leaves((by_x, by_model)):
                assert np.isfinite(leaf).all()
            step = 1e-5
            ahead, behind = (model.log_prob(X.at[0, 0].add(h))[0] for h in (step, -step))
            slope = float(ahead - behind) / (2.0 * step)
            assert float(by_x[0, 0]) == pytest.approx(slope, rel=1e-8)

    def test_gradients_far_from_a_skewed_law(self):
        with jax.enable_x64(True):
            model = NormalInverseGamma.from_classical(
                mu=0.0, gamma=1.0, sigma=1.0, alpha=2.0, beta=2.0
            )
            slope = jax.vmap(jax.grad(model.log_prob))(jnp.array([1e10, 1e50, 1e300, -1e300]))
            np.testing.assert_allclose(slope, [-3e-10, 0.0, 0.0, 2.0], atol=1e-12)

    def test_laws_of_y(self):
        with jax.enable_x64(True):
            for law in (GIG(0.3, 1.0, 2.0), InverseGaussian(1.0, 1e6), Gamma(2.0, 3.0)):
                p, a, b = law.gig
                slope = jax.grad(law.log_prob)(1.25)
                assert slope == pytest.approx((p - 1.0) / 1.25 - 0.5 * (a - b / 1.25**2), rel=1e-12)

    def test_batches(self):
        with jax.enable_x64(True):
            model = GeneralizedHyperbolic.from_classical(
                mu=[0.0, 1.0], gamma=[1.0, 0.5], sigma=np.eye(2), p=0.4, a=1.0, b=1e4
            )
            X = jnp.array([[1.0, 2.0], [1e10, 5e9], [1e30, 5e29], [-1e200, 0.0]])
            np.testing.assert_allclose(
                jax.vmap(model.log_prob)(X), model.log_prob(np.asarray(X)), rtol=1e-13
            )


@pytest.mark.parametrize(
    ("scale", "value"),
    [(1.0, -2835.5885), (1e-5, -2870.127), (1e-15, -2939.205), (1e-16, -2946.113)],
)
def test_students_t_beyond_the_largest_double(scale, value):
    """|x - mu| / sigma overflows, log f does not: it falls as log|x|."""
    law = NormalInverseGamma.from_classical(
        mu=[0.0], gamma=[0.0], sigma=[[scale * scale]], alpha=1.5, beta=1.5
    )
    assert law.log_prob([1e308]) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize(
    ("alpha", "w", "value"),
    [
        (0.3, 1e-155, 142.40823249615087),
        (0.3, 1e-170, 156.22374305411514),
        (0.3, 5e-324, 297.42398549907255),
        (0.5, 1e-162, 5.122560023954763),
        (0.5, 1e-300, 5.7391659988279779),
    ],
)
def test_next_to_a_pole_where_the_square_of_w_underflows(alpha, w, value):
    """The values are of the Bessel function by mpmath, with 60 digits."""
    law = VarianceGamma.from_classical(mu=[0.0], gamma=[0.7], sigma=[[1.0]], alpha=alpha, beta=1.0)
    assert law.log_prob([w]) == pytest.approx(value, rel=1e-14)
    assert law.log_prob([0.0]) == np.inf


@pytest.mark.parametrize(
    ("g", "a", "value"),
    [(1e160, 1e-100, -889.80312353127862), (1e100, 1e-300, -1267.4270787823021)],
)
def test_at_mu_where_the_square_of_g_over_a_overflows(g, a, value):
    """The values are by mpmath, with 700 digits."""
    law = VarianceGamma.from_classical(mu=[0.0], gamma=[g], sigma=[[1.0]], alpha=1.3, beta=0.5 * a)
    assert law.log_prob([0.0]) == pytest.approx(value, rel=1e-14)
