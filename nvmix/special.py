r"""Modified Bessel functions of the second kind, in forms that do not overflow.

:math:`K_v(z) = \tfrac12 \int_{-\infty}^{\infty} e^{vt - z\cosh t}\,dt` (DLMF 10.32.9) is summed by
the trapezoidal rule about the peak of its integrand; order derivatives and ratios are means under
the same weights, so nothing is differenced. From 4096 arguments at one order on, log K and the
ratio come from a table, with errors of at most 1e-14.

Given a JAX array or tracer, every function runs in JAX, and `log_kv` is differentiable twice. In
JAX arguments are good from z = 1e-140 on, and errors are those stated for it. Singles, which is
what arrays outside of a trace are rounded to unless ``jax_enable_x64`` is set, are summed in double
precision; under a trace without it all is summed in single precision, with errors of at most 5e-6,
relative to ``max(1, |v| arcsinh(|v| / z) + hypot(v, z))`` for log K and as stated for the others,
for \|v\| <= 1e3 and 1e-6 <= z <= 1e6.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nvmix.backends import get_backend, get_functions
from nvmix.foundation.arrays import namespace, on_jax
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import real_or_nan

__all__ = [
    "kv_ratio",
    "log_kv",
    "log_kv_dv",
    "log_kv_dv2",
    "log_kv_dvdz",
    "log_kv_dz",
    "log_kv_dz2",
]


# Places of the derivatives that a backend returns.
_DV, _DV2, _DVDZ, _DZ2 = range(4)


def _broadcast(v: Any, z: Any) -> tuple[FloatArray, FloatArray]:
    """Orders and arguments of equal shape."""
    v, z = real_or_nan("v", v), real_or_nan("z", z)
    shape = np.broadcast_shapes(v.shape, z.shape)
    return np.broadcast_to(v, shape), np.broadcast_to(z, shape)


def _from_jax(name: str, v: Any, z: Any) -> Any:
    """A function of JAX arrays or tracers, which JAX's transformations go through."""
    xp = namespace(v, z)
    v, z = xp.broadcast_arrays(xp.asarray(v, float), xp.asarray(z, float))
    return getattr(get_functions(), name)(v, z)


def _derivative(v: Any, z: Any, which: int, backend: str) -> FloatArray:
    """One of the four derivatives of a backend."""
    if on_jax(v, z):
        return _from_jax("log_kv_derivatives", v, z)[which]  # type: ignore[no-any-return]
    derivatives = get_backend(backend).log_bessel_derivatives(*_broadcast(v, z))
    value: FloatArray = derivatives[which][()]
    return value


