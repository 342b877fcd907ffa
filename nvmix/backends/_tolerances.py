"""Tolerances that backends and fits share, and the rescaling of GIG solves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from nvmix.backends._protocol import GIGParameters


# E[Y] E[1/Y] - 1 is a difference of rounded numbers: below this it carries no digit.
NO_SPREAD: Final = 1e-14
# (E[Y] E[1/Y] - 1) (p - 1) of a gamma law, less what rounding of the statistics leaves of b.
AT_LIMIT: Final = 1.0 - 1e-12
# Largest relative error of E[Y] and E[1/Y] where rounding of the statistics leaves b (or a) next
# to a boundary undetermined.
ROUNDED: Final = 1e-8


# E[Y] E[1/Y] - 1 below this leaves no digit to tell mu from gamma: the Gaussian limit.
NO_MIXING: Final = 1e-13
# Share of all E[1/Y] at which the rows within twice the least distance to mu rule the M-step.
DOMINANT: Final = 0.5
# Share of the mean squared distance below which b no longer rounds off the density at mu.
NEGLIGIBLE: Final = 1e-6


class ScaledEta(NamedTuple):
    """A GIG eta of T = Y / s: E[T] = E[1/T] = m and E[log T] = log_t."""

    s: float
    m: float
    log_t: float

    @property
    def tau(self) -> tuple[float, float, float]:
        """Targets of (t, e^t - 1 - t, e^-t - 1 + t), t = log T."""
        excess = self.m - 1.0
        return self.log_t, excess - self.log_t, excess + self.log_t


def scale_eta(eta: GIGParameters, fixed_p: float | None) -> ScaledEta:
    """Rescale (E log Y, E 1/Y, E Y) so that E[T] = E[1/T]; E[log T] is idle at a fixed p."""
    log_y, inv_y, y = eta
    s = math.sqrt(y) / math.sqrt(inv_y)
    log_t = 0.0 if fixed_p is not None else log_y - math.log(s)
    return ScaledEta(s, math.sqrt(y * inv_y), log_t)


def log_start(
    eta: ScaledEta, p: float | None, start: GIGParameters | None
) -> tuple[float, float, float]:
    """(p, log a, log b) to start from, for T: `start` where interior, else an inverse Gaussian."""
    if start is not None and start[1] > 0.0 and start[2] > 0.0:
        return start[0] if p is None else p, math.log(start[1] * eta.s), math.log(start[2] / eta.s)
    lam = eta.m / (eta.m * eta.m - 1.0)
    small, large = math.log(lam / (eta.m * eta.m)), math.log(lam)
    if (p is None and eta.log_t <= 0.0) or (p is not None and p <= 0.0):
        return -0.5 if p is None else p, small, large
    return 0.5 if p is None else p, large, small
