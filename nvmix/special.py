r"""Modified Bessel functions of the second kind, in forms that do not overflow.

:math:`K_v(z) = \tfrac12 \int_{-\infty}^{\infty} e^{vt - z\cosh t}\,dt` (DLMF 10.32.9) is summed by
the trapezoidal rule about the peak of its integrand. Derivatives and ratios are moments of t and
cosh t under the weights exp(v t - z cosh t), so nothing is differenced. From 4096 arguments at one
order on, log K and the ratio come from a table, with errors of at most 1e-14.

**Accuracy.** Largest errors for \|v\| <= 1e5 and 1e-300 <= z <= 1e300, for JAX 1e-140 <= z:

================ ======= ======= ==================================================
Function         NumPy   JAX     Relative to
================ ======= ======= ==================================================
`log_kv`         3e-15   1e-14   max(1, \|value\|)
`kv_ratio`       3e-15   5e-14   the value
`log_kv_dv`      8e-15   1e-13   max(1, \|value\|)
`log_kv_dz`      3e-15   1e-13   the value
`log_kv_dv2`     3e-15   1e-12   the value
`log_kv_dvdz`    4e-15   1e-12   product of the standard deviations of t and cosh t
`log_kv_dz2`     1e-14   1e-12   the value
================ ======= ======= ==================================================

**JAX.** Given a JAX array or tracer, every function runs in JAX, and `log_kv` is differentiable
twice. float32 arrays outside a trace are summed in double precision. Under a trace without
``jax_enable_x64`` all is summed in single precision. The error is then at most 5e-6 for
\|v\| <= 1e3 and 1e-6 <= z <= 1e6: for log K relative to
``max(1, |v| arcsinh(|v| / z) + hypot(v, z))``, for the others relative to the same as above.

Arguments that are not real numbers raise TypeError, shapes that do not broadcast ValueError.

References
----------
NIST Digital Library of Mathematical Functions, 10.29 and 10.32, https://dlmf.nist.gov/10.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

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

F = TypeVar("F", bound=Callable[..., Any])

# Positions in the tuple of derivatives that a backend returns.
_DV, _DV2, _DVDZ, _DZ2 = range(4)

_SECTIONS = r"""
Parameters
----------
v, z : array_like
    Finite real order and argument, broadcast together. z < 0 and nan give nan, z = 0 gives
    {at_zero}.
backend : {{"cpu", "jax"}}
    Where to compute NumPy arguments.

Returns
-------
array or float
    Of the broadcast shape{symmetry}; the docstring of `nvmix.special` states the accuracy.

Raises
------
TypeError, ValueError
    If v or z does not hold real numbers, they do not broadcast, or there is no such backend.

References
----------
NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/{source}.

Examples
"""


def _documented(source: str, at_zero: str, symmetry: str = "") -> Callable[[F], F]:
    """Decorator that writes the sections before that of examples."""

    def with_sections(function: F) -> F:
        sections = _SECTIONS.format(source=source, at_zero=at_zero, symmetry=symmetry)
        function.__doc__ = (inspect.getdoc(function) or "").replace("\nExamples\n", sections)
        return function

    return with_sections


def _broadcast(v: Any, z: Any) -> tuple[FloatArray, FloatArray]:
    """Validated orders and arguments, broadcast to one shape."""
    v, z = real_or_nan("v", v), real_or_nan("z", z)
    shape = np.broadcast_shapes(v.shape, z.shape)
    return np.broadcast_to(v, shape), np.broadcast_to(z, shape)


def _from_jax(name: str, v: Any, z: Any) -> FloatArray:
    """Call the JAX function of that name on broadcast arguments."""
    xp = namespace(v, z)
    v, z = xp.broadcast_arrays(xp.asarray(v, float), xp.asarray(z, float))
    values: FloatArray = getattr(get_functions(), name)(v, z)
    return values


def _derivative(v: Any, z: Any, which: int, backend: str) -> FloatArray:
    """The derivative at position `which`, of the shape of the broadcast arguments."""
    if on_jax(v, z):
        value: FloatArray = _from_jax("log_kv_derivatives", v, z)[which]
    else:
        value = get_backend(backend).log_bessel_derivatives(*_broadcast(v, z))[which][()]
    return value


@_documented("10.32.E9", "inf")
def log_kv(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Logarithm of the modified Bessel function of the second kind, :math:`\ln K_v(z)`.

    Examples
    --------
    >>> from nvmix.special import log_kv
    >>> print(log_kv(0.5, 1000.0).round(10))  # log(sqrt(pi / 2000)) - 1000
    -1003.2280862868
    """
    if on_jax(v, z):
        return _from_jax("log_kv", v, z)
    return get_backend(backend).log_bessel(*_broadcast(v, z))[0][()]


