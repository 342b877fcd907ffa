"""Log-densities of rows by the plain sum of their terms, where it keeps their digits.

It does for rows with small R and r of `em.density`, as most rows have: the sum has 13 digits, and
costs one look-up. `em.density` has the others.
"""

import math

from nvmix.backends.cpu.jit import device
from nvmix.backends.cpu.kernels.em.density import (
    HALF_LOG_2PI,
    LEAST,
    fill_beyond,
    inner,
    log_of_mode,
)
from nvmix.backends.cpu.kernels.gig.moments import LARGE
from nvmix.backends.cpu.kernels.gig.table import (
    interval,
    moments_covered,
    scaled_moments,
    tabulated,
)
from nvmix.foundation.typing import FloatArray


@device
def posterior(
    theta: tuple[float, float, float], log_norm: float, inverse: FloatArray, gamma: FloatArray,
    g: FloatArray,
) -> tuple[float, float, float, float]:  # fmt: skip
    """(p - d/2, a + |g|^2, b, the terms of log f without x); fill g = L^-1 gamma.

    log_norm is lnZ(p, a, b); inverse is L^-1.
    """
    p, a, b = theta
    log_constant, square = -log_norm, 0.0
    for i in range(g.size):
        g[i] = 0.0
        for j in range(i + 1):
            g[i] += inverse[i, j] * gamma[j]
        square += g[i] * g[i]
        log_constant += math.log(inverse[i, i]) - HALF_LOG_2PI
    return p - 0.5 * g.size, a + square, b, log_constant


@device
def plain_bound(theta: tuple[float, float, float], d: int) -> float:
    """The largest A B at which the plain sum of the density's terms is accurate."""
    p, a, b = theta
    r = math.hypot(p, math.sqrt(a) * math.sqrt(b))
    if not (r <= LARGE and abs(p * log_of_mode(p, a, b, r, 0)) <= LARGE):
        return -1.0
    return LARGE * LARGE - (p - 0.5 * d) ** 2


@device
def plain_intervals(bound: float, table: FloatArray) -> int:
    """How many intervals of the table have no A B beyond the bound."""
    return max(0, min(interval(bound), len(table))) if bound > 0.0 else 0


@device
def any_beyond(q: FloatArray, A: float, b: float, bound: float, least: float) -> bool:
    """Whether a row's A B is beyond the bound, or not a number, or its q is below the least."""
    beyond = False
    for r in range(q.size):
        beyond |= (not A * (b + q[r]) <= bound) or q[r] < least
    return beyond


@device
def log_densities(
    X: FloatArray, mu: FloatArray, inverse: FloatArray, gamma: FloatArray,
    theta: tuple[float, float, float], g: FloatArray, w: FloatArray, q: FloatArray,
    linear: FloatArray, log_constant: float, bound: float, table: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Fill out with log f of the rows of one block X; w, q = |w|^2 and linear = g . w are theirs.

    log_constant is the last of `posterior`, bound that of `plain_bound`.
    """
    n, d = X.shape
    p, a, b = theta
    order, square = p - 0.5 * d, inner(g, g)
    A = a + square
    if moments_covered(order, A, b, q[:n], table, plain_intervals(bound, table)):
        shift = log_constant - order * math.log(A)
        for r in range(n):
            out[r] = linear[r] + tabulated(table, A * (b + q[r]))[0] + shift
        return
    for r in range(n):
        if A * (b + q[r]) <= bound:
            out[r] = log_constant + linear[r] + scaled_moments(order, A, b + q[r], table)[0]
    # Next to a pole the density is that of a w whose square may underflow.
    least = LEAST if order <= 0.0 and b == 0.0 else 0.0
    if not any_beyond(q[:n], A, b, bound, least):
        return
    fill_beyond(X, mu, inverse, gamma, theta, g, w, q, linear, bound, least, out)
