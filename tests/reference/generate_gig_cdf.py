"""Write gig_cdf.csv: logarithms of both tail probabilities of GIG(p, a, b) laws, by mpmath.

The tail that does not have the mode of log Y is the integral of y^(p-1) exp(-(a y + b / y) / 2)
over log y from a point on, by the trapezoidal rule at 40 digits, which must agree with that of
twice its step. The whole integral is that of two tails from the mode, and is compared with mpmath's
besselk where this is fast; gamma laws, b = 0, are compared with its gammainc. Points lie where the
density of log Y is e^-t of its largest value.
Run: python tests/reference/generate_gig_cdf.py
"""

import math
import random
from itertools import product
from pathlib import Path

import mpmath as mp

TARGET = Path(__file__).with_name("gig_cdf.csv")
# Falls of the log-density of log Y from its mode, to probabilities of e^-2000.
FALLS = (0.02, 0.7, 4.0, 30.0, 300.0, 680.0, 2000.0)
mp.mp.dps = 40
# The error of the rule is squared where the step is halved.
STEP = mp.mpf(1) / 10


def _slope(p, a, b, y):
    return p - a * y / 2 + b / y / 2


def _fall(p, a, b, y, s):
    """Change of the log-density of log Y from log y to log y + s."""
    return p * s - a * y / 2 * mp.expm1(s) - b / y / 2 * mp.expm1(-s)


def _tail(p, a, b, y, side):
    """Integral of exp(_fall) over side s > 0, s = c log(1 + exp(t - e^-t))."""
    curvature = (a * y + b / y) / 2
    slope = _slope(p, a, b, y)
    c = min(1 / (abs(slope) + mp.sqrt(slope**2 + 2 * curvature)), mp.mpf(1) / 2)
    terms, t, highest = [], mp.mpf("-4.4"), mp.mpf(0)
    while True:
        end = mp.exp(-t)
        s = c * mp.log1p(mp.exp(t - end))
        fall = _fall(p, a, b, y, side * s)
        highest = max(highest, fall)
        if fall < highest - 75:
            break
        terms.append(mp.exp(fall) * (1 + end) / (1 + mp.exp(end - t)))
        t += STEP
    fine, coarse = STEP * mp.fsum(terms), 2 * STEP * mp.fsum(terms[::2])
    assert abs(coarse / fine - 1) < 1e-14, (p, a, b, y, side)
    return c * fine


def _mode(p, a, b):
    """Mode of log Y, as y."""
    r = mp.sqrt(p * p + a * b)
    return (p + r) / a if p >= 0 else b / (r - p)


def _total(p, a, b):
    """Integral over log Y of the density's ratio to that at its mode."""
    mode = _mode(p, a, b)
    total, z = _tail(p, a, b, mode, -1) + _tail(p, a, b, mode, 1), mp.sqrt(a * b)
    if 0 < z < 30:
        known = 2 * (b / a) ** (p / 2) * mp.besselk(p, z)
        assert abs(total * mode**p * mp.exp(-(a * mode + b / mode) / 2) / known - 1) < 1e-25
    return total


def reference(p, a, b, y, total):
    """(log P(Y < y), log P(Y > y)); the tail that the mode is not in is summed."""
    mode, side = _mode(p, a, b), -mp.sign(_slope(p, a, b, y)) or 1
    height = mp.exp(_fall(p, a, b, mode, mp.log(y / mode)))
    tail = height * _tail(p, a, b, y, side) / total
    if b == 0:
        lower, upper = (
            mp.gammainc(p, *x, regularized=True) for x in ((0, a * y / 2), (a * y / 2,))
        )
        assert abs((lower if side < 0 else upper) / tail - 1) < 1e-25
    logs = mp.log(tail), mp.log1p(-tail)
    return logs if side < 0 else logs[::-1]


def _point(p, a, b, fall, side):
    """y, as a double, where the log-density has fallen on that side of the mode."""
    mode, low, high = _mode(p, a, b), mp.mpf(0), mp.mpf(1)
    while _fall(p, a, b, mode, side * high) > -fall:
        low, high = high, 2 * high
    for _ in range(40):
        s = (low + high) / 2
        low, high = (s, high) if _fall(p, a, b, mode, side * s) > -fall else (low, s)
    return float(mode * mp.exp(side * low))


def laws():
    """Orders to 50, sqrt(a b) from 1e-8 to 1e6, and gamma laws."""
    rng = random.Random(20261126)
    for p in (-50.0, -2.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 50.0):
        for z in (1e-8, 1e-2, 1.0, 30.0, 1e3, 1e6):
            scale = math.exp(rng.uniform(-5.0, 5.0)) if rng.random() < 0.5 else 1.0
            yield p, z / scale, z * scale
    for _ in range(20):
        z, scale = 10 ** rng.uniform(-8, 6), 10 ** rng.uniform(-6, 6)
        yield rng.uniform(-50.0, 50.0), z / scale, z * scale
    for p in (0.5, 1.0, 3.7, 50.0, 1e4):
        yield p, 10 ** rng.uniform(-2, 2), 0.0


def main():
    """Write the table."""
    lines = ["p,a,b,y,log_cdf,log_sf"]
    for law in laws():
        exact = tuple(map(mp.mpf, law))
        total = _total(*exact)
        for side, fall in product((-1, 1), FALLS):
            y = _point(*exact, fall, side)
            if not 1e-300 < y < 1e300:
                continue
            values = (mp.nstr(x, 20) for x in reference(*exact, mp.mpf(y), total))
            lines.append(",".join([*map(repr, (*law, y)), *values]))
    TARGET.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
