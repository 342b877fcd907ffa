"""The law of Y in an M-step: a solve on any backend, with the order of Y within its bound."""

from nvmix.backends import get_backend
from nvmix.backends.types import Constraints, GIGParameters, GIGStatus


def constrained_law(
    backend: str,
    eta: GIGParameters,
    constraints: Constraints,
    method: str,
    start: GIGParameters | None,
) -> tuple[GIGParameters, GIGStatus]:
    """`Backend.gig_fit` with p >= least_p.

    The objective is concave: where its maximum has a smaller p, that under the bound has
    p = least_p.
    """
    fixed = constraints.fixed
    theta, status = get_backend(backend).gig_fit(eta, fixed, method, start)
    if theta[0] < constraints.least_p:
        fixed = fixed._replace(p=constraints.least_p)
        theta, status = get_backend(backend).gig_fit(eta, fixed, method, start)
    return theta, status
