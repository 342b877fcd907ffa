"""What a backend must do: a few coarse, fused operations on plain arrays."""

from typing import Any, Protocol

import numpy as np

from nvmix.backends.types import (
    EMOptions,
    FitTrace,
    Fixed,
    GIGParameters,
    GIGStatus,
    NormalParameters,
)
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import BoolArray, FloatArray


class Backend(Protocol):
    """Operations that a numerical backend provides.

    Arguments are float64 arrays that the caller has validated; results are NumPy arrays. The
    GIG(p, a, b) density is proportional to y^(p-1) exp(-(a y + b / y) / 2): that of an inverse
    gamma distribution where a = 0, and of a gamma distribution where b = 0.
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
        """Put (n, d) rows, with their weights, where this backend computes.

        With missing, nan stands for a missing value.
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
        """(lnZ, E log Y, E 1/Y, E Y), elementwise on equal shapes.

        Where p and a are arrays that repeat one element, without strides, a table may give them,
        within 1e-13.
        """

    def gig_log_density(self, y: FloatArray, theta: GIGParameters) -> FloatArray:
        """Log-densities of one law at y > 0, of any shape."""

    def gig_log_tails(self, y: FloatArray, theta: GIGParameters) -> tuple[FloatArray, BoolArray]:
        """Log-probabilities of the smaller tails at y, and which are upper."""

    def gig_quantiles(
        self, log_lower: FloatArray, log_upper: FloatArray, theta: GIGParameters
    ) -> FloatArray:
        """Points with these log-probabilities below and above, on equal shapes."""

    def gig_entropy(self, theta: GIGParameters) -> float:
        """Entropy of one law."""

    def gig_log_moment(self, theta: GIGParameters, k: float) -> float:
        """log E[Y^k] of one law with a > 0; where b = 0, p and p + k are positive."""

    def gig_fit(
        self, eta: GIGParameters, fixed: Fixed, method: str, start: GIGParameters | None
    ) -> tuple[GIGParameters, GIGStatus]:
        """Solve (E log Y, E 1/Y, E Y) = eta for (p, a, b) over the free coordinates.

        The maximum-likelihood equations of the family: where eta lies outside the image of the
        interior, the boundary law that maximises theta . eta - A(theta). A statistic that belongs
        to a coordinate fixed at zero is ignored and may be nan.
        """

    def gig_covariances(self, p: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        """(n, 3, 3) covariances of (log Y, 1/Y, Y) for (n,) parameters.

        Each is the Fisher information of natural parameters.
        """

    def gig_variates(self, theta: GIGParameters, n: int, rng: np.random.Generator) -> FloatArray:
        """(n,) independent variates from a NumPy generator, the same on every backend."""

    def log_prob(self, X: Any, normal: NormalParameters, theta: GIGParameters) -> FloatArray:
        """(n,) log-densities of placed rows."""

    def tails(
        self,
        x: FloatArray,
        normal: NormalParameters,
        theta: GIGParameters,
        *,
        upper: bool,
        log: bool,
    ) -> FloatArray:
        """P(X <= x), or P(X > x), or its log, of a mixture of one column, at x of any shape."""

    def quantiles(
        self, q: FloatArray, normal: NormalParameters, theta: GIGParameters, *, upper: bool
    ) -> FloatArray:
        """Points x with P(X <= x) = q, or P(X > x) = q, at q of any shape; nan outside [0, 1]."""

    def sequential_tails(
        self, w: FloatArray, g: FloatArray, theta: GIGParameters
    ) -> tuple[FloatArray, BoolArray]:
        """Log-probabilities (n, d) of the smaller tails of w[i, j] given w[i, :j]; which are upper.

        Given Y, columns of w (n, d) are independent and N(g_j Y, Y).
        """

    def e_step(
        self, X: Any, normal: NormalParameters, theta: GIGParameters
    ) -> SufficientStatistics:
        """Posterior expectations summed over placed rows, in the frame of mu and L."""

    def fit(
        self, X: Any, normal: NormalParameters, theta: GIGParameters, options: EMOptions
    ) -> FitTrace:
        """Run a whole EM fit of placed rows in compiled code; JAX may trace it."""
