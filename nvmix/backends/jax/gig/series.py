"""Moments of GIG(p, a, s) at one p and a and many s, by Chebyshev series in log s.

E-steps need the moments at one p and a and every s = b + q of a sample. In t = log s the moments,
divided by powers of the mode, are analytic in the strip |Im t| < pi, so that a Chebyshev series on
an interval of half-width T converges like exp(-k arcsinh(pi / T)). The range of t is cut into equal
intervals. Each turn of a loop computes the quadrature at the nodes of one interval, and its series
at every s, so that a row costs a few additions and multiplications for each interval.
"""

from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from nvmix.backends.jax.bessel.quadrature import means
from nvmix.backends.jax.gig.moments import (
    by_natural,
    gig_covariance,
    gig_moments,
    limit_moments,
    mode_terms,
    vanishing,
)

# Rows whose covariances are computed at a time.
_BATCH: Final = 4096
# Series of 40 terms on intervals of half-width 3.1 at most: exp(-40 arcsinh(pi / 3.1)) = 3e-16.
_TERMS: Final = 40
_WIDTH: Final = 6.2
_ANGLES: Final = np.pi * (np.arange(_TERMS) + 0.5) / _TERMS
_NODES: Final = np.cos(_ANGLES)
# Values at the nodes to coefficients.
_TO_SERIES: Final = np.cos(np.outer(np.arange(_TERMS), _ANGLES)) * 2.0 / _TERMS
_TO_SERIES[0] /= 2.0


def _standard(p: Any, a: Any, s: Any) -> Any:
    """(3, ...) log of the integral, log of a mean over its value at the mode, E log Y - log mode.

    The mean is E Y for p < 0 and E 1/Y else: from that one the other follows without cancellation.
    """
    _, alpha, _ = mode_terms(p, a, s)
    log_integral, up, down, u = means(alpha, p)
    return jnp.stack([log_integral, jnp.log1p(jnp.where(p < 0.0, up, down)), u])


def _evaluated(series: Any, x: Any) -> Any:
    """(3, n) Chebyshev series (3, terms) at x in [-1, 1], by Clenshaw's recurrence."""
    twice = 2.0 * x
    first = second = jnp.zeros((3, *x.shape), x.dtype)
    for k in range(_TERMS - 1, 0, -1):
        first, second = series[:, k, None] + twice * first - second, first
    return series[:, 0, None] + x * first - second


def _interpolated(p: Any, a: Any, s: Any, inside: Any) -> Any:
    """(3, n) `_standard` by series at the s > 0 inside; elsewhere it has no meaning."""
    t = jnp.log(s)
    low = jnp.min(jnp.where(inside, t, jnp.inf))
    high = jnp.max(jnp.where(inside, t, -jnp.inf))
    count = jnp.where(high >= low, jnp.floor((high - low) / _WIDTH) + 1.0, 0.0)
    # One point alone has an interval, too.
    half = jnp.maximum(0.5 * (high - low) / jnp.maximum(count, 1.0), 1e-3)
    interval = jnp.clip(jnp.floor((t - low) / (2.0 * half)), 0.0, jnp.maximum(count - 1.0, 0.0))
    nodes, to_series = jnp.asarray(_NODES, t.dtype), jnp.asarray(_TO_SERIES, t.dtype)

    def body(state: tuple[Any, Any]) -> tuple[Any, Any]:
        j, values = state
        centre = low + (2.0 * j + 1.0) * half
        at_nodes = _standard(p, a, jnp.exp(centre + half * nodes))
        new = _evaluated(
            jnp.matmul(at_nodes, to_series.T, precision="highest"), (t - centre) / half
        )
        return j + 1.0, jnp.where(interval == j, new, values)

    start = (jnp.zeros_like(count), jnp.zeros((3, *s.shape), t.dtype))
    return jax.lax.while_loop(lambda state: state[0] < count, body, start)[1]


def _slopes(values: Any, p: Any, a: Any, s: Any) -> tuple[Any, ...]:
    """Expectations, and covariances a batch of rows at a time."""
    by_row = jax.lax.map(lambda si: gig_covariance(p, a, si), s, batch_size=_BATCH)
    return values[1:], *jnp.moveaxis(by_row, 0, -1)


@by_natural(_slopes)
def moments_along(p: Any, a: Any, s: Any) -> tuple[Any, ...]:
    """(lnZ, E log Y, E 1/Y, E Y) of GIG(p, a, s) at scalars p, a and (n,) s; 1e-12 relative.

    The error is 1e-14 but where log s spans dozens of units.
    """
    if s.size <= _TERMS:
        return gig_moments(p, a, s)
    limit = vanishing(a * s)
    s1, a1 = jnp.where(limit, 1.0, s), jnp.where(vanishing(a), 1.0, a)
    # An infinite range would have no end of intervals.
    log_integral, log_mean, u = _interpolated(p, a, s1, ~limit & (s1 < jnp.inf))
    r, _, log_mode = mode_terms(p, a1, s1)
    mean = jnp.exp(log_mean + jnp.where(p < 0.0, log_mode, -log_mode))
    # a E Y = s E 1/Y + 2 p, solved for the mean that is a sum of two positive terms.
    inverse = jnp.where(p < 0.0, (a1 * mean - 2.0 * p) / s1, mean)
    y = jnp.where(p < 0.0, mean, (s1 * mean + 2.0 * p) / a1)
    inner = (p * log_mode - r + log_integral, log_mode + u, inverse, y)

    def with_limits() -> tuple[Any, ...]:
        outer = limit_moments(p, a, s)
        return tuple(jnp.where(limit, x, z) for x, z in zip(outer, inner, strict=True))

    return jax.lax.cond(jnp.any(limit), with_limits, lambda: inner)


@by_natural(lambda _, p, a, s: moments_along(p, a, s)[1:])
def log_norm_along(p: Any, a: Any, s: Any) -> Any:
    """lnZ of `moments_along`, differentiable twice."""
    return moments_along(p, a, s)[0]
