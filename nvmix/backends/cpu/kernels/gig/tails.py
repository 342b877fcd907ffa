"""Tail probabilities and quantiles of GIG(p, a, b), by the trapezoidal rule in log Y.

With A = a y / 2, B = b / (2 y) and k = p - A + B, the slope of the log-density of log Y at log y,

    P(Y > y) = g(log y) I(k, A, B),  g the density of log Y,
    I(k, A, B) = integral over s > 0 of exp(k s - A (e^s - 1 - s) - B (e^-s - 1 + s)),

and P(Y < y) = g(log y) I(-k, B, A), since the law of 1 / Y is GIG(-p, b, a). g is log-concave, so
that beyond its mode k <= 0, and nothing in the exponent cancels. That tail is summed, or the other
where most of the distribution is beyond, as in flat gamma laws; g has then not yet fallen by much,
so that k is small. The larger tail is 1 minus the smaller.

The substitution s = c log(1 + exp(t - e^-t)) makes the end s = 0 vanish double exponentially and is
linear far from it (M. Mori, Publications of RIMS 41, 2005, 897-935). The unit c is a multiple of
the width of the tail, of 1 at most, the scale of the exponentials.
"""

import math
from typing import Final

import numpy as np

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.bessel.quadrature import node
from nvmix.backends.cpu.kernels.gig.density import excess, log_density_of_log
from nvmix.backends.cpu.kernels.gig.moments import log_integral
from nvmix.foundation.typing import FloatArray

# Step in t, and c in widths of the tail, which leave an error below 1e-15.
_STEP: Final = 0.2
_WIDTHS: Final = 2.0
# Terms below e^-45 of the first are left out, and nodes beyond s = 1500, where y overflows.
_CUT: Final = -45.0
_MOST_NODES: Final = 7520
# s from which A e^s is taken as exp(s + log A).
_OVERFLOW: Final = 700.0
# Nodes from t = -3.8, where the weight is 1e-19, to t = 38, beyond which s = c t to rounding.
_T: Final = _STEP * np.arange(-19.0, 191.0)
_Z: Final = _T - np.exp(-_T)
_SHARES: FloatArray = np.logaddexp(0.0, _Z)
_WEIGHTS: FloatArray = (1.0 + np.exp(-_T)) / (1.0 + np.exp(-_Z))
# The least positive double, a bound of modes, and how much larger a rounded mode may be.
_LEAST: Final = 5e-324
_MOST: Final = 1e307
_ROUNDED: Final = 1e-14
_LOG_HALF: Final = -0.6931471805599453
# Steps of a search for a quantile, of which Newton's take 5 to 12.
_MOST_STEPS: Final = 200
# Newton's step, in widths of the tail, after which the next is rounding.
_LAST: Final = 1e-8


@device
def _log_tail_integral(k: float, A: float, B: float, log_A: float) -> float:
    """log I(k, A, B) where the integrand rises by little, if at all; error 2e-15.

    A may be the 0 that a log below -744 is rounded to.
    """
    width = 2.0 / (abs(k) + math.hypot(k, math.sqrt(2.0) * math.sqrt(A + B)))
    c, total = min(1.0, _WIDTHS * width), 0.0
    for j in range(_MOST_NODES):
        tabulated = j < len(_SHARES)
        s = c * (_SHARES[j] if tabulated else _STEP * (j - 19.0))
        _, up, down = node(s)
        rise = A * up if s < _OVERFLOW else math.exp(s + log_A)
        exponent = k * s - rise - B * down
        if not exponent > _CUT:
            break
        total += math.exp(exponent) * (_WEIGHTS[j] if tabulated else 1.0)
    return math.log(total * (_STEP * c))


@device
def _log_gamma_integral(p: float, x: float) -> float:
    """log I(-k, 0, A) of Gamma(p, a / 2) at x = a y / 2 <= p < 1, where it decays slowly.

    It is (1 / p) times the sum of x^n / ((p + 1) ... (p + n)), DLMF 8.11.4.
    """
    term, total, n = 1.0, 1.0, 1.0
    while term > 1e-17 * total:
        term *= x / (p + n)
        total += term
        n += 1.0
    return math.log(total / p)


