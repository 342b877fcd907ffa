"""Gauges: the scale shared by Sigma and Y, pinned without changing the law of X."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nvmix._exceptions import DegenerateError

if TYPE_CHECKING:
    from nvmix.distributions.mixture import NormalMixture


def check_gauge(model: NormalMixture, regularization: str) -> None:
    """Raise ValueError where the family has no such gauge.

    Parameters
    ----------
    model : NormalMixture
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


def in_gauge(
    model: NormalMixture, regularization: str, log_det_start: float
) -> NormalMixture | None:
    """Return the same law of X in the gauge, or None where the model has left it.

    Parameters
    ----------
    model : NormalMixture
        Any gauge.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        |Sigma| = 1, |Sigma| of the starting model, or a = b.
    log_det_start : float
        Log-determinant of the starting model's Sigma.

    Returns
    -------
    NormalMixture or None
        None when a = b is asked of a subordinator with a = 0 or b = 0.

    Raises
    ------
    DegenerateError
        If the rescaled parameters leave the range of doubles.
    """
    if regularization == "none":
        return model
    if regularization == "a_eq_b":
        _, a, b = model.subordinator.gig
        if a == 0.0 or b == 0.0:
            return None
        factor = float(np.sqrt(a) / np.sqrt(b))
    else:
        target = 0.0 if regularization == "det_sigma_one" else log_det_start
        factor = float(np.exp((model.log_det_sigma() - target) / model.d))
    try:
        return model.rescaled(factor)
    except ValueError as error:
        msg = f"the gauge {regularization!r} leads out of the family: {error}"
        raise DegenerateError(msg) from error
