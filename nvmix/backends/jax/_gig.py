"""Log-norm, moments and covariances of GIG(p, a, b) on JAX arrays, limits included."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln, polygamma

from nvmix.backends.jax._quadrature import covariances, means

# e^u could overflow below this product a b, which is then taken for 0.
VANISHING = 1e-300


def log_mode_terms(p: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """r = sqrt(p^2 + a b), r - |p| and the log of the mode of y^p exp(-(a y + b / y) / 2)."""
    root = jnp.sqrt(a) * jnp.sqrt(b)
    r = jnp.hypot(p, root)
    alpha = root * (root / (r + jnp.abs(p)))
    return r, alpha, jnp.where(p >= 0.0, jnp.log((r + p) / a), jnp.log(b / (r - p)))


def _gamma_limit(p: Any, rate: Any) -> tuple[Any, Any, Any, Any]:
    """(lnZ, E log Y, E 1/Y, E Y) of Gamma(p, rate); lnZ is inf unless p > 0 and rate > 0."""
    proper = (p > 0.0) & (rate > 0.0)
    p, rate = jnp.where(proper, p, 1.0), jnp.where(proper, rate, 1.0)
    inverse = jnp.where(p > 1.0, rate / jnp.where(p > 1.0, p - 1.0, 1.0), jnp.inf)
    return (
        jnp.where(proper, gammaln(p) - p * jnp.log(rate), jnp.inf),
        jnp.where(proper, digamma(p) - jnp.log(rate), jnp.nan),
        jnp.where(proper, inverse, jnp.nan),
        jnp.where(proper, p / rate, jnp.nan),
    )


def gig_moments(p: Any, a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """(lnZ, E log Y, E 1/Y, E Y) on equal shapes; a, b >= 0."""
    interior = a * b >= VANISHING
    # Lanes of the limits run the quadrature on a harmless law, and are overwritten.
    p1, a1, b1 = (jnp.where(interior, x, 1.0) for x in (p, a, b))
    r, alpha, log_mode = log_mode_terms(p1, a1, b1)
    log_integral, up, down, u = means(alpha, p1)
    mode = jnp.exp(log_mode)
    inner = (p1 * log_mode - r + log_integral, log_mode + u, (1.0 + down) / mode, (1.0 + up) * mode)
    gamma = _gamma_limit(p, 0.5 * a)
    log_z, log_y, y, inverse = _gamma_limit(-p, 0.5 * b)
    limit = [
        jnp.where(p > 0.0, x, z) for x, z in zip(gamma, (log_z, -log_y, inverse, y), strict=True)
    ]
    valid = (a >= 0.0) & (b >= 0.0)
    log_z, log_y, inverse, y = (
        jnp.where(valid, jnp.where(interior, x, z), jnp.nan)
        for x, z in zip(inner, limit, strict=True)
    )
    return log_z, log_y, inverse, y


@jax.custom_jvp
def log_norm(p: Any, a: Any, b: Any) -> Any:
    """lnZ(p, a, b), differentiable: its gradient is (E log Y, -E Y / 2, -E 1/Y / 2)."""
    return gig_moments(p, a, b)[0]


@log_norm.defjvp
def _log_norm_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    log_z, log_y, inverse, y = gig_moments(*primals)
    dp, da, db = tangents
    return log_z, log_y * dp - 0.5 * (y * da + inverse * db)


def gamma_covariance(p: Any, a: Any) -> Any:
    """(3, 3) covariance of (log Y, 1/Y, Y) under Gamma(p, a / 2); inf where there is none."""
    rate = 0.5 * a
    log_inverse = jnp.where(p > 1.0, -rate / (p - 1.0) ** 2, -jnp.inf)
    inverse_y = jnp.where(p > 1.0, -1.0 / (p - 1.0), -jnp.inf)
    inverse = jnp.where(p > 2.0, rate**2 / ((p - 1.0) ** 2 * (p - 2.0)), jnp.inf)
    return jnp.array(
        [
            [polygamma(1, p), log_inverse, 1.0 / rate],
            [log_inverse, inverse, inverse_y],
            [1.0 / rate, inverse_y, p / rate**2],
        ]
    )


def gig_covariance(p: Any, a: Any, b: Any) -> Any:
    """(3, 3) covariance of (log Y, 1/Y, Y) for scalars a, b > 0."""
    _, alpha, log_mode = log_mode_terms(p, a, b)
    _, c = covariances(alpha, p)
    y = jnp.exp(log_mode)
    # Y = y (1 + u + up) and 1/Y = (1 - u + down) / y for the basis (u, up, down).
    to_statistics = jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    scale = jnp.stack([jnp.ones_like(y), 1.0 / y, y])
    return (to_statistics @ c @ to_statistics.T) * scale[:, None] * scale[None, :]


def log_bessel(v: Any, z: Any) -> tuple[Any, Any]:
    """(log K_v(z), K_{v+1}(z) / K_v(z)) by DLMF 10.32.9, on equal shapes."""
    finite = jnp.abs(v) < jnp.inf
    inside, w, z1, r = _bessel_lanes(v, z)
    log_integral, up, down, _ = means(z1 * (z1 / (r + w)), w)
    mode = (w + r) / z1
    log_k = w * jnp.arcsinh(w / z1) - r + log_integral - jnp.log(2.0)
    ratio = jnp.where(v < 0.0, (1.0 + down) / mode, (1.0 + up) * mode)
    at_zero = jnp.where((z == 0.0) & finite, jnp.inf, jnp.nan)
    at_infinity = (z == jnp.inf) & finite
    return (
        jnp.where(inside, log_k, jnp.where(at_infinity, -jnp.inf, at_zero)),
        jnp.where(inside, ratio, jnp.where(at_infinity, 1.0, at_zero)),
    )


def _bessel_lanes(v: Any, z: Any) -> tuple[Any, Any, Any, Any]:
    """Lanes with 0 < z < inf, and |v|, z and hypot(v, z) there; the others run on v = z = 1."""
    inside = (z > 0.0) & (z < jnp.inf) & (jnp.abs(v) < jnp.inf)
    w, z1 = jnp.where(inside, jnp.abs(v), 1.0), jnp.where(inside, z, 1.0)
    return inside, w, z1, jnp.hypot(w, z1)


def log_bessel_derivatives(v: Any, z: Any) -> Any:
    """(4, ...) d/dv, d2/dv2, d2/dvdz and d2/dz2 of log K_v(z): moments of (t, cosh t)."""
    finite = jnp.abs(v) < jnp.inf
    inside, w, z1, r = _bessel_lanes(v, z)
    mean, c = covariances(z1 * (z1 / (r + w)), w)
    # cosh t is a constant and the product of these with (u, e^u - 1 - u, e^-u - 1 + u).
    cosh = jnp.stack([w / z1, 0.5 * (r + w) / z1, 0.5 * z1 / (r + w)])
    with_t = jnp.sum(cosh * c[0], axis=0)
    variance = jnp.einsum("i...,ij...,j...->...", cosh, c, cosh)
    sign = jnp.sign(v)
    values = (sign * (jnp.arcsinh(w / z1) + mean[0]), c[0, 0], -sign * with_t, variance)
    infinite = jnp.where(v == 0.0, 0.0, sign * jnp.inf)
    trigamma = jnp.where(v == 0.0, jnp.inf, polygamma(1, jnp.where(v == 0.0, 1.0, jnp.abs(v))))
    at_zero = (infinite, trigamma, -infinite, jnp.full_like(infinite, jnp.inf))
    ends = [
        jnp.where(finite & (z == jnp.inf), 0.0, jnp.where(finite & (z == 0.0), limit, jnp.nan))
        for limit in at_zero
    ]
    return jnp.stack([jnp.where(inside, x, end) for x, end in zip(values, ends, strict=True)])
