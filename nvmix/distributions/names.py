"""Short names of the families."""

from __future__ import annotations

from typing import Any, Final

from nvmix.distributions.families import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.foundation.validation import one_of

FAMILIES: Final[dict[str, type[NormalMixture]]] = {
    "nig": NormalInverseGaussian,
    "vg": VarianceGamma,
    "skewt": NormalInverseGamma,
    "hyperbolic": Hyperbolic,
    "gh": GeneralizedHyperbolic,
}


def family_of(name: str, family: Any) -> type[NormalMixture]:
    """The family of a key of `FAMILIES`, or the family itself; ValueError for another name.

    name is the parameter that the message names. TypeError for what is not a name, such as data.
    """
    if isinstance(family, type) and issubclass(family, NormalMixture):
        return family
    if not isinstance(family, str):
        got = family.__name__ if isinstance(family, type) else type(family).__name__
        msg = f"{name}, after the data, must be a name such as 'nig' or a family, got {got}"
        raise TypeError(msg)
    return FAMILIES[one_of(name, family, FAMILIES)]
