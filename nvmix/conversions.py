"""Models from the parameters of other programs, of the family that the parameters belong to."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvmix.distributions.families import (
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.distributions.members import MultivariateNormal, StudentT
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.distributions.parametrisations import law_of_scipy
from nvmix.mixture.subordinators import POINT_MASS


def from_ghyp(**parameters: Any) -> NormalMixture:
    """Model from the parameters of R's package ghyp.

    Parameters
    ----------
    **parameters
        As `NormalMixture.from_ghyp` takes them: ``lambda_``, alpha_bar or chi and psi, mu, sigma
        and gamma.

    Returns
    -------
    NormalMixture
        `VarianceGamma` where chi = 0, `NormalInverseGamma` where psi = 0, `NormalInverseGaussian`
        where ``lambda_`` = -1/2, `Hyperbolic` where it is (d + 1) / 2, and else
        `GeneralizedHyperbolic`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is missing, unknown or outside its domain.

    Examples
    --------
    >>> import nvmix
    >>> model = nvmix.from_ghyp(lambda_=-0.5, alpha_bar=2.0, mu=[0.0, 1.0],
    ...                         sigma=[[1.0, 0.3], [0.3, 2.0]], gamma=[0.1, 0.2])
    >>> type(model).__name__, round(model.mu_ig, 12)
    ('NormalInverseGaussian', 1.0)
    """
    return _narrowed(GeneralizedHyperbolic.from_ghyp(**parameters))


def from_scipy(frozen: Any) -> NormalMixture:
    """Model from a frozen distribution of scipy.stats.

    Parameters
    ----------
    frozen : frozen distribution
        As `NormalMixture.from_scipy` takes it: norminvgauss, genhyperbolic, t, multivariate_t, norm
        or multivariate_normal.

    Returns
    -------
    NormalMixture
        `StudentT`, `MultivariateNormal`, `NormalInverseGaussian` or, as of `from_ghyp`, another.

    Raises
    ------
    TypeError, ValueError
        If frozen is no such distribution, or it is singular.

    Examples
    --------
    >>> import nvmix
    >>> from scipy import stats
    >>> nvmix.from_scipy(stats.t(5.0, scale=2.0)).df
    5.0
    """
    law = law_of_scipy(frozen)
    p, a, b = law[-1]
    if (p, a, b) == POINT_MASS:
        return MultivariateNormal.of_law(*law)
    if a == 0.0 and not np.any(law[1]):
        return StudentT.of_law(*law)
    return _narrowed(GeneralizedHyperbolic.of_law(*law))


def _narrowed(model: NormalMixture) -> NormalMixture:
    """The same law as a member of the smallest family that has its law of Y."""
    theta = p, a, b = model.subordinator.gig
    families: dict[type[NormalMixture], bool] = {
        VarianceGamma: b == 0.0,
        NormalInverseGamma: a == 0.0,
        NormalInverseGaussian: p == -0.5,
        Hyperbolic: p == 0.5 * (model.d + 1),
    }
    for family, is_in in families.items():
        if is_in:
            return family.of_law(model.mu, model.gamma, model.sigma(), theta)
    return model
