"""Tolerances that backends share."""

from __future__ import annotations

from typing import Final

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
