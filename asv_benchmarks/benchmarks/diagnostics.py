"""Rosenblatt transforms, and tests of goodness of fit with refits."""

from nvmix import NormalInverseGaussian, fit
from nvmix.diagnostics import goodness_of_fit, rosenblatt

from .datasets import normal_block, simulated


class Rosenblatt:
    """The transform, by rows and columns."""

    params = (((1_000, 1), (10_000, 5), (10_000, 50)),)
    param_names = ("shape",)

    def setup(self, shape):
        n, d = shape
        self.X = simulated(n, d)
        self.model = NormalInverseGaussian.from_classical(**normal_block(d), mu_ig=1.0, lam=1.5)
        rosenblatt(self.model, self.X[:10])

    def time_rosenblatt(self, _shape):
        rosenblatt(self.model, self.X)


class GoodnessOfFit:
    """100 refits of 1,000 rows."""

    params = ((1, 5), ("nig", "gh"))
    param_names = ("columns", "family")

    def setup(self, columns, family):
        self.result = fit(simulated(1_000, columns), family)
        goodness_of_fit(self.result, n_simulations=2)

    def time_goodness_of_fit(self, _columns, _family):
        goodness_of_fit(self.result, n_simulations=100)
