"""Tail probability, entropic risk and omega ratio of portfolios."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import array, positive
from nvmix.mixture.subordinator import Subordinator
from nvmix.risk.portfolios import Portfolios, portfolios, product
from nvmix.risk.standard_loss import StandardLoss, Tail, standard_losses

# Gauss-Legendre rule on [0, 1] for means of Y, which are smooth for t up to this part of a.
_SMOOTH: Final = 0.125
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_NODES, _WEIGHTS = 0.5 * (1.0 + _NODES), 0.5 * _WEIGHTS


def tail_probability(model: Any, weights: Any, threshold: Any) -> Any:
    """Probability that the loss -w'X exceeds a threshold.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    threshold : float or (k,) array_like
        Loss, positive for a loss, of all portfolios or of each.

    Returns
    -------
    float or (k,) array
        P(-w'X > threshold), to 1e-12 relative.

    Raises
    ------
    TypeError, ValueError
        As for `value_at_risk`, or if threshold is not finite numbers of these shapes.

    Examples
    --------
    >>> from nvmix import MultivariateNormal, risk
    >>> model = MultivariateNormal.from_classical(mu=[0.0], sigma=[[4.0]])
    >>> round(risk.tail_probability(model, [1.0], 4.0), 12)
    0.022750131948
    """
    chosen = portfolios(model, weights)
    return chosen.shaped(tail_probabilities(chosen, threshold))


def tail_probabilities(chosen: Portfolios, threshold: Any) -> FloatArray:
    """Tail probabilities (k,)."""
    x = _standardized(chosen, "threshold", threshold)
    laws = standard_losses(chosen.model.subordinator, chosen.delta)
    return np.array([u.tail(at) for u, at in zip(laws, x, strict=True)])


def omega_ratio(model: Any, weights: Any, threshold: Any = 0.0) -> Any:
    """Omega ratio: mean gain above a threshold over mean shortfall below it.

    It is E[max(w'X - threshold, 0)] / E[max(threshold - w'X, 0)].

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    threshold : float or (k,) array_like
        Return, positive for a gain, of all portfolios or of each.

    Returns
    -------
    float or (k,) array
        Ratios, 1 where the threshold is the mean; 0 or inf where the mean is infinite.

    Raises
    ------
    TypeError, ValueError
        As for `tail_probability`, or if both means are infinite.

    References
    ----------
    C. Keating and W. F. Shadwick, A universal performance measure, Journal of Performance
    Measurement 6 (2002), 59-84.

    Examples
    --------
    >>> from nvmix import MultivariateNormal, risk
    >>> model = MultivariateNormal.from_classical(mu=[0.1], sigma=[[4.0]])
    >>> round(risk.omega_ratio(model, [1.0]), 6), risk.omega_ratio(model, [1.0], 0.1)
    (1.133532, 1.0)
    """
    chosen = portfolios(model, weights)
    return chosen.shaped(omega_ratios(chosen, threshold))


def omega_ratios(chosen: Portfolios, threshold: Any) -> FloatArray:
    """Omega ratios (k,)."""
    x = _standardized(chosen, "threshold", threshold, sign=-1.0)
    laws = standard_losses(chosen.model.subordinator, chosen.delta)
    gains, losses = np.array(
        [(_excess(u.mirrored, -at), _excess(u, at)) for u, at in zip(laws, x, strict=True)]
    ).T
    if (np.isinf(gains) & np.isinf(losses)).any():
        msg = "weights must have a finite mean of gains or of losses, got infinite means of both"
        raise ValueError(msg)
    with np.errstate(divide="ignore"):
        return np.asarray(gains / losses, np.float64)


def entropic(model: Any, weights: Any, risk_aversion: float = 1.0) -> Any:
    r"""Entropic risk: the certain loss that a mean of exponential utility takes for -w'X.

    :math:`\log E\exp(\theta L) / \theta` of the loss L with risk aversion :math:`\theta`. Given Y
    the loss is normal, so that it is :math:`-m + K_Y(\theta^2 s^2 / 2 - \theta g) / \theta` with
    m = w'mu, g = w'gamma, s^2 = w'Sigma w and :math:`K_Y(t) = \log E e^{tY}`.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    risk_aversion : float
        Positive, in units of 1 / loss.

    Returns
    -------
    float or (k,) array
        Risks, positive where they are a loss; inf where tails are too heavy for the risk aversion,
        as those of Student's t are for any.

    Raises
    ------
    TypeError, ValueError
        As for `value_at_risk`, or if risk_aversion is not a positive number.

    References
    ----------
    H. Föllmer and A. Schied, Convex measures of risk and trading constraints, Finance and
    Stochastics 6 (2002), 429-447.

    Examples
    --------
    >>> from nvmix import MultivariateNormal, risk
    >>> model = MultivariateNormal.from_classical(mu=[0.1], sigma=[[4.0]])
    >>> round(risk.entropic(model, [1.0], 0.5), 12)
    0.9
    """
    chosen = portfolios(model, weights)
    return chosen.shaped(entropic_risks(chosen, risk_aversion))


def entropic_risks(chosen: Portfolios, risk_aversion: Any) -> FloatArray:
    """Entropic risks (k,)."""
    aversion = positive("risk_aversion", risk_aversion)
    with np.errstate(over="ignore"):
        scaled = aversion * chosen.scale
        t = scaled * (0.5 * scaled + chosen.delta)
    return chosen.location + _log_mgf(chosen.model.subordinator, t) / aversion


def _standardized(chosen: Portfolios, name: str, loss: Any, sign: float = 1.0) -> FloatArray:
    """Points (k,) of the standard losses at sign times a number, or one for each portfolio."""
    value, k = array(name, loss), len(chosen.weights)
    if value.shape not in {(), (k,)}:
        msg = f"{name} must be a number or have shape ({k},), got {value.shape}"
        raise ValueError(msg)
    with np.errstate(over="ignore"):
        return (sign * value - chosen.location) / chosen.scale


def _excess(law: StandardLoss, x: float) -> float:
    """E[max(U - x, 0)]."""
    tail: Tail = law.upper(x)
    mixing = law.delta * tail.mixing if law.delta else 0.0
    return max(mixing + (tail.normal - x * tail.probability), 0.0)


def _log_mgf(subordinator: Subordinator, t: FloatArray) -> FloatArray:
    """log E exp(t Y) at t (k,), inf where the mean is."""
    if subordinator.is_constant:
        return t
    p, a, b = map(float, subordinator.gig)
    out = np.full(t.size, np.inf)
    near = np.abs(t) <= _SMOOTH * a
    # The integral of E[Y] under GIG(p, a - 2 t, b) over t, where differences would cancel.
    means = _gig_moments(p, a - 2.0 * t[near, None] * _NODES, b)[3]
    out[near] = product(t[near], means @ _WEIGHTS)
    far = ~near & (2.0 * t <= a)
    log_z = _gig_moments(p, a - 2.0 * t[far], b)[0]
    out[far] = log_z - subordinator.log_partition()
    return out


def _gig_moments(p: float, a: FloatArray, b: float) -> tuple[FloatArray, ...]:
    """(lnZ, E log Y, E 1/Y, E Y) at a of any shape."""
    return get_backend().gig_moments(np.full(a.shape, p), a, np.full(a.shape, b))
