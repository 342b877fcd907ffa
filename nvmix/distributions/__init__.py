"""The families of normal variance-mean mixtures, and their subordinators."""

from nvmix.distributions.families import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.distributions.members import MultivariateNormal, StudentT
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.mixture.subordinator import Subordinator
from nvmix.mixture.subordinators import GIG, Gamma, InverseGamma, InverseGaussian

__all__ = [
    "GIG",
    "Gamma",
    "GeneralizedHyperbolic",
    "Hyperbolic",
    "InverseGamma",
    "InverseGaussian",
    "MultivariateNormal",
    "NormalInverseGamma",
    "NormalInverseGaussian",
    "NormalMixture",
    "StudentT",
    "Subordinator",
    "VarianceGamma",
]
