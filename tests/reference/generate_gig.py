"""Write gig.csv: log-norm, moments and covariances of GIG(p, a, b) laws, by mpmath.

The density is proportional to y^(p-1) exp(-(a y + b / y) / 2). With y = sqrt(b / a) e^t the
integrals run over t under the weight exp(p t - z cosh t), z = sqrt(a b), and are summed by the
trapezoidal rule at 60 digits at two steps; rows on which the two differ by 1e-30 are refused. A
part of the rows is compared with mpmath's own besselk, an unrelated method. The limits a = 0 and
b = 0 are gamma laws in closed form. Run: python tests/reference/generate_gig.py
"""

import math
import random
import sys
from itertools import combinations_with_replacement
from pathlib import Path

import mpmath as mp

sys.path.insert(0, str(Path(__file__).parent))
from trapezoid import agree, fine_step, half_line, levels, text

TARGET = Path(__file__).with_name("gig.csv")
COLUMNS = ("log_norm", "log_y", "inv_y", "y", "ll", "li", "ly", "ii", "iy", "yy")
# Where each of them goes if Y becomes 1 / Y, and with which sign.
_INVERTED = ((0, 1), (1, -1), (3, 1), (2, 1), (4, 1), (6, -1), (5, -1), (9, 1), (8, 1), (7, 1))
_PAIRS = tuple(combinations_with_replacement(range(3), 2))


def _inverted(values):
    """The values of the law of 1 / Y, from those of the law of Y."""
    return tuple(sign * values[i] for i, sign in _INVERTED)


def _gamma(p, a):
    """Values for Gamma(p, a / 2), the limit b = 0; infinite where no moment exists."""
    rate = a / 2
    inverse, log_inverse, inverse_y, inverse_inverse = mp.inf, -mp.inf, -mp.inf, mp.inf
    if p > 1:
        inverse, log_inverse, inverse_y = rate / (p - 1), -rate / (p - 1) ** 2, -1 / (p - 1)
    if p > 2:
        inverse_inverse = inverse**2 / (p - 2)
    log_y, variance = mp.digamma(p) - mp.log(rate), mp.psi(1, p)
    log_norm, y, yy = mp.loggamma(p) - p * mp.log(rate), p / rate, p / rate**2
    return (
        *(log_norm, log_y, inverse, y),
        *(variance, log_inverse, 1 / rate, inverse_inverse, inverse_y, yy),
    )


def _moments(nodes):
    """Total weight, means and covariances (1 1, 1 2, ..., 3 3) of (u, e^-u - 1, e^u - 1)."""
    total, means, products = mp.mpf(0), [mp.mpf(0)] * 3, [mp.mpf(0)] * 6
    for u, rise, fall, w in nodes:
        basis = (u, fall, rise)
        weighted = [w * x for x in basis]
        total += w
        means = [mean + x for mean, x in zip(means, weighted, strict=True)]
        products = [s + weighted[i] * basis[j] for s, (i, j) in zip(products, _PAIRS, strict=True)]
    means = [mean / total for mean in means]
    squares = (means[i] * means[j] for i, j in _PAIRS)
    return total, means, [s / total - x for s, x in zip(products, squares, strict=True)]


def _values(step, mode, p, r, nodes):
    """The values of COLUMNS from one rule; mode is that of p log y - (a y + b / y) / 2."""
    total, (u, fall, rise), (ll, li, ly, ii, iy, yy) = _moments(nodes)
    log_mode = mp.log(mode)
    return (
        *(p * log_mode - r + mp.log(step * total), mp.chop(log_mode + u, 1e-50)),
        *((1 + fall) / mode, (1 + rise) * mode),
        *(ll, li / mode, ly * mode, ii / mode**2, iy, yy * mode**2),
    )


def reference(p, a, b):
    """Certified values, in the order of COLUMNS; a, b >= 0, a > 0 if p >= 0, b > 0 if p <= 0."""
    p, a, b = mp.mpf(p), mp.mpf(a), mp.mpf(b)
    if p < 0:
        return _inverted(reference(-p, b, a))
    if b == 0:
        return _gamma(p, a)
    r = mp.hypot(p, mp.sqrt(a * b))
    mode, h, alpha = (p + r) / a, fine_step(r), a * b / (p + r)
    half_lines = (half_line(p, alpha, h, side, 2) for side in (1, -1))
    rules = levels((mp.mpf(0), mp.mpf(0), mp.mpf(0), mp.mpf(1)), *half_lines)
    fine, coarse = (
        _values(step, mode, p, r, nodes) for step, nodes in zip((h, 2 * h), rules, strict=True)
    )
    if not all(map(agree, coarse, fine, (1, 1, *[0] * 8))):
        msg = f"p = {p}, a = {a}, b = {b} has not converged: {coarse}, {fine}"
        raise ArithmeticError(msg)
    return fine


