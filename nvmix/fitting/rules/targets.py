"""Targets to shrink towards: the expected statistics of a model, or of one with another Sigma."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nvmix.fitting.settings import check_model
from nvmix.foundation.statistics import SufficientStatistics, infinite_expectations
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import cholesky, positive, vector
from nvmix.mixture.em_maps import Mixture


def eta0_from_model(model: Mixture) -> SufficientStatistics:
    r"""What a model expects of one of its rows, :math:`E_0[t(X, Y)]`.

    Parameters
    ----------
    model : Mixture
        The target.

    Returns
    -------
    SufficientStatistics
        Of weight 1, for `Shrinkage`; its log-likelihood is nan.

    Raises
    ------
    TypeError
        If model is not one.
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
    r"""What a model expects of one row if its Sigma is replaced by another.

    Parameters
    ----------
    model : Mixture
        The target, but for Sigma.
    Sigma0 : (d, d) array_like
        Symmetric and positive definite.

    Returns
    -------
    SufficientStatistics
        Of weight 1, for `Shrinkage`.

    Raises
    ------
    TypeError, ValueError
        If Sigma0 is not such a matrix, or the model has infinite expectations.

    References
    ----------
    O. Ledoit and M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
    Journal of Multivariate Analysis 88 (2004), 365-411, for such targets.

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
    r"""What a model expects of one row if its Sigma is replaced by a diagonal one.

    Parameters
    ----------
    model : Mixture
        The target, but for Sigma.
    diag : (d,) array_like
        Diagonal of Sigma, positive.

    Returns
    -------
    SufficientStatistics
        Of weight 1, for `Shrinkage`.

    Raises
    ------
    TypeError, ValueError
        If diag is not d positive numbers, or the model has infinite expectations.

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
    return eta0_with_sigma(model, np.diag(_positive_vector("diag", diag, model.d)))


def eta0_isotropic(model: Mixture, sigma2: float) -> SufficientStatistics:
    r"""What a model expects of one row if its Sigma is replaced by sigma2 times the identity.

    Parameters
    ----------
    model : Mixture
        The target, but for Sigma.
    sigma2 : float
        Positive.

    Returns
    -------
    SufficientStatistics
        Of weight 1, for `Shrinkage`.

    Raises
    ------
    TypeError, ValueError
        If sigma2 is not a positive number, or the model has infinite expectations.

    References
    ----------
    O. Ledoit and M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
    Journal of Multivariate Analysis 88 (2004), 365-411.

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


def _positive_vector(name: str, value: Any, d: int) -> FloatArray:
    """Return (d,) positive numbers."""
    result = vector(name, value, d)
    if not (result > 0.0).all():
        msg = f"{name} must be positive, got {result.tolist()}"
        raise ValueError(msg)
    return result