@_documented("10.29.E1", "inf")
def kv_ratio(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Ratio of consecutive orders, :math:`K_{v+1}(z) / K_v(z)`.

    Examples
    --------
    >>> from nvmix.special import kv_ratio
    >>> print(kv_ratio(0.5, 2.0).round(12))  # 1 + 1 / z
    1.5
    """
    if on_jax(v, z):
        return _from_jax("kv_ratio", v, z)
    return get_backend(backend).log_bessel(*_broadcast(v, z))[1][()]


@_documented("10.32.E9", "inf with the sign of v (0 at v = 0)", ", odd in v")
def log_kv_dv(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Order derivative :math:`\partial \ln K_v(z) / \partial v`.

    It is the mean of t under the weights exp(v t - z cosh t), t real.

    Examples
    --------
    >>> from nvmix.special import log_kv_dv
    >>> print(log_kv_dv(0.0, 1.0))
    0.0
    """
    return _derivative(v, z, _DV, backend)


@_documented("10.29.E2", "-inf", ", even in v")
def log_kv_dz(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Derivative :math:`\partial \ln K_v(z) / \partial z = v/z - K_{v+1}(z) / K_v(z)`.

    Examples
    --------
    >>> from nvmix.special import log_kv_dz
    >>> print(log_kv_dz(0.5, 2.0).round(12))  # -1 - 1 / (2 z)
    -1.25
    """
    if on_jax(v, z):
        return _from_jax("log_kv_dz", v, z)
    order, argument = _broadcast(np.abs(real_or_nan("v", v)), z)
    ratio = get_backend(backend).log_bessel(order, argument)[1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(ratio == np.inf, -np.inf, order / argument - ratio)[()]


@_documented("10.32.E9", r"the trigamma function of \|v\|", ", even in v")
def log_kv_dv2(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Second order derivative :math:`\partial^2 \ln K_v(z) / \partial v^2`.

    It is the variance of t under the weights exp(v t - z cosh t), t real.

    Examples
    --------
    >>> from nvmix.special import log_kv_dv2
    >>> print(log_kv_dv2(0.5, 2.0).round(12))
    0.408890795849
    """
    return _derivative(v, z, _DV2, backend)


@_documented("10.32.E9", "-inf with the sign of v (0 at v = 0)", ", odd in v")
def log_kv_dvdz(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Mixed derivative :math:`\partial^2 \ln K_v(z) / \partial v\, \partial z`.

    It is minus the covariance of t and cosh t under the weights exp(v t - z cosh t), t real.

    Examples
    --------
    >>> from nvmix.special import log_kv_dvdz
    >>> print(log_kv_dvdz(0.0, 2.0).round(12))  # odd in v
    0.0
    """
    return _derivative(v, z, _DVDZ, backend)


@_documented("10.29.E2", "inf", ", even in v")
def log_kv_dz2(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Second derivative :math:`\partial^2 \ln K_v(z) / \partial z^2`.

    It is the variance of cosh t under the weights exp(v t - z cosh t), t real.

    Examples
    --------
    >>> from nvmix.special import log_kv_dz2
    >>> print(log_kv_dz2(0.5, 2.0).round(12))  # 1 / (2 z^2)
    0.125
    """
    return _derivative(v, z, _DZ2, backend)
