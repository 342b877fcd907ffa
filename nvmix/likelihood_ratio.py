"""Likelihood-ratio tests of nested fits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import chdtrc

from nvmix.distributions.families import (
    FAMILIES,
    GeneralizedHyperbolic,
    NormalInverseGamma,
    VarianceGamma,
)
from nvmix.distributions.members import StudentT
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.validation import instance

# Families on the boundary of the generalized hyperbolic, where b = 0 or a = 0.
_AT_THE_BOUNDARY: Final = (VarianceGamma, NormalInverseGamma, StudentT)
# Relative difference of log-likelihoods that is rounding.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """Result of `likelihood_ratio_test`.

    Parameters
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Difference of the numbers of free parameters.
    pvalue : float
        Asymptotic probability, under the null, of a larger statistic.
    null, alternative : str
        Families of the fits, with "symmetric" before the name where gamma was fixed at 0.
    message : str
        Asymptotic distribution that the p-value comes from.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> null, alternative = (nvmix.fit(X, "nig", symmetric=held) for held in (True, False))
    >>> test = nvmix.likelihood_ratio_test(null, alternative)
    >>> test.null, test.df, round(test.pvalue, 3)
    ('symmetric NormalInverseGaussian', 2, 0.057)
    """

    statistic: float
    df: int
    pvalue: float
    null: str
    alternative: str
    message: str


def likelihood_ratio_test(null: EMResult, alternative: EMResult) -> LikelihoodRatioTest:
    r"""Test a fit against a fit with more free parameters to the same data.

    The null must be nested in the alternative: gamma = 0 in gamma free; `NormalInverseGaussian`,
    `Hyperbolic`, `VarianceGamma` and `NormalInverseGamma` in `GeneralizedHyperbolic`; `StudentT` in
    `NormalInverseGamma`; parameters held fixed in free ones. The statistic is asymptotically
    :math:`\chi^2_{df}` under the null. `VarianceGamma` and `NormalInverseGamma` lie on the boundary
    b = 0 or a = 0 of the generalized hyperbolic. Under them half of all fits of the latter end on
    that boundary, and the distribution is the mixture of :math:`\chi^2_{df-1}` and
    :math:`\chi^2_{df}` with weights 1/2.

    Parameters
    ----------
    null, alternative : EMResult
        Fits to the same data. The values at which parameters were fixed are not compared.

    Returns
    -------
    LikelihoodRatioTest
        Statistic, degrees of freedom and p-value.

    Raises
    ------
    TypeError
        If either is not an `EMResult`.
    ValueError
        If the fits are not nested or are to different data, either did not converge, or the null
        has the higher likelihood, in which case the alternative is not at its maximum.

    Warns
    -----
    UserWarning
        If the null lies on the boundary of the alternative.

    Notes
    -----
    The distribution at the boundary requires a score of finite variance: alpha > 1 + d / 4 for
    `VarianceGamma`; for `NormalInverseGamma`, alpha > 2 is sufficient.

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
    df = _degrees_of_freedom(null, alternative)
    statistic = _statistic(null, alternative)
    names = _name(null), _name(alternative)
    pvalue = _tail(df, statistic)
    message = f"chi-squared with {df} degree{'s' if df > 1 else ''} of freedom"
    wide = isinstance(alternative.model, GeneralizedHyperbolic)
    if wide and isinstance(null.model, _AT_THE_BOUNDARY):
        pvalue = 0.5 * (_tail(df - 1, statistic) + pvalue)
        message = f"equal mixture of chi-squared with {df - 1} and {df} degrees of freedom"
        warning = (
            f"{names[0]} lies on the boundary of {names[1]}, where the likelihood ratio is not "
            f"chi-squared: the p-value is of an {message}"
        )
        warnings.warn(warning, stacklevel=2)
    return LikelihoodRatioTest(statistic, df, pvalue, *names, message)


def _name(result: EMResult) -> str:
    """Name of the family of a fit, with "symmetric " before it if gamma was fixed at 0."""
    return ("symmetric " if result.symmetric else "") + type(result.model).__name__


def _check_comparable(null: EMResult, alternative: EMResult) -> None:
    """Raise ValueError if the fits are to different data or either did not converge."""
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
    """Whether two arrays, or None and None, are equal."""
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other, equal_nan=True))


def _degrees_of_freedom(null: EMResult, alternative: EMResult) -> int:
    """Difference of the numbers of parameters; ValueError if the fits are not nested."""
    # Student's t is the symmetric member of the GH skew-t.
    narrow, wide = (
        NormalInverseGamma if isinstance(result.model, StudentT) else type(result.model)
        for result in (null, alternative)
    )
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
    """Twice the difference of log-likelihoods; ValueError if it is negative beyond rounding."""
    gain = alternative.log_likelihood - null.log_likelihood
    if not gain >= -_ROUNDING * (1.0 + abs(null.log_likelihood)):
        msg = (
            f"{_name(null)} has the higher log-likelihood, by {-gain:.3g}, so that "
            f"{_name(alternative)} is not at its maximum: fit it with a smaller tol, or from the "
            "null's model"
        )
        raise ValueError(msg)
    return 2.0 * max(gain, 0.0)


def _tail(df: int, statistic: float) -> float:
    """Probability that chi-squared exceeds the statistic; with df = 0 chi-squared is 0."""
    if df == 0 or statistic == 0.0:
        return float(statistic == 0.0)
    return float(chdtrc(df, statistic))
