"""Observed information of the marginal likelihood."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters
from nvmix.foundation.linalg import inverse_lower, row_blocks
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

_INFINITE: Final = (
    "the information is not finite: mu has met a row of the data at which the density has a cusp, "
    "or gamma = 0 is free where E[Y | x] is infinite"
)
# Places of (log Y, 1/Y, Y) whose coefficients are p, a and b.
_PAB: Final = (0, 2, 1)


def observed_information(
    model: Mixture, X: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    r"""Negative Hessian of the log-likelihood of X by the free ones of the parameters.

    By Louis's identity it is what the complete data would tell less what is missing,

    .. math::

        I = \sum_i E[-\partial^2 \ln f(x_i, Y) \mid x_i] - \mathrm{Var}[\partial \ln f(x_i, Y)
        \mid x_i],

    which holds at every model. The score is linear in (log Y, 1/Y, Y), whose covariance given a
    row is that of a GIG law.

    Parameters
    ----------
    model : Mixture
        Where to differentiate.
    X : (n, d) array
        Validated observations.
    weights : (n,) array or None
        Weights of the rows; None is 1 each.

    Returns
    -------
    (k, k) array
        By mu, gamma, the lower triangle of Sigma by rows, and those of p, a and b that the family
        leaves free and that are not at a limit.

    Raises
    ------
    ValueError
        If a row has no finite information, as one that mu has met may have.

    References
    ----------
    T. A. Louis, Finding the observed information matrix when using the EM algorithm, Journal of
    the Royal Statistical Society B 44 (1982), 226-233.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian
    >>> from nvmix.inference.information import observed_information
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.0], gamma=[0.4], sigma=[[1.0]], mu_ig=1.0, lam=0.5)
    >>> observed_information(model, model.rvs(100, seed=0)).shape
    (5, 5)
    """
    frame, free = frame_of(model), free_coordinates(model, ())
    inverse = np.linalg.inv(frame_jacobian(frame))[np.ix_(free, free)]
    information, _ = information_in(frame, X, weights, free)
    return inverse.T @ information @ inverse


class Frame(NamedTuple):
    """A model in coordinates in which mu = 0, Sigma is the identity and Y has size 1.

    Attributes
    ----------
    mu : (d,) array
        Origin.
    L : (d, d) array
        Scale: rows are w = L^-1 (x - mu).
    s : float
        What Y is divided by.
    g : (d,) array
        gamma in these coordinates.
    theta : (float, float, float)
        p, a and b of Y / s.
    """

    mu: FloatArray
    L: FloatArray
    s: float
    g: FloatArray
    theta: GIGParameters


def frame_of(model: Mixture) -> Frame:
    """Coordinates in which units, shifts and gauges of the data are gone."""
    mu, gamma, L = (np.asarray(x, np.float64) for x in model.normal)
    p, a, b = map(float, model.subordinator.gig)
    _, inv_y, y = map(float, model.subordinator.gig_expectations)
    s = y if a > 0.0 else 1.0 / inv_y
    K = L * np.sqrt(s)
    return Frame(mu, K, s, inverse_lower(K) @ (gamma * s), (p, a * s, b / s))


def free_coordinates(model: Mixture, held: Collection[str]) -> Mask:
    """Which of mu, gamma, the triangle of Sigma, p, a and b are estimated."""
    d, law = model.d, model.subordinator
    orders = {"p", "alpha"} & law.parameters.keys()
    if unknown := set(held) - orders - {"mu", "gamma"}:
        options = ", ".join(["mu", "gamma", *sorted(orders)])
        msg = f"held must be names among {options}, got {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    _, a, b = law.gig
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
    frame: Frame, X: FloatArray, weights: FloatArray | None, free: Mask
) -> tuple[FloatArray, FloatArray]:
    """Information by the free coordinates of the frame, and sizes of the complete data's."""
    X = np.asarray(X, np.float64)
    weights = np.ones(len(X)) if weights is None else weights
    inverse, start, parts = inverse_lower(frame.L), 0, []
    with np.errstate(over="ignore", invalid="ignore"):
        for x in row_blocks(X):
            w = (inverse @ (x - frame.mu[:, None])).T
            parts.append(_block(frame, w, weights[start : start + len(w)], free))
            start += len(w)
        inv_y, ones, y, missing = map(sum, zip(*parts, strict=True))
        complete = _complete(frame, inv_y, ones, y)[np.ix_(free, free)]
        information = complete - missing
    if not np.isfinite(information).all():
        raise ValueError(_INFINITE)
    return 0.5 * (information + information.T), np.sqrt(np.abs(np.diag(complete)))


