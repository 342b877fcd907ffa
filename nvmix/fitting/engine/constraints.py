"""What a fit holds: parameters, symmetry and a bound of the shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import Fixed, Gaussian, GIGStatus, Restriction
from nvmix.foundation.validation import positive, real, vector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nvmix.distributions.normal_mixture import NormalMixture


class Holding(NamedTuple):
    """What a fit of a model holds.

    Attributes
    ----------
    fixed : Fixed
        Coordinates of the subordinator's GIG, those of the family included.
    restriction : Restriction
        mu, gamma = 0 and a bound of p.
    names : tuple of str
        Parameters that are held beside those of the family.
    """

    fixed: Fixed
    restriction: Restriction
    names: tuple[str, ...]

    def parameters(self, d: int) -> int:
        """Number of free parameters that the names take away in d dimensions."""
        return sum(d if name in ("mu", "gamma") else 1 for name in self.names)


def holding(
    model: NormalMixture, fixed: Mapping[str, Any] | None, *, symmetric: bool, bounded: bool
) -> Holding:
    """What the keywords of a fitter hold in a model.

    Parameters
    ----------
    model : NormalMixture
        Model to be fitted.
    fixed : mapping or None
        Values by name: "mu", "gamma" (which can be held at 0 alone), and "p" or "alpha" where the
        family has one.
    symmetric : bool
        Whether gamma is held at 0.
    bounded : bool
        Whether p is at least (d + 1) / 2.

    Returns
    -------
    Holding
        What is held.

    Raises
    ------
    TypeError, ValueError
        If a name or value cannot be held, or the family has no bound of p.
    """
    fixed = dict(fixed or {})
    order = next((name for name in ("p", "alpha") if name in model.subordinator.parameters), None)
    free_order = order is not None and model.fixed.p is None
    names = ("mu", "gamma", order) if free_order else ("mu", "gamma")
    for name in fixed:
        if name not in names:
            msg = f"fixed must name some of {', '.join(map(repr, names))}, got {name!r}"
            raise ValueError(msg)
    held = model.fixed
    if order in fixed:
        check = positive if order == "alpha" else real
        p = check(f"fixed[{order!r}]", fixed[order])
        held = held._replace(p=-p if held.a == 0.0 else p)
    if "gamma" in fixed:
        gamma = np.broadcast_to(np.asarray(fixed["gamma"]), (model.d,))
        if vector("fixed['gamma']", gamma, model.d).any():
            msg = (
                f"fixed['gamma'] must be 0, which alone means the same in every gauge, got {gamma}"
            )
            raise ValueError(msg)
        symmetric = True
    mu = vector("fixed['mu']", fixed["mu"], model.d) if "mu" in fixed else None
    least_p = _least_order(model, held) if bounded else -math.inf
    held_names = tuple(
        name
        for name, is_held in zip(
            ("mu", "gamma", str(order)), (mu is not None, symmetric, order in fixed), strict=True
        )
        if is_held
    )
    return Holding(held, Restriction(mu, symmetric, least_p), held_names)


def _least_order(model: NormalMixture, held: Fixed) -> float:
    """Order p from which the density is bounded whatever b is: that of the hyperbolic law."""
    least = 0.5 * (model.d + 1)
    if held.a == 0.0 or (held.p is not None and held.p < least):
        msg = (
            f"bounded keeps the order p of Y at {least} or above, which {type(model).__name__} "
            "with what it holds cannot have; fit GeneralizedHyperbolic or VarianceGamma"
        )
        raise ValueError(msg)
    return least if held.p is None else -math.inf


def restricted(model: NormalMixture, held: Holding) -> NormalMixture:
    """The model with what is held put in its place.

    Parameters
    ----------
    model : NormalMixture
        Where a fit is to start.
    held : Holding
        What it holds.

    Returns
    -------
    NormalMixture
        The model itself, if it has these values already.
    """
    mu, symmetric, least_p = held.restriction
    (p, _, _), block = model.subordinator.gig, model.block
    order = held.fixed.p if held.fixed.p is not None else max(p, least_p)
    if mu is None and not symmetric and order == p:
        return model
    block = Gaussian(
        (block.mu if mu is None else mu).copy(),
        np.zeros(model.d) if symmetric else block.gamma.copy(),
        block.L.copy(),
    )
    theta = model.subordinator.gig
    if order != p:
        fixed = held.fixed._replace(p=order)
        theta, status = get_backend().gig_fit(
            model.subordinator.gig_expectations, fixed, "newton", None
        )
        if status > GIGStatus.INVERSE_GAMMA:
            # No law of this order has those moments: one of broad shape and Y of the same size.
            size = math.exp(model.subordinator.gig_expectations[0])
            theta = order, 1.0 / size if fixed.a is None else 0.0, size if fixed.b is None else 0.0
    return model.at(block, theta)
