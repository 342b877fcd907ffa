"""A prior for the portfolios of skfolio.

`nvmix.estimators.NormalMixtureEstimator` itself goes into
``SyntheticData(distribution_estimator=...)``, with ``sample_args={"conditioning": ...}``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc
from skfolio.prior import BasePrior, ReturnDistribution
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from nvmix.estimators import NormalMixtureEstimator
from nvmix.foundation.validation import integer, one_of
from nvmix.mixture.em_maps import Mixture


class MixturePrior(BasePrior):  # type: ignore[misc]
    """Prior of skfolio from a fitted mixture: its exact moments, and scenarios of its law.

    Parameters
    ----------
    estimator : NormalMixtureEstimator or None
        What to fit; None is ``NormalMixtureEstimator(missing="em")``.
    scenarios : {"sobol", "observed"}
        Scrambled Sobol points of the fitted law, or the observations, with the weights of the fit
        and with missing values by their conditional means.
    n_scenarios : int
        Number of Sobol points, best a power of 2.
    random_state : int or None
        Source of their scrambling.

    Attributes
    ----------
    return_distribution_ : skfolio.prior.ReturnDistribution
        Mean, covariance and scenarios; nan for columns without any value.
    estimator_ : NormalMixtureEstimator
        The fitted estimator, of the columns that have values.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix.interop import MixturePrior
    >>> from skfolio import RiskMeasure
    >>> from skfolio.optimization import MeanRisk
    >>> returns = 0.01 * np.random.default_rng(0).standard_t(5, size=(500, 3))
    >>> portfolio = MeanRisk(
    ...     risk_measure=RiskMeasure.CVAR, prior_estimator=MixturePrior(n_scenarios=512))
    >>> round(float(portfolio.fit(returns).weights_.sum()), 6)
    1.0
    """

    def __init__(
        self,
        estimator: NormalMixtureEstimator | None = None,
        *,
        scenarios: str = "sobol",
        n_scenarios: int = 4096,
        random_state: int | None = 0,
    ) -> None:
        self.estimator = estimator
        self.scenarios = scenarios
        self.n_scenarios = n_scenarios
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> MixturePrior:  # noqa: ARG002
        """Fit the mixture and set `return_distribution_`.

        Parameters
        ----------
        X : array-like of shape (n_observations, n_assets)
            Returns; columns and rows without any value are left out.
        y : Ignored
            Not used.
        sample_weight : array-like of shape (n_observations,) or None
            Weights of the fit.

        Returns
        -------
        MixturePrior
            This prior, fitted.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, a parameter is outside its domain, or the law has no covariance.

        Examples
        --------
        >>> from nvmix.interop import MixturePrior
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> prior = MixturePrior(n_scenarios=512).fit(X)
        >>> prior.return_distribution_.returns.shape
        (512, 2)
        """
        one_of("scenarios", self.scenarios, ("sobol", "observed"))
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        has_value = ~np.isnan(X)
        columns, rows = has_value.any(axis=0), has_value.any(axis=1)
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)[rows]
        base = NormalMixtureEstimator(missing="em") if self.estimator is None else self.estimator
        observed = X[np.ix_(rows, columns)]
        self.estimator_ = clone(base).fit(observed, sample_weight=weights)
        model = self.estimator_.model_
        if not np.isfinite(model.cov()).all():
            msg = f"skfolio needs a finite covariance, which {model} does not have: try 'nig'"
            raise ValueError(msg)
        if self.scenarios == "sobol":
            values, weights = sobol_rows(model, self.n_scenarios, self.random_state), None
        else:
            values = model.impute(observed) if np.isnan(observed).any() else observed
        mean, covariance = np.full(X.shape[1], np.nan), np.full((X.shape[1],) * 2, np.nan)
        returns = np.full((len(values), X.shape[1]), np.nan)
        mean[columns], returns[:, columns] = model.mean(), values
        covariance[np.ix_(columns, columns)] = model.cov()
        weights = None if weights is None else weights / weights.sum()
        self.return_distribution_ = ReturnDistribution(mean, covariance, returns, weights)
        return self


def sobol_rows(model: Mixture, n: int, seed: Any) -> Any:
    """Rows (n, d) of the law from scrambled Sobol points: Y by its quantiles, and X given Y."""
    m = (integer("n_scenarios", n, 1) - 1).bit_length()
    u = qmc.Sobol(model.d + 1, rng=seed).random_base2(m)[:n]
    # A point may be 0 in doubles, where quantiles are infinite.
    u = np.maximum(u, 2.0**-54)
    y = model.subordinator.ppf(u[:, :1])
    return model.mu + y * model.gamma + np.sqrt(y) * (ndtri(u[:, 1:]) @ model.L_sigma.T)
