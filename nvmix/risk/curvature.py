"""Second derivatives of expected shortfall by the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvmix.risk.portfolios import fraction, portfolios, product
from nvmix.risk.standard_loss import standard_losses


def hessian(model: Any, weights: Any, level: float = 0.99) -> Any:
    r"""Second derivatives of the expected shortfall by the weights, exact.

    They are the covariance of X given that the loss is the value at risk q, times the density of
    the loss at q over 1 - level, as follows from differentiating `gradient`. With
    :math:`\beta = \Sigma w / w^\top\Sigma w` that covariance is
    :math:`E[Y \mid q] (\Sigma - \Sigma w \beta^\top) + Var[Y \mid q] c c^\top`, where
    :math:`c = \gamma - \beta w^\top\gamma`.

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
    (d, d) or (k, d, d) array
        Positive semidefinite matrices, which map the weights to 0; infinite where Var[Y | q] is.

    Raises
    ------
    TypeError, ValueError
        As for `value_at_risk`.

    See Also
    --------
    nvmix.risk.gradient : First derivatives.

    References
    ----------
    D. Tasche, Risk contributions and performance measurement, Technische Universität München,
    1999.

    Examples
    --------
    >>> from nvmix import MultivariateNormal, risk
    >>> model = MultivariateNormal.from_classical(mu=[0.0, 0.0], sigma=[[1.0, 0.0], [0.0, 4.0]])
    >>> risk.hessian(model, [1.0, 0.0]).round(6)  # the second weight adds risk in second order
    array([[ 0.      ,  0.      ],
           [ 0.      , 10.660857]])
    """
    chosen, level = portfolios(model, weights), fraction("level", level)
    sigma, gamma = chosen.model.sigma(), chosen.model.gamma
    laws = standard_losses(chosen.model.subordinator, chosen.delta)
    mean, variance = np.array([law.around(law.quantile(level)) for law in laws]).T
    by_scale = chosen.direction @ chosen.model.L_sigma.T
    slope = gamma + chosen.delta[:, None] * by_scale
    given_y = product(sigma - _squares(by_scale), mean[:, None, None])
    of_y = product(_squares(slope), variance[:, None, None])
    density = 1.0 / (chosen.scale * (1.0 - level))
    values = (given_y + of_y) * density[:, None, None]
    return values[0] if chosen.is_one else values


def _squares(x: Any) -> Any:
    """x_i x_i' of rows (k, d)."""
    return x[:, :, None] * x[:, None, :]
