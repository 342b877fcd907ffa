"""Rules that combine the statistics of an E-step with those of earlier steps."""

# All rules have the signature of `EtaUpdate`, also those that do not use every argument.
# ruff: noqa: ARG002

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from nvmix.foundation.statistics import SufficientStatistics, check_finite
from nvmix.foundation.validation import instance, nonnegative, positive, real

# Tolerance for the sum of coefficients that must be 1.
_ROUNDING = 1e-12


@runtime_checkable
class EtaUpdate(Protocol):
    """A rule (previous, batch, step) -> statistics for the M-step.

    batch has the statistics of the E-step just done, previous the result of the rule in the step
    before. Steps count from 0. In step 0 of a batch fit previous is None; in step 0 of an
    incremental fit it is what the starting model expects of one row, or None if that is infinite.
    """

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Combine previous and batch."""


def averaged(
    previous: SufficientStatistics, batch: SufficientStatistics, w: float
) -> SufficientStatistics:
    """Average the means, (1 - w) previous + w batch, whatever the weights of both.

    The result has the weight, the frame and the log-likelihood of the batch.
    """
    total = batch * w + previous * ((1.0 - w) * batch.weight / previous.weight)
    return replace(total, weight=batch.weight, log_likelihood=batch.log_likelihood)


@dataclass(frozen=True)
class IdentityUpdate:
    """Use the statistics of the batch as they are, eta = eta_batch: plain EM.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, Maximum likelihood from incomplete data via the
    EM algorithm, Journal of the Royal Statistical Society B 39 (1977), 1-38.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> nvmix.fit(X, "nig", eta_update=nvmix.IdentityUpdate(), max_iter=500).converged
    True
    """

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Return the batch."""
        return batch


@dataclass(frozen=True)
class EWMAUpdate:
    """Exponentially weighted average of means, eta = (1 - w) eta_prev + w eta_batch.

    About the last 1/w batches count. A fit therefore follows a distribution that drifts; on one
    that does not drift it keeps noise of variance proportional to w.

    Parameters
    ----------
    w : float
        Weight of the new batch, in (0, 1].

    Raises
    ------
    TypeError, ValueError
        If w is not a number in (0, 1].

    References
    ----------
    Cappé and Moulines (2009), as for `RobbinsMonroUpdate`, with a constant step.

    Examples
    --------
    >>> from nvmix import EWMAUpdate, IncrementalEMFitter, NormalInverseGaussian
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> fitter = IncrementalEMFitter(eta_update=EWMAUpdate(0.1))
    >>> fitter = fitter.partial_fit(X[:200], model=NormalInverseGaussian.default_init(X[:200]))
    >>> fitter.partial_fit(X[200:]).n_steps
    2
    """

    w: float

    def __post_init__(self) -> None:
        """Validate the parameters."""
        if positive("w", self.w) > 1.0:
            msg = f"w must be at most 1, got {self.w}"
            raise ValueError(msg)

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Average the means; the result has the weight of the batch."""
        return batch if previous is None else averaged(previous, batch, self.w)


@dataclass(frozen=True)
class RobbinsMonroUpdate:
    r"""Average of means with decreasing weights, as in stochastic approximation.

    .. math::

        \eta_t = (1 - w_t)\,\eta_{t-1} + w_t\,\eta_{batch}, \qquad w_t = (t + \tau_0)^{-\kappa},
        \quad t = 1, 2, \dots

    Any exponent kappa in (1/2, 1] leads to a maximum of the likelihood. With kappa = 1 and tau0 = 0
    the result is the plain average of all batches, in which statistics of early, poor models lose
    weight slowly. With kappa = 0.6 and ``averaging=True`` of `IncrementalEMFitter` they lose it
    fast, and the noise is hardly larger.

    Parameters
    ----------
    tau0 : float
        Not negative; larger values make the first weights smaller.
    exponent : float
        kappa, in (0.5, 1].

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain.

    References
    ----------
    H. Robbins and S. Monro, A stochastic approximation method, Annals of Mathematical Statistics
    22 (1951), 400-407.
    O. Cappé and E. Moulines, On-line expectation-maximization algorithm for latent data models,
    Journal of the Royal Statistical Society B 71 (2009), 593-613.

    Examples
    --------
    >>> from nvmix import RobbinsMonroUpdate
    >>> RobbinsMonroUpdate(tau0=1.0).weight(0)
    0.5
    """

    tau0: float = 10.0
    exponent: float = 1.0

    def __post_init__(self) -> None:
        """Validate the parameters."""
        nonnegative("tau0", self.tau0)
        if not 0.5 < real("exponent", self.exponent) <= 1.0:
            msg = f"exponent must be above 0.5 and at most 1, got {self.exponent}"
            raise ValueError(msg)

    def weight(self, step: int) -> float:
        """Weight w_t of the batch of a step.

        Parameters
        ----------
        step : int
            Number of the step from 0; t is step + 1.

        Returns
        -------
        float
            In (0, 1].

        Examples
        --------
        >>> from nvmix import RobbinsMonroUpdate
        >>> rule = RobbinsMonroUpdate(tau0=0.0)
        >>> [rule.weight(step) for step in range(4)]  # a plain average
        [1.0, 0.5, 0.3333333333333333, 0.25]
        """
        return float((step + 1 + self.tau0) ** -self.exponent)

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Average the means; the result has the weight of the batch."""
        return batch if previous is None else averaged(previous, batch, self.weight(step))


