"""Validation of parameters: every error message names the parameter and the value it got.

A JAX tracer has a shape but no numbers. Its shape is checked, and it is returned unchanged.
"""

import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, TypeVar, cast

import numpy as np

from nvmix.foundation.arrays import namespace, traced
from nvmix.foundation.typing import Columns, FloatArray

# Relative asymmetry that is taken for rounding: some 1e6 times that of a computed covariance.
_SYMMETRIC = 1e-10
# Squares of larger values may overflow, and squares of values below its inverse underflow.
LARGEST = 1e150

T = TypeVar("T")


def one_of(name: str, value: object, options: Iterable[str]) -> str:
    """Return value if it is one of the options."""
    options = tuple(options)
    if not isinstance(value, str) or value not in options:
        msg = f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}"
        raise ValueError(msg)
    return value


def real(name: str, value: Any) -> float:
    """Return a finite float."""
    if type(value) is float and math.isfinite(value):
        return value
    if traced(value):
        if value.ndim != 0:
            msg = f"{name} must be a real number, got an array of shape {value.shape}"
            raise TypeError(msg)
        return cast("float", value)
    scalar = np.asarray(value)
    if scalar.ndim != 0 or scalar.dtype.kind not in "iuf":
        msg = f"{name} must be a real number, got {value!r}"
        raise TypeError(msg)
    number = float(scalar)
    if not np.isfinite(number):
        msg = f"{name} must be finite, got {number}"
        raise ValueError(msg)
    return number


def positive(name: str, value: object) -> float:
    """Return value as a float > 0."""
    number = real(name, value)
    if not traced(number) and not number > 0.0:
        msg = f"{name} must be positive, got {number}"
        raise ValueError(msg)
    return number


def nonnegative(name: str, value: object) -> float:
    """Return a float >= 0."""
    number = real(name, value)
    if not traced(number) and number < 0.0:
        msg = f"{name} must not be negative, got {number}"
        raise ValueError(msg)
    return number


def integer(name: str, value: object, minimum: int) -> int:
    """Return an int >= minimum."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        msg = f"{name} must be an integer, got {value!r}"
        raise TypeError(msg)
    if value < minimum:
        msg = f"{name} must be at least {minimum}, got {value}"
        raise ValueError(msg)
    return int(value)


def optional_columns(value: Any, d: int) -> Columns:
    """Return the names of d columns, each once, as a tuple, or None."""
    if value is None:
        return None
    names = () if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    texts = [name for name in names if isinstance(name, str)]
    if not len(names) == len(set(texts)) == d:
        msg = f"columns must be {d} different texts or None, got {value!r}"
        raise ValueError(msg)
    return names


def boolean(name: str, value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, (bool, np.bool_)):
        msg = f"{name} must be True or False, got {value!r}"
        raise TypeError(msg)
    return bool(value)


def mapping(name: str, value: Any) -> dict[str, Any] | None:
    """Return a mapping as a dict, or None."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        msg = f"{name} must be a mapping of names to values, got {value!r}"
        raise TypeError(msg)
    return dict(value)


def instance(name: str, value: object, kind: type) -> None:
    """Check that value is an instance of a class, and not itself a class."""
    # For a protocol, `isinstance` is also true of classes that implement it.
    if not isinstance(value, kind) or isinstance(value, type):
        msg = f"{name} must be {with_article(kind.__name__)}, got {type(value).__name__}"
        raise TypeError(msg)


def with_article(noun: str) -> str:
    """The noun after "a" or "an", by its first letter."""
    return f"an {noun}" if noun[0] in "AEIOUaeiou" else f"a {noun}"


def generator(seed: Any, name: str = "seed") -> np.random.Generator:
    """Return the generator of a seed, or the one that was given in its place.

    A RandomState is drawn from by a Generator that shares its bits.
    """
    if isinstance(seed, np.random.RandomState):
        return np.random.Generator(seed._bit_generator)  # noqa: SLF001
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be None, a nonnegative integer or a Generator, got {seed!r}"
        raise type(error)(msg) from None


def optional_callable(name: str, value: T) -> T:
    """Return a callable that is not a class, or None."""
    if value is not None and (not callable(value) or isinstance(value, type)):
        msg = f"{name} must be callable or None, and no class, got {value!r}"
        raise TypeError(msg)
    return value


