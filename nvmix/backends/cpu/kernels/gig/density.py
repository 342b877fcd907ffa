"""The log-density of GIG(p, a, b), without differences of large numbers.

For p >= 0 let m be the mode of y^p exp(-(a y + b / y) / 2), r = sqrt(p^2 + a b) and delta =
y / m - 1. Then the log-density is

    -log y + p (log(1 + delta) - delta) - b / (2 y) delta^2 - `log_integral`,
    delta = (a y - b / y - 2 p) / (p + r + b / y).

The numerator is 0 at the mode: it is summed from products with their rounding errors. Neither term
in delta is positive, so that they do not cancel. For large delta the plain terms
p log(1 + delta) - (a y + b / y) / 2 + r keep their digits. The law of 1 / Y is GIG(-p, b, a), so
that a y and b / y change places for p < 0.
"""

import math
from typing import Final

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.gig.moments import log_integral
from nvmix.backends.cpu.kernels.intrinsics import fma
from nvmix.foundation.typing import FloatArray

# |delta| below which log(1 + delta) - delta is a series, and the number of its terms.
_NEAR: Final = 0.25
_TERMS: Final = 10
# delta from which the plain terms are summed; b / y may underflow there.
_FAR: Final = 64.0


@device
def excess(a: float, b: float, p: float, y: float) -> float:
    """a y - b / y - 2 p, as accurate as a, b, p and y are."""
    linear, quotient = a * y, b / y
    low = fma(a, y, -linear) - fma(-quotient, y, b) / y
    first = linear - quotient
    back = first - linear
    low += (linear - (first - back)) - (quotient + back)
    total = first - 2.0 * p
    back = total - first
    return total + (low + ((first - (total - back)) - (2.0 * p + back)))


@device
def log_minus_linear(delta: float) -> float:
    """log(1 + delta) - delta for small delta, by t = delta / (2 + delta) and 2 artanh t."""
    t, series = delta / (2.0 + delta), 0.0
    for k in range(_TERMS, 0, -1):
        series = series * t * t + 1.0 / (2.0 * k + 1.0)
    return t * (2.0 * t * t * series - delta)


@device
def log_density_of_log(p: float, a: float, b: float, r: float, y: float) -> float:
    """Log-density of log Y at log y, plus `log_integral`; r is sqrt(p^2 + a b), and y > 0."""
    v, log_y = abs(p), math.log(y)
    first, second, rate, sign, side = a * y, b / y, a, 1.0, log_y
    if p < 0.0:
        first, second, rate, sign, side = second, first, b, -1.0, -log_y
    if not (first < math.inf and second < math.inf):
        return -math.inf
    delta = sign * excess(a, b, p, y) / (v + r + second)
    if abs(delta) < _NEAR:
        return v * log_minus_linear(delta) - 0.5 * second * delta * delta
    log_ratio = 0.0
    if v > 0.0:
        # The quotient y / m = 1 + delta may be subnormal.
        ratio = first / (v + r)
        log_ratio = math.log(ratio) if ratio > 1e-300 else math.log(rate) + side - math.log(v + r)
    if delta < _FAR:
        return v * (log_ratio - delta) - 0.5 * second * delta * delta
    return v * log_ratio + (r - 0.5 * (first + second))


@device
def gig_log_density(p: float, a: float, b: float, y: FloatArray, out: FloatArray) -> None:
    """Fill out with the log-densities at y > 0."""
    root = math.sqrt(a) * math.sqrt(b)
    r, log_constant = math.hypot(p, root), -log_integral(p, root)
    for i in range(y.size):
        out[i] = log_constant + log_density_of_log(p, a, b, r, y[i]) - math.log(y[i])
