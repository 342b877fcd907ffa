"""The base class of the families: a mixture with a starting model from data, and `fit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, Unpack

from nvmix.distributions.convertible import Convertible
from nvmix.fitting.em import BatchEMFitter, batch_fitter
from nvmix.fitting.outcome.ends import warn_unless_converged
from nvmix.fitting.outcome.other_names import OF_MODELS, no_attribute
from nvmix.fitting.outcome.result import EMResult
from nvmix.fitting.settings import FitSettings, with_signature_of
from nvmix.fitting.starts.start import StartingRows
from nvmix.foundation.validation import cholesky, vector
from nvmix.mixture.subordinator import Subordinator
from nvmix.sources.factory import starting_rows
from nvmix.sources.source import ArraySource


@dataclass(frozen=True, eq=False, repr=False)
class NormalMixture(Convertible):
    r"""Normal variance-mean mixture, the base class of the families.

    :math:`X \mid Y \sim N(\mu + \gamma Y, \Sigma Y)` with Y ~ GIG(p, a, b) and
    :math:`q(x) = (x-\mu)^\top\Sigma^{-1}(x-\mu)` has the log-density

    .. math::

        -\tfrac d2 \ln 2\pi - \tfrac12 \ln|\Sigma| + \gamma^\top\Sigma^{-1}(x - \mu)
        + \ln Z(p - \tfrac d2, a + \gamma^\top\Sigma^{-1}\gamma, b + q(x)) - \ln Z(p, a, b),

    where Z(p, a, b) is the integral of :math:`y^{p-1} e^{-(ay + b/y)/2}` over y > 0. Make a model
    with a family's ``from_classical`` or ``default_init``.

    Parameters
    ----------
    mu : (d,) array
        Location.
    gamma : (d,) array
        Skewness.
    L_sigma : (d, d) array
        Lower Cholesky factor of the scale Sigma.
    subordinator : Subordinator
        Distribution of Y.
    columns : tuple of str or None
        Names of the columns of the data; None if it has no names.

    Attributes
    ----------
    law_names : tuple of str
        Names of the parameters of Y in ``from_classical``.
    symmetric_only : bool
        Whether gamma is 0 in every model of the family.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain, or the shapes do not match.

    Notes
    -----
    Models do not change. They are JAX pytrees once JAX is loaded. Where an argument or an attribute
    is a JAX array or a tracer, methods run in JAX and return its arrays.

    References
    ----------
    A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 6.2.

    Examples
    --------
    >>> import nvmix
    >>> model = nvmix.NormalInverseGaussian.from_classical(
    ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]], mu_ig=1.0, lam=2.0)
    >>> model.law_names, model.n_parameters
    (('mu_ig', 'lam'), 8)
    >>> model.linear([0.5, 0.5]).mean()  # of a portfolio
    array([0.75])
    """

    if not TYPE_CHECKING:  # of unknown names a type checker has its own errors

        def __getattr__(self, name: str) -> Any:
            """AttributeError, with the name here of what other packages call so."""
            raise no_attribute(self, name, OF_MODELS)

    @classmethod
    def from_classical(cls, *, mu: Any, gamma: Any, sigma: Any, **law: float) -> Self:
        """Make the model from classical parameters.

        Parameters
        ----------
        mu, gamma : (d,) array_like
            Location and skewness.
        sigma : (d, d) array_like
            Scale, symmetric positive definite.
        **law : float
            Parameters of Y, with the names in the family's docstring.

        Returns
        -------
        NormalMixture
            The model.

        Raises
        ------
        TypeError, ValueError
            If a parameter is missing, unknown or outside its domain.

        Examples
        --------
        >>> from nvmix import VarianceGamma
        >>> model = VarianceGamma.from_classical(
        ...     mu=[0.0, 1.0], gamma=[0.5, 0.0], sigma=[[1.0, 0.3], [0.3, 2.0]],
        ...     alpha=2.0, beta=2.0)
        >>> model.d, model.alpha, model.mean()
        (2, 2.0, array([0.5, 1. ]))
        """
        if set(law) != set(cls.law_names):
            expected, got = ", ".join(cls.law_names), ", ".join(law) or "none"
            msg = f"{cls.__name__}.from_classical takes mu, gamma, sigma, {expected}; got {got}"
            raise TypeError(msg)
        mu = vector("mu", mu)
        gamma = vector("gamma", gamma, mu.size)
        L = cholesky("sigma", sigma, mu.size)
        return cls(mu, gamma, L, cls._subordinator(mu.size, **law))

    @classmethod
    def _subordinator(cls, d: int, **law: float) -> Subordinator:  # noqa: ARG003
        """Subordinator with these parameters, for d columns."""
        return cls._subordinator_type(**law)

    @classmethod
    def default_init(cls, X: Any, *, missing: str = "raise") -> Self:
        """Starting model from data, by the method of moments or from the densest rows.

        The method of moments matches covariance, skewness and kurtosis, with E[Y] = 1. Where the
        data put it in doubt, by tails or clusters, it is compared with two models that have mu and
        Sigma of the densest half and quarter of the rows, gamma = 0, and a Y as variable as the
        other rows ask: a few iterations on some 200 rows show which is the likeliest. For
        `VarianceGamma` and `GeneralizedHyperbolic` see also their docstrings.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations, as for `fit`; the model gets their names of columns. Of many rows at most
            131,072 are used (fewer with more than 32 columns), evenly spaced and without weights.
        missing : {"raise", "em"}
            Whether a row with nan is an error or is left out.

        Returns
        -------
        NormalMixture
            A model to start a fit from.

        Raises
        ------
        TypeError, ValueError
            If X does not have n > d rows of finite real numbers, or has constant or collinear
            columns.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> start = NormalInverseGaussian.default_init(X)
        >>> gain = start.fit(X).model.marginal_log_likelihood(X) - start.marginal_log_likelihood(X)
        >>> 0.0 < gain < 0.1
        True
        """
        return cls._start(starting_rows(X, missing))

    @classmethod
    def _start(cls, rows: ArraySource) -> Self:
        """Starting model from validated rows."""
        if cls is NormalMixture:
            msg = "NormalMixture is not a family: use NormalInverseGaussian or another"
            raise TypeError(msg)
        start = StartingRows(rows.values).start(cls._fixed(rows.values.shape[1]))
        subordinator = cls._subordinator_type.from_gig(*start.theta)
        return cls(*start.normal, subordinator, rows.columns)

    @with_signature_of(BatchEMFitter)
    def fit(
        self, X: Any = None, *, weights: Any = None, **settings: Unpack[FitSettings]
    ) -> EMResult:
        """Fit by EM from this model.

        Parameters
        ----------
        X : (n, d) array_like or source
            Observations; see `nvmix.BatchEMFitter.fit`.
        weights : (n,) array_like or None
            Weight of each row; a Series goes by the index of X, if that has one.
        **settings
            Of `nvmix.BatchEMFitter`.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, or a setting is unknown or outside its domain.

        Warns
        -----
        ConvergenceWarning
            If the fit ends without converging; the message says how and what to try.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> NormalInverseGaussian.default_init(X).fit(X, criterion="likelihood").converged
        True
        """
        # In a call on the class, such as NormalInverseGaussian.fit(X), self is the data.
        model: Any = self
        if not isinstance(model, NormalMixture):
            msg = (
                "fit runs from a starting model: call family.default_init(X).fit(X), or "
                "nvmix.fit(X, family) on the data alone"
            )
            raise TypeError(msg)
        if X is None:
            msg = "X must hold real numbers, got None: model.fit(X) takes the observations"
            raise TypeError(msg)
        result = batch_fitter("fit", settings).run(model, X, weights)
        warn_unless_converged(result, stacklevel=3)
        return result