def log_kv(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Logarithm of the modified Bessel function of the second kind, :math:`\ln K_v(z)`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives inf, negative or nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute, unless an argument is a JAX array: then there.

    Returns
    -------
    array or float
        Of the broadcast shape.

    Notes
    -----
    The error is at most 3e-15 relative to max(1, \|value\|) for \|v\| <= 1e5 and
    1e-300 <= z <= 1e300 (for JAX 1e-14, z >= 1e-140).

    References
    ----------
    NIST Digital Library of Mathematical Functions, 10.32.9.

    Examples
    --------
    >>> from nvmix.special import log_kv
    >>> print(log_kv(0.5, 1000.0).round(10))  # log(sqrt(pi / 2000)) - 1000
    -1003.2280862868
    """
    if on_jax(v, z):
        return _from_jax("log_kv", v, z)  # type: ignore[no-any-return]
    return get_backend(backend).log_bessel(*_broadcast(v, z))[0][()]


def kv_ratio(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Ratio of consecutive orders, :math:`K_{v+1}(z) / K_v(z)`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives inf, negative or nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute, unless an argument is a JAX array: then there.

    Returns
    -------
    array or float
        Of the broadcast shape.

    Notes
    -----
    The relative error is at most 3e-15 for \|v\| <= 1e5 and 1e-300 <= z <= 1e300 (for JAX 5e-14,
    z >= 1e-140).

    Examples
    --------
    >>> from nvmix.special import kv_ratio
    >>> print(kv_ratio(0.5, 2.0).round(12))  # 1 + 1 / z
    1.5
    """
    if on_jax(v, z):
        return _from_jax("kv_ratio", v, z)  # type: ignore[no-any-return]
    return get_backend(backend).log_bessel(*_broadcast(v, z))[1][()]


def log_kv_dv(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Order derivative :math:`\partial \ln K_v(z) / \partial v`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives inf with the sign of v (0 at v = 0), negative or
        nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute, unless an argument is a JAX array: then there.

    Returns
    -------
    array or float
        Of the broadcast shape; odd in v.

    Notes
    -----
    The mean of t under the weights exp(v t - z cosh t). Its error is at most 8e-15 relative to
    max(1, \|value\|) for \|v\| <= 1e5 and 1e-300 <= z <= 1e300 (for JAX 1e-13, z >= 1e-140).

    Examples
    --------
    >>> from nvmix.special import log_kv_dv
    >>> print(log_kv_dv(0.0, 1.0))
    0.0
    """
    return _derivative(v, z, _DV, backend)


def log_kv_dz(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Derivative :math:`\partial \ln K_v(z) / \partial z = v/z - K_{v+1}(z) / K_v(z)`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives -inf, negative or nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute, unless an argument is a JAX array: then there.

    Returns
    -------
    array or float
        Of the broadcast shape; even in v.

    Notes
    -----
    The relative error is at most 3e-15 for \|v\| <= 1e5 and 1e-300 <= z <= 1e300 (for JAX 1e-13,
    z >= 1e-140).

    References
    ----------
    NIST Digital Library of Mathematical Functions, 10.29.2.

    Examples
    --------
    >>> from nvmix.special import log_kv_dz
    >>> print(log_kv_dz(0.5, 2.0).round(12))  # -1 - 1 / (2 z)
    -1.25
    """
    if on_jax(v, z):
        return _from_jax("log_kv_dz", v, z)  # type: ignore[no-any-return]
    order, argument = _broadcast(np.abs(real_or_nan("v", v)), z)
    ratio = get_backend(backend).log_bessel(order, argument)[1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(ratio == np.inf, -np.inf, order / argument - ratio)[()]


def log_kv_dv2(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Second order derivative :math:`\partial^2 \ln K_v(z) / \partial v^2`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives the trigamma function of \|v\|, negative or nan
        gives nan.
    backend : {"cpu", "jax"}
        Where to compute, unless an argument is a JAX array: then there.

    Returns
    -------
    array or float
        Of the broadcast shape; even in v.

    Notes
    -----
    The variance of t under the weights exp(v t - z cosh t). The error is at most 3e-15 relative
    for \|v\| <= 1e5 and 1e-300 <= z <= 1e300 (for JAX 1e-12, z >= 1e-140).

    References
    ----------
    NIST Digital Library of Mathematical Functions, 10.32.9.

    Examples
    --------
    >>> from nvmix.special import log_kv_dv2
    >>> print(log_kv_dv2(0.5, 2.0).round(12))
    0.408890795849
    """
    return _derivative(v, z, _DV2, backend)


def log_kv_dvdz(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Mixed derivative :math:`\partial^2 \ln K_v(z) / \partial v\, \partial z`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives -inf with the sign of v (0 at v = 0), negative or
        nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute, unless an argument is a JAX array: then there.

    Returns
    -------
    array or float
        Of the broadcast shape; odd in v.

    Notes
    -----
    Minus the covariance of t and cosh t under the weights exp(v t - z cosh t). The error is at most
    4e-15 relative to the product of their standard deviations for \|v\| <= 1e5 and
    1e-300 <= z <= 1e300 (for JAX 1e-12, z >= 1e-140).

    References
    ----------
    NIST Digital Library of Mathematical Functions, 10.32.9.

    Examples
    --------
    >>> from nvmix.special import log_kv_dvdz
    >>> print(log_kv_dvdz(0.0, 2.0).round(12))  # odd in v
    0.0
    """
    return _derivative(v, z, _DVDZ, backend)


def log_kv_dz2(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Second derivative :math:`\partial^2 \ln K_v(z) / \partial z^2`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives inf, negative or nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute, unless an argument is a JAX array: then there.

    Returns
    -------
    array or float
        Of the broadcast shape; even in v.

    Notes
    -----
    The variance of cosh t under the weights exp(v t - z cosh t). The error is at most 1e-14
    relative for \|v\| <= 1e5 and 1e-300 <= z <= 1e300 (for JAX 1e-12, z >= 1e-140).

    References
    ----------
    NIST Digital Library of Mathematical Functions, 10.32.9.

    Examples
    --------
    >>> from nvmix.special import log_kv_dz2
    >>> print(log_kv_dz2(0.5, 2.0).round(12))  # 1 / (2 z^2)
    0.125
    """
    return _derivative(v, z, _DZ2, backend)
