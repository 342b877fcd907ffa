"""Observed information of the marginal likelihood, by Louis's identity.

The complete data are the rows x and their latent y. The observed information is the
expected information of the complete data, less the part that is missing because y is unknown:

    I = sum_i E[-d^2 ln f(x_i, Y) | x_i] - Var[d ln f(x_i, Y) | x_i].

This holds at every model, also away from a maximum. It needs no numerical derivatives: the score
d ln f(x, Y) is linear in t = (log Y, 1/Y, Y), and Y given x is GIG. So E[t | x] gives the first
term, and the (3, 3) matrix Cov[t | x] the second.

T. A. Louis, Finding the observed information matrix when using the EM algorithm, Journal of the
Royal Statistical Society B 44 (1982), 226-233.
"""

from collections.abc import Collection
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters, NormalParameters
from nvmix.foundation.linalg import inverse_lower, row_blocks
from nvmix.foundation.typing import BoolArray, FloatArray, IntArray
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.parts.normal_maps import selected
from nvmix.sources.patterns import patterns_of, values_of

# Positions in t = (log Y, 1/Y, Y) of the statistics that p, a and b multiply.
_PAB: Final = (0, 2, 1)


class Frame(NamedTuple):
    """A model in coordinates in which mu = 0, Sigma is the identity and Y has size 1.

    Rows are w = L^-1 (x - mu) with L (d, d), Y is divided by s, gamma becomes g (d,), and theta is
    (p, a, b) of Y / s.
    """

    mu: FloatArray
    L: FloatArray
    s: float
    g: FloatArray
    theta: GIGParameters


def frame_of(model: Mixture) -> Frame:
    """The model's frame: numbers in it do not depend on units, shifts and the gauge."""
    mu, gamma, L = (np.asarray(x, np.float64) for x in model.normal)
    p, a, b = map(float, model.subordinator.gig)
    _, inv_y, y = map(float, model.subordinator.gig_expectations)
    s = y if a > 0.0 else 1.0 / inv_y
    K = L * np.sqrt(s)
    return Frame(mu, K, s, inverse_lower(K) @ (gamma * s), (p, a * s, b / s))


