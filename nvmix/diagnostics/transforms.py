"""Transforms of rows to uniform variables."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_ndtr

from nvmix.backends import get_backend
from nvmix.diagnostics.arguments import complete_rows
from nvmix.fitting.outcome.models import model_of
from nvmix.foundation.linalg import inverse_lower, rows_times
from nvmix.foundation.typing import BoolArray, FloatArray
from nvmix.mixture.em_maps import Mixture


class Tails(NamedTuple):
    """Logs of P(X <= x) and of P(X > x), equal shapes: both have all their digits."""

    log_lower: FloatArray
    log_upper: FloatArray


def probability_integral_transform(model: Any, x: Any) -> FloatArray:
    """Distribution function of a model at the observations: uniform if they have its law.

    Parameters
    ----------
    model : NormalMixture or EMResult
        A model of one column, or a fit.
    x : (n,) or (n, 1) array_like, Series or DataFrame
        Observations.

    Returns
    -------
    (n,) array
        P(X <= x) for each of them.

    Raises
    ------
    TypeError, ValueError
        If model is no model of one column, JAX traces it or x, or x is not finite real numbers:
        missing values are an error.

    See Also
    --------
    rosenblatt : The same for several columns.

    References
    ----------
    F. X. Diebold, T. A. Gunther and A. S. Tay, Evaluating density forecasts, International Economic
    Review 39 (1998), 863-883.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian
    >>> from nvmix.diagnostics import probability_integral_transform
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=0.0, gamma=0.0, sigma=1.0, mu_ig=1.0, lam=1.0)
    >>> probability_integral_transform(model, [-1.0, 0.0, 3.0]).round(4)
    array([0.124 , 0.5   , 0.9934])
    """
    model = model_of("model", model, x)
    if model.d != 1:
        msg = (
            f"model must have one column, got {model.d}: take model.marginal(column), or the "
            "Rosenblatt transform of all"
        )
        raise ValueError(msg)
    values: FloatArray = model.cdf(complete_rows("x", x, model)[:, 0])
    return values


def rosenblatt(model: Any, X: Any) -> FloatArray:
    r"""Rosenblatt transform: independent uniform variables if the rows have the law of the model.

    Column j becomes :math:`P(X_j \le x_j \mid X_1 = x_1, \dots, X_{j-1} = x_{j-1})`, exact for each
    row. With :math:`w = L^{-1}(x - \mu)` and :math:`g = L^{-1}\gamma`, where
    :math:`\Sigma = L L^\top`, the columns of w are independent given Y, so that the conditional law
    of :math:`w_j` is that of one column with
    :math:`GIG(p - \tfrac{j - 1}2, a + \sum_{i<j} g_i^2, b + \sum_{i<j} w_i^2)`.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of d columns, or a fit.
    X : (n, d) array_like or DataFrame
        Observations.

    Returns
    -------
    (n, d) array
        Probabilities, to 1e-12 relative. They depend on the order of the columns: that of another
        order is ``rosenblatt(model.marginal(order), X[:, order])``.

    Raises
    ------
    TypeError, ValueError
        If model is no model, JAX traces it or X, X is not finite real numbers of d columns, so that
        missing values are an error, or a row is where the density of its first columns is infinite.

    References
    ----------
    M. Rosenblatt, Remarks on a multivariate transformation, Annals of Mathematical Statistics 23
    (1952), 470-472.

    Examples
    --------
    >>> from nvmix import NormalInverseGamma
    >>> from nvmix.diagnostics import rosenblatt
    >>> student = NormalInverseGamma.from_classical(
    ...     mu=[0.0, 0.0], gamma=[0.0, 0.0], sigma=[[1.0, 0.5], [0.5, 1.0]],
    ...     alpha=2.0, beta=2.0)
    >>> rosenblatt(student, [[-3.0, -1.5], [0.0, 1.0]]).round(4)
    array([[0.02  , 0.5   ],
           [0.5   , 0.8734]])
    """
    model = model_of("model", model, X)
    rows = complete_rows("X", X, model)
    check_density(model, rows)
    return np.exp(log_tails(model, rows).log_lower)


def log_tails(model: Mixture, rows: FloatArray) -> Tails:
    """Logs of the conditional tails (n, d) of the Rosenblatt transform, of validated rows.

    Where the density of the columns before is infinite, all is at mu, and both tails are 1/2.
    """
    law = model.subordinator
    if model.d == 1 and not law.is_constant:
        # Many points of one law are read from a table.
        return Tails(model.logcdf(rows), model.logsf(rows))
    w, g = _standardized(model, rows)
    if law.is_constant:
        return Tails(log_ndtr(w - g), log_ndtr(g - w))
    p, a, b = map(float, law.gig)
    small, is_upper = get_backend().sequential_tails(w, g, (p, a, b))
    small[:, 1:][_at_poles(w, p, b)] = -math.log(2.0)
    large = np.log1p(-np.exp(small))
    return Tails(np.where(is_upper, large, small), np.where(is_upper, small, large))


def check_density(model: Mixture, rows: FloatArray) -> None:
    """Raise ValueError for a row at which the density of its first columns is infinite, or 0."""
    if model.subordinator.is_constant:
        return
    p, _, b = map(float, model.subordinator.gig)
    w, _ = _standardized(model, rows)
    infinite = _at_poles(w, p, b)
    with np.errstate(over="ignore"):
        bad = infinite | ~(np.square(w[:, :-1]).cumsum(axis=1) < np.inf)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        why = "infinite" if infinite[row, column] else "0 in doubles"
        msg = (
            f"X must not be where the density of its first {column + 1} columns is {why}, got row "
            f"{row}"
        )
        raise ValueError(msg)


def _at_poles(w: FloatArray, p: float, b: float) -> BoolArray:
    """Where the density of the first 1, ..., d - 1 columns is infinite, (n, d - 1)."""
    orders = p - 0.5 * np.arange(1, w.shape[1])
    at_mu: BoolArray = np.logical_and.accumulate(w[:, :-1] == 0.0, axis=1)
    return at_mu & (orders <= 0.0) & (b == 0.0)


def _standardized(model: Mixture, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """w (n, d) and g (d,): columns of w are N(g_j Y, Y), independent given Y."""
    inverse = inverse_lower(model.L_sigma)
    return rows_times(rows - model.mu, inverse), inverse @ model.gamma