@device
def _log_side(p: float, a: float, b: float, y: float, twice: float, upper: bool) -> float:
    """log I of the upper or of the lower tail at y, twice being a y - b / y - 2 p."""
    A, B, log_y = 0.5 * a * y, 0.5 * (b / y), math.log(y)
    if upper:
        if a == 0.0 and p > -1.0 and twice >= 0.0:
            return _log_gamma_integral(-p, B)
        return _log_tail_integral(-0.5 * twice, A, B, math.log(0.5 * a) + log_y)
    if b == 0.0 and p < 1.0 and twice < 0.0:
        return _log_gamma_integral(p, A)
    return _log_tail_integral(0.5 * twice, B, A, math.log(0.5 * b) - log_y)


@device
def _log_tail(
    p: float, a: float, b: float, r: float, log_constant: float, y: float
) -> tuple[float, float, bool]:
    """Log-probability of the smaller tail at y, log I, and whether it is the upper one.

    It is the one beyond the mode of log Y, unless most of the distribution is.
    """
    linear, quotient = a * y, b / y
    if not (linear < math.inf and quotient < math.inf):
        return -math.inf, -math.inf, quotient < math.inf
    twice = excess(a, b, p, y)
    upper = twice >= 0.0
    log_density = log_constant + log_density_of_log(p, a, b, r, y)
    width = _log_side(p, a, b, y, twice, upper)
    if log_density + width > _LOG_HALF:
        upper = not upper
        width = _log_side(p, a, b, y, twice, upper)
    return log_density + width, width, upper


@device
def gig_log_tails(
    p: float, a: float, b: float, y: FloatArray, out: FloatArray, upper: FloatArray
) -> None:
    """Fill out with `_log_tail` at 0 < y < inf, and upper with 1 where P(Y > y) is meant, else 0.

    a = 0 and b = 0 too. Error 1e-15 (2 + |value|), beside what an error of 1e-15 of y makes.
    """
    root = math.sqrt(a) * math.sqrt(b)
    r, log_constant = math.hypot(p, root), -log_integral(p, root)
    for i in range(y.size):
        out[i], _, is_upper = _log_tail(p, a, b, r, log_constant, y[i])
        upper[i] = 1.0 if is_upper else 0.0


@device
def _quantile(
    p: float, a: float, b: float, r: float, log_constant: float, mode: float, target: float
) -> float:
    """y where log P(Y < y) is the target, at most that at the mode of log Y.

    Newton's method on log(-log P) by log y, which is nearly linear in Gaussian, in exponential and
    in double exponential tails; a step that leaves the bracket of the root halves it.
    """
    low, high, y, aim = 0.0, mode * (1.0 + _ROUNDED), mode, math.log(-target)
    for _ in range(_MOST_STEPS):
        log_tail, log_width, upper = _log_tail(p, a, b, r, log_constant, y)
        if upper:
            # Next to the mode, which is rounded.
            log_other = log_tail
            log_tail = math.log(-math.expm1(log_other))
            log_width += log_tail - log_other
        height, width = math.log(-log_tail) - aim, math.exp(log_width)
        low, high = (y, high) if height >= 0.0 else (low, y)
        # d log P / d log y is 1 / width.
        step = height * -log_tail * width
        following = y * math.exp(step)
        if abs(step) <= _LAST * width:
            return following
        inside = low <= following <= high and following > 0.0
        y = following if inside else math.sqrt(max(low, _LEAST)) * math.sqrt(high)
    return y if y > _LEAST else 0.0


@device
def gig_quantiles(
    p: float, a: float, b: float, log_lower: FloatArray, log_upper: FloatArray, out: FloatArray
) -> None:
    """Fill out with y where P(Y < y) and P(Y > y) have the logs given; a = 0 and b = 0 too.

    The error is that of `gig_log_tails`, divided by d log P / d log y.
    """
    root = math.sqrt(a) * math.sqrt(b)
    r, log_constant = math.hypot(p, root), -log_integral(p, root)
    mode = (p + r) / a if p >= 0.0 else b / (r - p)
    mode = min(max(mode, 1.0 / _MOST), _MOST)
    log_tail, _, upper = _log_tail(p, a, b, r, log_constant, mode)
    at_mode = math.log(-math.expm1(log_tail)) if upper else log_tail
    for i in range(out.size):
        if log_lower[i] <= at_mode:
            out[i] = _quantile(p, a, b, r, log_constant, mode, log_lower[i])
        else:
            out[i] = 1.0 / _quantile(-p, b, a, r, log_constant, 1.0 / mode, log_upper[i])