def free_coordinates(model: Mixture, held: Collection[str]) -> BoolArray:
    """Which of mu, gamma, the triangle of Sigma, p, a and b are free; `held` names fixed ones."""
    d, subordinator = model.d, model.subordinator
    orders = {"p", "alpha"} & subordinator.parameters.keys()
    if unknown := set(held) - orders - {"mu", "gamma"}:
        options = ", ".join(["mu", "gamma", *sorted(orders)])
        msg = f"held must be names among {options}, got {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    _, a, b = subordinator.gig
    fixed_p, fixed_a, fixed_b = (x is not None for x in model.fixed)
    free = np.ones(2 * d + d * (d + 1) // 2 + 3, bool)
    free[:d] = "mu" not in held
    free[d : 2 * d] = "gamma" not in held
    free[-3:] = (
        not fixed_p and orders.isdisjoint(held),
        not fixed_a and a > 0.0,
        not fixed_b and b > 0.0,
    )
    return free


def information_in(
    frame: Frame, X: FloatArray, weights: FloatArray | None, free: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Observed and complete information (k, k) by the k free coordinates of the frame.

    Rows with missing values, which are nan, have the information of the values that they have. A
    marginal's parameters are some of those of all columns, so that its coordinates J u are linear
    in those of the frame, u, and its information there is J' I J.
    """
    X = np.asarray(X, np.float64)
    weights = np.ones(len(X)) if weights is None else weights
    d, k = len(frame.g), int(free.sum())
    information, complete = np.zeros((k, k)), np.zeros((k, k))
    for columns, rows in patterns_of(X):
        values = values_of(X, columns, rows)
        if columns.size == d:
            parts = _of_complete_rows(frame, values, weights[rows], free)
        else:
            marginal, J = _marginal(frame, columns)
            kept = _free_of_marginal(free, columns.size, d)
            J = J[np.ix_(kept, free)]
            own = _of_complete_rows(marginal, values, weights[rows], kept)
            parts = J.T @ own[0] @ J, J.T @ own[1] @ J
        information += parts[0]
        complete += parts[1]
    if not np.isfinite(information).all():
        msg = (
            "the information is not finite: mu has met a row of the data at which the density has "
            "a cusp, or gamma = 0 is free where E[Y | x] is infinite"
        )
        raise ValueError(msg)
    return 0.5 * (information + information.T), 0.5 * (complete + complete.T)


def _of_complete_rows(
    frame: Frame, X: FloatArray, weights: FloatArray, free: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Observed and complete information by the free coordinates of the frame of these columns."""
    inverse, start, parts = inverse_lower(frame.L), 0, []
    with np.errstate(over="ignore", invalid="ignore"):
        for x in row_blocks(X):
            w = (inverse @ (x - frame.mu[:, None])).T
            parts.append(_block(frame, w, weights[start : start + len(w)], free))
            start += len(w)
        inv_y, ones, y, missing = map(sum, zip(*parts, strict=True))
        complete = _complete(frame, inv_y, ones, y)[np.ix_(free, free)]
        return complete - missing, complete


def _marginal(frame: Frame, columns: IntArray) -> tuple[Frame, FloatArray]:
    """Frame of some columns, and its coordinates' Jacobian by all coordinates of the frame."""
    d, m = len(frame.g), columns.size
    mu, skewness, L = selected(NormalParameters(frame.mu, frame.L @ frame.g, frame.L), columns)
    marginal = Frame(mu, L, frame.s, inverse_lower(L) @ skewness, frame.theta)
    place = np.zeros((d, d), np.intp)
    place[np.tril_indices(d)] = np.arange(d * (d + 1) // 2)
    place = np.maximum(place, place.T)[np.ix_(columns, columns)][np.tril_indices(m)]
    n = 2 * d + d * (d + 1) // 2
    chosen = np.concatenate([columns, d + columns, 2 * d + place, n + np.arange(3)])
    return marginal, np.linalg.solve(frame_jacobian(marginal), frame_jacobian(frame)[chosen])


def _free_of_marginal(free: BoolArray, m: int, d: int) -> BoolArray:
    """Which coordinates of a marginal of m of d columns are free: mu, gamma or Sigma wholly."""
    kinds = free[[0, d, 2 * d]]
    return np.concatenate([np.repeat(kinds, [m, m, m * (m + 1) // 2]), free[-3:]])


def _block(frame: Frame, w: FloatArray, weight: FloatArray, free: BoolArray) -> tuple[Any, ...]:
    """Sums over the rows w (m, d) of a block: the arguments of `_complete`, and `_missing`."""
    p, a, b = frame.theta
    q = np.square(w).sum(axis=1)
    order, rate = p - 0.5 * w.shape[1], a + frame.g @ frame.g
    posterior = np.full_like(q, order), np.full_like(q, rate), b + q
    _, _, inv_y, y = get_backend().gig_moments(*posterior)
    v = np.column_stack([np.ones(len(w)), w])
    missing = _missing(frame, w, weight, posterior, free)
    # E[1/Y] is infinite at mu alone, where its products with w = 0 are 0.
    finite = weight * np.where(q > 0.0, inv_y, 0.0)
    by_inv_y = v.T @ (v * finite[:, None])
    by_inv_y[0, 0] = weight @ inv_y
    return by_inv_y, weight @ v, weight @ y, missing


def _complete(frame: Frame, inv_y: Any, ones: Any, y: Any) -> FloatArray:
    """Expected information of the complete data by all coordinates of the frame.

    With v = (1, w): inv_y is the sum of v v' E[1/Y], ones the sum of v, y the sum of E[Y].
    """
    d, g, n = len(frame.g), frame.g, ones[0]
    D = duplication(d)
    eye, zero = np.eye(d), np.zeros((3, 2 * d + D.shape[1]))
    gy = g * y if g.any() else g
    r = ones[1:] - gy
    r_inv_y = inv_y[0, 1:] - g * n
    cross = np.outer(ones[1:], g)
    M = inv_y[1:, 1:] - cross - cross.T + np.outer(gy, g)
    by_mu, by_gamma = np.kron(eye, r_inv_y) @ D, np.kron(eye, r) @ D
    by_sigma = D.T @ (np.kron(eye, M) - 0.5 * n * np.eye(d * d)) @ D
    rates = np.array([1.0, -0.5, -0.5])
    covariance = get_backend().gig_covariances(*(np.array([x]) for x in frame.theta))[0]
    covariance = covariance[np.ix_(_PAB, _PAB)]
    return np.block(
        [
            [inv_y[0, 0] * eye, n * eye, by_mu, zero[:, :d].T],
            [n * eye, y * eye, by_gamma, zero[:, :d].T],
            [by_mu.T, by_gamma.T, by_sigma, zero[:, 2 * d :].T],
            [zero, n * np.outer(rates, rates) * covariance],
        ]
    )


def _missing(
    frame: Frame,
    w: FloatArray,
    weight: FloatArray,
    posterior: tuple[FloatArray, ...],
    free: BoolArray,
) -> FloatArray:
    """Missing information (k, k): weighted sum over rows of Var[score | x] = A' Cov[t | x] A.

    For each row, A (3, k) has the coefficients of t = (log Y, 1/Y, Y) in the score by the free
    coordinates. `posterior` is (p, a, b), each (m,), of Y / s given each row.
    """
    n, d = w.shape
    g, backend = frame.g, get_backend()
    rows, columns = np.tril_indices(d)
    # The derivative by Sigma is w w' / 2; an element off the diagonal stands for two of Sigma.
    share = np.where(rows == columns, 0.5, 1.0)
    A = np.zeros((n, 3, 2 * d + len(rows) + 3))
    A[:, 0, -3] = 1.0
    A[:, 1, :d] = w
    A[:, 1, 2 * d : -3] = share * w[:, rows] * w[:, columns]
    A[:, 1, -1] = -0.5
    A[:, 2, d : 2 * d] = -g
    A[:, 2, 2 * d : -3] = share * g[rows] * g[columns]
    A[:, 2, -2] = -0.5
    A = A[:, :, free]
    C = backend.gig_covariances(*posterior)
    # At mu, where Var[1/Y] may be infinite, w = 0; if mu or b is free, `_complete` is infinite too.
    C[np.square(w).sum(axis=1) == 0.0, 1] = 0.0
    C[np.square(w).sum(axis=1) == 0.0, :, 1] = 0.0
    # A statistic without coefficients may have an infinite variance, and 0 * inf is nan.
    unused = ~A.any(axis=(0, 2))
    C[:, unused] = 0.0
    C[:, :, unused] = 0.0
    k = A.shape[2]
    total: FloatArray = A.reshape(-1, k).T @ (weight[:, None, None] * (C @ A)).reshape(-1, k)
    return total


@cache
def duplication(d: int) -> FloatArray:
    """Matrix (d^2, d (d + 1) / 2) that maps a lower triangle, by rows, to the symmetric matrix."""
    rows, columns = np.tril_indices(d)
    element = np.arange(len(rows))
    D = np.zeros((d, d, len(rows)))
    D[rows, columns, element] = D[columns, rows, element] = 1.0
    return D.reshape(d * d, -1)


def frame_jacobian(frame: Frame) -> FloatArray:
    """Jacobian of (mu, gamma, triangle of Sigma, p, a, b) by the coordinates of the frame."""
    L, s, d = frame.L, frame.s, len(frame.g)
    rows, columns = np.tril_indices(d)
    sigma = (np.kron(L, L) @ duplication(d))[rows * d + columns] / s
    return block_diagonal(L, L / s, sigma, np.diag([1.0, 1.0 / s, s]))


def block_diagonal(*blocks: FloatArray) -> FloatArray:
    """Block-diagonal matrix of the blocks."""
    shapes = np.array([block.shape for block in blocks])
    matrix = np.zeros(shapes.sum(axis=0))
    for block, (i, j) in zip(blocks, np.cumsum(shapes, axis=0) - shapes, strict=True):
        matrix[i : i + block.shape[0], j : j + block.shape[1]] = block
    return matrix
