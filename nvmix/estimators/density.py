"""The density estimator: a family, fitted by EM, with the interface of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from nvmix.distributions.families import family_of
from nvmix.distributions.members import MultivariateNormal
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.estimators.conditioning import conditional_rows
from nvmix.estimators.scores import Scored
from nvmix.fitting.em import BatchEMFitter
from nvmix.fitting.incremental.fitter import IncrementalEMFitter
from nvmix.fitting.outcome.ends import warn_unless_converged
from nvmix.foundation.typing import Columns
from nvmix.foundation.validation import generator, integer
from nvmix.sources.frames import each_once
from nvmix.sources.observations import sample

# Settings that incremental EM does not have, and their values without effect.
_OF_BATCHES: Final = {"symmetric": False, "fixed": None, "bounded": False, "missing": "raise"}


def _takes_batches(estimator: Any) -> bool:
    """Whether an estimator has `partial_fit`; AttributeError, which says why, if not."""
    for name, value in _OF_BATCHES.items():
        if getattr(estimator, name) != value:
            msg = f"{name} must be {value!r} for partial_fit, got {getattr(estimator, name)!r}"
            raise AttributeError(msg)
    if estimator.family in ("normal", MultivariateNormal):
        msg = "family must not be 'normal' for partial_fit: its fit is in closed form, by fit(X)"
        raise AttributeError(msg)
    return True


class NormalMixtureEstimator(Scored):
    """Normal variance-mean mixture as a density estimator of scikit-learn.

    Parameters
    ----------
    family : str or type
        "nig", "vg", "skewt", "hyperbolic", "gh", "t" or "normal", or the class.
    symmetric, fixed, bounded, missing, criterion, tol, max_iter, n_init, acceleration, verbose
        Settings of `nvmix.BatchEMFitter`. With ``missing="em"``, X may have nan.
    warm_start : bool
        Whether `fit` starts from the model of the fit before, if it is of this family.
    random_state : int, RandomState instance or None
        Source of the draws of `sample`, and of the starts of `fit` where n_init is above 1.

    Attributes
    ----------
    model_ : NormalMixture
        The fitted model, with `feature_names_in_` as its columns.
    mean_ : ndarray of shape (n_features,)
        Mean of the model; inf or nan where it does not exist.
    covariance_ : ndarray of shape (n_features, n_features)
        Covariance of the model, likewise.
    result_ : EMResult
        The record of the fit; a pickle leaves its data out. Not after ``partial_fit``.
    converged_ : bool
        Whether the fit converged. Not after ``partial_fit``.
    n_iter_ : int
        Iterations of the fit, or steps of ``partial_fit``.
    n_parameters_ : int
        Number of free parameters.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if they are strings.

    See Also
    --------
    nvmix.fit : The same fit without scikit-learn, with all settings.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix.estimators import NormalMixtureEstimator
    >>> from sklearn.model_selection import GridSearchCV
    >>> X = np.random.default_rng(0).standard_t(4, size=(500, 2))
    >>> search = GridSearchCV(NormalMixtureEstimator(symmetric=True), {"family": ["t", "normal"]})
    >>> search.fit(X).best_params_
    {'family': 't'}
    """

    def __init__(
        self,
        family: str | type[NormalMixture] = "nig",
        *,
        symmetric: bool = False,
        fixed: Mapping[str, Any] | None = None,
        bounded: bool = False,
        missing: str = "raise",
        criterion: str = "parameters",
        tol: float | None = None,
        max_iter: int = 200,
        n_init: int = 1,
        acceleration: str = "auto",
        verbose: int = 0,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.family = family
        self.symmetric = symmetric
        self.fixed = fixed
        self.bounded = bounded
        self.missing = missing
        self.criterion = criterion
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.acceleration = acceleration
        self.verbose = verbose
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NormalMixtureEstimator:  # noqa: ARG002
        """Fit the family to X by EM.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Observations.
        y : Ignored
            Not used.
        sample_weight : array-like of shape (n_samples,) or None
            Weight of each row, nonnegative: 2 counts for two such rows.

        Returns
        -------
        NormalMixtureEstimator
            This estimator, fitted.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, or a parameter is outside its domain.

        Warns
        -----
        nvmix.ConvergenceWarning
            If the fit ends without converging; the message says how and what to try.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureEstimator
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> fitted = NormalMixtureEstimator("t").fit(X)
        >>> fitted.converged_, round(fitted.model_.df, 1)
        (True, 5.3)
        """
        family, fitter = family_of("family", self.family), self._fitter()
        X = self._validated(X, reset=True, ensure_min_samples=2)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        start = getattr(self, "model_", None) if self.warm_start else None
        rows = sample(X, columns=self._names(), missing=fitter.missing, weights=sample_weight)
        if type(start) is not family or start.d != X.shape[1]:
            start = family.default_init(rows.values, missing=fitter.missing)
        self.result_ = fitter.run_source(replace(start, columns=None), rows)
        self.converged_, self.n_iter_ = bool(self.result_.converged), self.result_.n_iter
        self._stream: Any = None
        self._set_model(self.result_.model, self.result_.n_parameters)
        warn_unless_converged(self.result_, stacklevel=3)
        return self

    @available_if(_takes_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None) -> NormalMixtureEstimator:  # noqa: ARG002
        """Take one step of incremental EM on a batch, from the fitted model or a start from X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Observations, in the first call more than columns.
        y : Ignored
            Not used.

        Returns
        -------
        NormalMixtureEstimator
            This estimator.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted.
        AttributeError
            If symmetric, fixed, bounded or missing is set, which steps on batches do not have.

        Examples
        --------
        >>> from nvmix.estimators import NormalMixtureEstimator
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> estimator = NormalMixtureEstimator()
        >>> for batch in (X[:100], X[100:200], X[200:]):
        ...     estimator = estimator.partial_fit(batch)
        >>> estimator.n_iter_
        3
        """
        is_first = not hasattr(self, "model_")
        X = self._validated(X, reset=is_first, ensure_min_samples=2 if is_first else 1)
        if getattr(self, "_stream", None) is None:
            family = family_of("family", self.family)
            start = family.default_init(X) if is_first else replace(self.model_, columns=None)
            self._stream = IncrementalEMFitter()
            self._stream.partial_fit(X, model=start)
            for name in {"result_", "converged_"} & vars(self).keys():
                delattr(self, name)
        else:
            self._stream.partial_fit(X)
        self.n_iter_ = self._stream.n_steps
        model: Any = self._stream.model
        self._set_model(model, model.n_parameters)
        return self

    def sample(self, n_samples: int = 1, *, conditioning: Any = None) -> Any:
        """Draw rows from the fitted model, or from its exact conditional law.

        Parameters
        ----------
        n_samples : int
            How many.
        conditioning : mapping or None
            What is known of some columns, by name or position: a number, an array of n_samples
            numbers, or a tuple (low, high), where None is no end.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Independent rows, with the same bits in each call if random_state is an int.

        Raises
        ------
        TypeError, ValueError
            If an argument is outside its domain, or ranges have a probability of almost 0.

        Examples
        --------
        >>> from nvmix.datasets import load_crude_oil
        >>> from nvmix.estimators import NormalMixtureEstimator
        >>> X, _ = load_crude_oil()
        >>> fitted = NormalMixtureEstimator(random_state=0).fit(X)
        >>> stressed = fitted.sample(1000, conditioning={0: (None, -10.0)})
        >>> stressed.shape, bool(stressed[:, 0].max() <= -10.0)
        ((1000, 2), True)
        """
        check_is_fitted(self)
        n = integer("n_samples", n_samples, 1)
        rng = generator(check_random_state(self.random_state), "random_state")
        if not conditioning:
            return self.model_.rvs(n, rng)
        return conditional_rows(self.model_, n, conditioning, rng)

    def _fitter(self) -> BatchEMFitter:
        """The fitter with the settings."""
        random = check_random_state(self.random_state)
        names = (
            "symmetric", "fixed", "bounded", "missing", "criterion", "tol", "max_iter", "n_init",
            "acceleration", "verbose",
        )  # fmt: skip
        fitter = BatchEMFitter(**{name: getattr(self, name) for name in names})
        if fitter.n_init > 1:
            fitter.seed = int(random.randint(2**31 - 1))
        return fitter

    def _names(self) -> Columns:
        """Names of the columns, if they are strings; ValueError for one that is there twice."""
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else each_once(names)

    def _set_model(self, model: Any, n_parameters: int) -> None:
        """Set the fitted attributes that follow from a model."""
        self.model_ = replace(model, columns=self._names())
        self.mean_, self.covariance_ = self.model_.mean(), self.model_.cov()
        self.n_parameters_ = n_parameters

    def __sklearn_tags__(self) -> Any:
        """Tags of scikit-learn: whether nan is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "em"
        return tags
