"""Write cdf.csv: logs of tails of mixtures of one column, by mpmath.

P(X <= x) = E Phi((x - mu - gamma Y) / (sigma sqrt(Y))), Y ~ GIG(p, a, b), is integrated over log Y
by Gauss-Legendre rules with 30 digits, on pieces that shrink towards the peak of the integrand and
towards where Phi is 1/2. The smaller tail is written. Run: python tests/reference/generate_cdf.py
"""

import math
import random
import sys
from pathlib import Path

import mpmath as mp

sys.path.insert(0, str(Path(__file__).parent))
from trapezoid import text

TARGET = Path(__file__).with_name("cdf.csv")
DIGITS = 30
# Name, (mu, gamma, sigma), (p, a, b), all exact doubles.
LAWS = [
    ("nig", (0.25, 0.0, 1.0), (-0.5, 1.0, 1.0)),
    ("nig", (0.25, -0.5, 1.25), (-0.5, 0.5, 2.0)),
    ("nig", (0.0, 3.0, 1.0), (-0.5, 0.01, 0.01)),
    ("narrow_nig", (0.0, 1.0, 1.0), (-0.5, 1e4, 1e4)),
    ("narrow_nig", (0.0, -1.0, 1.0), (-0.5, 1e8, 1e8)),
    ("narrow_nig", (1.0, 1e-6, 0.5), (-0.5, 1e10, 1e6)),
    ("variance_gamma", (0.0, 0.5, 1.0), (2.0, 4.0, 0.0)),
    ("variance_gamma", (0.0, 0.0, 1.0), (0.5, 1.0, 0.0)),
    ("variance_gamma", (0.5, 0.25, 1.0), (0.3, 2.0, 0.0)),
    ("variance_gamma", (0.0, 1.0, 1.0), (0.05, 2.0, 0.0)),
    ("variance_gamma", (0.0, 1e3, 1.0), (1.5, 2.0, 0.0)),
    ("student", (0.0, 0.0, 1.0), (-2.0, 0.0, 4.0)),
    ("student", (0.0, 0.0, 1.0), (-0.2, 0.0, 0.5)),
    ("skew_t", (0.0, 1.0, 1.0), (-2.0, 0.0, 4.0)),
    ("skew_t", (0.0, -0.25, 2.0), (-0.3, 0.0, 1.0)),
    ("hyperbolic", (0.0, 0.5, 1.0), (1.0, 1.25, 0.75)),
    ("gh", (0.0, 1.0, 1.0), (0.4, 1.25, 0.75)),
    ("gh", (0.0, -1e-6, 1.0), (-4.5, 1e-3, 2.0)),
    ("gh", (0.0, 0.5, 2.0), (30.0, 20.0, 0.125)),
    ("skewed_gh", (0.0, 1e3, 1.0), (0.4, 1.25, 0.75)),
    ("skewed_gh", (0.0, -1e6, 1.0), (-0.5, 1.0, 2.0)),
    ("tiny_gh", (0.0, 0.125, 1.0), (0.25, 1.0, 1e-12)),
    ("scaled", (0.0, 2.0**400, 2.0**401), (-0.5, 1.0, 1.0)),
    ("scaled", (0.0, 2.0**-401, 2.0**-400), (-2.0, 0.0, 4.0)),
]
# Deviates of Z and of log Y at which points are.
DEVIATES = (-35.0, -8.0, -1.0, 1e-3, 2.0, 12.0)


def log_norm(p, a, b):
    """LnZ(p, a, b)."""
    if b == 0:
        return mp.loggamma(p) - p * mp.log(a / 2)
    if a == 0:
        return mp.loggamma(-p) + p * mp.log(b / 2)
    return mp.log(2) + p / 2 * mp.log(b / a) + mp.log(mp.besselk(p, mp.sqrt(a * b)))


def log_phi(z):
    """Log of the normal distribution function."""
    if z < -1000:
        q = 1 / (z * z)
        series = 1 - q * (1 - 3 * q * (1 - 5 * q * (1 - 7 * q * (1 - 9 * q))))
        return -z * z / 2 - mp.log(-z) - mp.log(2 * mp.pi) / 2 + mp.log(series)
    if z > 40:
        # Its log is below 1e-347.
        return mp.mpf(0)
    return mp.log(mp.erfc(-z / mp.sqrt(2)) / 2) if z < 8 else mp.log1p(-mp.erfc(z / mp.sqrt(2)) / 2)


