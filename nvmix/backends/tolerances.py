"""Tolerances that backends share."""

from __future__ import annotations

from typing import Final

# E[Y] E[1/Y] - 1 is a difference of rounded numbers: below this it carries no digit.
NO_VARIANCE: Final = 1e-14
# (E[Y] E[1/Y] - 1) (p - 1) of a gamma law, less what rounding of the statistics leaves of b.
AT_LIMIT: Final = 1.0 - 1e-12
# Largest relative error of E[Y] and E[1/Y] where rounding of the statistics leaves b (or a) next
# to a boundary undetermined.
ROUNDED: Final = 1e-8
# E[Y] E[1/Y] - 1 below this leaves no digit to tell mu from gamma: the Gaussian limit.
NO_MIXING: Final = 1e-13
# Variance of gamma Y in units of Sigma E[Y] at which rounding of what Sigma is a difference of
# rules the likelihood.
COLLAPSED: Final = 1e6
# Share of all E[1/Y] at which the rows within twice the least distance to mu rule the M-step, and
# share of the mean squared distance within which they have to be.
DOMINANT: Final = 0.5
NEAR: Final = 1e-2
# Share of the mean squared distance below which b no longer rounds off the density at mu.
NEGLIGIBLE: Final = 1e-6
# Differences that Anderson acceleration remembers, and its damping: in general, and at least after
# a rejection.
MEMORY: Final = 5
UNDAMPED: Final = 1e-12
DAMPED: Final = 1e-3
# Iterations that go on by SQUAREM's strides after one of Anderson's was not kept.
CAUTIOUS: Final = 4
# Longest stride of SQUAREM at first, and the factor it grows by when it is taken.
FIRST_STRIDE: Final = 4.0
STRIDES: Final = 4.0
# Iterations in a row whose predicted gain is below tol, after which a fit has converged.
N_BELOW_TOL: Final = 3
# A relative fall of the mean log-likelihood that is rounding.
ROUNDING: Final = 1e-14
# A relative fall in EM's own step that says that rounding rules the M-step.
FALL: Final = 1e-7
# A relative gain of the mean log-likelihood too small to tell from rounding.
NO_GAIN: Final = 4e-16
