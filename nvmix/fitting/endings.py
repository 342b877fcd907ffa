"""What the end of a fit means: at rest, on a boundary, or at a row that the density peaks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nvmix._linalg import inverse_lower, row_blocks
from nvmix.backends import get_backend
from nvmix.fitting.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nvmix._typing import FloatArray
    from nvmix.distributions.mixture import NormalMixture

# Share of all E[1/Y] at which the rows within twice the least distance to mu rule the M-step.
_DOMINANT: Final = 0.5
# Share of the mean squared distance below which b no longer rounds off the density at mu.
_NEGLIGIBLE: Final = 1e-6


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


def status_at_pole(status: Status, model: NormalMixture, X: FloatArray) -> Status:
    """What the status means where mu has met rows of the data that rule the M-step.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.

    Parameters
    ----------
    status : Status
        How the iterations ended.
    model : NormalMixture
        The last model.
    X : (n, d) array
        Observations.

    Returns
    -------
    Status
        The same, or UNBOUNDED, SINGULAR or CUSP.
    """
    order = model.subordinator.gig[0] - 0.5 * model.d
    if order >= 1.0 or not _rows_rule(model, X):
        return status
    if order <= 0.0:
        return Status.UNBOUNDED
    return {Status.DEGENERATE: Status.SINGULAR}.get(
        status, Status.CUSP if status.converged else status
    )


def _rows_rule(model: NormalMixture, X: FloatArray) -> bool:
    """Whether b is negligible and the rows nearest to mu carry half of all E[1/Y]."""
    p, a, b = model.subordinator.gig
    if b > _NEGLIGIBLE * sum(map(np.sum, _distances(model, X))) / len(X):
        return False
    q = np.concatenate(list(_distances(model, X)))
    g = inverse_lower(model.L_sigma) @ model.gamma
    order, rate = np.full_like(q, p - 0.5 * model.d), np.full_like(q, a + g @ g)
    inv_y = get_backend().gig_moments(order, rate, b + q)[2]
    return not inv_y[q <= 4.0 * q.min()].sum() < _DOMINANT * inv_y.sum() < np.inf


def _distances(model: NormalMixture, X: FloatArray) -> Iterator[FloatArray]:
    """Squared Mahalanobis distances of the rows from mu, a block at a time."""
    inverse = inverse_lower(model.L_sigma)
    for x in row_blocks(X):
        yield np.square(inverse @ (x - model.mu[:, None])).sum(axis=0)
