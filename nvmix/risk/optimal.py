"""Weights of least risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import LinearConstraint, linprog, minimize

from nvmix.fitting.outcome.models import model_of
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import real, real_or_nan
from nvmix.risk.homogeneous import parts_at, risk_gradient, value_of
from nvmix.risk.portfolios import portfolios

# What the weights of an optimum lose of the least risk, relative to that of equal weights.
_TOL = 1e-12
_MOST = 1000
# Relative excess of a mean over the largest that is rounding.
_ROUNDING = 1e-9


def minimum_risk_weights(
    model: Any,
    level: float = 0.99,
    *,
    measure: str = "es",
    bounds: tuple[Any, Any] = (0.0, 1.0),
    min_return: float | None = None,
) -> FloatArray:
    """Weights that sum to 1 and have the least risk.

    Expected shortfall and, from level 1/2 on, expectiles are convex in the weights, so that their
    minimum is global. That of value at risk may be local.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    level : float
        Level of the risk, between 0 and 1.
    measure : {"es", "var", "expectile"}
        `expected_shortfall`, `value_at_risk` or `expectile`.
    bounds : tuple of float or (d,) array_like
        Lower and upper bounds of the weights, which may be infinite; by default no asset is short.
    min_return : float or None
        Least mean of w'X, if any.

    Returns
    -------
    (d,) array
        Weights in the order of the model's columns: ``dict(zip(model.columns, weights))`` has
        their names.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain, no weights meet the constraints, the risk of equal
        weights is infinite, or the mean with a min_return, or the search does not converge.

    References
    ----------
    R. T. Rockafellar and S. Uryasev, Optimization of conditional value-at-risk, Journal of Risk 2
    (2000), 21-41, for the convexity of expected shortfall.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, risk
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.1, 0.2], gamma=[0.0, -0.1], sigma=[[1.0, 0.5], [0.5, 2.0]],
    ...     mu_ig=1.0, lam=1.5)
    >>> risk.minimum_risk_weights(model).round(3)
    array([0.773, 0.227])
    """
    model = model_of("model", model)
    equal = portfolios(model, np.full(model.d, 1.0 / model.d))
    low, high = _bounds(bounds, model.d)
    if not (low <= high).all() or low.sum() > 1.0 or high.sum() < 1.0:
        msg = f"bounds must allow weights that sum to 1, got {bounds}"
        raise ValueError(msg)
    scale = abs(value_of(equal, parts_at(equal, level, measure))[0])
    if not 0.0 < scale < np.inf:
        msg = f"model must have a finite risk of equal weights, got {scale}"
        raise ValueError(msg)

    def risk(w: FloatArray) -> tuple[float, FloatArray]:
        chosen = portfolios(model, w)
        parts = parts_at(chosen, level, measure)
        return value_of(chosen, parts)[0] / scale, risk_gradient(chosen, parts)[0] / scale

    constraints = [LinearConstraint(np.ones((1, model.d)), 1.0, 1.0)]
    if min_return is not None:
        least = real("min_return", min_return)
        mean = model.mean()
        if not np.isfinite(mean).all():
            msg = f"min_return needs a model with a finite mean, got {mean.tolist()}"
            raise ValueError(msg)
        most = _largest_mean(mean, low, high)
        if least > most + _ROUNDING * abs(most):
            msg = f"min_return must be at most {most}, the largest within bounds, got {least}"
            raise ValueError(msg)
        constraints.append(LinearConstraint(mean[None, :] / scale, least / scale, np.inf))
    start = np.clip(equal.weights[0], low, high)
    found = minimize(
        risk, start, jac=True, method="SLSQP", constraints=constraints,
        bounds=list(zip(low, high, strict=True)), options={"ftol": _TOL, "maxiter": _MOST},
    )  # fmt: skip
    if not found.success:
        given = f"bounds {bounds} and min_return {min_return}"
        msg = f"no weights of least risk were found for {given}: {found.message}"
        raise ValueError(msg)
    weights: FloatArray = found.x
    return weights


def _largest_mean(mean: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Largest mean of weights that sum to 1, inf if bounds do not limit it."""
    ends = list(zip(low, high, strict=True))
    found = linprog(-mean, A_eq=np.ones((1, mean.size)), b_eq=[1.0], bounds=ends)
    return -float(found.fun) if found.success else np.inf


def _bounds(bounds: Any, d: int) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds (d,) of the weights."""
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        msg = f"bounds must be a pair of lower and upper bounds, got {bounds!r}"
        raise TypeError(msg)
    return _bound(bounds[0], d), _bound(bounds[1], d)


def _bound(bound: Any, d: int) -> FloatArray:
    """A bound of each of d weights."""
    values = real_or_nan("bounds", bound)
    if values.shape not in {(), (d,)} or np.isnan(values).any():
        msg = f"bounds must be two numbers or arrays of shape ({d},), got {bound}"
        raise ValueError(msg)
    return np.broadcast_to(values, (d,))
