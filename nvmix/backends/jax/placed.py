"""Rows on a device: padded to few sizes, cut into blocks on a CPU, or sharded as they are."""

from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nvmix.backends.jax.em.rows import Rows
from nvmix.backends.jax.precision import doubles
from nvmix.foundation.arrays import on_jax, traced, with_auto_axes

# Sizes between one power of 2 and the next that numbers of rows are rounded up to, and the least.
# A program of so few rows runs for microseconds, and compiles for seconds.
_SIZES: Final = 8
_LEAST: Final = 1024
# Doubles in a block of rows on a CPU, which bounds the memory of an E-step.
_BLOCK: Final = 1 << 20


class Placed(NamedTuple):
    """Rows on a device, the first n of which are data, in so many equal blocks."""

    rows: Rows
    n: int
    blocks: int


def _size(n: int) -> int:
    """The number of rows to pad to, on one device."""
    return _rounded(max(n, _LEAST))


def _rounded(count: int) -> int:
    """Count, rounded up to one of `_SIZES` sizes between powers of 2."""
    unit = 1 << max(0, (count - 1).bit_length() - _SIZES.bit_length())
    return -(-count // unit) * unit


def _cut(n: int, d: int) -> tuple[int, int]:
    """The number of rows to pad to, and the number of blocks."""
    block = 1 << max(0, (_BLOCK // d).bit_length() - 1)
    if n <= block:
        return _size(n), 1
    blocks = _rounded(-(-n // block))
    return blocks * block, blocks


def _devices(device: Any) -> Any:
    """The devices of a device or sharding."""
    return getattr(device, "device_set", (device,))


@jax.jit
def _weights(X: Any, n: Any, weights: Any) -> Any:
    """Weights of the first n rows, 0 on rows of padding; sharded as the rows are."""
    # XLA gives what depends on the rows the sharding of the rows.
    return jnp.where(jnp.arange(len(X)) < n, weights, 0.0) + 0.0 * X[:, 0]


@doubles
def place(X: Any, device: Any = None, weights: Any = None) -> Placed:
    """Put (n, d) rows on a device or a sharding in float64, or leave a JAX array where it is.

    Rows are padded with copies of the first one, of weight 0, so that similar numbers of rows share
    a compiled program. Sharded arrays and traced ones are not padded.
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
    sharded = on_jax(X) and len(_devices(X.sharding)) > 1
    shards = 1 if target is None else len(_devices(target))
    platform = jax.default_backend() if target is None else next(iter(_devices(target))).platform
    size, blocks = _cut(n, d) if platform == "cpu" and shards == 1 else (_size(n), 1)
    size = n if sharded else -(-size // shards) * shards
    values = _padded(X, size)
    if device is not None or not on_jax(X) or sharded:
        # Not for rows of one device, which would be committed to it and compile again.
        values = jax.device_put(values, target)
    values = values.astype(float)
    # On the host; `_weights` puts them where the rows are.
    given = 1.0 if weights is None else np.pad(np.asarray(weights, float), (0, size - n))
    return Placed(Rows(values, _weights(values, n, given)), n, blocks)


def _padded(X: Any, size: int) -> Any:
    """X with copies of its first row up to a size, on the host or the device where it is."""
    n, d = X.shape
    if size == n:
        return X
    xp = jnp if on_jax(X) else np
    return xp.concatenate([X, xp.broadcast_to(X[:1], (size - n, d))])
