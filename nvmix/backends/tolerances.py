"""Tolerances that backends share."""

from typing import Final

# Where Y is constant or the subordinator undetermined. D is E[Y] E[1/Y] - 1, which is 0 for a
# constant Y.

# D is a difference of rounded numbers: up to this, some 50 units of the last place, no digit is
# certain, and the solve for the subordinator is degenerate.
NO_VARIANCE: Final = 1e-14
# The same for mu and gamma, which are quotients by D: up to this the M-step is degenerate.
NO_MIXING: Final = 1e-13
# b = 0 is optimal where D (p - 1) >= 1. Rounding of the statistics may leave it this much lower.
AT_LIMIT: Final = 1.0 - 1e-12
# Largest relative error of E[Y] and E[1/Y] of a solve that is accepted after its last step: next to
# a boundary, rounding of the statistics leaves b (or a) undetermined.
ROUNDED: Final = 1e-8
# Variance of gamma Y in units of Sigma E[Y] above which an M-step is degenerate: Sigma is a
# difference of numbers so much larger, and loses 6 of its 16 digits to rounding. Heavy tails of Y
# make D large, but not those numbers: in EM's own step it counts as BROAD E[1/Y] e^E[log Y] at
# most. An extrapolated step gets no such allowance, for it may lead elsewhere.
COLLAPSED: Final = 1e6
BROAD: Final = 100.0

# Whether mu is at rows of the data, by squared distances of rows from mu and their usual size.

# The nearest rows, those within twice the least distance, dominate from half of all E[1/Y] on.
DOMINANT: Final = 0.5
# Squares: those within so many times the least squared distance, and those at one place.
AROUND: Final = 4.0
SAME: Final = 1.0 + 1e-9
# That size is the mean, but at most what this share of the rows do not exceed.
MOST: Final = 0.9
# Only rows within this share of the usual size count as near.
NEAR: Final = 1e-2
# Those within this share of it are at one place, but for rounding.
PLACE: Final = 1e-20
# A b below this share of it no longer rounds off the density at mu.
NEGLIGIBLE: Final = 1e-6

# Extrapolation.

# Differences that Anderson acceleration combines: it takes the last six images.
MEMORY: Final = 5
# Ridge of its least squares, whose matrix has a unit diagonal: in general, where it only keeps the
# matrix positive definite, and at least after a rejection. It falls by a factor of 10 an iteration.
UNDAMPED: Final = 1e-12
DAMPED: Final = 1e-3
# Iterations that go by SQUAREM after a rejection: it is surer far from the maximum.
CAUTIOUS: Final = 4
# Longest stride of SQUAREM at first, and the factor it grows by when it is used and falls by after
# a rejection.
FIRST_STRIDE: Final = 4.0
STRIDES: Final = 4.0
# How much narrower, in any direction, the scale of X may get by an extrapolated step than by EM's
# own from the same statistics. Beyond that a step may jump to where a few rows have a singular
# Sigma, and stay.
TRUST: Final = 1.5


# Convergence by likelihood, and falls of the mean log-likelihood. All but the first are relative.

# Iterations in a row with a predicted gain below tol, after which a fit has converged: none of the
# 828 fits of docs/about/convergence.md then had more than tol left.
N_ITERATIONS_BELOW_TOL: Final = 3
# What an end may leave of mean log-likelihood, in units of the square of the tolerance of parameter
# changes (1e-7 at the default), and of that of gains, by a prediction that takes all that is left
# to be along the slowest direction.
LEFT: Final = 10.0
LEFT_OF_GAINS: Final = 1.0
# Factor by which the slowest rate that a fit has met may rise in each iteration.
FORGETTING: Final = 1.05
# The slowest rate where a fit has met none, in its first two iterations: it may have started on a
# ridge, and ends at once only where hardly anything is left.
UNKNOWN_RATE: Final = 1e-3
# Iterations that may meet the criterion without being confirmed, before a fit ends unconfirmed.
MOST_UNCONFIRMED: Final = 8
# The least that any end may leave: less is rounding.
LEAST_LEFT: Final = 1e-14
# A fall below this is rounding of a sum, and no reason to reject an extrapolated step.
ROUNDING: Final = 1e-14
# A fall above this in a plain step, which never lowers the exact likelihood, says that rounding
# dominates the M-step, and ends the fit.
FALL: Final = 1e-7
# A gain up to this, about 2 units of the last place, is none: Aitken's ratios would be of rounding.
NO_GAIN: Final = 4e-16
