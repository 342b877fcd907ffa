"""Risk of portfolios: from the law of returns to a decision.

X are the returns of d assets, and a portfolio with weights w has the **loss -w'X: losses are
positive**, and so are the risks of a portfolio that may lose money.

- `value_at_risk`, `expected_shortfall` and `expectile` of one portfolio, or of thousands at once;
- `contributions` of the assets to them, which sum to the total, and `gradient` in the weights;
- `hessian` of the expected shortfall;
- `tail_probability`, `entropic` and `omega_ratio`;
- `minimum_risk_weights`, and `standard_error` of a risk that was estimated.

All are exact up to rounding: a portfolio of a normal variance-mean mixture is such a mixture of one
column.
"""

from nvmix.risk.curvature import hessian
from nvmix.risk.estimation import standard_error
from nvmix.risk.homogeneous import (
    contributions,
    expected_shortfall,
    expectile,
    gradient,
    value_at_risk,
)
from nvmix.risk.optimal import minimum_risk_weights
from nvmix.risk.others import entropic, omega_ratio, tail_probability

__all__ = [
    "contributions",
    "entropic",
    "expected_shortfall",
    "expectile",
    "gradient",
    "hessian",
    "minimum_risk_weights",
    "omega_ratio",
    "standard_error",
    "tail_probability",
    "value_at_risk",
]
