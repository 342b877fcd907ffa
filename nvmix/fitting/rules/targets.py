"""Targets of `Shrinkage`: expected statistics of a model, also with its Sigma replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nvmix.fitting.settings import check_model
from nvmix.foundation.statistics import SufficientStatistics, infinite_expectations
from nvmix.foundation.validation import cholesky, positive, vector
from nvmix.mixture.em_maps import Mixture


def eta0_from_model(model: Mixture) -> SufficientStatistics:
    r"""Expected sufficient statistics :math:`E_0[t(X, Y)]` of one row drawn from a model.

    Parameters
    ----------
    model : Mixture
        The target.

    Returns
    -------
    SufficientStatistics
        With weight 1 and log-likelihood nan, for `Shrinkage`.

    Raises
    ------
    TypeError
        If model is not a model.
    ValueError
        If E[1/Y] or E[Y] is infinite, as with alpha <= 1 of `VarianceGamma` and
        `NormalInverseGamma`.

    References
    ----------
    O. Barndorff-Nielsen, Information and Exponential Families in Statistical Theory, 1978, for
    expectations as parameters.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, eta0_from_model
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.0], gamma=[0.5], sigma=[[1.0]], mu_ig=2.0, lam=1.0)
    >>> eta0_from_model(model).E_X
    array([1.])
    """
    check_model(model)
    eta = model.on_host().expectation_params()
    infinite = infinite_expectations(eta)
    if infinite:
        msg = (
            f"model must have finite expectations, got {infinite[0]} infinite of "
            f"{model.subordinator!r}"
        )
        raise ValueError(msg)
    return eta


def eta0_with_sigma(model: Mixture, Sigma0: Any) -> SufficientStatistics:
    """Expected statistics of one row, as `eta0_from_model`, with Sigma replaced by a matrix.

    Parameters
    ----------
    model : Mixture
        The target, except for Sigma.
    Sigma0 : (d, d) array_like
        Symmetric and positive definite.

    Returns
    -------
    SufficientStatistics
        As for `eta0_from_model`.

    Raises
    ------
    TypeError, ValueError
        If Sigma0 is no such matrix, or as for `eta0_from_model`.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, eta0_with_sigma
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.0], gamma=[0.0], sigma=[[1.0]], mu_ig=2.0, lam=1.0)
    >>> eta0_with_sigma(model, [[4.0]]).E_XXT_inv_Y
    array([[4.]])
    """
    check_model(model)
    host = model.on_host()
    return eta0_from_model(replace(host, L_sigma=cholesky("Sigma0", Sigma0, host.d)))


def eta0_diagonal(model: Mixture, diag: Any) -> SufficientStatistics:
    """Expected statistics of one row, as `eta0_from_model`, with Sigma replaced by diag(diag).

    Parameters
    ----------
    model : Mixture
        The target, except for Sigma.
    diag : (d,) array_like
        Diagonal of the new Sigma, positive.

    Returns
    -------
    SufficientStatistics
        As for `eta0_from_model`.

    Raises
    ------
    TypeError, ValueError
        If diag is not d positive numbers, or as for `eta0_from_model`.

    References
    ----------
    J. Schäfer and K. Strimmer, A shrinkage approach to large-scale covariance matrix estimation,
    Statistical Applications in Genetics and Molecular Biology 4 (2005), 32, table 2.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, eta0_diagonal
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.0] * 2, gamma=[0.0] * 2, sigma=[[1.0, 0.5], [0.5, 1.0]], mu_ig=2.0, lam=1.0)
    >>> eta0_diagonal(model, [1.0, 4.0]).E_XXT_inv_Y
    array([[1., 0.],
           [0., 4.]])
    """
    check_model(model)
    variances = vector("diag", diag, model.d)
    if not (variances > 0.0).all():
        msg = f"diag must be positive, got {variances.tolist()}"
        raise ValueError(msg)
    return eta0_with_sigma(model, np.diag(variances))


def eta0_isotropic(model: Mixture, sigma2: float) -> SufficientStatistics:
    """Expected statistics of one row, as `eta0_from_model`, with Sigma replaced by sigma2 I.

    Parameters
    ----------
    model : Mixture
        The target, except for Sigma.
    sigma2 : float
        Positive.

    Returns
    -------
    SufficientStatistics
        As for `eta0_from_model`.

    Raises
    ------
    TypeError, ValueError
        If sigma2 is not a positive number, or as for `eta0_from_model`.

    References
    ----------
    O. Ledoit and M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
    Journal of Multivariate Analysis 88 (2004), 365-411, for such a target.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, eta0_isotropic
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.0] * 2, gamma=[0.0] * 2, sigma=[[1.0, 0.5], [0.5, 1.0]], mu_ig=2.0, lam=1.0)
    >>> eta0_isotropic(model, 2.0).E_XXT_inv_Y
    array([[2., 0.],
           [0., 2.]])
    """
    check_model(model)
    return eta0_with_sigma(model, positive("sigma2", sigma2) * np.eye(model.d))
