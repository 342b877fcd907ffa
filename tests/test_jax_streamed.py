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


def _both(rows: Rows, normal: NormalParameters, theta: Any) -> tuple[Any, Any, Any]:
    """Sums streamed, those of one block, and whether the second ones were asked for."""

    def otherwise(*arguments: Any) -> Any:
        return jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), e_step._block_sums(*arguments))

    with jax.enable_x64(True):
        arguments = (*jax.tree.map(jnp.asarray, (rows, normal, jnp.asarray(theta))),)
        log_norm_y = log_norm(*theta)
        streamed = jax.jit(lambda *x: streamed_sums(*x, log_norm_y, otherwise))(*arguments)
        usual = jax.jit(lambda *x: e_step._block_sums(*x, log_norm_y))(*arguments)
    return streamed, usual, bool(np.isnan(streamed[0]))


@pytest.mark.parametrize("d", [1, 3, 11])
@pytest.mark.parametrize(
    "theta", [(-0.5, 1.2, 0.9), (4.5, 2.0, 0.3), (-7.0, 1e-3, 20.0)], ids=["nig", "p>0", "p<0"]
)
def test_sums_are_those_of_blocks(d: int, theta: tuple[float, float, float]) -> None:
    streamed, usual, out_of_range = _both(*_problem(500, d), theta)
    assert not out_of_range
    for one, other in zip(streamed, usual, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(other).max())


@pytest.mark.parametrize("value", [1e60, np.nan, np.inf], ids=str)
def test_a_row_out_of_range_takes_the_other_way(value: float) -> None:
    (X, weights), normal = _problem(100, 2)
    X[3, 1] = value
    assert _both(Rows(X, weights), normal, (-0.5, 1.2, 0.9))[2]


def test_a_row_at_a_limit_takes_the_other_way() -> None:
    rows, normal = _problem(100, 2)
    rows.values[5] = normal.mu
    assert _both(rows, normal, (3.0, 1.0, 0.0))[2]
    symmetric = normal._replace(gamma=np.zeros(2))
    assert _both(rows, symmetric, (-2.0, 0.0, 3.0))[2]
    assert _both(rows, normal, (-1.0, 1e6, 1e6))[2]


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
