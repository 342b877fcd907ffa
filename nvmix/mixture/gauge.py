"""Gauges: the scale shared by Sigma and Y, pinned without changing the law of X."""

from __future__ import annotations

from nvmix.foundation.arrays import namespace, traced
from nvmix.mixture.em_maps import Mixture


def check_gauge(model: Mixture, regularization: str) -> None:
    """Raise ValueError where the family has no such gauge.

    Parameters
    ----------
    model : Mixture
        Model to be fitted.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        The gauge.

    Raises
    ------
    ValueError
        For "a_eq_b" with a family whose subordinator has a = 0 or b = 0.
    """
    family = model.subordinator
    if regularization == "a_eq_b" and 0.0 in (family.fixed.a, family.fixed.b):
        msg = (
            f"regularization 'a_eq_b' has no meaning for {type(model).__name__}, whose "
            "subordinator has a = 0 or b = 0; use 'det_sigma_one', 'det_sigma_x' or 'none'"
        )
        raise ValueError(msg)


def in_gauge(model: Mixture, regularization: str, start: Mixture) -> Mixture | None:
    """Return the same law of X in the gauge, or None where it has none.

    Parameters
    ----------
    model : Mixture
        Any gauge.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        |Sigma| = 1, |Sigma| of the starting model, or a = b.
    start : Mixture
        The starting model.

    Returns
    -------
    Mixture or None
        None when a = b is asked of a subordinator with a = 0 or b = 0, or if the rescaled
        parameters leave the range of doubles. Under a JAX trace, a model of nan.
    """
    if regularization == "none":
        return model
    _, a, b = model.subordinator.gig
    xp = namespace(*model.normal, a, b)
    if regularization == "a_eq_b":
        if not traced(a, b) and (a == 0.0 or b == 0.0):
            return None
        factor = xp.sqrt(a) / xp.sqrt(b)
    else:
        target = 0.0 if regularization == "det_sigma_one" else start.log_det_sigma()
        factor = xp.exp((model.log_det_sigma() - target) / model.d)
    try:
        return model.rescaled(factor)
    except ValueError:
        return None
