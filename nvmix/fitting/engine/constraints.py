"""What a fit holds fixed: parameters, symmetry and a bound of the shape."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import Constraints, Fixed, GIGStatus, NormalParameters
from nvmix.foundation.validation import positive, real, vector
from nvmix.mixture.em_maps import Mixture


def constraints_of(
    model: Mixture, fixed: Mapping[str, Any] | None, *, symmetric: bool, bounded: bool
) -> Constraints:
    """What the settings `fixed`, `symmetric` and `bounded` of a fitter hold in a model.

    TypeError or ValueError if a name or value cannot be held, or the family has no bound of p.
    """
    fixed, symmetric = dict(fixed or {}), symmetric or model.symmetric_only
    order = next((name for name in ("p", "alpha") if name in model.subordinator.parameters), None)
    free_order = order is not None and model.fixed.p is None
    names = ("mu", "gamma", order) if free_order else ("mu", "gamma")
    if order == "alpha" and model.fixed.a == 0.0 and fixed.keys() & {"df", "alpha"} == {"df"}:
        fixed["alpha"] = 0.5 * positive("fixed['df']", fixed.pop("df"))
    for name in fixed:
        if name not in names:
            msg = f"fixed must name some of {', '.join(map(repr, names))}, got {name!r}"
            raise ValueError(msg)
    coordinates = model.fixed
    if order in fixed:
        check = positive if order == "alpha" else real
        p = check(f"fixed[{order!r}]", fixed[order])
        coordinates = coordinates._replace(p=-p if coordinates.a == 0.0 else p)
    if "gamma" in fixed:
        gamma = np.broadcast_to(np.asarray(fixed["gamma"]), (model.d,))
        if vector("fixed['gamma']", gamma, model.d).any():
            msg = (
                f"fixed['gamma'] must be 0, got {gamma}: other values depend on the scale that "
                "gamma, Sigma and Y share"
            )
            raise ValueError(msg)
        symmetric = True
    mu = vector("fixed['mu']", fixed["mu"], model.d) if "mu" in fixed else None
    least_p = _least_order(model, coordinates) if bounded else -math.inf
    held = {"mu": mu is not None, "gamma": symmetric, str(order): order in fixed}
    held_names = tuple(name for name, is_held in held.items() if is_held)
    return Constraints(coordinates, mu, symmetric, least_p, held_names)


def _least_order(model: Mixture, fixed: Fixed) -> float:
    """Order p from which the density is bounded for every b: that of the hyperbolic law."""
    least = 0.5 * (model.d + 1)
    if fixed.a == 0.0 or (fixed.p is not None and fixed.p < least):
        msg = (
            f"bounded keeps the order p of Y at {least} or above, which {type(model).__name__} "
            "with what it holds cannot have; fit GeneralizedHyperbolic or VarianceGamma"
        )
        raise ValueError(msg)
    return least if fixed.p is None else -math.inf


def constrained(model: Mixture, constraints: Constraints) -> Mixture:
    """The model with the held values put in; the model itself, if it has them already."""
    mu, symmetric, least_p = constraints.mu, constraints.symmetric, constraints.least_p
    (p, _, _), normal = model.subordinator.gig, model.normal
    order = constraints.fixed.p if constraints.fixed.p is not None else max(p, least_p)
    if mu is None and not symmetric and order == p:
        return model
    normal = NormalParameters(
        (normal.mu if mu is None else mu).copy(),
        np.zeros(model.d) if symmetric else normal.gamma.copy(),
        normal.L.copy(),
    )
    theta = model.subordinator.gig
    if order != p:
        fixed = constraints.fixed._replace(p=order)
        theta, status = get_backend().gig_fit(
            model.subordinator.gig_expectations, fixed, "newton", None
        )
        if status > GIGStatus.INVERSE_GAMMA:
            # No law of this order has those moments: one of broad shape and Y of the same size.
            size = math.exp(model.subordinator.gig_expectations[0])
            theta = order, 1.0 / size if fixed.a is None else 0.0, size if fixed.b is None else 0.0
    return model.at(normal, theta)
