"""Write kv.csv: log K_v(z), K_{v+1} / K_v and derivatives of log K_v(z), by mpmath.

Under the weight exp(v t - z cosh t) the derivatives are moments of t and cosh t (DLMF 10.32.9).
These integrals are summed by the trapezoidal rule at 60 digits at two steps; rows on which the two
differ by 1e-30 are refused. A part of the rows is compared with mpmath's own besselk, an unrelated
method. Run: python tests/reference/generate_kv.py
"""

import math
import random
import sys
from itertools import product
from pathlib import Path

import mpmath as mp

sys.path.insert(0, str(Path(__file__).parent))
from trapezoid import agree, climb, fine_step, half_line, levels, negligible, text

TARGET = Path(__file__).with_name("kv.csv")
COLUMNS = ("log_kv", "kv_ratio", "log_kv_dv", "log_kv_dv2", "log_kv_dvdz", "log_kv_dz2")
DIGITS = (20, 20, 20, 18, 18, 18)


def _about_the_peak(v, z, r, h):
    """Nodes (u, cosh t - cosh t0, even, odd, e^u odd) at t = t0 + u, t0 = arcsinh(v / z)."""
    alpha = z * (z / (r + v))
    half_lines = [
        [(u, (v - alpha * fall / 2) / z * rise, w, w, w * (1 + rise)) for u, rise, fall, w in nodes]
        for nodes in (half_line(v, alpha, h, 1, 2), half_line(v, alpha, h, -1, 0))
    ]
    return levels((0, 0, mp.mpf(1), mp.mpf(1), mp.mpf(1)), *half_lines)


def _about_zero(v, z, h):
    """The same nodes about t = 0, t and -t in one: weights of even and of odd functions.

    Keeps the digits of odd moments, which are small where v is.
    """
    nodes = []
    for (t, up, down), (_, v_up, v_down) in zip(climb(h), climb(v * h), strict=False):
        rise, sinh = up * down / 2, (up + down) / 2
        if negligible((v + 2) * t - z * rise):
            break
        g = mp.exp(-z * rise)
        even, odd = g * (2 + v_up * v_down), g * (v_up + v_down)
        nodes.append((t, rise, even, odd, even * (1 + rise) + odd * sinh))
    return levels((0, 0, mp.mpf(1), mp.mpf(0), mp.mpf(1)), nodes)


def _moments(nodes):
    """Total weight; means of e^u, u and d; variance of u, minus covariance, variance of d."""
    total, grown, u, d, uu, ud, dd = [mp.mpf(0)] * 7
    for x, y, even, odd, rising in nodes:
        odd_x, even_y = odd * x, even * y
        total, grown = total + even, grown + rising
        u, d = u + odd_x, d + even_y
        uu, ud, dd = uu + even * x * x, ud + odd_x * y, dd + even_y * y
    grown, u, d, uu, ud, dd = (value / total for value in (grown, u, d, uu, ud, dd))
    return total, grown, u, uu - u * u, u * d - ud, dd - d * d


def reference(v, z):
    """Certified values, in the order of COLUMNS, for v >= 0."""
    v, z = mp.mpf(v), mp.mpf(z)
    r = mp.hypot(v, z)
    h = fine_step(r)
    if v * v < 1 + r:
        t0, peak, growth, rules = mp.mpf(0), -z, 1, _about_zero(v, z, h)
    else:
        t0 = mp.asinh(v / z)
        peak, growth, rules = v * t0 - r, (v + r) / z, _about_the_peak(v, z, r, h)
    fine, coarse = (
        (peak + mp.log(step * total / 2), growth * ratio, t0 + u, *second)
        for step, (total, ratio, u, *second) in zip((h, 2 * h), map(_moments, rules), strict=True)
    )
    if not all(map(agree, coarse, fine, (1, 0, 0, 0, 0, 0))):
        msg = f"v = {v}, z = {z} has not converged: {coarse}, {fine}"
        raise ArithmeticError(msg)
    return fine


def _compare(v, z, values):
    """Compare with besselk, its differences in v and Bessel's equation in z, to 24 digits."""
    digits, step = 250 + 3 * max(0, math.ceil(math.log10(z))), mp.mpf(10) ** -20
    v, z = mp.mpf(v), mp.mpf(z)
    with mp.workdps(digits):
        orders = (v - step, v, v + step)
        low, log_k, high = (mp.log(mp.besselk(x, z)) for x in orders)
        below, slope, above = (x / z - mp.besselk(x + 1, z) / mp.besselk(x, z) for x in orders)
        known = (
            log_k,
            v / z - slope,
            (high - low) / (2 * step),
            (high - 2 * log_k + low) / step**2,
            (above - below) / (2 * step),
            1 + (v / z) ** 2 - slope / z - slope**2,
        )
        floor = (1 + 1 / z) * mp.mpf(10) ** (70 - digits)
        errors = [abs(x - y) / (abs(x) + floor) for x, y in zip(known, values, strict=True)]
    if max(errors) > 1e-24:
        msg = f"besselk disagrees at v = {v}, z = {z}: {known}, {values}"
        raise ArithmeticError(msg)


def _is_easy(v, z):
    """Whether besselk is fast and, at the digits of _compare, accurate."""
    return math.hypot(v, z) < 1000 or z < 10 or z > 10 * max(1, v * v)


def _ulps(x, n):
    """The double n (-1, 0 or 1) steps above x."""
    return math.nextafter(x, n * math.inf) if n else x