def mode(p, a, b):
    """Mode of y^p exp(-(a y + b / y) / 2)."""
    r = mp.sqrt(p * p + a * b)
    return (p + r) / a if p >= 0 else b / (r - p)


def log_tail(normal, theta, x, sign):
    """Log of P(X <= x) for sign 1, of P(X > x) for sign -1."""
    with mp.workdps(DIGITS):
        mu, gamma, sigma = map(mp.mpf, normal)
        p, a, b = map(mp.mpf, theta)
        w, g = sign * (mp.mpf(x) - mu) / sigma, sign * gamma / sigma

        def log_f(u):
            y, root = mp.exp(u), mp.exp(u / 2)
            return p * u - (a * y + b / y) / 2 + log_phi(w / root - g * root)

        centres = [mp.log(mode(p, a, b)), mp.log(mode(p, a + g * g, b + w * w))]
        if w * g > 0:
            centres.append(mp.log(w / g))
        low, high = min(centres) - 1, max(centres) + 1
        grid = [low + (high - low) * k / 100 for k in range(101)]
        u, step = max(centres + grid, key=log_f), (high - low) / 100
        while step > mp.mpf(10) ** -7:
            better = max((u - step, u, u + step), key=log_f)
            u, step = (better, step) if better != u else (u, step / 3)
        peak, cut = log_f(u), 0.62 * DIGITS * mp.ln10

        def edge(direction):
            distance = mp.mpf(10) ** -6
            while log_f(u + direction * distance) > peak - cut:
                distance *= 1.5
            return u + direction * distance

        ends = [edge(-1), edge(1)]
        points = {*ends, u}
        for centre in {u, centres[-1]}:
            distance = min(mp.mpf(10) ** -7, 1 / (10 * mp.sqrt(1 + abs(w * g))))
            while distance < ends[1] - ends[0]:
                near = (centre - distance, centre + distance)
                points |= {t for t in near if ends[0] < t < ends[1]}
                distance *= 8
        pieces = []
        for t in sorted(points):
            start = pieces[-1] if pieces else t
            parts = max(1, int(mp.ceil((t - start) / 2)))
            pieces += [start + (t - start) * k / parts for k in range(1, parts + 1)]
        integral = mp.quad(lambda t: mp.exp(log_f(t) - peak), pieces, method="gauss-legendre")
        return peak + mp.log(integral) - log_norm(p, a, b)


def points(rng, normal, theta):
    """Points in both tails, at mu and next to it."""
    mu, gamma, sigma = normal
    p, a, b = theta
    y, r = float(mode(*map(mp.mpf, theta))), math.hypot(p, math.sqrt(a * b))
    yield mu
    yield mu + sigma * 1e-9
    for deviate in DEVIATES:
        size = y * math.exp(rng.gauss(0.0, 1.0) / math.sqrt(1.0 + r))
        yield mu + gamma * size + sigma * math.sqrt(size) * deviate
    if a == 0.0:
        for exponent in (10, 100):
            yield mu + sigma * math.sqrt(y) * 10.0**exponent
            yield mu - sigma * math.sqrt(y) * 10.0 ** (0.5 * exponent)


def main():
    """Write the table."""
    rng = random.Random(20261126)
    part = TARGET.with_suffix(".part")
    with part.open("w") as file:
        file.write("law,mu,gamma,sigma,p,a,b,x,sign,log_tail\n")
        for name, normal, theta in LAWS:
            for x in points(rng, normal, theta):
                value, sign = log_tail(normal, theta, x, 1), 1
                if value > -mp.ln2:
                    value, sign = log_tail(normal, theta, x, -1), -1
                numbers = ",".join(map(repr, (*normal, *theta, x)))
                file.write(f"{name},{numbers},{sign},{text(value)}\n")
            sys.stderr.write(f"{name}\n")
    part.replace(TARGET)


if __name__ == "__main__":
    main()
