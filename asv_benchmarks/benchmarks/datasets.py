"""The one source of data: seeded draws from a normal-inverse Gaussian."""

from functools import cache

import numpy as np

from nvmix import NormalInverseGaussian


def normal_block(d):
    """mu, gamma and sigma of the models that are benchmarked in d dimensions."""
    return {
        "mu": np.zeros(d),
        "gamma": np.linspace(-0.4, 0.4, d),
        "sigma": 0.5 * np.eye(d) + 0.5,
    }


@cache
def simulated(n, d):
    """(n, d) observations, the same in every run."""
    model = NormalInverseGaussian.from_classical(**normal_block(d), mu_ig=1.0, lam=1.5)
    return model.rvs(n, seed=0)