def _half_integers(rng):
    return _orders_by_arguments(rng, [n + 0.5 for n in range(31)])


def _integers(rng):
    return _orders_by_arguments(rng, [float(n) for n in range(31)])


def _orders_by_arguments(rng, orders):
    decades = [(-4, 4)] * 14 + [(-14, -4)] * 3 + [(4, 12)] * 2 + [(-300, 300)]
    return [(v, 10 ** rng.uniform(*span)) for v in orders for span in decades]


def _small_orders(rng):
    orders = [0.0, 1e-300, 1e-100, 1e-30, 1e-16, 1e-12, 1e-8, 1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.09]
    scattered = [10 ** rng.uniform(-20, -1) for _ in range(120)]
    fixed = [v for v in orders for _ in range(30)]
    return [(v, 10 ** rng.uniform(-12, 6)) for v in fixed + scattered]


def _small_arguments(rng):
    shifts = (0, 1e-12, -1e-12, 1e-6, -1e-6, 1e-3, -1e-3, 0.02, -0.02)
    near = [abs(v + shift) for v, shift in product((0, 0.25, 0.5, 0.75, 1, 1.25), shifts)]
    orders = near * 10 + [10 ** rng.uniform(-3, 5) for _ in range(310)]
    spans = [(-14, -10), (-14, -10), (-300, -8), (-30, -8)]
    ends = [(v, 1e-300) for v in (0.0, 0.5, 1.0, 2.0, 1e5)]
    return ends + [(v, 10 ** rng.uniform(*rng.choice(spans))) for v in orders]


def _zeros_of_log(rng):
    """(v, z) with log K_v(z) in about [-1, 1], most of them much closer to 0."""
    for v in [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, *(10 ** rng.uniform(-3, 5) for _ in range(44))]:
        # K_v(z) falls through 1 near v arcsinh(v / z) = hypot(v, z), that is z = v / 1.5088...
        x = mp.log(max(v / 1.5088795615, 0.3 + v / 2))
        for _ in range(9):
            z = mp.exp(x)
            log_k, ratio = reference(v, z)[:2]
            slope = v - z * ratio
            x -= log_k / slope
        yield from ((v, _ulps(float(mp.exp(x)), n)) for n in (-1, 0, 1))
        for _ in range(8):
            wanted = rng.choice([-1, 1]) * 10 ** rng.uniform(-14, -0.1)
            yield v, float(mp.exp(x + wanted / slope))


def _seams(rng):
    """Both sides of the values of r, of arcsinh(v / z) and of z at which methods change."""
    for k, ratio, side in product(range(1, 25), (0, 1e-3, 0.6, 0.8, 0.99, 0.99999), (-1, 1)):
        r = (2**k - 1) / 0.11 * (1 + side * 1e-12)
        sine = min(ratio, 1e5 / r)
        yield sine * r, math.sqrt((1 - sine) * (1 + sine)) * r
    for _ in range(80):
        for span in ((1.08, 1.10), (1.30, 1.32)):
            v = 10 ** rng.uniform(-2, 5)
            yield v, v / math.sinh(rng.uniform(*span))
    for bound in [40] * 110 + [990] * 20:
        v = 10 ** rng.uniform(-2, 3)
        edge = rng.choice([1.0, 1.25, 1.5, 1.75]) * 2.0 ** rng.randint(-bound, bound)
        yield from ((v, _ulps(edge, n)) for n in (-1, 0, 1))


def _bulk(rng):
    return [(10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-4, 6)) for _ in range(900)]


def _large_orders(rng):
    orders = [10 ** rng.uniform(2, 5) for _ in range(590)] + [1e5] * 10
    return [(v, v * 10 ** rng.uniform(-3, 3)) for v in orders]


def _large_arguments(rng):
    orders = [0.0] * 40 + [10 ** rng.uniform(-3, 5) for _ in range(440)] + [1e5] * 20
    ends = [(v, 1e300) for v in (0.0, 0.5, 1.0, 2.0, 1e5)]
    return ends + [(v, 10 ** rng.uniform(4, rng.choice([12, 300]))) for v in orders]


REGIONS = {
    "half_integer": _half_integers,
    "integer": _integers,
    "small_order": _small_orders,
    "small_argument": _small_arguments,
    "zero_of_log": _zeros_of_log,
    "seams": _seams,
    "bulk": _bulk,
    "large_order": _large_orders,
    "large_argument": _large_arguments,
}


def points():
    """(region, v, z), each (v, z) once."""
    seen = {}
    for name, region in REGIONS.items():
        for point in region(random.Random(f"20261123 {name}")):
            seen.setdefault(point, name)
    return [(name, v, z) for (v, z), name in seen.items()]


def main():
    """Write the table, every fourth row checked where besselk is fast."""
    part = TARGET.with_suffix(".part")
    with part.open("w") as file:
        file.write(f"region,v,z,{','.join(COLUMNS)}\n")
        for i, (region, v, z) in enumerate(points()):
            values = reference(v, z)
            if i % 4 == 0 and _is_easy(v, z):
                _compare(v, z, values)
            file.write(f"{region},{v!r},{z!r},{','.join(map(text, values, DIGITS))}\n")
            if i % 500 == 0:
                sys.stderr.write(f"{i} {region}\n")
    part.replace(TARGET)


if __name__ == "__main__":
    main()
