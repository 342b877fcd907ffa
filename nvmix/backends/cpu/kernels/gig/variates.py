"""Exact GIG variates by table-driven rejection in u = log Y - log mode.

The density f = exp(psi) of u is 1 at its mode, and psi is concave. On either side f is covered by
vertical strips of equal area, as high as f at their ends next to the mode, and beyond the last
strip by the exponential of a tangent to psi. A proposal below the height of f at the far end of its
strip is accepted without evaluating f (J. H. Ahrens, Sampling from general distributions by
suboptimal division of domains, 1993).
"""

import math
from typing import Any, Final

import numpy as np

from nvmix.backends.cpu.jit import device, reducing_device
from nvmix.backends.cpu.kernels.bessel.exp import simd_exp
from nvmix.backends.cpu.kernels.bessel.quadrature import means, node
from nvmix.backends.cpu.kernels.bessel.small_argument import SMALL
from nvmix.backends.cpu.kernels.gig.moments import gig_moments, log_mode_terms
from nvmix.foundation.typing import FloatArray

# The area of f over that of a strip, and the most strips on a side.
_STRIPS: Final = 256
_MOST_STRIPS: Final = 2 * _STRIPS
# The tail begins where f would fall below this share of its value from one end of a strip to the
# other.
_LEAST_SHARE: Final = 0.25
# Largest |log Y| at which `simd_exp` is used.
_WIDEST: Final = 690.0
# Most proposals for a variate: two or three are many, but parameters near the limits of doubles
# could need ever more.
_MOST_PROPOSALS: Final = 1000


@device
def _log_density(alpha: float, v: float, u: float) -> float:
    """psi(u) = -alpha (cosh u - 1) - v (e^u - 1 - u)."""
    c, up, down = node(abs(u))
    return -alpha * c - v * (up if u > 0.0 else down)


@device
def _slope(alpha: float, v: float, u: float) -> float:
    """psi'(u)."""
    return -alpha * math.sinh(u) - v * math.expm1(u)


@device
def _cover(
    alpha: float, v: float, side: float, area: float, first: int, strips: FloatArray
) -> tuple[int, float, float]:
    """Fill strips[first:] with (inner end, width, f at the outer end over f at the inner end).

    side is 1 right of the mode and -1 left of it. Returns the number after the last strip, the
    outer end of that strip, and psi there.
    """
    u, height, k = 0.0, 1.0, first
    while k < first + _MOST_STRIPS:
        width = side * area / height
        outer = math.exp(_log_density(alpha, v, u + width))
        if not outer > _LEAST_SHARE * height:
            break
        strips[k, 0], strips[k, 1], strips[k, 2] = u, width, outer / height
        u, height, k = u + width, outer, k + 1
    return k, u, _log_density(alpha, v, u)


@device
def _from_strip(
    alpha: float, v: float, strip: tuple[float, float, float], share: float, rng: Any
) -> float:
    """A variate from a strip, or nan where it is rejected; share is uniform on (0, 1)."""
    inner, width, squeeze = strip
    if share < squeeze:
        return inner + width * (share / squeeze)
    u = inner + width * rng.random()
    height = _log_density(alpha, v, inner) + math.log(share)
    return u if height <= _log_density(alpha, v, u) else math.nan


@device
def _from_tail(alpha: float, v: float, end: float, scale: float, rng: Any) -> float:
    """A variate beyond the last strip, which ends at `end`, or nan where it is rejected."""
    tail = rng.standard_exponential()
    u = end + scale * tail
    height = _log_density(alpha, v, end) - tail - rng.standard_exponential()
    return u if height <= _log_density(alpha, v, u) else math.nan


@device
def _log_variates(alpha: float, v: float, log_integral: float, out: FloatArray, rng: Any) -> None:
    """Fill out with variates of u; nan where areas overflow. log_integral is that of f."""
    strips = np.empty((2 * _MOST_STRIPS, 3))
    area = math.exp(log_integral) / _STRIPS
    half, right, log_right = _cover(alpha, v, 1.0, area, 0, strips)
    count, left, log_left = _cover(alpha, v, -1.0, area, half, strips)
    right_scale, left_scale = -1.0 / _slope(alpha, v, right), -1.0 / _slope(alpha, v, left)
    right_area = math.exp(log_right) * right_scale / area
    total = count + right_area - math.exp(log_left) * left_scale / area
    if not total < np.inf:
        out[:] = math.nan
        return
    for i in range(out.size):
        u = math.nan
        for _ in range(_MOST_PROPOSALS):
            if not math.isnan(u):
                break
            place = rng.random() * total
            k = int(place)
            if k < count:
                strip = strips[k, 0], strips[k, 1], strips[k, 2]
                u = _from_strip(alpha, v, strip, place - k, rng)
            elif place < count + right_area:
                u = _from_tail(alpha, v, right, right_scale, rng)
            else:
                u = _from_tail(alpha, v, left, left_scale, rng)
        out[i] = u


@reducing_device
def _exponentiate(log_mode: float, sign: float, out: FloatArray) -> None:
    """Replace u by exp(log mode + sign u)."""
    widest = abs(log_mode)
    for i in range(out.size):
        widest = max(widest, abs(out[i]))
    if widest < _WIDEST:
        mode = math.exp(log_mode)
        for i in range(out.size):
            out[i] = mode * simd_exp(sign * out[i])
    else:
        for i in range(out.size):
            out[i] = math.exp(log_mode + sign * out[i])


@device
def gig_variates(p: float, a: float, b: float, out: FloatArray, rng: Any) -> None:
    """Fill out with independent variates of GIG(p, a, b), a, b > 0."""
    r, alpha, log_mode = log_mode_terms(p, a, b)
    if alpha <= SMALL and abs(p) < 1.0:
        # Beyond the quadrature. Cancellation here changes strips, but not what is sampled.
        log_integral = gig_moments(p, a, b)[0] - (p * log_mode - r)
    else:
        log_integral = means(alpha, p)[0]
    _log_variates(alpha, abs(p), log_integral, out, rng)
    _exponentiate(log_mode, 1.0 if p >= 0.0 else -1.0, out)
