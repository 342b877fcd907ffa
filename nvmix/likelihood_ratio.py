"""Likelihood-ratio tests between nested fits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import chdtrc

from nvmix.distributions.families import (
    GeneralizedHyperbolic,
    NormalInverseGamma,
    VarianceGamma,
)
from nvmix.distributions.names import FAMILIES
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.validation import instance

# Families that are the generalized hyperbolic at a limit, where one of its parameters is 0.
_AT_THE_BOUNDARY: Final = (VarianceGamma, NormalInverseGamma)
# Relative difference of log-likelihoods that is rounding.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """A test of a fit against a wider one.

    Parameters
    ----------
    statistic : float
        Twice the gain in log-likelihood.
    df : int
        Number of parameters that the null gives up.
    p_value : float
        Probability under the null of a larger statistic, by its asymptotic law.
    null, alternative : str
        What was fitted.
    message : str
        Which law the p-value is of.
    """

    statistic: float
    df: int
    p_value: float
    null: str
    alternative: str
    message: str


def likelihood_ratio_test(null: EMResult, alternative: EMResult) -> LikelihoodRatioTest:
    r"""Test a fit against a wider one to the same data, within which it is nested.

    Nested are: gamma = 0 within gamma free; `NormalInverseGaussian`, `Hyperbolic`, `VarianceGamma`
    and `NormalInverseGamma` within `GeneralizedHyperbolic`; held parameters within free ones. The
    statistic is :math:`\chi^2_{df}` under the null. The last two families lie on the boundary of
    the generalized hyperbolic, b = 0 or a = 0, which a maximum reaches half of the time: there the
    law is the mixture of :math:`\chi^2_{df-1}` and :math:`\chi^2_{df}` in equal parts.

    Parameters
    ----------
    null, alternative : EMResult
        Fits to the same data. What a held parameter is held at is not compared.

    Returns
    -------
    LikelihoodRatioTest
        Statistic, degrees of freedom and p-value.

    Raises
    ------
    TypeError
        If either is not an `EMResult`.
    ValueError
        If the fits are not nested, are of different data, or either did not converge, or if the
        null has the higher likelihood, so that the alternative is not at its maximum.

    Warns
    -----
    UserWarning
        If the null lies on the boundary of the alternative.

    Notes
    -----
    The law at the boundary needs a score of finite variance there: alpha > 1 + d / 4 for
    `VarianceGamma`, and alpha > 2 is enough for `NormalInverseGamma`.

    References
    ----------
    S. S. Wilks, The large-sample distribution of the likelihood ratio for testing composite
    hypotheses, Annals of Mathematical Statistics 9 (1938), 60-62.

    H. Chernoff, On the distribution of the likelihood ratio, Annals of Mathematical Statistics 25
    (1954), 573-578.

    S. G. Self and K.-Y. Liang, Asymptotic properties of maximum likelihood estimators and
    likelihood ratio tests under nonstandard conditions, Journal of the American Statistical
    Association 82 (1987), 605-610.

    Examples
    --------
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix import compare, likelihood_ratio_test
    >>> X, _ = load_crude_oil()
    >>> skewed, symmetric = sorted(compare(X, "nig"), key=lambda result: result.symmetric)
    >>> likelihood_ratio_test(symmetric, skewed).df
    2
    """
    instance("null", null, EMResult)
    instance("alternative", alternative, EMResult)
    _check_comparable(null, alternative)
    df = _gap(null, alternative)
    statistic = _statistic(null, alternative)
    names = _name(null), _name(alternative)
    if not _on_boundary(null, alternative):
        message = f"chi-squared with {df} degree{'s' if df > 1 else ''} of freedom"
        return LikelihoodRatioTest(statistic, df, _tail(df, statistic), *names, message)
    message = f"equal mixture of chi-squared with {df - 1} and {df} degrees of freedom"
    warnings.warn(
        f"{names[0]} lies on the boundary of {names[1]}, where the likelihood ratio is not "
        f"chi-squared: the p-value is of an {message}",
        stacklevel=2,
    )
    p_value = 0.5 * (_tail(df - 1, statistic) + _tail(df, statistic))
    return LikelihoodRatioTest(statistic, df, p_value, *names, message)


def _name(result: EMResult) -> str:
    """Family of a fit, and whether gamma was held."""
    return ("symmetric " if result.symmetric else "") + type(result.model).__name__


def _check_comparable(null: EMResult, alternative: EMResult) -> None:
    """Raise ValueError where two fits are of different data or have not ended at a maximum."""
    for result in (null, alternative):
        if not result.converged:
            msg = f"the fit of {_name(result)} did not converge: {result.status.message}"
            raise ValueError(msg)
    shapes = [(result.n_observations, result.model.d) for result in (null, alternative)]
    columns = {result.model.columns for result in (null, alternative)} - {None}
    if shapes[0] != shapes[1] or len(columns) > 1:
        msg = (
            f"the fits are of different data: {shapes[0][0]:g} rows of {shapes[0][1]} columns and "
            f"{shapes[1][0]:g} rows of {shapes[1][1]}"
        )
        raise ValueError(f"{msg}, named {columns}" if len(columns) > 1 else msg)
    known = [result.data for result in (null, alternative) if result.data is not None]
    if len(known) == 2 and not all(map(_same, *known)):
        msg = "the fits are of different data: their observations or weights differ"
        raise ValueError(msg)


def _same(one: Any, other: Any) -> bool:
    """Whether two arrays, or two times None, are equal."""
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other, equal_nan=True))


def _gap(null: EMResult, alternative: EMResult) -> int:
    """Number of parameters between nested fits; ValueError where they are not nested."""
    narrow, wide = type(null.model), type(alternative.model)
    contained = narrow is wide or (wide is GeneralizedHyperbolic and narrow in FAMILIES.values())
    df = alternative.n_parameters - null.n_parameters
    if not contained or (alternative.symmetric and not null.symmetric) or df < 1:
        msg = (
            f"{_name(null)} ({null.n_parameters} parameters) is not nested within "
            f"{_name(alternative)} ({alternative.n_parameters} parameters)"
        )
        raise ValueError(msg)
    return df


def _statistic(null: EMResult, alternative: EMResult) -> float:
    """Twice the gain in log-likelihood; ValueError where it is a loss."""
    gain = alternative.log_likelihood - null.log_likelihood
    if not gain >= -_ROUNDING * (1.0 + abs(null.log_likelihood)):
        msg = (
            f"{_name(null)} has the higher log-likelihood, by {-gain:.3g}, so that "
            f"{_name(alternative)} is not at its maximum: fit it with a smaller tol, or from the "
            "null's model"
        )
        raise ValueError(msg)
    return 2.0 * max(gain, 0.0)


def _on_boundary(null: EMResult, alternative: EMResult) -> bool:
    """Whether the null is a limit of the alternative's family."""
    return isinstance(null.model, _AT_THE_BOUNDARY) and isinstance(
        alternative.model, GeneralizedHyperbolic
    )


def _tail(df: int, statistic: float) -> float:
    """Probability that chi-squared exceeds the statistic; with no degree of freedom it is 0."""
    if df == 0 or statistic == 0.0:
        return float(statistic == 0.0)
    return float(chdtrc(df, statistic))
