"""What a backend must do: a few coarse, fused operations on plain arrays."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from nvmix.foundation.statistics import SufficientStatistics
    from nvmix.foundation.typing import FloatArray

GIGParameters: TypeAlias = tuple[float, float, float]
# Gauges of the scale shared by Sigma and Y.
GAUGES: Final = ("none", "det_sigma_one", "det_sigma_x", "a_eq_b")
# Ways to extrapolate EM's iterations, and what tells that they have arrived.
ACCELERATIONS: Final = ("none", "squarem", "anderson")
CRITERIA: Final = ("parameters", "likelihood")


class Fixed(NamedTuple):
    """Coordinates of GIG(p, a, b) that a family holds fixed; None is free.

    Gamma is ``Fixed(b=0.0)``, inverse gamma ``Fixed(a=0.0)``, inverse Gaussian ``Fixed(p=-0.5)``.
    """

    p: float | None = None
    a: float | None = None
    b: float | None = None


class GIGStatus(IntEnum):
    """How a GIG eta -> theta solve ended."""

    INTERIOR = 0
    GAMMA = 1
    INVERSE_GAMMA = 2
    DEGENERATE = 3
    INFEASIBLE = 4
    NOT_CONVERGED = 5


class Ending(IntEnum):
    """How a fit ended, as loops note it; `nvmix.backends.status.Status` says what each means."""

    CONVERGED = 0
    VARIANCE_GAMMA_LIMIT = 1
    SKEW_T_LIMIT = 2
    GAUSSIAN_LIMIT = 3
    CUSP = 4
    MAX_ITER = 5
    DEGENERATE = 6
    NON_FINITE = 7
    UNBOUNDED = 8
    SINGULAR = 9
    NO_SOLUTION = 10
    NO_GAUGE = 11
    STEPS_DONE = 12


class Gaussian(NamedTuple):
    """The normal block of a mixture: X | Y ~ N(mu + gamma Y, L L' Y).

    Attributes
    ----------
    mu : (d,) array
    gamma : (d,) array
    L : (d, d) array
        Lower triangular.
    """

    mu: FloatArray
    gamma: FloatArray
    L: FloatArray


class Restriction(NamedTuple):
    """What an M-step holds beside the coordinates that its family fixes.

    Attributes
    ----------
    mu : (d,) array or None
        Location, where it is held.
    symmetric : bool
        Whether gamma is held at 0.
    least_p : float
        Bound of the order p from below.
    """

    mu: FloatArray | None = None
    symmetric: bool = False
    least_p: float = -math.inf


class Plan(NamedTuple):
    """What an EM loop is to do.

    Attributes
    ----------
    fixed : Fixed
        Coordinates of the subordinator's GIG that are held fixed.
    restriction : Restriction
        What else is.
    method : str
        How eta -> theta is solved.
    rule : callable or None
        Combines the statistics of each E-step with those before; None uses them as they are.
    acceleration, criterion : str
        Members of `ACCELERATIONS` and `CRITERIA`.
    max_iter : int
        Most iterations.
    tol : float
        Parameter change, or gain of mean log-likelihood left, at which the fit is at rest.
    """

    fixed: Fixed
    restriction: Restriction
    method: str
    rule: Callable[..., SufficientStatistics] | None
    acceleration: str
    criterion: str
    max_iter: int
    tol: float


class Course(NamedTuple):
    """A fit that has run: its last usable model and its histories, nan from n_iter on.

    Attributes
    ----------
    block : Gaussian
        mu, gamma and L.
    theta : (3,) array
        p, a and b.
    log_likelihoods, changes : (at least max_iter,) array
        Mean log-likelihood before, and parameter change in, each iteration.
    n_iter, n_passes : int
        Iterations done, and passes over the data that they took.
    log_likelihood : float
        Mean log-likelihood of the model.
    ending : int
        An `Ending`.
    """

    block: Gaussian
    theta: Any
    log_likelihoods: Any
    changes: Any
    n_iter: Any
    n_passes: Any
    log_likelihood: Any
    ending: Any

    @property
    def gig(self) -> GIGParameters:
        """(p, a, b) as numbers."""
        p, a, b = map(float, self.theta)
        return p, a, b


class Backend(Protocol):
    """Operations that a numerical backend provides.

    Arguments are float64 arrays that the caller has validated; results are NumPy arrays. The
    GIG(p, a, b) density is proportional to y^(p-1) exp(-(a y + b / y) / 2), with a = 0 or b = 0
    standing for the inverse-gamma and gamma limits.
    """

    @property
    def name(self) -> str:
        """The name that `get_backend` knows."""

    def place(
        self,
        X: Any,
        device: Any = None,
        weights: FloatArray | None = None,
        *,
        missing: bool = False,
    ) -> Any:
        """Put (n, d) observations, with their weights, where this backend works on them.

        nan may stand for a missing value where the caller says so.
        """

    def log_bessel(self, v: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(log K_v(z), K_{v+1}(z) / K_v(z)), elementwise on equal shapes."""

    def log_bessel_derivatives(self, v: FloatArray, z: FloatArray) -> FloatArray:
        """(4, ...) d/dv, d2/dv2, d2/dvdz and d2/dz2 of log K_v(z), elementwise on equal shapes."""

    def gig_law(self, theta: GIGParameters) -> tuple[float, float, float, float]:
        """(lnZ, E log Y, E 1/Y, E Y) of one law."""

    def gig_moments(
        self, p: FloatArray, a: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(lnZ, E log Y, E 1/Y, E Y), elementwise on equal shapes."""

    def gig_covariance(self, theta: GIGParameters) -> FloatArray:
        """(3, 3) covariance of (log Y, 1/Y, Y): the Fisher information of natural parameters."""

    def gig_fit(
        self, eta: GIGParameters, fixed: Fixed, method: str, start: GIGParameters | None
    ) -> tuple[GIGParameters, GIGStatus]:
        """Solve (E log Y, E 1/Y, E Y) = eta for (p, a, b) over the free coordinates.

        The maximum-likelihood equations of the family: where eta lies outside the image of the
        interior, the boundary law that maximises theta . eta - A(theta). A statistic that belongs
        to a coordinate fixed at zero is ignored and may be nan.
        """

    def log_prob(self, X: Any, block: Gaussian, theta: GIGParameters) -> FloatArray:
        """(n,) log-densities of placed (n, d) observations."""

    def e_step(self, X: Any, block: Gaussian, theta: GIGParameters) -> SufficientStatistics:
        """Posterior expectations summed over placed (n, d) observations, in the block's frame."""


class Looper(Protocol):
    """What runs a whole EM fit by itself, where the data are."""

    def place(self, X: Any, device: Any = None, weights: FloatArray | None = None) -> Any:
        """Put (n, d) observations, with their weights, where the fit is to run."""

    def fit(self, X: Any, block: Gaussian, theta: GIGParameters, plan: Plan) -> Course:
        """Fit placed observations from a starting model; under a trace, the course is traced."""


class Sampler(Protocol):
    """What draws GIG variates from a NumPy generator."""

    def gig_variates(self, theta: GIGParameters, n: int, rng: np.random.Generator) -> FloatArray:
        """(n,) independent variates; a = 0 or b = 0 draw the gamma limits."""
