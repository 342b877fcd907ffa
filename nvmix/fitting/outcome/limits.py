"""Ends of a fit at a limit of its family: mu at rows of the data, a = 0 or b = 0, Gaussian."""

import math
import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.status import Status
from nvmix.backends.tolerances import AROUND, DOMINANT, MOST, NEAR, NEGLIGIBLE, PLACE, SAME
from nvmix.backends.types import Constraints, FitTrace, Fixed, GIGParameters, NormalParameters
from nvmix.foundation.linalg import factor, inverse_lower, row_blocks
from nvmix.foundation.pairwise_sum import add_each
from nvmix.foundation.typing import FloatArray, IntArray
from nvmix.inference.newton import may_have_cusp
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.parts.normal_maps import selected
from nvmix.sources.patterns import patterns_of, values_of
from nvmix.sources.source import ArraySource, Chunk, Source

Distances: TypeAlias = Callable[[Chunk], FloatArray]
Summary: TypeAlias = tuple[float, float, float]

# A row is at mu if its squared distance from mu is below this times the size of those of all rows.
_AT_MU: Final = 1e-12
# Converged as loops know it; whether that is at a limit of the family is decided here.
_IN_FAMILY: Final = (Status.CONVERGED, Status.VARIANCE_GAMMA_LIMIT, Status.SKEW_T_LIMIT)
# Share of a column's variance that those before leave, below which it is rounding.
_SINGULAR: Final = 1e-13
# A relative change of densities that is none.
_VANISHED: Final = 1e-20
# Largest number of rows at mu in a result.
_MOST_ROWS: Final = 10_000
# If the variance of gamma Y exceeds Sigma E[Y] by this factor, Sigma may tend to a singular matrix.
_COLLAPSING: Final = 1e3
# A fit with Var[Y] / E[Y]^2 below this may approach the Gaussian limit.
_NARROW: Final = 0.05
# Var[Y] / E[Y]^2 of the model that represents that limit; its likelihood differs by about 1e-7.
_LIMIT: Final = 1e-7
# Rounding of a mean log-likelihood, times the relative variance of Y.
_DIGITS: Final = 1e-14
# Statuses of fits that have not reached a limit.
_STOPPED: Final = (Status.MAX_ITER, Status.NO_SOLUTION, Status.UNBOUNDED, Status.NON_FINITE)
# What an end is called where mu is at a row.
AT_ROW: Final = {Status.CONVERGED: Status.CUSP, Status.DEGENERATE: Status.SINGULAR}


def status_at_end(status: int, model: Mixture, fixed: Fixed, source: Source) -> Status:
    """Status of a fit, from the status of its loop and from its last model.

    At b = 0 the density of k columns is infinite at mu for p <= k/2, and E[1/Y | x = mu] for
    p <= k/2 + 1. Where rows at mu then dominate, the status is UNBOUNDED, CUSP or SINGULAR. A
    converged fit with a = 0 or b = 0, unless `fixed` says so, is at a limit of its family.
    """
    status = Status.CONVERGED if status in _IN_FAMILY else Status.of(status)
    _, a, b = model.subordinator.gig
    # Without a cusp no rows dominate; this test spares a pass over them.
    order = _dominance(model, source)[0] if may_have_cusp(model) else math.inf
    if order < 1.0:
        if order <= 0.0:
            return Status.UNBOUNDED
        return AT_ROW.get(status, status)
    no_a, no_b = _vanishes(model)
    if status is Status.CONVERGED and (b == 0.0 or no_b) and fixed.b is None:
        return Status.VARIANCE_GAMMA_LIMIT
    if status is Status.CONVERGED and (a == 0.0 or no_a) and fixed.a is None:
        return Status.SKEW_T_LIMIT
    return status


def is_at_pole(model: Mixture, source: Source) -> bool:
    """Whether rows at mu that repeat dominate, and have an infinite density as b vanishes.

    So has a law of negative order where a large share of the rows repeats: then b is no smaller
    than Y, but much smaller than the squared distances of other rows.
    """
    order, by_repeated = _dominance(model, source)
    return order <= 0.0 and by_repeated


