"""Laws of one column for skfolio."""

from __future__ import annotations

from typing import Any

from skfolio.distribution import BaseUnivariateDist
from sklearn.utils.validation import check_is_fitted

from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.estimators import NormalMixtureEstimator
from nvmix.interop.scipy import MixtureContinuous, scipy_distribution


class MixtureMarginal(BaseUnivariateDist):  # type: ignore[misc]
    """Law of one column for skfolio, such as for ``VineCopula(marginal_candidates=[...])``.

    Parameters
    ----------
    family : str or type
        As of `NormalMixtureEstimator`.
    symmetric : bool
        Whether gamma is held at 0.
    random_state : int, RandomState instance or None
        Source of the draws of ``sample``.

    Attributes
    ----------
    model_ : NormalMixture
        The fitted model.

    Examples
    --------
    >>> from nvmix.interop import MixtureMarginal
    >>> from skfolio.distribution import VineCopula
    >>> vine = VineCopula(marginal_candidates=[MixtureMarginal("nig"), MixtureMarginal("vg")])
    """

    def __init__(
        self,
        family: str | type[NormalMixture] = "nig",
        *,
        symmetric: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(random_state=random_state)
        self.family = family
        self.symmetric = symmetric

    def fit(self, X: Any, y: Any = None) -> MixtureMarginal:  # noqa: ARG002
        """Fit the family to one column by EM.

        Parameters
        ----------
        X : array-like of shape (n_observations, 1)
            Observations.
        y : Ignored
            Not used.

        Returns
        -------
        MixtureMarginal
            This law, fitted.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, or a parameter is outside its domain.

        Examples
        --------
        >>> from nvmix.interop import MixtureMarginal
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> marginal = MixtureMarginal("t").fit(X[:, :1])
        >>> marginal.n_params, float(marginal.ppf(0.01)) < -8.0
        (3, True)
        """
        X = self._validate_X(X, reset=True)
        fitted = NormalMixtureEstimator(self.family, symmetric=self.symmetric).fit(X)
        self.model_, self._n_params = fitted.model_, fitted.n_parameters_
        return self

    @property
    def _scipy_model(self) -> MixtureContinuous:
        check_is_fitted(self)
        return scipy_distribution(self.model_)

    @property
    def _scipy_params(self) -> dict[str, float]:
        return {}

    @property
    def n_params(self) -> int:
        """Number of free parameters."""
        check_is_fitted(self)
        return self._n_params

    @property
    def fitted_repr(self) -> str:
        """The family and its parameters, in one line."""
        check_is_fitted(self)
        return repr(self.model_)