def _compare(p, a, b, values):
    """Compare with ratios of besselk and their differences in p, to 24 digits."""
    step = mp.mpf(10) ** -20
    p, a, b = mp.mpf(p), mp.mpf(a), mp.mpf(b)
    with mp.workdps(130):
        z, scale = mp.sqrt(a * b), mp.sqrt(b / a)

        def ratio(order, shift):
            return mp.besselk(order + shift, z) / mp.besselk(order, z) * scale**shift

        orders = (p - step, p, p + step)
        low, log_k, high = (mp.log(mp.besselk(x, z)) for x in orders)
        inverse_low, inverse, inverse_high = (ratio(x, -1) for x in orders)
        y_low, y, y_high = (ratio(x, 1) for x in orders)
        known = (
            mp.log(2) + p * mp.log(scale) + log_k,
            mp.log(scale) + (high - low) / (2 * step),
            inverse,
            y,
            (high - 2 * log_k + low) / step**2,
            (inverse_high - inverse_low) / (2 * step),
            (y_high - y_low) / (2 * step),
            ratio(p, -2) - inverse**2,
            1 - inverse * y,
            ratio(p, 2) - y**2,
        )
    floors = (1, 1, *[0] * 8)
    errors = [
        abs(x - y) / max(abs(x), least) for x, y, least in zip(known, values, floors, strict=True)
    ]
    if max(errors) > 1e-24:
        msg = f"besselk disagrees at p = {p}, a = {a}, b = {b}: {known}, {values}"
        raise ArithmeticError(msg)


def _is_easy(p, a, b):
    """Whether besselk takes less than a second; it knows no limits."""
    z = math.sqrt(a) * math.sqrt(b)
    return z > 0 and (math.hypot(p, z) < 100 or z < 10 or z > 10 * max(1, p * p))


SPECIAL = [0.0, *(sign * n / 2 for n in range(1, 7) for sign in (1, -1))]


def _order(rng):
    """An order p: special, near a half-integer, tiny, moderate or large."""
    sign = rng.choice([-1, 1])
    return rng.choice(
        [
            rng.choice(SPECIAL),
            rng.choice(SPECIAL),
            rng.choice(SPECIAL) + sign * 10 ** rng.uniform(-14, -2),
            sign * 10 ** rng.uniform(-16, -3),
            sign * 10 ** rng.uniform(-2, 1),
            sign * 10 ** rng.uniform(1, 3),
        ]
    )


def _laws(rng):
    """Laws with a, b in 1e-12..1e12 and a b <= 1e20."""
    for _ in range(780):
        i, j = 40, 0
        while i + j > 20:
            i, j = rng.uniform(-12, 12), rng.uniform(-12, 12)
        yield _order(rng), 10**i, 10**j


def _small_products(rng):
    """Laws with a b from 1e-320 to 1e-24, subnormal a or b included."""
    subnormal = [(1.0, 5e-324), (1e3, 5e-324), (1e-8, 1e-300), (1e-8, 1e-312), (1e-160, 1e-160)]
    for a, b in subnormal:
        yield from ((p, b, a) if rng.random() < 0.5 else (p, a, b) for p in SPECIAL)
    for _ in range(150):
        total = rng.uniform(-320, -24)
        i = rng.uniform(max(total - 12, -320), min(total + 320, 12))
        yield _order(rng), 10**i, 10 ** (total - i)


def _limits(rng):
    """Gamma laws, b = 0, and their inverses, a = 0."""
    orders = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 1000.0]
    orders += [abs(n - rng.choice([-1, 1]) * 10 ** rng.uniform(-12, -1)) for n in (0, 1, 2) * 6]
    orders += [10 ** rng.uniform(-2, 3) for _ in range(35)]
    for p in orders:
        rate = 10 ** rng.uniform(-12, 12)
        yield from ((p, rate, 0.0), (-p, 0.0, rate))


def points():
    """(p, a, b), each once."""
    rng = random.Random(20261123)
    return list(dict.fromkeys([*_laws(rng), *_small_products(rng), *_limits(rng)]))


def main():
    """Write the table, every fourth row checked where besselk is fast."""
    part = TARGET.with_suffix(".part")
    with part.open("w") as file:
        file.write(f"p,a,b,{','.join(COLUMNS)}\n")
        for i, (p, a, b) in enumerate(points()):
            values = reference(p, a, b)
            if i % 4 == 0 and _is_easy(p, a, b):
                _compare(p, a, b, values)
            file.write(f"{p!r},{a!r},{b!r},{','.join(map(text, values))}\n")
            if i % 100 == 0:
                sys.stderr.write(f"{i}\n")
    part.replace(TARGET)


if __name__ == "__main__":
    main()
