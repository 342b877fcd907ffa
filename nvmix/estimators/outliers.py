"""Outliers: the rows where the fitted density is lowest."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from nvmix.estimators.density import NormalMixtureEstimator
from nvmix.foundation.validation import real


class NormalMixtureOutliers(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Outlier detector of scikit-learn: rows of low density under a fitted mixture.

    Heavy tails are part of the model, so that large rows are no outliers by their size alone.

    Parameters
    ----------
    estimator : NormalMixtureEstimator or None
        What to fit; None is ``NormalMixtureEstimator()``.
    contamination : float
        Share of the fitted rows that are outliers, above 0 and at most 1/2.

    Attributes
    ----------
    estimator_ : NormalMixtureEstimator
        The fitted estimator.
    offset_ : float
        Log-density below which a row is an outlier.
    n_features_in_ : int
        Number of columns.

    Examples
    --------
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.estimators import NormalMixtureOutliers
    >>> X, _ = load_crude_oil()
    >>> int((NormalMixtureOutliers(contamination=0.01).fit_predict(X) == -1).sum())
    4
    """

    def __init__(
        self, estimator: NormalMixtureEstimator | None = None, *, contamination: float = 0.05
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination

    def fit(self, X: Any, y: Any = None) -> NormalMixtureOutliers:  # noqa: ARG002
        """Fit the density and find the level below which the given share of the rows is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Observations.
        y : Ignored
            Not used.

        Returns
        -------
        NormalMixtureOutliers
            This detector, fitted.

        Raises
        ------
        TypeError, ValueError
            If contamination is outside its domain, or X cannot be fitted.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureOutliers
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> detector = NormalMixtureOutliers(contamination=0.01).fit(X)
        >>> round(detector.offset_, 2)
        -10.83
        """
        share = real("contamination", self.contamination)
        if not 0.0 < share <= 0.5:
            msg = f"contamination must be above 0 and at most 0.5, got {share}"
            raise ValueError(msg)
        estimator = NormalMixtureEstimator() if self.estimator is None else clone(self.estimator)
        self.estimator_ = estimator.fit(X)
        validate_data(self, X, skip_check_array=True)
        self.offset_ = float(np.quantile(self.score_samples(X), share))
        return self

    def score_samples(self, X: Any) -> Any:
        """Log-density of each row, low for outliers.

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
        >>> from nvmix.estimators import NormalMixtureOutliers
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> detector = NormalMixtureOutliers(contamination=0.01).fit(X)
        >>> detector.score_samples([[0.0, 0.0], [40.0, -40.0]]).round(1)
        array([ -4.6, -45.5])
        """
        check_is_fitted(self)
        return self.estimator_.score_samples(X)

    def decision_function(self, X: Any) -> Any:
        """Log-density of each row less that at which outliers begin.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            `score_samples` less `offset_`: negative for outliers.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X does not have the columns of the fit, or is not finite real numbers.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureOutliers
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> detector = NormalMixtureOutliers(contamination=0.01).fit(X)
        >>> detector.decision_function([[0.0, 0.0], [40.0, -40.0]]).round(1)
        array([  6.3, -34.6])
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Any:
        """Whether rows are outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            -1 for outliers and 1 for other rows.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError, ValueError
            If X does not have the columns of the fit, or is not finite real numbers.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureOutliers
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> detector = NormalMixtureOutliers(contamination=0.01).fit(X)
        >>> detector.predict([[0.0, 0.0], [40.0, -40.0]])
        array([ 1, -1])
        """
        return np.where(self.decision_function(X) < 0.0, -1, 1)

    def __sklearn_tags__(self) -> Any:
        """Tags of scikit-learn: nan is allowed where the estimator allows it."""
        tags = super().__sklearn_tags__()
        missing = getattr(self.estimator, "missing", "raise")
        tags.input_tags.allow_nan = missing == "em"
        return tags
