"""Gauges: conventions for the scale shared by Sigma and Y, which leave the distribution of X."""

import numpy as np

from nvmix.foundation.arrays import namespace, traced
from nvmix.mixture.em_maps import Mixture


def check_gauge(model: Mixture, regularization: str) -> None:
    """Raise ValueError for "a_eq_b" where a = 0 or b = 0, and for gauges of Student's t."""
    if model.symmetric_only and regularization != "none" and model.subordinator.parameters:
        msg = (
            f"regularization must be 'none' for {type(model).__name__}, whose parameters fix the "
            f"scale of Sigma, got {regularization!r}"
        )
        raise ValueError(msg)
    fixed = model.subordinator.fixed
    if regularization == "a_eq_b" and 0.0 in (fixed.a, fixed.b):
        msg = (
            f"regularization 'a_eq_b' has no meaning for {type(model).__name__}, whose "
            "subordinator has a = 0 or b = 0; use 'det_sigma_one', 'unit_mean' or 'none'"
        )
        raise ValueError(msg)


def in_gauge(model: Mixture, regularization: str, start: Mixture) -> Mixture | None:
    """The same distribution of X in a gauge: |Sigma| = 1 or as in the start, a = b, or E[Y] = 1.

    None if a = b is not possible because a or b is 0, if E[Y] is infinite, or if the rescaled
    parameters leave the range of doubles; under a JAX trace, a model of nan.
    """
    if regularization == "none":
        return model
    _, a, b = model.subordinator.gig
    xp = namespace(*model.normal, a, b)
    if regularization == "a_eq_b":
        if not traced(a, b) and (a == 0.0 or b == 0.0):
            return None
        factor = xp.sqrt(a) / xp.sqrt(b)
    elif regularization == "unit_mean":
        mean = model.subordinator.mean()
        if not traced(mean) and not 0.0 < mean < np.inf:
            return None
        factor = xp.where(xp.isfinite(mean), 1.0 / mean, np.nan) if traced(mean) else 1.0 / mean
    else:
        target = 0.0 if regularization == "det_sigma_one" else start.log_det_sigma()
        factor = xp.exp((model.log_det_sigma() - target) / model.d)
    try:
        return model.rescaled(factor)
    except ValueError:
        return None
