"""Where rows live: padded to few sizes, cut into blocks on a CPU, sharded as they came."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nvmix.backends.jax.em.e_step import Rows
from nvmix.backends.jax.precision import doubles
from nvmix.foundation.arrays import on_jax, traced, with_auto_axes

# Row counts are rounded up to this many sizes an octave.
_SIZES: Final = 8
# Doubles in a block of rows on a CPU, which bounds what a block needs.
_BLOCK: Final = 1 << 20


class Placed(NamedTuple):
    """Rows on a device: n of them count, in so many equal blocks."""

    rows: Rows
    n: int
    blocks: int


def _rounded(count: int) -> int:
    """Count, rounded up to one of a few sizes an octave."""
    unit = 1 << max(0, (count - 1).bit_length() - _SIZES.bit_length())
    return -(-count // unit) * unit


def _cut(n: int, d: int) -> tuple[int, int]:
    """Rows to pad to, and blocks of them."""
    block = 1 << max(0, (_BLOCK // d).bit_length() - 1)
    if n <= block:
        return _rounded(n), 1
    blocks = _rounded(-(-n // block))
    return blocks * block, blocks


def _shards(device: Any) -> int:
    """How many devices a device or sharding is."""
    return len(getattr(device, "device_set", (device,)))


@jax.jit
def _weights(X: Any, n: Any, weights: Any) -> Any:
    """Weights of the first n rows, 0 on those that fill up; sharded as the rows are."""
    # XLA shards what depends on the rows as it shards the rows.
    return jnp.where(jnp.arange(len(X)) < n, weights, 0.0) + 0.0 * X[:, 0]


@doubles
def place(X: Any, device: Any = None, weights: Any = None) -> Placed:
    """Put (n, d) rows on a device or a sharding in float64, or leave a JAX array where it is.

    Row counts are padded with copies of the first row, of weight 0, so that similar counts share
    their compiled programs. Arrays that are sharded, and those under a trace, stay as they are.
    """
    n, d = X.shape
    if traced(X, weights):
        X = jnp.asarray(X, float)
        given = 1.0 if weights is None else jnp.asarray(weights, float)
        return Placed(Rows(X, given * jnp.ones_like(X[:, 0])), n, 1)
    if not (device is None or isinstance(device, (jax.Device, jax.sharding.Sharding))):
        msg = f"device must be a jax.Device, a Sharding or None, got {device!r}"
        raise TypeError(msg)
    target = device if device is not None else getattr(X, "sharding", None)
    target = with_auto_axes(target)
    sharded = on_jax(X) and _shards(X.sharding) > 1
    shards = 1 if target is None else _shards(target)
    platform = jax.default_backend() if target is None else _platform(target)
    size, blocks = _cut(n, d) if platform == "cpu" and shards == 1 else (_rounded(n), 1)
    size = n if sharded else -(-size // shards) * shards
    values = _padded(X, size)
    if device is not None or not on_jax(X) or sharded:
        # One device's rows, put where they are, would be bound to it and compile anew.
        values = jax.device_put(values, target)
    values = values.astype(float)
    given = 1.0 if weights is None else _filled(weights, size)
    return Placed(Rows(values, _weights(values, n, given)), n, blocks)


def _filled(weights: Any, size: int) -> Any:
    """Weights with zeros up to a size, on the host, whence they go where the rows are."""
    values = np.zeros(size)
    values[: len(weights)] = weights
    return values


def _padded(X: Any, size: int) -> Any:
    """X with copies of its first row up to a size, on the host or the device where it is."""
    n, d = X.shape
    if size == n:
        return X
    if on_jax(X):
        return jnp.concatenate([X, jnp.broadcast_to(X[:1], (size - n, d))])
    values = np.empty((size, d))
    values[:n], values[n:] = X, X[0]
    return values


def _platform(device: Any) -> str:
    """The platform of a device or sharding."""
    devices = getattr(device, "device_set", (device,))
    platform: str = next(iter(devices)).platform
    return platform
