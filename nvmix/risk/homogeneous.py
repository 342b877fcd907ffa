"""Value at risk, expected shortfall and expectile, with contributions and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvmix.foundation.linalg import rows_times
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import one_of
from nvmix.risk.measures import MEASURES, Parts, parts_of_many
from nvmix.risk.portfolios import Portfolios, fraction, portfolios, product


def value_at_risk(model: Any, weights: Any, level: float = 0.99) -> Any:
    """Value at risk: the quantile of the loss -w'X at a level, positive where it is a loss.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as `NormalMixture.linear` takes them; a mapping or Series has
        weights by column, and those it does not name are 0.
    level : float
        Probability that the loss is at most the value at risk, between 0 and 1.

    Returns
    -------
    float or (k,) array
        x with P(-w'X <= x) = level, in the units of X. The error is 1e-12 relative to the size of
        the loss.

    Raises
    ------
    TypeError, ValueError
        If model is no model or JAX traces it, weights are not finite numbers of these shapes, name
        an unknown column or are all 0, or level is not between 0 and 1.

    See Also
    --------
    nvmix.risk.expected_shortfall : The mean loss beyond it.
    nvmix.risk.contributions : What each asset adds to it.

    References
    ----------
    A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 2.3.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, risk
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.1, 0.2], gamma=[0.0, -0.1], sigma=[[1.0, 0.5], [0.5, 2.0]],
    ...     mu_ig=1.0, lam=1.5)
    >>> round(risk.value_at_risk(model, [0.6, 0.4]), 6)
    2.456338
    """
    return _value(model, weights, level, "var")


def expected_shortfall(model: Any, weights: Any, level: float = 0.99) -> Any:
    """Expected shortfall: the mean of the losses -w'X beyond the value at risk.

    It is also called conditional value at risk. In closed form it is a tail probability and a
    density of another mixture, in which p is greater by 1.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    level : float
        Probability that the loss is at most the value at risk, between 0 and 1.

    Returns
    -------
    float or (k,) array
        E[-w'X | -w'X >= value at risk], in the units of X, positive where it is a loss; inf where
        it is infinite, as of a `NormalInverseGamma` with alpha <= 1 whose skewness is towards
        losses.

    Raises
    ------
    TypeError, ValueError
        As for `value_at_risk`.

    See Also
    --------
    nvmix.risk.contributions : What each asset adds to it.
    nvmix.risk.standard_error : Its error of estimation.

    References
    ----------
    C. Acerbi and D. Tasche, On the coherence of expected shortfall, Journal of Banking & Finance 26
    (2002), 1487-1503.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, risk
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.1, 0.2], gamma=[0.0, -0.1], sigma=[[1.0, 0.5], [0.5, 2.0]],
    ...     mu_ig=1.0, lam=1.5)
    >>> round(risk.expected_shortfall(model, [0.6, 0.4]), 6)
    3.100901
    """
    return _value(model, weights, level, "es")


def expectile(model: Any, weights: Any, level: float = 0.99) -> Any:
    """Expectile of the loss -w'X: the e at which losses beyond e and gains below it balance.

    level E[max(-w'X - e, 0)] = (1 - level) E[max(e + w'X, 0)]; at level 1/2 it is the mean. From
    1/2 on it is coherent.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    level : float
        Between 0 and 1.

    Returns
    -------
    float or (k,) array
        Expectiles, positive where they are a loss; inf or -inf where the mean loss is.

    Raises
    ------
    TypeError, ValueError
        As for `value_at_risk`, or if both E[max(-w'X, 0)] and E[max(w'X, 0)] are infinite.

    References
    ----------
    F. Bellini and V. Bignozzi, On elicitable risk measures, Quantitative Finance 15 (2015),
    725-733.

    Examples
    --------
    >>> from nvmix import MultivariateNormal, risk
    >>> model = MultivariateNormal.from_classical(mu=[0.1], sigma=[[4.0]])
    >>> round(risk.expectile(model, [1.0], 0.5), 12)
    -0.1
    """
    return _value(model, weights, level, "expectile")


def gradient(model: Any, weights: Any, level: float = 0.99, measure: str = "es") -> Any:
    """Derivatives of a risk by the weights, exact, at weights of 0 too.

    That by w_i is E[-X_i | loss = value at risk] of the value at risk, and
    E[-X_i | loss >= value at risk] of the expected shortfall.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    level : float
        Level of the risk, between 0 and 1.
    measure : {"es", "var", "expectile"}
        `expected_shortfall`, `value_at_risk` or `expectile`.

    Returns
    -------
    (d,) or (k, d) array, dict, Series or DataFrame
        Derivatives in the order of the model's columns; inf or -inf where those means are. Of
        weights by column they have the names of all columns: a dict of a mapping, a Series of a
        Series, a DataFrame of a DataFrame.

    Raises
    ------
    TypeError, ValueError
        As for `value_at_risk`, or if measure is another.

    References
    ----------
    D. Tasche, Risk contributions and performance measurement, Technische Universität München,
    1999.

    Examples
    --------
    >>> from nvmix import MultivariateNormal, risk
    >>> model = MultivariateNormal.from_classical(mu=[0.1, 0.2], sigma=[[1.0, 0.5], [0.5, 2.0]])
    >>> risk.gradient(model, [1.0, 0.0], 0.99, "var").round(6)
    array([2.226348, 0.963174])
    """
    chosen = portfolios(model, weights)
    return chosen.like(weights, risk_gradient(chosen, parts_at(chosen, level, measure)))


def contributions(model: Any, weights: Any, level: float = 0.99, measure: str = "es") -> Any:
    """Euler contributions of the assets to the risk of a portfolio, which sum to it.

    That of asset i is w_i times the derivative by w_i; see `gradient`.

    Parameters
    ----------
    model : NormalMixture or EMResult
        Law of the returns X of d assets, or a fit of it.
    weights : (d,) or (k, d) array_like, mapping, Series or DataFrame
        One portfolio or k of them, as for `value_at_risk`.
    level : float
        Level of the risk, between 0 and 1.
    measure : {"es", "var", "expectile"}
        `expected_shortfall`, `value_at_risk` or `expectile`.

    Returns
    -------
    (d,) or (k, d) array, dict, Series or DataFrame
        Contributions in the order of the model's columns, negative for an asset that hedges. Their
        sum is the risk to 1e-12 of the largest; they may be infinite with both signs. Names are as
        of `gradient`.

    Raises
    ------
    TypeError, ValueError
        As for `gradient`.

    See Also
    --------
    nvmix.utils.plotting.plot_contributions : A picture of them.

    References
    ----------
    D. Tasche, Risk contributions and performance measurement, Technische Universität München,
    1999.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian, risk
    >>> model = NormalInverseGaussian.from_classical(
    ...     mu=[0.1, 0.2], gamma=[0.0, -0.1], sigma=[[1.0, 0.5], [0.5, 2.0]],
    ...     mu_ig=1.0, lam=1.5)
    >>> parts = risk.contributions(model, [0.6, 0.4])
    >>> parts.round(6), round(float(parts.sum()), 6)
    (array([1.575555, 1.525346]), 3.100901)
    """
    chosen = portfolios(model, weights)
    return chosen.like(weights, contributions_of(chosen, level, measure))


def _value(model: Any, weights: Any, level: Any, measure: str) -> Any:
    """A risk measure."""
    chosen = portfolios(model, weights)
    return chosen.shaped(value_of(chosen, parts_at(chosen, level, measure)))


def contributions_of(chosen: Portfolios, level: Any, measure: str) -> FloatArray:
    """Contributions (k, d)."""
    derivatives = risk_gradient(chosen, parts_at(chosen, level, measure))
    # An asset of weight 0 contributes nothing.
    return product(chosen.weights, derivatives)


def value_of(chosen: Portfolios, parts: Parts) -> FloatArray:
    """Risks (k,) from their parts."""
    standard: FloatArray = product(chosen.delta, parts.mixing) + parts.normal
    return chosen.location + chosen.scale * standard


def risk_gradient(chosen: Portfolios, parts: Parts) -> FloatArray:
    """Derivatives (k, d) of risks by the weights, from the parts of the risks."""
    by_scale = rows_times(chosen.direction, chosen.model.L_sigma)
    mixing = product(chosen.model.gamma, parts.mixing[:, None])
    return product(by_scale, parts.normal[:, None]) - mixing - chosen.model.mu


def parts_at(chosen: Portfolios, level: Any, measure: str) -> Parts:
    """Parts (k,) of a measure by name, at a validated level."""
    kind = MEASURES[one_of("measure", measure, MEASURES)]
    level = fraction("level", level)
    parts = parts_of_many(kind, chosen.model.subordinator, chosen.delta, level)
    if np.isnan(parts.mixing).any() or np.isnan(parts.normal).any():
        msg = f"measure must exist for these weights, got {measure!r}, which is not defined"
        raise ValueError(msg)
    return parts
