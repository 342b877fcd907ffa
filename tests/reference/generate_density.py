"""Write density.csv: log-densities of mixtures, by mpmath.

X = mu + gamma Y + sqrt(Y) L Z with Y ~ GIG(p, a, b) has mu, L and the direction of gamma of BLOCK.
log f is summed at 700 digits, of which terms may cancel most: lnZ is a peak in closed form and the
log of an integral, which is summed at 60 digits as in generate_gig.py. A part of the rows is
compared with mpmath's own besselk. Run: python tests/reference/generate_density.py
"""

import random
import sys
from pathlib import Path

import mpmath as mp

sys.path.insert(0, str(Path(__file__).parent))
from trapezoid import agree, fine_step, half_line, levels, text

TARGET = Path(__file__).with_name("density.csv")
# mu, L and gamma / size for one to three columns, all exact doubles.
BLOCK = {
    1: ([0.25], [[1.25]], [1.0]),
    2: ([0.5, -0.25], [[1.0, 0.0], [0.375, 0.75]], [1.0, 0.625]),
    3: (
        [0.5, -0.25, 0.0],
        [[1.0, 0.0, 0.0], [0.375, 0.75, 0.0], [-0.25, 0.5, 1.5]],
        [1.0, -0.7, 0.3],
    ),
}
# Name, (p, a, b), sizes of gamma.
LAWS = [
    *(("narrow", (p, w, w * c), (0.0, 1.0)) for p in (-0.5, 0.7, -3.0)
      for w, c in ((1e2, 1.3), (1e4, 0.7), (1e8, 1.0), (1e12, 2.0), (1e14, 1.0), (1e16, 1.0))),
    ("inverse_gaussian", (-0.5, 1.0, 1.0), (0.0, 1e-3, 1.0, 1e4)),
    ("inverse_gamma", (-2.0, 0.0, 4.0), (0.0, 1e-3, 1.0, 1e4)),
    ("inverse_gamma", (-0.3, 0.0, 1.0), (1.0,)),
    ("gamma", (2.0, 4.0, 0.0), (0.0, 1.0, 1e4)),
    ("gamma", (0.3, 2.0, 0.0), (1.0,)),
    ("gig", (0.4, 1.3, 0.7), (0.0, 1.0)),
    ("gig", (-4.5, 1e-3, 2.0), (1.0,)),
    ("gig", (30.0, 20.0, 0.1), (0.5,)),
    ("large_order", (-1e6, 0.0, 2e6), (0.0, 1.0)),
    ("large_order", (1e6, 2e6, 0.0), (0.0, 1.0)),
    ("large_order", (1e4, 3e4, 5.0), (0.5,)),
]  # fmt: skip
EXPONENTS = (-2, 0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 30, 50, 80, 100, 120, 149)


def _rest(p, a, b):
    """Log of the integral of w: lnZ less the peak p log m - r."""
    p, a, b = abs(p), *((a, b) if p >= 0 else (b, a))
    if b == 0:
        return mp.loggamma(p) - p * mp.log(p) + p
    r = mp.hypot(p, mp.sqrt(a * b))
    alpha = a * b / (p + r)
    with mp.workdps(60):
        h = fine_step(+r)
        sides = (half_line(+p, +alpha, h, side, 0) for side in (1, -1))
        rules = levels((mp.mpf(0), mp.mpf(0), mp.mpf(0), mp.mpf(1)), *sides)
        fine, coarse = (
            mp.log(step * sum(node[3] for node in rule))
            for step, rule in zip((h, 2 * h), rules, strict=True)
        )
    if not agree(coarse, fine, 1):
        msg = f"p = {p}, a = {a}, b = {b} has not converged: {coarse}, {fine}"
        raise ArithmeticError(msg)
    return fine


def _log_norm(p, a, b):
    """lnZ(p, a, b)."""
    r = mp.hypot(p, mp.sqrt(a * b))
    mode = (p + r) / a if p >= 0 else b / (r - p)
    return p * mp.log(mode) - r + _rest(p, a, b)


