"""The sums that accelerators take for many rows, on this device, against those of blocks."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp

from nvmix.backends.jax.em import e_step
from nvmix.backends.jax.em.rows import Rows
from nvmix.backends.jax.em.streamed import MANY, streamed_sums
from nvmix.backends.jax.gig.moments import log_norm
from nvmix.backends.types import NormalParameters


def _problem(n: int, d: int) -> tuple[Rows, NormalParameters]:
    """Rows of a seed, some of weight 0, and a skewed model."""
    rng = np.random.default_rng(d)
    L = np.tril(rng.normal(size=(d, d)) / d) + np.eye(d)
    y = np.exp(rng.normal(size=(n, 1)))
    X = 1.0 + 0.3 * y + np.sqrt(y) * rng.normal(size=(n, d)) @ L.T
    weights = rng.choice([0.0, 1.0, 2.5], size=n)
    return Rows(X, weights), NormalParameters(np.ones(d), np.full(d, 0.3), L)


def _elsewhere(*arguments: Any) -> Any:
    """Sums that stand for those taken the other way."""
    shapes = jax.eval_shape(e_step._block_sums, *arguments)
    return jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), shapes)


# A program for each number of columns.
_streamed = jax.jit(lambda *arguments: streamed_sums(*arguments, _elsewhere))
_usual = jax.jit(e_step._block_sums)
_log_norm = jax.jit(log_norm)


def _arguments(rows: Rows, normal: NormalParameters, theta: Any) -> Any:
    """What the sums are of."""
    rows, normal, theta = jax.tree.map(jnp.asarray, (rows, normal, jnp.asarray(theta)))
    return rows, normal, theta, _log_norm(*theta)


def _goes_elsewhere(rows: Rows, normal: NormalParameters, theta: Any) -> bool:
    """Whether the sums are taken the other way."""
    with jax.enable_x64(True):
        return bool(np.isnan(_streamed(*_arguments(rows, normal, theta))[0]))


@pytest.mark.parametrize("d", [1, 11])
@pytest.mark.parametrize(
    "theta", [(-0.5, 1.2, 0.9), (4.5, 2.0, 0.3), (-7.0, 1e-3, 20.0)], ids=["nig", "p>0", "p<0"]
)
@pytest.mark.usefixtures("quick_programs")
def test_sums_are_those_of_blocks(d: int, theta: tuple[float, float, float]) -> None:
    with jax.enable_x64(True):
        arguments = _arguments(*_problem(500, d), theta)
        streamed, usual = _streamed(*arguments), _usual(*arguments)
    for one, other in zip(streamed, usual, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(other).max())


@pytest.mark.parametrize("value", [1e60, np.nan, np.inf], ids=str)
@pytest.mark.usefixtures("quick_programs")
def test_a_row_out_of_range_takes_the_other_way(value: float) -> None:
    (X, weights), normal = _problem(500, 1)
    X[3, 0] = value
    assert _goes_elsewhere(Rows(X, weights), normal, (-0.5, 1.2, 0.9))


@pytest.mark.usefixtures("quick_programs")
def test_a_row_at_a_limit_takes_the_other_way() -> None:
    rows, normal = _problem(500, 1)
    rows.values[5] = normal.mu
    assert _goes_elsewhere(rows, normal, (3.0, 1.0, 0.0))
    symmetric = normal._replace(gamma=np.zeros(1))
    assert _goes_elsewhere(rows, symmetric, (-2.0, 0.0, 3.0))
    assert _goes_elsewhere(rows, normal, (-1.0, 1e6, 1e6))


def test_derivatives_of_many_rows_are_those_of_blocks() -> None:
    rows, normal = _problem(MANY, 1)

    def value(sums: Any, p: Any) -> Any:
        theta = jnp.stack([p, jnp.asarray(1.2), jnp.asarray(0.9)])
        return jnp.sum(sums(rows, normal, theta, log_norm(*theta))[3])

    with jax.enable_x64(True):
        rows, normal = jax.tree.map(jnp.asarray, (rows, normal))
        found, expected = (
            jax.jit(jax.grad(lambda p, sums=sums: value(sums, p)))(-0.5)
            for sums in (e_step._sums_of_many, e_step._block_sums)
        )
    np.testing.assert_allclose(found, expected, rtol=1e-12)
