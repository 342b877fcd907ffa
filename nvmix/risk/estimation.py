"""Standard errors of risks that were estimated, by the delta method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.typing import BoolArray, FloatArray
from nvmix.foundation.validation import instance, one_of
from nvmix.mixture.em_maps import Mixture
from nvmix.risk.homogeneous import parts_at, value_of
from nvmix.risk.measures import MEASURES
from nvmix.risk.others import entropic_risks, omega_ratios, tail_probabilities
from nvmix.risk.portfolios import Portfolios, portfolios
from nvmix.sources.observations import sample

# Relative step of central differences.
_STEP: Final = 1e-4
# Measures that are not homogeneous in the weights.
_OTHERS: Final[dict[str, Callable[[Portfolios, Any], FloatArray]]] = {
    "tail_probability": tail_probabilities,
    "omega_ratio": omega_ratios,
    "entropic": entropic_risks,
}


class Slopes(NamedTuple):
    """Derivatives (k,) of a measure by location, delta and scale, the last with w'gamma held.

    The loss is location + scale U, with delta = -w'gamma / scale; see `standard_loss`.
    """

    by_location: FloatArray
    by_delta: FloatArray
    by_scale: FloatArray


def standard_error(
    result: EMResult,
    weights: Any,
    level: float = 0.99,
    measure: str = "es",
    *,
    threshold: Any = 0.0,
    risk_aversion: float = 1.0,
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
        Level of "es", "var" and "expectile", between 0 and 1.
    measure : {"es", "var", "expectile", "tail_probability", "omega_ratio", "entropic"}
        `expected_shortfall`, `value_at_risk`, or the function of that name.
    threshold : float or (k,) array_like
        Threshold of "tail_probability", a loss, or of "omega_ratio", a return.
    risk_aversion : float
        That of "entropic".
    X : (n, d) array_like or None
        The observations that were fitted; None takes those that the result remembers.

    Returns
    -------
    float or (k,) array
        Standard errors.

    Raises
    ------
    TypeError, ValueError
        As for these functions, or as `EMResult.standard_errors` raises, or if X has not as many
        rows as were fitted, or the risk is infinite.

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
    one_of("measure", measure, (*MEASURES, *_OTHERS))

    def value_of_measure(chosen: Portfolios) -> FloatArray:
        if measure == "entropic":
            return entropic_risks(chosen, risk_aversion)
        if measure in _OTHERS:
            return _OTHERS[measure](chosen, threshold)
        return value_of(chosen, parts_at(chosen, level, measure))

    chosen = portfolios(result.model, weights)
    value = value_of_measure(chosen)
    if measure in _OTHERS:
        slopes = _slopes(chosen, value_of_measure)
    else:
        parts = parts_at(chosen, level, measure)
        slopes = Slopes(np.ones(len(value)), chosen.scale * parts.mixing, parts.normal)
    if X is not None:
        _check_number(result, X)
    covariance = result.standard_errors(X).covariance
    by_law = _by_parameters_of_y(
        chosen.model,
        lambda model: value_of_measure(portfolios(model, chosen.weights)),
        np.diag(covariance) > 0.0,
    )
    gradient = np.concatenate([*_by_normal_part(chosen, slopes), by_law], axis=1)
    infinite = ~(np.isfinite(gradient).all(axis=1) & np.isfinite(value))
    if infinite.any():
        i = int(infinite.argmax())
        msg = (
            f"measure must be finite for these weights, and for laws close to the fitted one, got "
            f"{measure!r} of {value[i]} for portfolio {i}"
        )
        raise ValueError(msg)
    variance = np.einsum("ki,ij,kj->k", gradient, covariance, gradient)
    return chosen.shaped(np.sqrt(variance))


def _check_number(result: EMResult, X: Any) -> None:
    """Raise ValueError if X has not as many rows as the fit, of which weights are the number."""
    n = len(sample(X, result.model.d, result.model.columns).values)
    if n != result.n_observations:
        msg = (
            f"X must be the {result.n_observations:,.10g} rows that were fitted, got {n:,}; a fit "
            "with weights remembers its rows"
        )
        raise ValueError(msg)


def _slopes(chosen: Portfolios, value_at: Callable[[Portfolios], FloatArray]) -> Slopes:
    """Slopes of a measure by central differences."""
    step, scale, delta = _STEP * chosen.scale, chosen.scale, chosen.delta

    def slope(up: Portfolios, down: Portfolios) -> FloatArray:
        with np.errstate(invalid="ignore"):
            return (value_at(up) - value_at(down)) / (2.0 * _STEP)

    location, move = chosen.location, chosen._replace
    by_location = slope(move(location=location + step), move(location=location - step)) / scale
    by_delta = slope(move(delta=delta + _STEP), move(delta=delta - _STEP))
    by_scale = slope(move(scale=scale + step), move(scale=scale - step)) / scale
    with np.errstate(invalid="ignore"):
        return Slopes(by_location, by_delta, by_scale - delta * by_delta / scale)


def _by_normal_part(chosen: Portfolios, slopes: Slopes) -> tuple[FloatArray, ...]:
    """Derivatives by mu (k, d), gamma (k, d) and the lower triangle of Sigma."""
    w, scale = chosen.weights, chosen.scale[:, None]
    rows, columns = np.tril_indices(w.shape[1])
    # Both triangles of Sigma move at once.
    pairs = w[:, rows] * w[:, columns] * np.where(rows == columns, 0.5, 1.0)
    with np.errstate(invalid="ignore"):
        return (
            -w * slopes.by_location[:, None],
            -w * slopes.by_delta[:, None] / scale,
            pairs * slopes.by_scale[:, None] / scale,
        )


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
