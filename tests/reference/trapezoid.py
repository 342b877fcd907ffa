"""Nodes of the trapezoidal rule for integrals of exp(v t - z cosh t) over all t, to 50 digits.

The integrand is analytic for |Im t| < pi / 2 and falls off doubly exponentially, so that halving
the step at least squares the error (Trefethen and Weideman, SIAM Review 56 (2014) 385-458).
"""

from itertools import count

import mpmath as mp

mp.mp.dps = 60


def fine_step(r):
    """Half of the step that is good for 30 digits (at 60 digits) where r = hypot(v, z)."""
    return 30 / (mp.mp.dps * mp.sqrt(72 + 8 * r))


def negligible(exponent):
    """Whether exp(exponent) is below 10^-dps."""
    return exponent < -mp.mp.dps * mp.ln10


def climb(h):
    """(u, e^u - 1, 1 - e^-u) for u = h, 2 h, ...; small steps lose no digits."""
    growth, up = mp.expm1(h), mp.mpf(0)
    for j in count(1):
        up += growth * (1 + up)
        yield j * h, up, up / (1 + up)


def half_line(v, alpha, h, side, growth):
    """[(u, e^u - 1, e^-u - 1, weight)] for u = side * (h, 2 h, ...).

    u = t - arcsinh(v / z); the weight is 1 at u = 0; alpha = hypot(v, z) - v. The line is long
    enough for moments that grow like e^(growth |u|).
    """
    nodes = []
    for u, up, down in climb(h):
        rise, fall = (up, -down) if side > 0 else (-down, up)
        exponent = -alpha * up * down / 2 - v * (rise - side * u)
        if negligible(exponent + growth * u):
            return nodes
        nodes.append((side * u, rise, fall, mp.exp(exponent)))
    return nodes


def levels(centre, *half_lines):
    """Nodes of the fine rule and, every other one, of the rule with twice its step."""
    fine = [centre, *(node for nodes in half_lines for node in nodes)]
    coarse = [centre, *(node for nodes in half_lines for node in nodes[1::2])]
    return fine, coarse


def agree(coarse, fine, scale=0):
    """Whether two values agree to 30 digits, relative to scale where that is larger."""
    return abs(coarse - fine) <= mp.mpf(10) ** -30 * max(scale, abs(fine))


def text(value, digits=20):
    """Decimal digits that float() reads."""
    return mp.nstr(value, digits).lstrip("+")
