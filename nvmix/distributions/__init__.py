"""Subordinators, the normal mixture model and its families."""

from nvmix.distributions.families import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.distributions.mixture import NormalMixture
from nvmix.distributions.subordinator import Subordinator
from nvmix.distributions.subordinators import (
    GIG,
    Gamma,
    InverseGamma,
    InverseGaussian,
)

__all__ = [
    "GIG",
    "Gamma",
    "GeneralizedHyperbolic",
    "Hyperbolic",
    "InverseGamma",
    "InverseGaussian",
    "NormalInverseGamma",
    "NormalInverseGaussian",
    "NormalMixture",
    "Subordinator",
    "VarianceGamma",
]
