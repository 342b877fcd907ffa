"""Write kv.csv: log K_v(z), ratio and order derivative to 25 digits, by mpmath.

The integral DLMF 10.32.9 is summed by the trapezoidal rule at 60 digits about its peak, and again
with half the step; rows on which the two differ by 1e-30 are refused. A part of the rows is
compared with mpmath's own besselk, an unrelated method. Run: python tests/reference/generate_kv.py
"""

import random
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
TARGET = Path(__file__).with_name("kv.csv")


def _integral(v, z, refinement):
    """(log K_v, K_{v+1} / K_v, d log K_v / dv) by the trapezoidal rule, v >= 0."""
    r = mp.hypot(v, z)
    t0 = mp.asinh(v / z)
    h = 1 / mp.sqrt(60 + 8 * r) / refinement
    sums = [mp.mpf(1), mp.mpf(1), mp.mpf(0)]
    for side in (1, -1):
        j = 1
        while True:
            u = side * j * h
            exponent = -r * (mp.cosh(u) - 1) - v * (mp.sinh(u) - u)
            if exponent + max(u, 0) < -110:
                break
            w = mp.exp(exponent)
            sums[0] += w
            sums[1] += w * mp.exp(u)
            sums[2] += w * u
            j += 1
    return (
        v * t0 - r + mp.log(sums[0] * h / 2),
        (v + r) / z * sums[1] / sums[0],
        t0 + sums[2] / sums[0],
    )


def reference(v, z):
    """Certified values for v >= 0."""
    v, z = mp.mpf(v), mp.mpf(z)
    coarse, fine = _integral(v, z, 1), _integral(v, z, 2)
    for a, b in zip(coarse, fine, strict=True):
        if abs(a - b) > mp.mpf(10) ** -30 * max(1, abs(b)):
            msg = f"v = {v}, z = {z} has not converged: {a}, {b}"
            raise ArithmeticError(msg)
    return fine


def points():
    """(v, z) that dwell on special orders, on seams of the tables and on extremes."""
    rng = random.Random(20261123)
    orders = [0.0, 1e-8, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 7.0, 10.5, 50.0]
    arguments = [1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 1e4]
    grid = [(v, z) for v in orders for z in arguments]
    # r = (2^k - 1) / 0.11 is where the CPU tables change their step.
    seams = [(0.6 * r, 0.8 * r * side) for k in range(1, 16) for r in [(2**k - 1) / 0.11]
             for side in (1 - 1e-12, 1 + 1e-12)]  # fmt: skip
    scattered = [(10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-4, 6)) for _ in range(500)]
    extremes = [(v, z) for v in (0.3, 3.0, 300.0, 1e4) for z in (1e-8, 1e8)]
    extremes += [(1e5, z) for z in (1.0, 1e3, 1e5, 1e7)]
    return grid + seams + scattered + extremes


def main():
    """Write the table."""
    with TARGET.open("w") as file:
        file.write("v,z,log_kv,kv_ratio,log_kv_dv\n")
        for i, (v, z) in enumerate(points()):
            values = reference(v, z)
            if i % 10 == 0 and v < 60 and 1e-3 < z < 100:
                known = mp.log(mp.besselk(v, z))
                if abs(known - values[0]) > mp.mpf(10) ** -25 * max(1, abs(known)):
                    msg = f"besselk disagrees at v = {v}, z = {z}"
                    raise ArithmeticError(msg)
            text = ",".join(mp.nstr(value, 25) for value in values)
            file.write(f"{v!r},{z!r},{text}\n")


if __name__ == "__main__":
    main()
