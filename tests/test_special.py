"""Bessel functions against mpmath tables, recurrences and limits, on every backend."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_jax
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import kve, kvp

from nvmix.special import kv_ratio, log_kv, log_kv_dv, log_kv_dz

TABLE = Path(__file__).with_name("reference") / "kv.csv"
BACKENDS = ["cpu", pytest.param("jax", marks=needs_jax)]
# Worst errors stored when the tables were made, doubled for other processors; they may only fall.
WORST = {"log_kv": 5e-15, "kv_ratio": 6e-15, "log_kv_dv": 1e-14}

orders = st.floats(-200.0, 200.0)
arguments = st.floats(-8.0, 8.0).map(lambda x: 10.0**x)


@pytest.fixture(scope="module")
def table():
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_log_kv(table, backend, sign):
    v, z, expected = table["v"], table["z"], table["log_kv"]
    # log K is the difference of v arcsinh(v / z) and r: that is the scale of its rounding.
    scale = np.maximum(1.0, v * np.arcsinh(v / z) + np.hypot(v, z))
    error = np.abs(log_kv(sign * v, z, backend=backend) - expected) / scale
    assert error.max() <= WORST["log_kv"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_kv_ratio(table, backend):
    error = np.abs(kv_ratio(table["v"], table["z"], backend=backend) / table["kv_ratio"] - 1.0)
    assert error.max() <= WORST["kv_ratio"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_log_kv_dv(table, backend, sign):
    expected = sign * table["log_kv_dv"]
    value = log_kv_dv(sign * table["v"], table["z"], backend=backend)
    assert (np.abs(value - expected) / np.maximum(1.0, np.abs(expected))).max() <= WORST[
        "log_kv_dv"
    ]


def test_the_table_is_what_the_generator_writes():
    path = TABLE.with_name("generate_kv.py")
    spec = importlib.util.spec_from_file_location("generate_kv", path)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows[::100]:
        values = generator.reference(float(row["v"]), float(row["z"]))
        for name, value in zip(("log_kv", "kv_ratio", "log_kv_dv"), values, strict=True):
            assert abs(generator.mp.mpf(row[name]) - value) <= 1e-22 * max(1, abs(value))


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
    z = np.array([0.0, -1.0, np.nan])
    np.testing.assert_array_equal(log_kv(1.0, z, backend=backend), [np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(log_kv_dv(0.0, z, backend=backend), [0.0, np.nan, np.nan])
    np.testing.assert_array_equal(log_kv_dv(-1.0, z, backend=backend), [-np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(log_kv_dz(1.0, z, backend=backend), [-np.inf, np.nan, np.nan])
    z = np.array([np.inf, 1.0, 1.0])
    v = np.array([1.0, np.nan, np.inf])
    np.testing.assert_array_equal(log_kv(v, z, backend=backend), [-np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(kv_ratio(v, z, backend=backend), [1.0, np.nan, np.nan])
    extreme = log_kv(np.array([0.0, 5.0, 1e5]), np.array([1e-140, 1e300, 1e-100]), backend=backend)
    assert np.isfinite(extreme).all()


def test_shapes_broadcast():
    assert log_kv(np.zeros((3, 1)), np.ones(4)).shape == (3, 4)
    assert log_kv(1.0, 2.0).shape == ()
    with pytest.raises(TypeError, match="z must hold real numbers"):
        log_kv(1.0, "two")
