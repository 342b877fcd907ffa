r"""Modified Bessel functions of the second kind, in forms that do not overflow.

:math:`K_v(z) = \tfrac12 \int_{-\infty}^{\infty} e^{vt - z\cosh t}\,dt` (DLMF 10.32.9) is summed by
the trapezoidal rule about the peak of its integrand; order derivatives and ratios are means under
the same weights, so nothing is differenced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix._validation import real_or_nan
from nvmix.backends import get_backend

if TYPE_CHECKING:
    from nvmix._typing import FloatArray

__all__ = ["kv_ratio", "log_kv", "log_kv_dv", "log_kv_dz"]


def _bessel(v: Any, z: Any, backend: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(log K, ratio, order derivative) on the broadcast of v and z."""
    v, z = np.broadcast_arrays(real_or_nan("v", v), real_or_nan("z", z))
    log_k, ratio, slope = get_backend(backend).log_bessel(v, z)
    return log_k[()], ratio[()], slope[()]


def log_kv(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Logarithm of the modified Bessel function of the second kind, :math:`\ln K_v(z)`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives inf, negative or nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute.

    Returns
    -------
    array or float
        Of the broadcast shape.

    Notes
    -----
    The error is at most 5e-15 relative to ``max(1, |v| arcsinh(|v| / z) + hypot(v, z))`` for
    \|v\| <= 1e5 and 1e-140 <= z <= 1e300.

    References
    ----------
    NIST Digital Library of Mathematical Functions, 10.32.9.

    Examples
    --------
    >>> from nvmix.special import log_kv
    >>> print(log_kv(0.5, 1000.0).round(10))  # log(sqrt(pi / 2000)) - 1000
    -1003.2280862868
    """
    return _bessel(v, z, backend)[0]


def kv_ratio(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Ratio of consecutive orders, :math:`K_{v+1}(z) / K_v(z)`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives inf, negative or nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute.

    Returns
    -------
    array or float
        Of the broadcast shape.

    Notes
    -----
    The relative error is at most 1e-14 for \|v\| <= 1e5 and 1e-140 <= z <= 1e300.

    Examples
    --------
    >>> from nvmix.special import kv_ratio
    >>> print(kv_ratio(0.5, 2.0).round(12))  # 1 + 1 / z
    1.5
    """
    return _bessel(v, z, backend)[1]


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
        Where to compute.

    Returns
    -------
    array or float
        Of the broadcast shape; odd in v.

    Notes
    -----
    The mean of t under the weights exp(v t - z cosh t). Its error is at most 1e-14 relative to
    max(1, \|value\|) for \|v\| <= 1e5 and 1e-140 <= z <= 1e300.

    Examples
    --------
    >>> from nvmix.special import log_kv_dv
    >>> print(log_kv_dv(0.0, 1.0))
    0.0
    """
    return _bessel(v, z, backend)[2]


def log_kv_dz(v: Any, z: Any, *, backend: str = "cpu") -> FloatArray:
    r"""Derivative :math:`\partial \ln K_v(z) / \partial z = v/z - K_{v+1}(z) / K_v(z)`.

    Parameters
    ----------
    v : array_like
        Real, finite order.
    z : array_like
        Argument; broadcast against v. 0 gives -inf, negative or nan gives nan.
    backend : {"cpu", "jax"}
        Where to compute.

    Returns
    -------
    array or float
        Of the broadcast shape; even in v.

    References
    ----------
    NIST Digital Library of Mathematical Functions, 10.29.2.

    Examples
    --------
    >>> from nvmix.special import log_kv_dz
    >>> print(log_kv_dz(0.5, 2.0).round(12))  # -1 - 1 / (2 z)
    -1.25
    """
    order, argument = np.broadcast_arrays(np.abs(real_or_nan("v", v)), real_or_nan("z", z))
    ratio = _bessel(order, argument, backend)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(argument == 0.0, -np.inf, order / argument - ratio)[()]
