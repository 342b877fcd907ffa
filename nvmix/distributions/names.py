"""Families by name."""

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
    """Return the family that a name stands for, or a family itself.

    Parameters
    ----------
    name : str
        What messages call it.
    family : str or type
        A key of `FAMILIES`, or a subclass of `NormalMixture`.

    Returns
    -------
    type
        The family.

    Raises
    ------
    ValueError
        If family is neither.
    """
    if isinstance(family, type) and issubclass(family, NormalMixture):
        return family
    return FAMILIES[one_of(name, family, FAMILIES)]
