"""Does the law fit? Transforms to uniform variables, and tests of goodness of fit.

- `probability_integral_transform` of one column, and the `rosenblatt` transform of several, make
  independent uniform variables of rows that have the law of a model;
- `goodness_of_fit` tests whether they are, with p-values that allow for the estimated parameters.

Pictures of the same are in `nvmix.utils.plotting`.
"""

from nvmix.diagnostics.goodness import GoodnessOfFit, goodness_of_fit
from nvmix.diagnostics.transforms import probability_integral_transform, rosenblatt

__all__ = [
    "GoodnessOfFit",
    "goodness_of_fit",
    "probability_integral_transform",
    "rosenblatt",
]
