"""What a density estimator says of rows: log-densities, their mean and information criteria."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from nvmix.distributions.normal_mixture import NormalMixture


class Scored(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Density estimator of scikit-learn with a fitted model."""

    missing: str
    model_: NormalMixture
    n_parameters_: int

    def score_samples(self, X: Any) -> Any:
        """Log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Log-densities under the fitted model.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X does not have the columns of the fit, or is not finite real numbers.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureEstimator
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> NormalMixtureEstimator().fit(X).score_samples(X[:2]).round(2)
        array([-5.06, -5.1 ])
        """
        check_is_fitted(self)
        return self.model_.log_prob(self._validated(X, reset=False), missing=self.missing)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:  # noqa: ARG002
        """Mean log-density of the rows, which cross-validation compares.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the mean.

        Returns
        -------
        float
            The mean.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X does not have the columns of the fit, or is not finite real numbers.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureEstimator
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> round(NormalMixtureEstimator().fit(X[:200]).score(X[200:]), 2)
        -6.16
        """
        return float(np.average(self.score_samples(X), weights=sample_weight))

    def aic(self, X: Any) -> float:
        """Akaike's information criterion, 2 k - 2 log L of X with k parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as a rule those of the fit.

        Returns
        -------
        float
            The criterion; low is good.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X does not have the columns of the fit, or is not finite real numbers.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureEstimator
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> [round(NormalMixtureEstimator(name).fit(X).aic(X)) for name in ("t", "normal")]
        [4684, 4744]
        """
        return 2.0 * self.n_parameters_ - 2.0 * float(self.score_samples(X).sum())

    def bic(self, X: Any) -> float:
        """Schwarz's information criterion, k log n - 2 log L of X with k parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as a rule those of the fit.

        Returns
        -------
        float
            The criterion; low is good.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X does not have the columns of the fit, or is not finite real numbers.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureEstimator
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> [round(NormalMixtureEstimator(name).fit(X).bic(X)) for name in ("t", "normal")]
        [4708, 4764]
        """
        terms = self.score_samples(X)
        return float(np.log(len(terms)) * self.n_parameters_ - 2.0 * terms.sum())

    def _validated(self, X: Any, *, reset: bool, ensure_min_samples: int = 1) -> Any:
        """Rows as floats, checked by scikit-learn; with reset, their columns are remembered."""
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite="allow-nan" if self.missing == "em" else True,
            ensure_min_samples=ensure_min_samples,
        )
