"""Log-densities of rows far away or of narrow laws, without differences of large numbers.

With w = L^-1 (x - mu), g = L^-1 gamma, q = |w|^2, A = a + |g|^2, B = b + q and p' = p - d/2,

    log f(x) = -d/2 log 2 pi - log|L| + g . w + lnZ(p', A, B) - lnZ(p, a, b).

lnZ(p, a, b) is the peak p log m - r of its integrand, at the mode m = (p + r) / a = b / (r - p)
with r = sqrt(p^2 + a b), plus a smooth `log_integral`. Write M and R for the mode and root of
(p', A, B). Then g . w, r and R grow with narrow laws, with skewness and with x, but their sum
E = g . w + r - R does not. Where g . w + r > 0 it is taken as (g . w + r)^2 - R^2 over
g . w + r + R. With the identity of Lagrange, for |g|^2 |w|^2 - (g . w)^2, the numerator is

    -|g|^2 |w_|^2 - |sqrt(a) w - sqrt(b) g|^2 + 2 (r - sqrt(a b)) g . w + p^2 - p'^2,

where w_ is the part of w that is orthogonal to g. Its terms do not cancel but as the distribution
itself is a near-singular function of its parameters. p' log M - p log m is p log(M / m) less
d/2 log M, with M / m from R - r = g . w - E. `em.plain_density` has the plain sum, which does
for most rows.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.cpu.jit import device, late
from nvmix.backends.cpu.kernels.gig.moments import LARGE, log_integral, log_integral_beyond
from nvmix.backends.cpu.kernels.intrinsics import fma
from nvmix.foundation.typing import FloatArray

# log(2 pi) / 2
HALF_LOG_2PI: Final = 0.9189385332046728
# Products of four numbers, of which two are below the root of this, do not overflow.
_SAFE: Final = 1e140
# Squares keep their digits from here on.
LEAST: Final = 1e-290
# Binary exponent that stands for that of 0.
_NONE: Final = -5000
# sin^2 of the angle between w and g from which |g|^2 |w|^2 - (g . w)^2 keeps 13 digits.
_WIDE: Final = 0.01
# |p| times |log m| up to which p log M - p log m keeps 14 digits.
_MODEST: Final = 30.0
# Most corrections of the part of w that is orthogonal to g.
_CORRECTIONS: Final = 20


class Law(NamedTuple):
    """What all rows share; numbers that are scaled are divided by powers of 2^exponent.

    Scaled once are g = L^-1 gamma and the root of a, twice A = a + |g|^2.
    """

    p: float
    order: float  # p - d/2
    b: float
    root_a: float
    A: float
    r: float
    excess: float  # r - sqrt(a b)
    log_mode: float
    log_ratio: float  # log(A / a), used for p >= 0
    log_rest: float  # the density's terms without x or peaks
    exponent: int


@device
def log_of_mode(p: float, a: float, b: float, r: float, exponent: int) -> float:
    """log of the mode times 2^exponent."""
    value = math.log(p + r) - math.log(a) if p >= 0.0 else math.log(b) - math.log(r - p)
    return value + exponent * math.log(2.0)


@device
def _exponent(x: FloatArray) -> int:
    """Binary exponent of the largest of absolute values."""
    largest = 0.0
    for i in range(x.size):
        largest = max(largest, abs(x[i]))
    return math.frexp(largest)[1] if largest > 0.0 else _NONE


@device
def _half_exponent(x: float) -> int:
    """Exponent e with x < 4^e."""
    return (math.frexp(x)[1] + 1) // 2 if x > 0.0 else _NONE


@device
def _multiply_lower(A: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Fill the product of a lower-triangular matrix and a vector."""
    for i in range(x.size):
        out[i] = 0.0
        for j in range(i + 1):
            out[i] += A[i, j] * x[j]


@device
def _scale(x: FloatArray, exponent: int, out: FloatArray) -> None:
    """Fill x divided by 2^exponent."""
    for i in range(x.size):
        out[i] = math.ldexp(x[i], -exponent)