def snapped(model: Mixture, status: Status, fixed: Fixed) -> Mixture:
    """The model with an a or b of 0 in the place of one that tends to it; at a limit only."""
    p, a, b = model.subordinator.gig
    if status is Status.VARIANCE_GAMMA_LIMIT and fixed.b is None:
        return model.at(model.normal, (p, a, 0.0))
    if status is Status.SKEW_T_LIMIT and fixed.a is None:
        return model.at(model.normal, (p, 0.0, b))
    return model


def _vanishes(model: Mixture) -> tuple[bool, bool]:
    """Whether a, and whether b, is so small that 0 in its place leaves all digits of a density.

    The relative change of the density is of the order of (a b)^|p|, and next to mu that of
    (b / q)^(p - d/2), which q of the next row keeps small. A GIG law alone may have the 0.
    """
    p, a, b = model.subordinator.gig
    if model.subordinator.fixed != Fixed():
        return False, False
    vanishes = (a * b) ** min(abs(p), 1.0) < _VANISHED
    return p < 0.0 and vanishes and a > 0.0, p > 0.5 * model.d and vanishes and b > 0.0


def may_collapse(model: Mixture) -> bool:
    """Whether nearly all of the variance along gamma is that of gamma Y, so Sigma may vanish.

    Where Y has no variance its typical value takes the place of Var[Y] / E[Y].
    """
    g = inverse_lower(model.L_sigma) @ model.gamma
    y, variance = model.subordinator.mean(), model.subordinator.var()
    size = variance / y if np.isfinite(variance) else np.exp(model.subordinator.gig_expectations[0])
    return bool(g @ g * size > _COLLAPSING)


def rows_at_mu(model: Mixture, source: Source) -> tuple[int, ...]:
    """Numbers, from 0, of the rows nearest to mu and their repetitions, at most 10,000."""
    distances = distances_from(model)
    weight, total, least = source.reduce(partial(_summary, distances), _merged)
    near = max(AROUND * least, _AT_MU * total / weight)
    rows: IntArray = source.reduce(partial(_rows_within, distances, near), _first_rows)
    return tuple(rows.tolist())


def distances_from(model: Mixture) -> Distances:
    """Function of a chunk: squared distances (x - mu)' Sigma^-1 (x - mu) of its rows, (m,).

    Where values are missing, of the columns that have some.
    """
    return partial(_distances, model.normal)


def _distances(normal: NormalParameters, chunk: Chunk) -> FloatArray:
    """Squared distances of the rows of a chunk from mu."""
    q = np.empty(len(chunk.values))
    for rows, distances, _ in _by_pattern(normal, chunk):
        q[rows] = distances
    return q


def _by_pattern(
    normal: NormalParameters, chunk: Chunk
) -> Iterator[tuple[Any, FloatArray, FloatArray]]:
    """For each pattern of values: its rows, their squared distances, and L^-1 gamma, (k,)."""
    X = np.asarray(chunk.values, np.float64)
    for columns, rows in patterns_of(X):
        mu, gamma, L = selected(normal, columns) if columns.size < normal.mu.size else normal
        inverse, blocks = inverse_lower(L), row_blocks(values_of(X, columns, rows))
        q = np.concatenate([np.square(inverse @ (x - mu[:, None])).sum(axis=0) for x in blocks])
        yield rows, q, inverse @ gamma


def _summary(distances: Distances, chunk: Chunk) -> Summary:
    """Sum of weights, that times the size of the distances, and the least distance.

    The size is their mean or, so that no outlier makes it large, what nine in ten do not exceed, if
    that is less, but not 0.
    """
    q, omega = distances(chunk), _weights(chunk)
    q, omega = q[omega > 0.0], omega[omega > 0.0]
    if q.size == 0:
        return 0.0, 0.0, np.inf
    weight, total = float(omega.sum()), float(omega @ q)
    most = weight * float(np.quantile(q, MOST))
    return weight, min(total, most) if most > 0.0 else total, float(q.min())


