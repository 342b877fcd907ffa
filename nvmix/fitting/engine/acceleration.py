"""Extrapolation of EM between E-step and M-step, in the statistics that the M-step inverts.

Statistics are combined with weights that sum to 1, so that what is extrapolated depends neither on
the units and axes of the data nor on the family. The loops of the backends do the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from nvmix.backends.tolerances import CAUTIOUS, DAMPED, FIRST_STRIDE, MEMORY, STRIDES, UNDAMPED
from nvmix.foundation.linalg import factor
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture


@dataclass
class Extrapolation:
    """Proposes statistics for the M-step from those of the E-steps so far.

    Write u for the statistics that an M-step inverts and g(u) for those of the E-step at the model
    it makes: EM is the iteration u <- g(u). Each `propose` takes g(u) of the last proposal u. Then
    the order of things is: store the residual g(u) - u; combine it with earlier ones, by SQUAREM
    after every second plain step or by Anderson's least squares; return the combination, or g(u)
    itself where there is none yet. `reject` follows where the likelihood fell: plain EM from g(u).
    After that "anderson", over the last `MEMORY` differences, goes on by SQUAREM for `CAUTIOUS`
    iterations.

    References
    ----------
    R. Varadhan and C. Roland, Simple and globally convergent methods for accelerating the
    convergence of any EM algorithm, Scandinavian Journal of Statistics 35 (2008), 335-353.
    For Anderson's: Henderson and Varadhan (2019), as for `BatchEMFitter`.
    """

    method: str  # of `ACCELERATIONS`
    # Origin (d,) and scale (d, d) of the frame in which statistics are compared; scale of Y in it.
    origin: FloatArray
    scale: FloatArray
    s: float
    # (k,) factors that weigh the statistics in norms: for those of Y one over the standard
    # deviation at the start, since they have units of their own.
    metric: FloatArray
    damping: float = UNDAMPED  # ridge of Anderson's least squares
    longest: float = FIRST_STRIDE  # longest stride of SQUAREM
    cautious: int = 0  # iterations that still go on by SQUAREM
    extrapolated: bool = False  # whether the last proposal differs from g(u)
    # Residuals g(u) - u and images g(u), each (k,); then u, the last proposal.
    history: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    used: FloatArray | None = None

    @classmethod
    def of(cls, method: str, model: Mixture) -> Extrapolation:
        """Extrapolation of a fit that starts from a model: in its frame mu = 0 and Sigma = I."""
        d, s = model.d, math.exp(model.subordinator.gig_expectations[0])
        metric = np.ones(3 + 2 * d + d * d)
        variances = np.diag(model.subordinator.gig_covariance()) * (1.0, s * s, 1.0 / (s * s))
        known = np.isfinite(variances) & (variances > 0.0)
        metric[:3][known] = 1.0 / np.sqrt(variances[known])
        return cls(method, model.mu, model.L_sigma * math.sqrt(s), s, metric)

    def propose(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """Statistics for the next M-step, from those of the E-step at the last proposal."""
        if self.method == "none":
            return statistics
        image = self._flat(statistics)
        if self.used is not None:
            self.history = [*self.history[-MEMORY:], (image - self.used, image)]
        self.damping = max(UNDAMPED, 0.1 * self.damping)
        enough = len(self.history) > 1
        by_strides = self.method == "squarem" or self.cautious > 0
        found = None
        if enough and not by_strides:
            found = self._anderson()
        elif enough:
            # A stride needs two plain steps: never two strides in a row.
            found = None if self.extrapolated else self._squarem()
            self.cautious -= 1
        self.extrapolated = found is not None
        self.used = image if found is None else found
        return statistics if found is None else self._statistics(found, statistics)

    def reject(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """EM's own statistics, in the place of a proposal that lowered the likelihood."""
        self.damping = max(100.0 * self.damping, DAMPED)
        self.longest = max(self.longest / STRIDES, FIRST_STRIDE)
        self.cautious = CAUTIOUS
        self.extrapolated = False
        self.used = self.history[-1][1]
        return statistics

    def _flat(self, eta: SufficientStatistics) -> FloatArray:
        """Means of the statistics in the frame, as one vector."""
        own, s = eta.in_frame(self.origin, self.scale), self.s
        scalars = [own.log_y - math.log(s) * own.weight, own.inv_y * s, own.y / s]
        parts = (scalars, own.x, own.x_inv_y * s, own.xx_inv_y.ravel() * s)
        return np.concatenate(parts) / own.weight

    def _statistics(self, means: FloatArray, like: SufficientStatistics) -> SufficientStatistics:
        """Statistics of that vector, with the weight and the likelihood of others."""
        n, d, s = like.weight, like.d, self.s
        x, x_inv_y, scatter = np.split(n * means[3:], [d, 2 * d])
        return replace(
            like,
            log_y=n * (means[0] + math.log(s)),
            inv_y=n * means[1] / s,
            y=n * means[2] * s,
            x=x,
            x_inv_y=x_inv_y / s,
            xx_inv_y=scatter.reshape(d, d) / s,
            origin=self.origin,
            scale=self.scale,
        )

    def _anderson(self) -> FloatArray | None:
        """g - sum of c_i (g_i+1 - g_i), with the c that make the linearised residual least.

        The differences are scaled to unit length before the ridge is added, so that damping means
        the same whatever their size.
        """
        residuals, images = (np.array(part) for part in zip(*self.history, strict=True))
        differences = np.diff(residuals * self.metric, axis=0)
        size = np.sqrt(np.square(differences).sum(axis=1))
        if not (np.isfinite(size) & (size > 0.0)).all():
            return None
        directions = differences / size[:, None]
        A = directions @ directions.T + self.damping * np.eye(len(size))
        L = factor(A)
        if L is None:
            return None
        b = np.linalg.solve(L, directions @ (residuals[-1] * self.metric))
        c = np.linalg.solve(L.T, b) / size
        proposal: FloatArray = images[-1] - c @ np.diff(images, axis=0)
        return proposal

    def _squarem(self) -> FloatArray | None:
        """u + 2 t r + t^2 v of two plain steps r and r + v from u, t = |r| / |v| or the longest."""
        (r, _), (last, image) = self.history[-2:]
        v = last - r
        square, curvature = (float(np.square(x * self.metric).sum()) for x in (r, v))
        if not square > curvature > 0.0:
            return None
        t = math.sqrt(square / curvature)
        if t > self.longest:
            t = self.longest
            self.longest *= STRIDES
        proposal: FloatArray = image - last - r + 2.0 * t * r + t * t * v
        return proposal
