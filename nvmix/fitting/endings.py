"""What the end of a fit means: at rest, on a boundary, or at a row that the density peaks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix._linalg import inverse_lower
from nvmix.backends._protocol import Ending
from nvmix.backends._tolerances import NEGLIGIBLE

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import Backend, Fixed
    from nvmix.distributions.mixture import NormalMixture

# Squared distance from mu, in units of the mean one, at which a row is at mu.
_MET = 1e-12
# Factor that the mean squared distance of the rows stays below, in units of d E[Y].
_LARGE = 100.0
# Variance of gamma Y in units of Sigma E[Y] at which a fit is on its way to a singular Sigma.
_COLLAPSING = 1e4


def ending_of(ending: int, model: NormalMixture, fixed: Fixed, backend: Backend, X: Any) -> Ending:
    """What the ending of a loop means, seen with its last model.

    At b = 0 the density at mu is infinite for p <= d/2, and E[1/Y | x = mu] is for p <= d/2 + 1.

    Parameters
    ----------
    ending : int
        How the loop ended.
    model : NormalMixture
        The last model.
    fixed : Fixed
        Coordinates of its law of Y that the fit held.
    backend : Backend
        Where the observations are.
    X : placed observations
        As `backend` placed them.

    Returns
    -------
    Ending
        The same, a limit of the family, or UNBOUNDED, SINGULAR, CUSP or DEGENERATE.
    """
    ending = Ending.CONVERGED if ending <= Ending.SKEW_T_LIMIT else Ending(ending)
    if ending is Ending.CONVERGED and _collapsed(model):
        return Ending.DEGENERATE
    p, a, b = model.subordinator.gig
    order = p - 0.5 * model.d
    # Without b next to E[Y] there is no need to look at the rows.
    small = not b > _LARGE * NEGLIGIBLE * model.d * model.subordinator.mean()
    if order < 1.0 and small and backend.rows_rule(X, model.block, model.subordinator.gig):
        if order <= 0.0:
            return Ending.UNBOUNDED
        at_rest = {Ending.CONVERGED: Ending.CUSP, Ending.DEGENERATE: Ending.SINGULAR}
        return at_rest.get(ending, ending)
    if ending is Ending.CONVERGED and b == 0.0 and fixed.b is None:
        return Ending.VARIANCE_GAMMA_LIMIT
    if ending is Ending.CONVERGED and a == 0.0 and fixed.a is None:
        return Ending.SKEW_T_LIMIT
    return ending


def _collapsed(model: NormalMixture) -> bool:
    """Whether Y alone has the variance along gamma, and Sigma next to none: rounding rules."""
    g = inverse_lower(model.L_sigma) @ model.gamma
    y, variance = model.subordinator.mean(), model.subordinator.var()
    return bool(g @ g * variance > _COLLAPSING * y and np.isfinite(variance))


def rows_at(model: NormalMixture, X: FloatArray) -> tuple[int, ...]:
    """Rows that mu has met: those nearest to it, and their repetitions.

    Parameters
    ----------
    model : NormalMixture
        A model whose mu rows of the data rule.
    X : (n, d) array
        Observations; nan is missing.

    Returns
    -------
    tuple of int
        Numbers of the rows, from 0.
    """
    w = inverse_lower(model.L_sigma) @ np.nan_to_num(X - model.mu).T
    q = np.square(w).sum(axis=0)
    nearest = np.flatnonzero(q <= max(4.0 * q.min(), _MET * float(q.mean())))
    return tuple(nearest.tolist())