def _block(frame: Frame, w: FloatArray, weight: FloatArray, free: Mask) -> tuple[Any, ...]:
    """Sums over a block of rows: those that `_complete` takes, and the missing information."""
    laws = _posterior(frame, w)
    _, _, inv_y, y = get_backend().gig_moments(*laws)
    v = np.column_stack([np.ones(len(w)), w])
    missing = _missing(frame, w, weight, laws, free)
    return v.T @ (v * (weight * inv_y)[:, None]), weight @ v, weight @ y, missing


def _posterior(frame: Frame, w: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(p, a, b) of Y / s given each row."""
    p, a, b = frame.theta
    q = np.square(w).sum(axis=1)
    order, rate = p - 0.5 * w.shape[1], a + frame.g @ frame.g
    return np.full_like(q, order), np.full_like(q, rate), b + q


def _complete(frame: Frame, inv_y: Any, ones: Any, y: Any) -> FloatArray:
    """Expected information of the complete data, from sums over rows.

    Of v = (1, w), inv_y is the sum of v v' E[1/Y], ones that of v and y that of E[Y].
    """
    d, g, n = len(frame.g), frame.g, ones[0]
    D = _duplication(d)
    eye, zero = np.eye(d), np.zeros((3, 2 * d + D.shape[1]))
    gy = g * y if g.any() else g
    r = ones[1:] - gy
    r_inv_y = inv_y[0, 1:] - g * n
    cross = np.outer(ones[1:], g)
    M = inv_y[1:, 1:] - cross - cross.T + np.outer(gy, g)
    by_mu, by_gamma = np.kron(eye, r_inv_y) @ D, np.kron(eye, r) @ D
    by_sigma = D.T @ (np.kron(eye, M) - 0.5 * n * np.eye(d * d)) @ D
    rates = np.array([1.0, -0.5, -0.5])
    covariance = get_backend().gig_covariance(frame.theta)[np.ix_(_PAB, _PAB)]
    return np.block(
        [
            [inv_y[0, 0] * eye, n * eye, by_mu, zero[:, :d].T],
            [n * eye, y * eye, by_gamma, zero[:, :d].T],
            [by_mu.T, by_gamma.T, by_sigma, zero[:, 2 * d :].T],
            [zero, n * np.outer(rates, rates) * covariance],
        ]
    )


def _missing(
    frame: Frame, w: FloatArray, weight: FloatArray, laws: tuple[FloatArray, ...], free: Mask
) -> FloatArray:
    """Sum over rows of the variance, given the row, of the complete data's score."""
    n, d = w.shape
    g, backend = frame.g, get_backend()
    rows, columns = np.tril_indices(d)
    # Half of w w' by the triangle of Sigma, in which what is off the diagonal is there twice.
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
    C = np.array([backend.gig_covariance(law) for law in zip(*laws, strict=True)])
    # A statistic that no free coordinate meets may have no variance.
    unmet = ~A.any(axis=(0, 2))
    C[:, unmet] = 0.0
    C[:, :, unmet] = 0.0
    k = A.shape[2]
    total: FloatArray = A.reshape(-1, k).T @ (weight[:, None, None] * (C @ A)).reshape(-1, k)
    return total


def _duplication(d: int) -> FloatArray:
    """(d d, d (d + 1) / 2) matrix from the lower triangle by rows to the symmetric matrix."""
    rows, columns = np.tril_indices(d)
    place = np.arange(len(rows))
    D = np.zeros((d, d, len(rows)))
    D[rows, columns, place] = D[columns, rows, place] = 1.0
    return D.reshape(d * d, -1)


def frame_jacobian(frame: Frame) -> FloatArray:
    """Derivatives of mu, gamma, the triangle of Sigma, p, a and b by the frame's coordinates."""
    L, s, d = frame.L, frame.s, len(frame.g)
    rows, columns = np.tril_indices(d)
    sigma = (np.kron(L, L) @ _duplication(d))[rows * d + columns] / s
    return block_diagonal(L, L / s, sigma, np.diag([1.0, 1.0 / s, s]))


def block_diagonal(*blocks: FloatArray) -> FloatArray:
    """Matrix of blocks along its diagonal."""
    shapes = np.array([block.shape for block in blocks])
    whole = np.zeros(shapes.sum(axis=0))
    for block, (i, j) in zip(blocks, np.cumsum(shapes, axis=0) - shapes, strict=True):
        whole[i : i + block.shape[0], j : j + block.shape[1]] = block
    return whole
