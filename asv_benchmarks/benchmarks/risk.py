"""Risks of portfolios."""

import numpy as np

from nvmix import NormalInverseGaussian, risk

D, K = 50, 10_000


class Portfolios:
    """10,000 portfolios of 50 assets, and one of them."""

    params = (("var", "es", "expectile"),)
    param_names = ("measure",)

    def setup(self, measure):
        rng = np.random.default_rng(0)
        A = rng.standard_normal((D, D))
        self.model = NormalInverseGaussian.from_classical(
            mu=0.1 * rng.standard_normal(D), gamma=0.2 * rng.standard_normal(D),
            sigma=A @ A.T / D + np.eye(D), mu_ig=1.0, lam=1.5,
        )  # fmt: skip
        self.weights = rng.dirichlet(np.ones(D), K)
        risk.contributions(self.model, self.weights[0], 0.99, measure)

    def time_contributions(self, measure):
        risk.contributions(self.model, self.weights, 0.99, measure)

    def time_contributions_of_one(self, measure):
        risk.contributions(self.model, self.weights[0], 0.99, measure)
