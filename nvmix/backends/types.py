"""Plain records that backends take and return."""

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

from nvmix.backends.tolerances import LEAST_LEFT, LEFT, LEFT_OF_GAINS
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray

# (p, a, b), and expectations in the order (E log Y, E 1/Y, E Y).
GIGParameters: TypeAlias = tuple[float, float, float]
# Gauges of the scale shared by Sigma and Y.
GAUGES: Final = ("none", "det_sigma_one", "det_sigma_x", "a_eq_b", "unit_mean")
# Ways to extrapolate EM's iterations, and what a fit's convergence is measured by.
ACCELERATIONS: Final = ("none", "squarem", "anderson")
CRITERIA: Final = ("parameters", "likelihood")

# Steps of an iteration, in their order; the first is the E-step at a candidate, a model of the last
# M-step. `nvmix.backends.cpu.kernels.em.loop` has the others.
E_STEP, ACCEPT, PROPOSE, SOLVE, FINISH = range(5)
# The status of a fit that goes on, and of one whose M-step is to be done again, for another
# proposal.
RUNNING: Final = -1
REPEAT: Final = -2
# The status of a fit that has met its criterion, though more may be left to gain.
UNCONFIRMED: Final = -3
# The status of a fit whose E-step is to be done with more care for the digits of its likelihood.
CARELESS: Final = -4
# Iterations that loops count, at most.
MOST_ITERATIONS: Final = 2**31 - 1


class Fixed(NamedTuple):
    """Coordinates of GIG(p, a, b) that are held fixed; None is free.

    Gamma is ``Fixed(b=0.0)``, inverse gamma ``Fixed(a=0.0)``, inverse Gaussian ``Fixed(p=-0.5)``.
    """

    p: float | None = None
    a: float | None = None
    b: float | None = None


class GIGStatus(IntEnum):
    """How a solve of GIG expectations for (p, a, b) ended: inside, on a boundary, or without."""

    INTERIOR = 0
    GAMMA = 1
    INVERSE_GAMMA = 2
    DEGENERATE = 3
    INFEASIBLE = 4
    NOT_CONVERGED = 5


class NormalParameters(NamedTuple):
    """mu (d,), gamma (d,) and lower-triangular L (d, d) of X | Y ~ N(mu + gamma Y, L L' Y)."""

    mu: FloatArray
    gamma: FloatArray
    L: FloatArray


class Constraints(NamedTuple):
    """What an M-step holds fixed."""

    fixed: Fixed  # coordinates of the subordinator's GIG, those that the family fixes included
    mu: FloatArray | None = None  # (d,) location, where it is held
    symmetric: bool = False  # whether gamma is held at 0
    least_p: float = -math.inf  # lower bound of the order p
    names: tuple[str, ...] = ()  # parameters that are held beside those of the family


class EMOptions(NamedTuple):
    """What an EM loop is to do."""

    constraints: Constraints
    method: str  # how eta -> theta is solved
    # Combines the statistics of each E-step with those before; None uses them as they are.
    rule: Callable[..., SufficientStatistics] | None
    acceleration: str  # of `ACCELERATIONS`
    criterion: str  # of `CRITERIA`
    max_iter: int
    tol: float  # parameter change, or predicted gain, below which a fit has converged
    # Whether mu, gamma and Sigma are maximised before the law of Y, each after an E-step of its
    # own (MCECM), rather than all after one.
    conditional: bool = False
    # Whether a fit that has met its criterion ends, UNCONFIRMED, where more may be left to gain:
    # a caller goes on by other means. Else it iterates until little is left.
    ends_unconfirmed: bool = False

    @property
    def left(self) -> float:
        """Mean log-likelihood that an end may leave, by prediction."""
        by_likelihood = self.criterion == "likelihood"
        left = LEFT_OF_GAINS * self.tol if by_likelihood else LEFT * self.tol * self.tol
        return max(left, LEAST_LEFT)


class FitTrace(NamedTuple):
    """Record of an EM loop: its last valid model and its histories, nan from n_iter on."""

    normal: NormalParameters
    theta: Any  # (3,): p, a and b
    log_likelihoods: Any  # (n_iter or more,) mean log-likelihood before each iteration
    changes: Any  # (n_iter or more,) parameter change in each iteration
    n_iter: Any
    n_passes: Any  # passes over the data that the iterations took
    log_likelihood: Any  # mean log-likelihood of the model
    status: Any  # number of a `Status`, or UNCONFIRMED

    @property
    def gig(self) -> GIGParameters:
        """(p, a, b) as numbers."""
        p, a, b = map(float, self.theta)
        return p, a, b
