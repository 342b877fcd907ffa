"""Distribution function and quantiles of models of one column: one point, and 1,000,000."""

import numpy as np

import nvmix

LAWS = {
    "NormalInverseGaussian": {"mu_ig": 1.0, "lam": 1.0},
    "VarianceGamma": {"alpha": 2.0, "beta": 2.0},
    "NormalInverseGamma": {"alpha": 2.0, "beta": 2.0},
    "GeneralizedHyperbolic": {"p": 0.4, "a": 1.3, "b": 0.7},
}


class Univariate:
    """`cdf` and `ppf`."""

    params = (tuple(LAWS), (1, 1_000_000))
    param_names = ("family", "points")

    def setup(self, family, points):
        rng = np.random.default_rng(0)
        law = LAWS[family]
        self.model = getattr(nvmix, family).from_classical(mu=0.0, gamma=0.2, sigma=1.0, **law)
        self.x, self.q = rng.normal(size=points), rng.uniform(size=points)
        self.model.cdf(self.x)
        self.model.ppf(self.q)

    def time_cdf(self, _family, _points):
        self.model.cdf(self.x)

    def time_ppf(self, _family, _points):
        self.model.ppf(self.q)

    def time_entropy(self, _family, points):
        if points == 1:
            self.model.entropy()
