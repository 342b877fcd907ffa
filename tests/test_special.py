"""Bessel functions against mpmath tables, recurrences and limits, on every backend."""

import importlib.util
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from conftest import needs_jax
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import kve, kvp, polygamma

from nvmix.backends import get_backend
from nvmix.backends.cpu.kernels.bessel import peak
from nvmix.special import (
    kv_ratio,
    log_kv,
    log_kv_dv,
    log_kv_dv2,
    log_kv_dvdz,
    log_kv_dz,
    log_kv_dz2,
)

REFERENCE = Path(__file__).with_name("reference")
BACKENDS = ["cpu", pytest.param("jax", marks=needs_jax)]
FUNCTIONS = (log_kv, kv_ratio, log_kv_dv, log_kv_dv2, log_kv_dvdz, log_kv_dz2)
orders = st.floats(-200.0, 200.0)
arguments = st.floats(-8.0, 8.0).map(lambda x: 10.0**x)


def load(name):
    """A script of the reference folder as a module."""
    spec = importlib.util.spec_from_file_location(name, REFERENCE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


errors = load("errors")


@pytest.fixture(scope="module")
def table():
    return errors.read_table()


@pytest.mark.parametrize("name", errors.FUNCTIONS)
def test_errors_keep_the_promise(table, name):
    assert table["v"].size >= 5000
    assert errors.error(name, table).max() <= errors.PROMISED[name]
    # Ratios of negative orders have a test of their own.
    if name != "kv_ratio":
        assert errors.error(name, table, sign=-1.0).max() <= errors.PROMISED[name]


# Both sides of the arguments and orders at which closed forms give way to the quadrature.
SEAMS = (1e-11, 2.0**-27)
ORDERS = (0.0, 1e-12, 1e-3, 0.1, 0.2499, 0.25, 0.5, 0.75, np.nextafter(0.75, 1.0), 1.0, 1.7, 3.0)


@pytest.mark.parametrize("z", [x for seam in SEAMS for x in (seam, np.nextafter(seam, 1.0))])
def test_no_function_jumps_where_the_closed_forms_end(z):
    kv = load("generate_kv")
    rows = [(v, z, *map(float, kv.reference(v, z))) for v in ORDERS]
    table = dict(zip(("v", "z", *kv.COLUMNS), np.array(rows).T, strict=True))
    for name in errors.FUNCTIONS:
        assert errors.error(name, table).max() <= errors.PROMISED[name]
    with mpmath.workdps(60):
        orders = [mpmath.mpf(v) for v in ORDERS]
        expected = [float(mpmath.besselk(1 - v, z) / mpmath.besselk(v, z)) for v in orders]
    np.testing.assert_allclose(kv_ratio(-np.array(ORDERS), z), expected, rtol=3e-15)


def test_ratio_of_negative_orders(table):
    near = table["v"] < 1e3
    v, z = table["v"][near], table["z"][near]
    # K_{1-v} / K_v, by the ratio of the order below
    expected = np.where(v >= 1.0, 1.0 / kv_ratio(v - 1.0, z), kv_ratio(-v, z))
    np.testing.assert_allclose(kv_ratio(-v, z), expected, rtol=1e-14)
    middle = (v < 1.0) & (z > 1e-100)
    left = kv_ratio(v[middle], z[middle]) - kv_ratio(-v[middle], z[middle])
    scale = kv_ratio(v[middle], z[middle])
    assert np.max(np.abs(left - 2.0 * v[middle] / z[middle]) / scale) <= 1e-14


# Arguments below these are out of the reach of the quadrature on JAX, or of doubles.
JAX_LEAST = 1e-140
JAX_PROMISED = {
    "log_kv": 1e-14,
    "kv_ratio": 5e-14,
    "log_kv_dv": 1e-13,
    "log_kv_dz": 1e-13,
    "log_kv_dv2": 1e-12,
    "log_kv_dvdz": 1e-12,
    "log_kv_dz2": 1e-12,
}


@pytest.fixture(scope="module")
def derivatives_once():
    """The four derivatives are pieces of one answer of a backend, which is remembered here."""
    backend, known = type(get_backend("jax")), {}
    compute = backend.log_bessel_derivatives

    def remembered(self, v, z):
        key = v.tobytes(), z.tobytes()
        if key not in known:
            known[key] = compute(self, v, z)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "log_bessel_derivatives", remembered)
        yield


