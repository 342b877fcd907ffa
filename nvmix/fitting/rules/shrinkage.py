"""Shrinkage of statistics towards those of a target: fits penalised by a conjugate prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nvmix.fitting.rules.updates import AffineUpdate, EtaUpdate, averaged
from nvmix.foundation.statistics import EXPECTATIONS, SufficientStatistics, check_finite
from nvmix.foundation.validation import instance, nonnegative, one_of, positive


@dataclass(frozen=True)
class Shrinkage:
    r"""Shrink means towards those of a target, eta = (eta_base + tau eta0) / (1 + tau).

    Each batch is shrunk before `base` combines it, so that a running average is not shrunk again in
    each step; eta_base is what `base` makes of batches that are not shrunk.

    With `IdentityUpdate`, EM maximises the mean log-likelihood penalised by tau times the
    Kullback-Leibler divergence from the target distribution f0 of (X, Y),

    .. math::

        \frac1n \sum_i \log f(x_i; \theta)
        - \tau\, \mathrm{KL}\bigl(f_0(x, y) \,\|\, f(x, y; \theta)\bigr),

    which is the posterior mode under the conjugate prior that is equivalent to tau n further rows
    (x, y) of the target. Other rules have the same limit. The likelihood without the penalty may
    fall, so a batch fit refuses ``criterion="likelihood"``.

    Parameters
    ----------
    base : EtaUpdate
        Rule that combines the shrunk batches.
    eta0 : SufficientStatistics
        Target, such as from `eta0_from_model`; its weight is positive and does not matter.
    tau : float or mapping of str to float
        Rows of the target for each row of data, not negative. A mapping with some of the names
        "E_log_Y", "E_inv_Y", "E_Y", "E_X", "E_X_inv_Y", "E_XXT_inv_Y" shrinks only those, each by
        the tau given for it.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain, or an expectation of eta0 is not finite.

    Notes
    -----
    A mapping shrinks statistics of :math:`w = L_0^{-1}(x - \mu_0)`, where the target has location
    mu0 and scale :math:`\Sigma_0 = L_0 L_0^\top`: "E_XXT_inv_Y" shrinks E[w w'/Y]. Statistics of x
    would mean something else for every origin of the data. Statistics shrunk by different taus may
    belong to no model, and the fit then ends with ``Status.DEGENERATE``. With one tau for all they
    always belong to one.

    References
    ----------
    P. Diaconis and D. Ylvisaker, Conjugate priors for exponential families, Annals of Statistics 7
    (1979), 269-281.
    P. J. Green, On use of the EM algorithm for penalized likelihood estimation, Journal of the
    Royal Statistical Society B 52 (1990), 443-452.

    Examples
    --------
    >>> from nvmix import (
    ...     IdentityUpdate, NormalInverseGaussian, Shrinkage, eta0_from_model)
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> start = NormalInverseGaussian.default_init(X)
    >>> rule = Shrinkage(IdentityUpdate(), eta0_from_model(start), tau=1e6)
    >>> fitted = start.fit(X, eta_update=rule).model
    >>> abs(fitted.sigma() / start.sigma() - 1.0).max() < 1e-4
    np.True_
    """

    base: EtaUpdate
    eta0: SufficientStatistics
    tau: float | Mapping[str, float]

    def __post_init__(self) -> None:
        """Validate, and copy a mapping."""
        instance("base", self.base, EtaUpdate)
        instance("eta0", self.eta0, SufficientStatistics)
        check_finite("eta0", self.eta0)
        positive("the weight of eta0", self.eta0.weight)
        if isinstance(self.tau, Mapping):
            for name, tau in self.tau.items():
                one_of("a name in tau", name, EXPECTATIONS)
                nonnegative(f"tau[{name!r}]", tau)
            object.__setattr__(self, "tau", dict(self.tau))
        else:
            nonnegative("tau", self.tau)

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Shrink the batch, then combine it with previous by `base`."""
        if isinstance(self.tau, Mapping):
            shrunk = _shrunk_by_name(batch, self.eta0, self.tau)
        else:
            shrunk = averaged(self.eta0, batch, 1.0 / (1.0 + self.tau))
        return self.base(previous, shrunk, step)


def has_target(rule: object) -> bool:
    """Whether a rule adds constant statistics, which shift the limit of a fit."""
    return isinstance(rule, Shrinkage) or (isinstance(rule, AffineUpdate) and rule.a is not None)


def _shrunk_by_name(
    batch: SufficientStatistics, eta0: SufficientStatistics, taus: Mapping[str, float]
) -> SufficientStatistics:
    """Shrink the named statistics of the batch in the frame of the target eta0.

    Only the differences are converted back to the frame of the batch and added there, so that
    statistics that are not shrunk lose no digits.
    """
    in_target_frame = batch.in_frame(eta0.origin, eta0.scale)
    differences = {}
    for name, total in EXPECTATIONS.items():
        tau = taus.get(name, 0.0)
        goal = getattr(eta0, total) * (batch.weight / eta0.weight)
        differences[total] = tau / (1.0 + tau) * (goal - getattr(in_target_frame, total))
    return batch + replace(eta0, weight=0.0, log_likelihood=0.0, **differences)
