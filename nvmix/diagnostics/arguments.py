"""What diagnostics and plots are of: a fit or a model, and observations."""

from typing import Any

import numpy as np

from nvmix.fitting.outcome.models import model_of
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.arrays import on_jax
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.frames import numbers_of
from nvmix.sources.observations import observations


def model_and_rows(fitted: Any, X: Any) -> tuple[Mixture, FloatArray]:
    """The model of a fit, or the model itself, and validated rows (n, d), X or those of the fit.

    Rows have nan for missing values if the fit took them so.
    """
    model = model_of("fitted", fitted, X)
    if not isinstance(fitted, EMResult):
        if X is None:
            msg = "X must be given: a model has no data"
            raise ValueError(msg)
        return model, complete_rows("X", X, model)
    if X is None:
        X = _remembered(fitted)
    if dict(fitted.settings).get("missing") == "em":
        return model, np.asarray(observations(X, model.d, model.columns, "em").values)
    return model, complete_rows("X", X, model)


def complete_rows(name: str, X: Any, model: Mixture) -> FloatArray:
    """Validated rows (n, d); ValueError, which says what to do, where a value is missing."""
    if on_jax(X):
        X = np.asarray(X)
    missing = np.argwhere(np.isnan(numbers_of(name, X)))
    if missing.size:
        index = tuple(int(i) for i in missing[0])
        msg = f"{name} must be finite, got nan at index {index}: drop rows with missing values"
        raise ValueError(msg)
    return np.asarray(observations(X, model.d, model.columns, name=name).values)


def _remembered(result: EMResult) -> Any:
    """The rows of a fit; ValueError if it has none, or has weights."""
    if result.data is None:
        msg = "X must be given: this result has no data, as of a source, a file, a pickle or JAX"
        raise ValueError(msg)
    X, weights = result.data
    if weights is not None:
        msg = (
            "fitted must be a fit without weights, which plots do not show: give result.model and "
            "the rows as X, to plot them as if they had none"
        )
        raise ValueError(msg)
    return X