@needs_jax
@pytest.mark.parametrize("name", errors.FUNCTIONS)
def test_jax_errors(table, name, derivatives_once):
    inner = {key: x[table["z"] >= JAX_LEAST] for key, x in table.items()}
    # Ratios of negative orders cancel.
    signs = 1.0 if name == "kv_ratio" else np.resize([1.0, -1.0], inner["v"].size)
    assert errors.error(name, inner, signs, backend="jax").max() <= JAX_PROMISED[name]


@pytest.mark.parametrize("generator", ["kv", "gig"])
def test_the_tables_are_what_the_generators_write(generator):
    reference = load(f"generate_{generator}").reference
    columns = errors.read_table(REFERENCE / f"{generator}.csv")
    columns.pop("region", None)
    parameters = ("v", "z") if generator == "kv" else ("p", "a", "b")
    names = [name for name in columns if name not in parameters]
    for i in range(0, columns[names[0]].size, 400):
        values = reference(*(columns[name][i] for name in parameters))
        for name, value in zip(names, values, strict=True):
            assert columns[name][i] == pytest.approx(float(value), rel=3e-16)


@pytest.mark.parametrize("v", [0.0, 0.08, 0.3, 2.5, -3.2, 10.0, 10.1, 100.0, -1e3, 1e5])
def test_tables_of_one_order_agree_with_direct_kernels(v):
    rng = np.random.default_rng(0)
    # All over the table, and about the zero of log K.
    zero = max(abs(v), 0.5) / math.sinh(peak._CROSSING)
    z = np.concatenate([10.0 ** rng.uniform(-9.0, 9.0, 20_000), zero * rng.uniform(0.9, 1.1, 5000)])
    orders = np.full(z.size, v)
    expected = log_kv(orders, z)
    found = log_kv(v, z)
    assert (found != expected).any()
    assert np.max(np.abs(found - expected) / np.maximum(1.0, np.abs(expected))) <= 4e-15
    np.testing.assert_allclose(kv_ratio(v, z), kv_ratio(orders, z), rtol=4e-15)


def test_a_value_does_not_depend_on_its_neighbours():
    z = np.full(5000, 2.3)
    alone = log_kv(0.7, z)[10]
    z[:6] = 0.0, np.nan, np.inf, 1e-12, -1.0, 1e300
    assert log_kv(0.7, z)[10] == alone


def test_small_negative_orders_at_tiny_arguments():
    # K_{1-w} / K_w of two terms each, by mpmath
    for v, z in [(-0.0074761191207873, 9.170566716939603e-292), (-0.3, 1e-300), (-0.5, 1e-200)]:
        with mpmath.workdps(60):
            w, half = -mpmath.mpf(v), mpmath.mpf(z) / 2

            def k(v, half=half):
                """K_v at a vanishing argument."""
                terms = mpmath.gamma(v) * half ** (-v), mpmath.gamma(-v) * half**v
                return sum(terms) / 2

            expected = float(k(1 - w) / k(w))
        assert kv_ratio(v, z) == pytest.approx(expected, rel=1e-14)


def test_subnormal_arguments():
    exact = math.log(12.0) + 5.0 * (math.log(2.0) - math.log(1e-308))
    assert log_kv(5.0, 1e-308) == pytest.approx(exact, rel=1e-14)
    for function in FUNCTIONS:
        assert not np.isnan(function([0.0, 0.3, 5.0], [1e-308, 5e-324, 1e-310])).any()
    assert log_kv_dz(5.0, 1.2e-308) == -np.inf


def test_constants_of_the_crossing():
    with mpmath.workdps(40):
        t = mpmath.findroot(lambda x: x * mpmath.tanh(x) - 1, 1.2)
        assert float(t) == peak._CROSSING
        assert float(mpmath.cosh(t)) == peak._COSH
        assert float(mpmath.sinh(t)) == peak._SINH
        assert float(mpmath.sinh(t) - peak._SINH) == pytest.approx(peak._SINH_LOW, rel=1e-12)