def _merged(left: Summary, right: Summary) -> Summary:
    """Combine the summaries of two sets of rows."""
    return left[0] + right[0], left[1] + right[1], min(left[2], right[2])


def _rows_within(distances: Distances, near: float, chunk: Chunk) -> IntArray:
    """Numbers of the first 10,000 rows of a chunk within a squared distance, in order."""
    rows = np.flatnonzero(distances(chunk) <= near)[:_MOST_ROWS]
    return chunk.first + rows if chunk.places is None else chunk.places[rows]


def _first_rows(left: IntArray, right: IntArray) -> IntArray:
    """The first 10,000 of two lists of row numbers."""
    return np.concatenate([left, right])[:_MOST_ROWS]


class _Nearest(NamedTuple):
    """Sums of E[1/Y] of all rows, of those near mu, and of those at the place of the nearest.

    Of the near ones also the least order of Y given one, p - k/2 for k columns, and how many are at
    that place and elsewhere.
    """

    total: float
    near: float
    at_place: float
    order: float
    n_at_place: int
    n_apart: int


def _nearest(
    normal: NormalParameters, theta: GIGParameters, near: float, same: float, chunk: Chunk
) -> _Nearest:
    """Sums over the rows of a chunk; two squared distances say what is near and at one place."""
    omega, (p, a, b) = _weights(chunk), theta
    q, inv_y, order = np.empty((3, len(omega)))
    for rows, distances, g in _by_pattern(normal, chunk):
        q[rows], order[rows] = distances, p - 0.5 * g.size
        rate = np.full_like(distances, a + float(g @ g))
        inv_y[rows] = get_backend().gig_moments(order[rows], rate, b + distances)[2]
    inv_y = np.where(omega > 0.0, omega * inv_y, 0.0)
    is_near, is_same = ((q <= most) & (omega > 0.0) for most in (near, min(near, same)))
    least = float(order[is_near].min(initial=np.inf))
    counts = int(is_same.sum()), int((is_near & ~is_same).sum())
    total, nearest, at_place = (float(inv_y[rows].sum()) for rows in (..., is_near, is_same))
    return _Nearest(total, nearest, at_place, least, *counts)


def _added(left: _Nearest, right: _Nearest) -> _Nearest:
    """The sums of two sets of rows."""
    summed = _Nearest(*map(operator.add, left, right))
    return summed._replace(order=min(left.order, right.order))


def _dominance(model: Mixture, source: Source) -> tuple[float, bool]:
    """Least order of Y given one of the rows nearest to mu, where those dominate; else inf.

    Also whether rows that repeat dominate. Rows do if b is negligible and they have at least half
    of all E[1/Y]. Where b exceeds the least distance it rounds off the density there, so that only
    equal rows count as one. Unless those dominate by themselves, or at a cusp, more than d others
    about as near are no row but a core, which has a Sigma of its own.
    """
    b = model.subordinator.gig[2]
    weight, total_q, least = source.reduce(partial(_summary, distances_from(model)), _merged)
    size = total_q / weight
    if b > NEGLIGIBLE * size:
        return math.inf, False
    near = min((AROUND if b < least else SAME) * least, NEAR * size)
    same = max(SAME * least, PLACE * size)
    sums = partial(_nearest, model.normal, model.subordinator.gig, near, same)
    nearest = source.reduce(sums, _added)
    by_near, by_place = (
        not part < DOMINANT * nearest.total < np.inf for part in (nearest.near, nearest.at_place)
    )
    is_core = (b > 0.0 or nearest.order <= 0.0) and nearest.n_apart > model.d and not by_place
    order = nearest.order if by_near and not is_core else math.inf
    return order, by_place and nearest.n_at_place > 1


