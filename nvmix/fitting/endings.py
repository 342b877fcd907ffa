"""What the end of a fit means: at rest, on a boundary, or at a row that the density peaks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nvmix.fitting.status import Status

if TYPE_CHECKING:
    from nvmix.backends._protocol import Backend
    from nvmix.distributions.mixture import NormalMixture


def status_at_rest(model: NormalMixture) -> Status:
    """What it means that the parameters have settled.

    Parameters
    ----------
    model : NormalMixture
        The model that has settled.

    Returns
    -------
    Status
        CONVERGED, or BOUNDARY where a or b has become 0.
    """
    _, a, b = model.subordinator.gig
    fixed = model.subordinator.fixed
    if (a == 0.0 and fixed.a is None) or (b == 0.0 and fixed.b is None):
        return Status.BOUNDARY
    return Status.CONVERGED


def status_at_pole(status: Status, model: NormalMixture, backend: Backend, X: Any) -> Status:
    """What the status means where mu has met rows of the data that rule the M-step.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.

    Parameters
    ----------
    status : Status
        How the iterations ended.
    model : NormalMixture
        The last model.
    backend : Backend
        Where the observations are.
    X : placed observations
        As `backend` placed them.

    Returns
    -------
    Status
        The same, or UNBOUNDED, SINGULAR or CUSP.
    """
    order = model.subordinator.gig[0] - 0.5 * model.d
    if order >= 1.0 or not backend.rows_rule(X, model.block, model.subordinator.gig):
        return status
    if order <= 0.0:
        return Status.UNBOUNDED
    return {Status.DEGENERATE: Status.SINGULAR}.get(
        status, Status.CUSP if status.converged else status
    )
