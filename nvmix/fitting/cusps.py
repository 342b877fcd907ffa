"""The highest of the local maxima that a density with a cusp has at rows of the data.

At b = 0 and p - d/2 in (0, 1) the density has a cusp at mu, and the likelihood one at every row
that mu may meet. With mu held at a row it is smooth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nvmix._linalg import inverse_lower
from nvmix.backends import get_backend, get_looper
from nvmix.backends._protocol import Ending, Fixed, Gaussian

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import Course, Plan, Restriction
    from nvmix.distributions.mixture import NormalMixture

# Rows nearest to mu at which the likelihood is looked up, and the highest of them that are fitted.
_NEAREST: Final = 400
_HIGHEST: Final = 4
_MOST_ROUNDS: Final = 10


def highest_cusp(
    model: NormalMixture, X: FloatArray, weights: FloatArray | None, plan: Plan
) -> Course | None:
    """Fit with mu held at rows nearby, from the likeliest on, until none is likelier.

    Parameters
    ----------
    model : NormalMixture
        A fit whose mu is at a row or near one, with b = 0.
    X : (n, d) array
        Complete observations.
    weights : (n,) array or None
        Their weights.
    plan : Plan
        Of the fit.

    Returns
    -------
    Course or None
        The likeliest fit, or one that is UNBOUNDED, with the passes of all; None where no row has
        a fit that converges.
    """
    plan = plan._replace(fixed=Fixed(p=plan.fixed.p, b=0.0))
    placed = get_looper("cpu").place(X, weights=weights)
    best: Course | None = None
    passes = 0
    for _ in range(_MOST_ROUNDS):
        courses = [
            _held_at(start, placed, plan)
            for start in _likeliest_starts(model, X, weights, plan.restriction)
        ]
        passes += sum(course.n_passes for course in courses)
        unbounded = [course for course in courses if course.ending is Ending.UNBOUNDED]
        if unbounded:
            return unbounded[0]._replace(n_passes=passes)
        settled = [course for course in courses if course.ending is Ending.CONVERGED]
        if not settled:
            break
        found = max(settled, key=lambda course: course.log_likelihood)
        if best is not None and found.log_likelihood <= best.log_likelihood:
            break
        best = found
        model = model.at(best.block, best.gig)
    return None if best is None else best._replace(n_passes=passes)


def _likeliest_starts(
    model: NormalMixture, X: FloatArray, weights: FloatArray | None, held: Restriction
) -> list[NormalMixture]:
    """The model moved to the rows nearby where it is likeliest, its mean kept by gamma."""
    w = inverse_lower(model.L_sigma) @ (X - model.mu).T
    q = np.square(w).sum(axis=0)
    nearest = np.argpartition(q, _NEAREST)[:_NEAREST] if len(X) > _NEAREST else np.arange(len(X))
    backend, y = get_backend(), model.subordinator.gig_expectations[2]
    placed, theta = backend.place(X), (model.subordinator.gig[0], model.subordinator.gig[1], 0.0)
    starts, values = [], []
    for mu in np.unique(X[nearest], axis=0):
        shift = np.zeros(model.d) if held.symmetric else (mu - model.mu) / y
        block = Gaussian(mu, model.gamma - shift, model.L_sigma.copy())
        density = backend.log_prob(placed, block, theta)
        values.append(float(density.sum() if weights is None else density @ weights))
        starts.append(model.at(block, theta))
    return [starts[i] for i in np.argsort(values)[::-1][:_HIGHEST]]


def _held_at(start: NormalMixture, placed: Any, plan: Plan) -> Course:
    """Fit placed rows with mu held where it is."""
    held = plan._replace(restriction=plan.restriction._replace(mu=start.mu))
    return get_looper("cpu").fit(placed, start.block, start.subordinator.gig, held)