def _weights(chunk: Chunk) -> FloatArray:
    """Weights of the rows of a chunk, 1 where it has none."""
    return np.ones(len(chunk.values)) if chunk.weights is None else chunk.weights


def gaussian_limit(
    fitted: Mixture, trace: FitTrace, status: Status, source: Source, constraints: Constraints
) -> FitTrace | None:
    """The trace with a model next to the normal distribution, if the fit approaches that.

    It has the likelihood of the fitted normal distribution. None where Var[Y] is not small, the
    fit is likelier than that or has not converged, or values are missing.
    """
    _, inv_y, y = fitted.subordinator.gig_expectations
    variance = min(y * inv_y - 1.0, fitted.subordinator.var() / (y * y))
    if not variance < _NARROW or status in _STOPPED:
        return None
    normal = normal_fit(source, constraints)
    if normal is None:
        return None
    value = value_of_normal(normal)
    if not value > trace.log_likelihood - _DIGITS / max(variance, _DIGITS):
        return None
    theta = _narrow_gig(constraints.fixed)
    return trace._replace(log_likelihood=value, normal=normal, theta=theta)


def likelier_normal(
    log_likelihood: float, source: ArraySource, constraints: Constraints
) -> NormalParameters | None:
    """The fitted normal distribution, if it is likelier than a fit with that mean log-likelihood.

    None where it is not, or is no limit of the family, because the order of a gamma or inverse
    gamma law is held; or where values are missing.
    """
    fixed = constraints.fixed
    if fixed.p is not None and 0.0 in (fixed.a, fixed.b):
        return None
    normal = normal_fit(source, constraints)
    likelier = normal is not None and value_of_normal(normal) > log_likelihood
    return normal if likelier else None


def value_of_normal(normal: NormalParameters) -> float:
    """Mean log-likelihood of the rows that a normal distribution is fitted to."""
    constant = -0.5 * normal.mu.size * (1.0 + math.log(2.0 * math.pi))
    return constant - float(np.log(np.diag(normal.L)).sum())


def normal_fit(source: Source, constraints: Constraints) -> NormalParameters | None:
    """Normal distribution fitted under constraints, as a mixture with Y = 1; None if singular."""
    mu = constraints.mu
    weight, total = source.reduce(_total, add_each)
    centre = mu if mu is not None and constraints.symmetric else total / weight
    products = source.reduce(partial(_scatter, centre), operator.add)
    if np.isnan(products).any():
        return None
    covariance = products / weight
    L = factor(covariance)
    if L is None or (np.square(np.diag(L)) <= _SINGULAR * np.diag(covariance)).any():
        return None
    location = centre if mu is None else mu
    return NormalParameters(location.copy(), centre - location, L)


def total_weight(chunk: Chunk) -> float:
    """Sum of weights of the rows of a chunk."""
    return float(_weights(chunk).sum())


def _total(chunk: Chunk) -> tuple[Any, ...]:
    """Sum of weights, and weighted sum (d,) of the rows, of a chunk."""
    X = np.asarray(chunk.values, np.float64)
    weights = _weights(chunk)
    return float(weights.sum()), weights @ X


def _scatter(centre: FloatArray, chunk: Chunk) -> FloatArray:
    """(d, d) weighted sum of products of the deviations of the rows of a chunk."""
    deviations = np.asarray(chunk.values, np.float64) - centre
    weighted = deviations if chunk.weights is None else deviations * chunk.weights[:, None]
    products: FloatArray = weighted.T @ deviations
    return products


def _narrow_gig(fixed: Fixed) -> tuple[float, float, float]:
    """(p, a, b) of a subordinator with mean nearly 1 and variance nearly 1e-7."""
    size = 1.0 / _LIMIT
    if fixed.b == 0.0:
        return size, 2.0 * size, 0.0
    if fixed.a == 0.0:
        return -size, 0.0, 2.0 * size
    return -0.5 if fixed.p is None else fixed.p, size, size