def _bessel_log_norm(p, a, b):
    """The same by besselk, for a, b > 0 of moderate size."""
    return mp.log(2) + p / 2 * mp.log(b / a) + mp.log(mp.besselk(p, mp.sqrt(a * b)))


def log_density(theta, size, x, log_norm=_log_norm):
    """log f(x)."""
    d = len(x)
    mu, L, direction = BLOCK[d]
    p, a, b = map(mp.mpf, theta)
    L = mp.matrix(L)
    w = mp.lu_solve(L, mp.matrix([mp.mpf(s) - mp.mpf(t) for s, t in zip(x, mu, strict=True)]))
    # gamma as a double, as the test has it.
    g = mp.lu_solve(L, mp.matrix([mp.mpf(size * t) for t in direction]))
    dot = sum(s * t for s, t in zip(w, g, strict=True))
    q, square = sum(s * s for s in w), sum(s * s for s in g)
    constant = -mp.mpf(d) / 2 * mp.log(2 * mp.pi) - mp.log(mp.det(L))
    posterior = log_norm(p - mp.mpf(d) / 2, a + square, b + q)
    return constant + dot + posterior - log_norm(p, a, b)


def _points(rng, d, size):
    """Points along gamma, against it, near it, anywhere, and at mu."""
    mu, _, direction = BLOCK[d]
    yield mu
    for exponent in EXPONENTS:
        scale = 10.0**exponent
        along = [scale * t for t in direction]
        yield along
        if exponent < 5 or rng.random() < 0.4:
            yield [-t for t in along]
        if d > 1 and size > 0.0:
            angle = 10.0 ** rng.uniform(-14, -1)
            yield [t + scale * angle * rng.gauss(0, 1) for t in along]
        if d > 1:
            yield [scale * rng.gauss(0, 1) for _ in direction]


def rows():
    """(name, theta, size, x) of the table."""
    rng = random.Random(20261126)
    for name, theta, sizes in LAWS:
        for size in sizes:
            # Narrow laws of skewed rows have further columns, too.
            for d in (1, 2, 3) if name != "narrow" or size > 0.0 else (1,):
                points = list(_points(rng, d, size))
                if d > 1:
                    points = [x for x in points if rng.random() < 0.4]
                yield from ((name, theta, size, x) for x in points)


def _is_easy(theta, size, x):
    """Whether besselk takes less than a second; it knows no limits."""
    p, a, b = theta
    modest = min(a, b) > 0.0 and max(a, b) < 1e3 and abs(p) < 5.0
    return modest and max(map(abs, x)) * max(size, 1.0) < 100.0


def main():
    """Write the table; every tenth row at modest arguments is checked by besselk."""
    part = TARGET.with_suffix(".part")
    with part.open("w") as file:
        file.write("law,d,p,a,b,gamma,x1,x2,x3,log_density\n")
        for i, (name, theta, size, x) in enumerate(rows()):
            p, _, b = theta
            if p <= len(x) / 2 and b == 0.0 and x == BLOCK[len(x)][0]:
                continue
            with mp.workdps(700):
                value = log_density(theta, size, x)
            if i % 10 == 0 and _is_easy(theta, size, x):
                with mp.workdps(80):
                    known = log_density(theta, size, x, _bessel_log_norm)
                if abs(known - value) > mp.mpf(10) ** -25:
                    msg = f"besselk disagrees at {name}, {theta}, {size}, {x}"
                    raise ArithmeticError(msg)
            numbers = [*theta, size, *x, *[0.0] * (3 - len(x))]
            file.write(f"{name},{len(x)},{','.join(map(repr, numbers))},{text(value)}\n")
            if i % 100 == 0:
                sys.stderr.write(f"{i}\n")
    part.replace(TARGET)


if __name__ == "__main__":
    main()
