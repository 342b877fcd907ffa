"""Gauges: conventions for the scale shared by Sigma and Y, which leave the distribution of X."""

from nvmix.foundation.arrays import namespace, traced
from nvmix.mixture.em_maps import Mixture


def check_gauge(model: Mixture, regularization: str) -> None:
    """Raise ValueError for the gauge "a_eq_b" if the family's subordinator has a = 0 or b = 0."""
    fixed = model.subordinator.fixed
    if regularization == "a_eq_b" and 0.0 in (fixed.a, fixed.b):
        msg = (
            f"regularization 'a_eq_b' has no meaning for {type(model).__name__}, whose "
            "subordinator has a = 0 or b = 0; use 'det_sigma_one', 'det_sigma_x' or 'none'"
        )
        raise ValueError(msg)


def in_gauge(model: Mixture, regularization: str, start: Mixture) -> Mixture | None:
    """The same distribution of X in a gauge: |Sigma| = 1, |Sigma| as in the start, or a = b.

    None if a = b is not possible because a or b is 0, or if the rescaled parameters leave the range
    of doubles; under a JAX trace, a model of nan.
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