@given(orders, arguments)
def test_reflection_and_recurrence(v, z):
    assert log_kv(v, z) == pytest.approx(log_kv(-v, z), rel=1e-15)
    assert kv_ratio(v, z) * kv_ratio(-v - 1.0, z) == pytest.approx(1.0, rel=2e-14)
    # K_{v+1} - K_{v-1} = 2 v K_v / z (DLMF 10.29.1)
    left = kv_ratio(v, z) - 1.0 / kv_ratio(v - 1.0, z)
    assert left == pytest.approx(2.0 * v / z, rel=1e-13, abs=2e-14 * kv_ratio(abs(v), z))


@given(st.floats(0.0, 100.0), arguments)
def test_ratio_bounds(v, z):
    # Ruiz-Antolin and Segura, J. Math. Anal. Appl. 443 (2016): order v + 1/2 bounds
    ratio = float(kv_ratio(v, z))
    assert (v + np.hypot(v, z)) / z * (1 - 1e-14) <= ratio
    assert ratio <= (v + 0.5 + np.hypot(v + 0.5, z)) / z * (1 + 1e-14)


def test_scipy_where_it_neither_overflows_nor_underflows():
    v, z = np.meshgrid(np.linspace(0.0, 40.0, 81), np.geomspace(0.1, 500.0, 60))
    np.testing.assert_allclose(log_kv(v, z), np.log(kve(v, z)) - z, rtol=2e-13, atol=2e-13)
    z = np.geomspace(0.1, 50.0, 30)
    np.testing.assert_allclose(log_kv_dz(1.3, z), kvp(1.3, z) / np.exp(log_kv(1.3, z)), rtol=1e-12)


def test_half_integers_in_closed_form():
    z = np.geomspace(1e-8, 1e8, 50)
    expected = 0.5 * np.log(np.pi / (2.0 * z)) - z
    np.testing.assert_allclose(log_kv(0.5, z), expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(kv_ratio(0.5, z), 1.0 + 1.0 / z, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ends_of_the_domain(backend):
    z, nan, inf = np.array([0.0, np.inf, -1.0, np.nan]), np.nan, np.inf
    expected = {
        log_kv: [inf, -inf, nan, nan],
        kv_ratio: [inf, 1.0, nan, nan],
        log_kv_dv: [-inf, 0.0, nan, nan],
        log_kv_dv2: [float(polygamma(1, 1.5)), 0.0, nan, nan],
        log_kv_dvdz: [inf, 0.0, nan, nan],
        log_kv_dz: [-inf, -1.0, nan, nan],
        log_kv_dz2: [inf, 0.0, nan, nan],
    }
    for function, values in expected.items():
        np.testing.assert_allclose(function(-1.5, z, backend=backend), values, rtol=1e-14)
        assert np.isnan(function([nan, inf, nan, inf], [1.0, 1.0, 0.0, 0.0], backend=backend)).all()
    for function, value in ((log_kv_dv, 0.0), (log_kv_dv2, inf), (log_kv_dvdz, 0.0)):
        np.testing.assert_array_equal(function(np.zeros(4), 0.0, backend=backend), value)


@given(orders, arguments)
def test_second_derivatives_obey_the_bessel_equation(v, z):
    # (log K)'' + (log K)'^2 + (log K)' / z = 1 + v^2 / z^2 (DLMF 10.25.1)
    slope = float(log_kv_dz(v, z))
    right = 1.0 + (v / z) ** 2
    left = float(log_kv_dz2(v, z)) + slope * slope + slope / z
    assert left == pytest.approx(right, rel=1e-13, abs=1e-13 * (slope * slope - slope / z))
    # d/dv of K_{v+1} / K_v = v / z - (log K)', whose order derivative is 1 / z - d2/dvdz
    ratio_slope = (log_kv_dv(v + 1.0, z) - log_kv_dv(v, z)) * kv_ratio(v, z)
    scale = kv_ratio(v, z) * (1.0 + abs(log_kv_dv(v, z)))
    assert abs(ratio_slope - (1.0 / z - log_kv_dvdz(v, z))) <= 1e-13 * scale + 1e-13 / z


def test_shapes_broadcast():
    assert log_kv(np.zeros((3, 1)), np.ones(4)).shape == (3, 4)
    assert log_kv(1.0, 2.0).shape == ()
    assert log_kv(1.0, [2.0]).shape == (1,)
    assert kv_ratio([1.0], 2.0).shape == (1,)
    assert log_kv_dv(1.0, []).shape == (0,)
    with pytest.raises(TypeError, match="z must hold real numbers"):
        log_kv(1.0, "two")
