"""Plain records that backends take and return."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray

# (p, a, b), and expectations in the order (E log Y, E 1/Y, E Y).
GIGParameters: TypeAlias = tuple[float, float, float]
# Gauges of the scale shared by Sigma and Y.
GAUGES: Final = ("none", "det_sigma_one", "det_sigma_x", "a_eq_b")
# Ways to extrapolate EM's iterations, and what a fit's convergence is measured by.
ACCELERATIONS: Final = ("none", "squarem", "anderson")
CRITERIA: Final = ("parameters", "likelihood")


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
    """What an M-step holds fixed.

    Attributes
    ----------
    fixed : Fixed
        Coordinates of the subordinator's GIG, those that the family fixes included.
    mu : (d,) array or None
        Location, where it is held.
    symmetric : bool
        Whether gamma is held at 0.
    least_p : float
        Lower bound of the order p.
    names : tuple of str
        Parameters that are held beside those of the family.
    """

    fixed: Fixed
    mu: FloatArray | None = None
    symmetric: bool = False
    least_p: float = -math.inf
    names: tuple[str, ...] = ()

    @property
    def of_family_only(self) -> bool:
        """Whether nothing is held but what the family fixes."""
        return not self.names and self.least_p == -math.inf

    def n_held(self, d: int) -> int:
        """Number of free parameters that the names take away in d dimensions."""
        return sum(d if name in ("mu", "gamma") else 1 for name in self.names)


class EMOptions(NamedTuple):
    """What an EM loop is to do.

    Attributes
    ----------
    constraints : Constraints
        What the M-step holds fixed.
    method : str
        How eta -> theta is solved.
    rule : callable or None
        Combines the statistics of each E-step with those before; None uses them as they are.
    acceleration, criterion : str
        Members of `ACCELERATIONS` and `CRITERIA`.
    max_iter : int
        Most iterations.
    tol : float
        Parameter change, or predicted gain of mean log-likelihood, below which a fit has converged.
    """

    constraints: Constraints
    method: str
    rule: Callable[..., SufficientStatistics] | None
    acceleration: str
    criterion: str
    max_iter: int
    tol: float


class FitTrace(NamedTuple):
    """Record of an EM loop: its last valid model and its histories, nan from n_iter on.

    Attributes
    ----------
    normal : NormalParameters
        mu, gamma and L.
    theta : (3,) array
        p, a and b.
    log_likelihoods, changes : (at least max_iter,) array
        Mean log-likelihood before, and parameter change in, each iteration.
    n_iter, n_passes : int
        Iterations done, and passes over the data that they took.
    log_likelihood : float
        Mean log-likelihood of the model.
    status : int
        A `Status`.
    """

    normal: NormalParameters
    theta: Any
    log_likelihoods: Any
    changes: Any
    n_iter: Any
    n_passes: Any
    log_likelihood: Any
    status: Any

    @property
    def gig(self) -> GIGParameters:
        """(p, a, b) as numbers."""
        p, a, b = map(float, self.theta)
        return p, a, b