@device
def inner(x: FloatArray, y: FloatArray) -> float:
    """Inner product."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@device
def _law(
    theta: tuple[float, float, float], inverse: FloatArray, g: FloatArray, exponent: int
) -> Law:
    """Constants of the rows for g and inverse that are scaled by the exponent and not at all."""
    p, a, b = theta
    root = math.sqrt(a) * math.sqrt(b)
    r = math.hypot(p, root)
    excess = p * (p / (r + root)) if p != 0.0 else 0.0
    a = math.ldexp(a, -2 * exponent)
    square = inner(g, g)
    log_ratio = 0.0
    if p >= 0.0:
        ratio = square / a
        log_a = math.log(a) if a > LEAST else math.log(theta[1]) - 2 * exponent * math.log(2.0)
        log_ratio = math.log1p(ratio) if ratio < 1.0 else math.log(a + square) - log_a
    log_rest = -log_integral(p, root)
    for i in range(g.size):
        log_rest += math.log(inverse[i, i]) - HALF_LOG_2PI
    return Law(
        p, p - 0.5 * g.size, b, math.sqrt(a), a + square, r, excess,
        log_of_mode(p, theta[1], b, r, 0), log_ratio, log_rest, exponent,
    )  # fmt: skip


@device
def _orthogonal(
    hi: FloatArray, lo: FloatArray, gamma: FloatArray, inverse: FloatArray, g: FloatArray,
    w: FloatArray,
) -> float:  # fmt: skip
    """|w_|^2 for the part w_ of w = L^-1 x that is orthogonal to g = L^-1 gamma; hi + lo is x.

    Multiples of gamma are subtracted from x until w no longer shrinks. A fused product rounds the
    difference alone, so that each step keeps digits that the last one lost. Overwrites hi and w.
    """
    square, length = inner(g, g), inner(w, w)
    for _ in range(_CORRECTIONS):
        t = inner(g, w) / square
        for i in range(g.size):
            hi[i] = fma(-t, gamma[i], hi[i]) + lo[i]
            lo[i] = 0.0
        _multiply_lower(inverse, hi, w)
        last, length = length, inner(w, w)
        if not length < 0.25 * last:
            break
    t = inner(g, w) / square
    total = 0.0
    for i in range(g.size):
        total += (w[i] - t * g[i]) ** 2
    return total


@device
def _difference(
    x: FloatArray, mu: FloatArray, exponent: int, hi: FloatArray, lo: FloatArray
) -> None:
    """Fill x - mu = hi + lo, divided by 2^exponent."""
    for i in range(x.size):
        x_i, mu_i = x[i], mu[i]
        if exponent != 0:
            x_i, mu_i = math.ldexp(x_i, -exponent), math.ldexp(mu_i, -exponent)
        hi[i] = x_i - mu_i
        back = hi[i] - x_i
        lo[i] = (x_i - (hi[i] - back)) - (mu_i + back)


@device
def _difference_of_peaks(
    law: Law, half_d: float, dot: float, cross: float, difference: float, R: float, e: int
) -> float:
    """E = g . w + r - R, divided by 2^e; R and the products of w and g are divided already."""
    r = math.ldexp(law.r, -e) if e > 0 else law.r
    if not dot + r > 0.0:
        return dot + r - R
    denominator = dot + r + R
    orders, excess = law.p + law.order, law.excess
    if e > 0:
        # The product of two scaled orders may underflow.
        half_d, orders = math.ldexp(half_d, -e), math.ldexp(orders, -e)
        excess = math.ldexp(excess, -e)
    return half_d / denominator * orders + (2.0 * excess * dot - cross - difference) / denominator


@device
def _log_rest(law: Law, R: float, root: float, e: int) -> float:
    """`log_integral` of the posterior; R and the root of A B are divided by 2^e."""
    if e == 0 and R < LARGE:
        return log_integral(law.order, root)
    if e > 0 and math.ldexp(R, e) < LARGE:
        return log_integral(law.order, math.ldexp(root, e))
    inverse = 1.0 / R
    if e > 0:
        inverse = math.ldexp(inverse, -e)
    return log_integral_beyond(law.order * inverse, inverse, math.log(R) + e * math.log(2.0))


@device
def _log_growth(law: Law, plain: float, half_d: float, rise: float, q: float, b: float) -> float:
    """log(M / m) from R - r, without a difference of logarithms where M is next to m."""
    if law.p >= 0.0:
        growth = (rise - half_d) / (law.r + law.p)
        if abs(growth) < 1.0 and law.order >= 0.0:
            return math.log1p(growth) - law.log_ratio
        return plain
    growth = (rise + half_d) / (law.r - law.p)
    if abs(growth) < 1.0 and q < b:
        return math.log1p(q / b) - math.log1p(growth)
    return plain


@device
def _value(
    law: Law, d: int, dot: float, q: float, cross: float, difference: float, k: int
) -> float:  # fmt: skip
    """log f from g . w, |w|^2, |g|^2 |w_|^2 and |sqrt(a) w - sqrt(b) g|^2.

    w is scaled by k, g by the law's exponent, and these products accordingly.
    """
    total, half_d = k + law.exponent, 0.5 * d
    e = max(total, 0)
    b = math.ldexp(law.b, -2 * k) if k != 0 else law.b
    B = b + q
    if law.order <= 0.0 and B == 0.0:
        return math.inf
    # A B itself may underflow, which matters at order 0.
    root = math.sqrt(law.A) * math.sqrt(B)
    if total < 0:
        dot, root = math.ldexp(dot, total), math.ldexp(root, total)
        cross, difference = math.ldexp(cross, 2 * total), math.ldexp(difference, 2 * total)
    if root == 0.0 and dot == 0.0:
        # a = 0 and g = 0: no term has w in it, and scaling would lose the order.
        e = 0
    order = math.ldexp(law.order, -e) if e > 0 else law.order
    R = math.hypot(order, root)
    E = _difference_of_peaks(law, half_d, dot, cross, difference, R, e)
    if order >= 0.0:
        log_mode = math.log((order + R) / law.A) + (e - 2 * law.exponent) * math.log(2.0)
    else:
        log_mode = math.log(B / (R - order)) + (2 * k - e) * math.log(2.0)
    log_growth = log_mode - law.log_mode
    if abs(law.p) * max(1.0, abs(law.log_mode)) > _MODEST:
        log_growth = _log_growth(law, log_growth, half_d, math.ldexp(dot - E, e), q, b)
    if e > 0:
        E = math.ldexp(E, e)
    rest = _log_rest(law, R, root, e)
    return (law.log_rest + E) + (law.p * log_growth - half_d * log_mode + rest)


@device
def _scaled_row(
    x: FloatArray, mu: FloatArray, inverse: FloatArray, gamma: FloatArray,
    theta: tuple[float, float, float],
) -> float:  # fmt: skip
    """log f(x) of one row of any size, by dividing x, L^-1, g and w by powers of two."""
    d, a, b = x.size, theta[1], theta[2]
    small, direction, g, w = np.empty((d, d)), np.empty(d), np.empty(d), np.empty(d)
    hi, lo = np.empty(d), np.empty(d)
    e_inverse = _exponent(inverse.ravel())
    _scale(inverse.ravel(), e_inverse, small.ravel())
    skewed = _exponent(gamma) > _NONE
    e_gamma = _exponent(gamma) if skewed else 0
    _scale(gamma, e_gamma, direction)
    _multiply_lower(small, direction, g)
    e_x = max(_exponent(x), _exponent(mu)) + 1
    _difference(x, mu, e_x, hi, lo)
    _multiply_lower(small, hi, w)
    e_g, e_w = e_inverse + e_gamma, e_inverse + e_x
    k_g = max(_exponent(g) + e_g if skewed else _NONE, _half_exponent(a))
    k_g = k_g if k_g > _NONE else 0
    k = max(_exponent(w) + e_w, _half_exponent(b))
    k = k if k > _NONE else 0
    _scale(g, k_g - e_g, g)
    _scale(w, k - e_w, w)
    law = _law(theta, inverse, g, k_g)
    dot, q, root_b = inner(g, w), inner(w, w), math.sqrt(math.ldexp(b, -2 * k))
    square, difference = inner(g, g), 0.0
    for i in range(d):
        difference += (law.root_a * w[i] - root_b * g[i]) ** 2
    cross = 0.0
    if d > 1 and square > 0.0:
        cross = square * q - dot * dot
        if cross < _WIDE * square * q:
            _scale(w, e_w - k, w)
            _scale(g, e_g - k_g, g)
            rest = _orthogonal(hi, lo, direction, small, g, w)
            cross = square * math.ldexp(rest, 2 * (e_w - k))
    return _value(law, d, dot, q, cross, difference, k)


@late(
    "void(float64[:,::1], float64[::1], float64[:,::1], float64[::1], UniTuple(float64, 3),"
    "float64[::1], float64[:,::1], float64[::1], float64[::1], float64, float64, float64[::1])"
)
def fill_beyond(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, gamma: FloatArray,
    theta: tuple[float, float, float], g: FloatArray, w: FloatArray, q: FloatArray,
    linear: FloatArray, bound: float, least: float, out: FloatArray,
) -> None:  # fmt: skip
    """Fill in the log-densities of rows beyond the bound of plain sums, or with q below least."""
    n, d = X.shape
    a, b, square = theta[1], theta[2], inner(g, g)
    A = a + square
    law = _law(theta, inverse, g, 0)
    root_b, safe = math.sqrt(b), A < _SAFE and b < _SAFE
    hi, lo, u = np.empty(d), np.empty(d), np.empty(d)
    for r in range(n):
        if A * (b + q[r]) <= bound and q[r] >= least:
            continue
        if not (safe and least <= q[r] < _SAFE):
            out[r] = _scaled_row(X[r], mu, inverse, gamma, theta)
            continue
        difference, cross = 0.0, 0.0
        for i in range(d):
            difference += (law.root_a * w[i, r] - root_b * g[i]) ** 2
        if d > 1:
            cross = square * q[r] - linear[r] * linear[r]
            if linear[r] > 0.0 and cross < _WIDE * square * q[r]:
                _difference(X[r], mu, 0, hi, lo)
                for i in range(d):
                    u[i] = w[i, r]
                cross = square * _orthogonal(hi, lo, gamma, inverse, g, u)
        out[r] = _value(law, d, linear[r], q[r], cross, difference, 0)
