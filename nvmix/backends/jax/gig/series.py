"""Moments of GIG(p, a, s) at one p and a and many s, by Chebyshev series in log s.

E-steps need the moments at one p and a and every s = b + q of a sample. In t = log s the moments,
divided by powers of the mode, are analytic in the strip |Im t| < pi, so that a Chebyshev series on
an interval of half-width T converges like exp(-k arcsinh(pi / T)). The range of t is cut into equal
intervals, in one of two ways.

`moments_along` takes few wide ones. Each turn of a loop computes the quadrature at the nodes of one
interval, and its series at every s, so that a row costs a few additions and multiplications for
each interval, and no range is too wide. `Table` has many narrow ones with short series, and a row
looks up its own: more quadrature, and less for each of many rows.
"""

from typing import Any, Final, NamedTuple

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
# Short series of 16 terms on intervals of half-width 0.68 at most: exp(-16 arcsinh(pi / 0.68)) =
# 3e-16. So many intervals cover s over 37 decades.
_SHORT_TERMS: Final = 16
_INTERVALS: Final = 64
WIDEST: Final = 1.36 * _INTERVALS


def _chebyshev(terms: int) -> tuple[Any, Any]:
    """(terms,) nodes in [-1, 1], and the matrix from values there to coefficients."""
    angles = np.pi * (np.arange(terms) + 0.5) / terms
    to_series = np.cos(np.outer(np.arange(terms), angles)) * 2.0 / terms
    to_series[0] /= 2.0
    return np.cos(angles), to_series


_NODES, _TO_SERIES = _chebyshev(_TERMS)
_SHORT_NODES, _TO_SHORT_SERIES = _chebyshev(_SHORT_TERMS)


def _standard(p: Any, a: Any, s: Any) -> Any:
    """(3, ...) log of the integral, log of a mean over its value at the mode, E log Y - log mode.

    The mean is E Y for p < 0 and E 1/Y else: from that one the other follows without cancellation.
    """
    _, alpha, _ = mode_terms(p, a, s)
    log_integral, up, down, u = means(alpha, p)
    return jnp.stack([log_integral, jnp.log1p(jnp.where(p < 0.0, up, down)), u])


def _evaluated(series: Any, x: Any) -> Any:
    """Chebyshev series, a sequence of coefficients, at x in [-1, 1], by Clenshaw's recurrence."""
    twice = 2.0 * x
    first, second = series[-1], jnp.zeros_like(x)
    for coefficient in series[-2:0:-1]:
        first, second = coefficient + twice * first - second, first
    return series[0] + x * first - second


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
        series = jnp.matmul(at_nodes, to_series.T, precision="highest")
        new = _evaluated(series.T[:, :, None], (t - centre) / half)
        return j + 1.0, jnp.where(interval == j, new, values)

    start = (jnp.zeros_like(count), jnp.zeros((3, *s.shape), t.dtype))
    return jax.lax.while_loop(lambda state: state[0] < count, body, start)[1]


def _with_mode(p: Any, a: Any, s: Any, log_integral: Any, log_mean: Any, u: Any) -> tuple[Any, ...]:
    """lnZ, E log Y, and the log of the mean that `_standard` has over its value at the mode."""
    r, _, log_mode = mode_terms(p, a, s)
    log_mean += jnp.where(p < 0.0, log_mode, -log_mode)
    return p * log_mode - r + log_integral, log_mode + u, log_mean


def _both_means(p: Any, a: Any, s: Any, mean: Any) -> tuple[Any, Any]:
    """E 1/Y and E Y from E Y for p < 0, and from E 1/Y else.

    a E Y = s E 1/Y + 2 p is solved for the mean that is a sum of two positive terms.
    """
    inverse = jnp.where(p < 0.0, (a * mean - 2.0 * p) / s, mean)
    return inverse, jnp.where(p < 0.0, mean, (s * mean + 2.0 * p) / a)


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
    standard = _interpolated(p, a, s1, ~limit & (s1 < jnp.inf))
    log_z, log_y, log_mean = _with_mode(p, a1, s1, *standard)
    inner = (log_z, log_y, *_both_means(p, a1, s1, jnp.exp(log_mean)))

    def with_limits() -> tuple[Any, ...]:
        outer = limit_moments(p, a, s)
        return tuple(jnp.where(limit, x, z) for x, z in zip(outer, inner, strict=True))

    return jax.lax.cond(jnp.any(limit), with_limits, lambda: inner)


@by_natural(lambda _, p, a, s: moments_along(p, a, s)[1:])
def log_norm_along(p: Any, a: Any, s: Any) -> Any:
    """lnZ of `moments_along`, differentiable twice."""
    return moments_along(p, a, s)[0]


class Table(NamedTuple):
    """Short series on equal intervals of log s from low, of half-width half, for GIG(p, a, s).

    They are of lnZ, E log Y, and the log of the mean that `_standard` has; series is
    (terms, 3, intervals).
    """

    series: Any
    low: Any
    half: Any
    p: Any
    a: Any

    def moments(self, s: Any) -> tuple[Any, ...]:
        """(lnZ, E log Y, E 1/Y, E Y) at each s in the range, elementwise; 1e-14 relative."""
        place = (jnp.log(s) - self.low) / (2.0 * self.half)
        interval = jnp.clip(jnp.floor(place), 0.0, _INTERVALS - 1.0)
        x, at = 2.0 * (place - interval) - 1.0, interval.astype(jnp.int32)
        log_z, log_y, log_mean = (
            _evaluated([c[i].at[at].get(mode="promise_in_bounds") for c in self.series], x)
            for i in range(3)
        )
        return log_z, log_y, *_both_means(self.p, self.a, s, jnp.exp(log_mean))


def table(p: Any, a: Any, low: Any, high: Any) -> Table:
    """The table of GIG(p, a, s) for log s from low to high, at most `WIDEST` apart, and a s > 0."""
    # One point alone has an interval, too.
    half = jnp.maximum((high - low) / (2.0 * _INTERVALS), 1e-6)
    centres = low + (2.0 * jnp.arange(_INTERVALS, dtype=half.dtype) + 1.0) * half
    s = jnp.exp(centres[:, None] + half * jnp.asarray(_SHORT_NODES, half.dtype))
    at_nodes = jnp.stack(_with_mode(p, a, s, *_standard(p, a, s)))
    to_series = jnp.asarray(_TO_SHORT_SERIES, half.dtype)
    series = jnp.einsum("ikj,lj->lik", at_nodes, to_series, precision="highest")
    return Table(series, low, half, p, a)
