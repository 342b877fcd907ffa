"""Shrinkage of statistics towards those of a target: fits penalised by a conjugate prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nvmix.fitting.rules.updates import AffineUpdate, EtaUpdate, averaged
from nvmix.foundation.statistics import EXPECTATIONS, SufficientStatistics, check_finite
from nvmix.foundation.validation import instance, nonnegative, one_of, positive


@dataclass(frozen=True)
class Shrinkage:
    r"""Shrink means towards a target, eta = (eta_base + tau eta0) / (1 + tau).

    Each batch is shrunk before `base` combines it, so that eta_base is what `base` makes of the
    batches alone, and a running average is not shrunk again with each step.

    With `IdentityUpdate`, EM ascends the mean log-likelihood penalised by tau times the
    Kullback-Leibler divergence from the target's law of (X, Y),

    .. math::

        \frac1n \sum_i \log f(x_i; \theta)
        - \tau\, \mathrm{KL}\bigl(f_0(x, y) \,\|\, f(x, y; \theta)\bigr),

    the posterior mode under the conjugate prior that counts as tau n rows of the target with Y
    seen. Other rules lead there too. The likelihood alone may fall on the way, and a batch fit
    refuses ``criterion="likelihood"``.

    Parameters
    ----------
    base : EtaUpdate
        Rule that is shrunk.
    eta0 : SufficientStatistics
        Target, of any positive weight, as of `eta0_from_model`.
    tau : float or mapping of str to float
        Rows of the target for each row of data, not negative. A mapping of names "E_log_Y",
        "E_inv_Y", "E_Y", "E_X", "E_X_inv_Y", "E_XXT_inv_Y" shrinks only those statistics, each by
        its own tau.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain, or an expectation of eta0 is not finite.

    Notes
    -----
    Statistics shrunk one by one are those of :math:`w = L_0^{-1}(x - \mu_0)`, where the target is
    of mu0 and :math:`\Sigma_0 = L_0 L_0^\top`: "E_XXT_inv_Y" shrinks E[w w'/Y]. A statistic of x
    itself would mean another thing for every origin of the data. Together they may then be those of
    no model, which ends a fit with ``Status.DEGENERATE``; one tau for all cannot do that.

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
        """Validate."""
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
        self,
        previous: SufficientStatistics | None,
        batch: SufficientStatistics,
        step: int,
    ) -> SufficientStatistics:
        """Shrink the batch, and combine."""
        if isinstance(self.tau, Mapping):
            shrunk = _shrunk_by_name(batch, self.eta0, self.tau)
        else:
            shrunk = averaged(self.eta0, batch, 1.0 / (1.0 + self.tau))
        return self.base(previous, shrunk, step)


def has_target(rule: object) -> bool:
    """Whether a rule is known to lead elsewhere than to the maximum of the likelihood.

    Parameters
    ----------
    rule : EtaUpdate or None
        Any.

    Returns
    -------
    bool
        Whether it has statistics of its own.
    """
    return isinstance(rule, Shrinkage) or (isinstance(rule, AffineUpdate) and rule.a is not None)


def _shrunk_by_name(
    batch: SufficientStatistics, eta0: SufficientStatistics, taus: Mapping[str, float]
) -> SufficientStatistics:
    """Statistics of the batch, some of them shrunk in the frame of the target.

    What is added, not the whole, goes from frame to frame, which costs other statistics no digits.
    """
    there = batch.in_frame(eta0.origin, eta0.scale)
    pulls = {}
    for name, total in EXPECTATIONS.items():
        tau = taus.get(name, 0.0)
        goal = getattr(eta0, total) * (batch.weight / eta0.weight)
        pulls[total] = tau / (1.0 + tau) * (goal - getattr(there, total))
    return batch + replace(eta0, weight=0.0, log_likelihood=0.0, **pulls)
