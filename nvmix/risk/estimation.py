"""Standard errors of risks that were estimated, by the delta method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.typing import BoolArray, FloatArray
from nvmix.foundation.validation import instance
from nvmix.mixture.em_maps import Mixture
from nvmix.risk.homogeneous import parts_at, value_of
from nvmix.risk.portfolios import portfolios

# Relative step of central differences in a parameter of Y.
_STEP: Final = 1e-4


def standard_error(
    result: EMResult,
    weights: Any,
    level: float = 0.99,
    measure: str = "es",
    *,
    X: Any = None,
) -> Any:
    """Standard error of a risk of the fitted model, from the covariance of its parameters.

    It is the root of g'Vg with the covariance V of `EMResult.standard_errors` and the gradient g of
    the risk in the parameters (delta method). It knows the error of estimation only, not that the
    family may be wrong.

    Parameters
    ----------
    result : EMResult
        A fit that has converged.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    level : float
        Level of the risk, between 0 and 1.
    measure : {"es", "var", "expectile"}
        `expected_shortfall`, `value_at_risk` or `expectile`.
    X : (n, d) array_like or None
        The observations that were fitted; None takes those that the result remembers.

    Returns
    -------
    float or (k,) array
        Standard errors.

    Raises
    ------
    TypeError, ValueError
        As for `gradient`, or as `EMResult.standard_errors` raises, or if the risk is infinite.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix import risk
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> result = nvmix.fit(X, criterion="likelihood")
    >>> round(risk.expected_shortfall(result.model, [0.5, 0.5]), 1)
    31.2
    >>> round(risk.standard_error(result, [0.5, 0.5]), 1)
    3.2
    """
    instance("result", result, EMResult)
    chosen = portfolios(result.model, weights)
    parts = parts_at(chosen, level, measure)
    covariance = result.standard_errors(X).covariance
    w, d = chosen.weights, chosen.model.d
    rows, columns = np.tril_indices(d)
    # Both triangles of Sigma move at once.
    pairs = w[:, rows] * w[:, columns] * np.where(rows == columns, 0.5, 1.0)
    with np.errstate(invalid="ignore"):
        by_sigma = pairs * (parts.normal / chosen.scale)[:, None]
        by_mixing = -w * parts.mixing[:, None]

    def value_at(model: Mixture) -> FloatArray:
        moved = portfolios(model, w)
        return value_of(moved, parts_at(moved, level, measure))

    by_law = _by_parameters_of_y(chosen.model, value_at, np.diag(covariance) > 0.0)
    gradient = np.concatenate([-w, by_mixing, by_sigma, by_law], axis=1)
    infinite = ~np.isfinite(gradient).all(axis=1)
    if infinite.any():
        i = int(infinite.argmax())
        msg = (
            f"measure must be finite for these weights, and for laws close to the fitted one, got "
            f"{measure!r} of {value_of(chosen, parts)[i]} for portfolio {i}"
        )
        raise ValueError(msg)
    variance = np.einsum("ki,ij,kj->k", gradient, covariance, gradient)
    return chosen.shaped(np.sqrt(variance))


def _by_parameters_of_y(
    model: Mixture, value_at: Callable[[Mixture], FloatArray], free: BoolArray
) -> FloatArray:
    """Derivatives (k, m) of values (k,) by the parameters of Y, by central differences.

    free says which of all parameters, of which those of Y are the last, the fit did not hold.
    """
    parameters = model.subordinator.parameters
    derivatives = np.zeros((len(value_at(model)), len(parameters)))
    for i, (name, value) in enumerate(parameters.items()):
        if free[i - len(parameters)]:
            step = _STEP * (abs(value) if value != 0.0 else 1.0)
            up, down = (
                value_at(model.at(model.normal, type(model.subordinator)(**moved).gig))
                for moved in (parameters | {name: value + step}, parameters | {name: value - step})
            )
            with np.errstate(invalid="ignore"):
                derivatives[:, i] = (up - down) / (2.0 * step)
    return derivatives