@dataclass(frozen=True)
class SampleWeightedUpdate:
    r"""Sum of all statistics, eta = (n_prev eta_prev + n_batch eta_batch) / (n_prev + n_batch).

    All rows of all batches have equal weight, with the expectations under the model of their step.
    Early batches never lose weight, so a fit lags behind a distribution that drifts.

    References
    ----------
    R. M. Neal and G. E. Hinton, A view of the EM algorithm that justifies incremental, sparse, and
    other variants, in Learning in Graphical Models, 1998, 355-368.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix import SampleWeightedUpdate, VarianceGamma
    >>> X = np.random.default_rng(0).standard_normal((100, 2))
    >>> model = VarianceGamma.default_init(X)
    >>> eta = SampleWeightedUpdate()(model.e_step(X[:90]), model.e_step(X[90:]), 1)
    >>> bool(np.isclose(eta.E_Y, model.e_step(X).E_Y, rtol=1e-13))
    True
    """

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Add the sums, in the frame of the batch."""
        return batch if previous is None else batch + previous


@dataclass(frozen=True)
class AffineUpdate:
    r"""Affine combination of means, eta = a + b eta_prev + c eta_batch.

    The coefficient of a is its weight: ``0.1 * eta0`` adds 0.1 of the means of statistics eta0 of
    weight 1. The coefficients sum to 1, or else the result would depend on the origin of the data.
    Where there are no previous statistics, the batch takes their place. Negative b is
    over-relaxation.

    Parameters
    ----------
    a : SufficientStatistics or None
        Constant statistics, whose weight is their coefficient; None is 0.
    b : float
        Coefficient of the previous means.
    c : float
        Coefficient of the means of the batch.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of another kind or not finite, or the coefficients do not sum to 1.

    References
    ----------
    B. C. Peters and H. F. Walker, An iterative procedure for obtaining maximum-likelihood estimates
    of the parameters for a mixture of normal distributions, SIAM Journal on Applied Mathematics 35
    (1978), 362-378, for over-relaxation, which converges near a maximum for 0 < c < 2.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> plain, longer = nvmix.IdentityUpdate(), nvmix.AffineUpdate(b=-0.5, c=1.5)
    >>> n_iter = {rule: nvmix.fit(X, "nig", eta_update=rule, acceleration="none").n_iter
    ...           for rule in (plain, longer)}
    >>> n_iter[longer] < n_iter[plain]
    True
    """

    a: SufficientStatistics | None = None
    b: float = 0.0
    c: float = 1.0

    def __post_init__(self) -> None:
        """Validate the parameters."""
        if self.a is not None:
            instance("a", self.a, SufficientStatistics)
            check_finite("a", self.a)
        weight = 0.0 if self.a is None else float(self.a.weight)
        total = weight + real("b", self.b) + real("c", self.c)
        if not math.isclose(total, 1.0, rel_tol=_ROUNDING):
            msg = (
                f"the weight of a, b and c must sum to 1, got {weight}, {self.b} and {self.c}; "
                "w * eta0 is eta0 with w times its weight"
            )
            raise ValueError(msg)

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Combine the means; the result has the weight of the batch."""
        total = batch * self.c
        before = batch if previous is None else previous
        if self.b != 0.0:
            total = total + before * (self.b * batch.weight / before.weight)
        if self.a is not None:
            total = total + self.a * batch.weight
        return replace(total, weight=batch.weight, log_likelihood=batch.log_likelihood)


def is_scale_free(rule: EtaUpdate) -> bool:
    """Whether a rule is known to commute with replacing Y by c Y, so that the gauge may change.

    False for rules with a constant, and for rules that a user has written.
    """
    if type(rule) is AffineUpdate:
        return rule.a is None
    return type(rule) in (IdentityUpdate, EWMAUpdate, RobbinsMonroUpdate, SampleWeightedUpdate)
