"""What diagnostics and plots are of: a fit or a model, and observations."""

from typing import Any

import numpy as np

from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.observations import observations


def model_and_rows(fitted: Any, X: Any) -> tuple[Mixture, FloatArray]:
    """The model of a fit, or the model itself, and validated rows (n, d), X or those of the fit."""
    model = model_of(fitted)
    if X is None and isinstance(fitted, EMResult):
        X = _remembered(fitted)
    if X is None:
        msg = "X must be given: there are no data in a model, or in a result of a source"
        raise ValueError(msg)
    return model, np.asarray(observations(X, model.d, model.columns).values)


def model_of(fitted: Any) -> Mixture:
    """The model of a fit, or the model itself, on the host."""
    model = fitted.model if isinstance(fitted, EMResult) else fitted
    if not isinstance(model, Mixture):
        msg = f"fitted must be an EMResult or a model, got {type(fitted).__name__}"
        raise TypeError(msg)
    on_host: Mixture = model.on_host()
    return on_host


def _remembered(result: EMResult) -> Any:
    """The rows of a fit, None if it has none; ValueError if they had weights."""
    if result.data is None:
        return None
    X, weights = result.data
    if weights is not None:
        msg = "fitted must be a fit without weights, which rows are not compared by"
        raise ValueError(msg)
    return X