def real_or_nan(name: str, value: Any) -> FloatArray:
    """Return a float64 array of real numbers, which may be inf or nan; text is no number."""
    if value is None:
        msg = f"{name} must hold real numbers, got None"
        raise TypeError(msg)
    if isinstance(value, (str, os.PathLike)):
        msg = f"{name} must hold real numbers, got {str(value)!r}; read a file first"
        raise TypeError(msg)
    if np.ma.is_masked(value):
        msg = f"{name} must not have masked values; drop those rows first"
        raise ValueError(msg)
    try:
        raw = np.asarray(value)
    except ValueError:
        msg = f"{name} must be a rectangular array, got rows of different lengths"
        raise ValueError(msg) from None
    if raw.dtype.kind == "O":
        text = next((x for x in raw.ravel() if isinstance(x, (str, bytes))), None)
        if text is not None:
            msg = f"{name} must hold real numbers, got text such as {text!r}"
            raise TypeError(msg)
        try:
            raw = raw.astype(np.float64)
        except (TypeError, ValueError):
            msg = f"{name} must hold real numbers, got dtype object ({type(value).__name__})"
            raise TypeError(msg) from None
    if raw.dtype.kind not in "biuf":
        msg = f"{name} must hold real numbers, got dtype {raw.dtype}"
        raise TypeError(msg)
    return raw.astype(np.float64, copy=False)


def array(name: str, value: Any) -> FloatArray:
    """Return a float64 array of finite real numbers; it may be the array that was given."""
    if traced(value):
        return namespace(value).asarray(value, float)  # type: ignore[no-any-return]
    result = real_or_nan(name, value)
    # A finite sum proves finite values without a temporary array of flags; but it may overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        total = result.sum()
    if not (np.isfinite(total) or np.isfinite(result).all()):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        place = f" at index {where}" if where else ""
        msg = f"{name} must be finite, got {result[where]}{place}"
        raise ValueError(msg)
    return result


def vector(name: str, value: Any, d: int | None = None) -> FloatArray:
    """Return a (d,) array."""
    result = array(name, value)
    result = cast("FloatArray", namespace(result).atleast_1d(result))
    if result.ndim != 1 or result.size == 0 or (d is not None and result.size != d):
        expected = "(d,)" if d is None else f"({d},)"
        msg = f"{name} must have shape {expected}, got {np.shape(value)}"
        raise ValueError(msg)
    return result


def cholesky(name: str, value: Any, d: int) -> FloatArray:
    """Return the lower Cholesky factor of a (d, d) symmetric positive definite matrix."""
    sigma = array(name, value)
    sigma = namespace(sigma).atleast_2d(sigma)
    if sigma.shape != (d, d):
        msg = f"{name} must have shape ({d}, {d}), got {np.shape(value)}"
        raise ValueError(msg)
    if traced(sigma):
        return namespace(sigma).linalg.cholesky(sigma)  # type: ignore[no-any-return]
    size = np.sqrt(np.abs(np.outer(np.diag(sigma), np.diag(sigma))))
    if not (np.abs(sigma - sigma.T) <= _SYMMETRIC * size).all():
        msg = f"{name} must be symmetric, got {sigma.tolist()}"
        raise ValueError(msg)
    try:
        return np.asarray(np.linalg.cholesky(0.5 * (sigma + sigma.T)), np.float64)
    except np.linalg.LinAlgError:
        msg = f"{name} must be positive definite, got eigenvalues {np.linalg.eigvalsh(sigma)}"
        raise ValueError(msg) from None


def lower_factor(name: str, value: Any, d: int) -> FloatArray:
    """Return a (d, d) lower-triangular array with a positive diagonal."""
    L = array(name, value)
    if L.shape != (d, d):
        msg = f"{name} must have shape ({d}, {d}), got {np.shape(value)}"
        raise ValueError(msg)
    if traced(L):
        return L
    if not (np.diag(L) > 0.0).all() or any(L[i, i + 1 :].any() for i in range(d - 1)):
        msg = f"{name} must be lower triangular with a positive diagonal, got {L.tolist()}"
        raise ValueError(msg)
    return L
