"""The families and their names: for each the subordinator, its parameters and a starting model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nvmix.backends.types import Fixed
from nvmix.distributions.members import MultivariateNormal, StudentT
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.foundation.validation import one_of
from nvmix.mixture.subordinator import Subordinator
from nvmix.mixture.subordinators import GIG, Gamma, InverseGamma, InverseGaussian


def _of_y(name: str, doc: str) -> Any:
    """Read-only property: the subordinator's parameter of that name."""
    return property(lambda model: model.subordinator.parameters[name], doc=doc)


@dataclass(frozen=True, eq=False, repr=False)
class VarianceGamma(NormalMixture):
    """Variance gamma: Y ~ Gamma(alpha, beta), GIG(alpha, 2 beta, 0).

    Make one from data with ``nvmix.fit(X, "vg").model``, or with ``VarianceGamma.from_classical``
    from mu, gamma, sigma, alpha and beta, shape and rate of Y, positive. The density is infinite at
    mu when alpha <= d / 2. See `NormalMixture` for the attributes.

    Notes
    -----
    If alpha < d / 2 + 1, E[1/Y | x] is infinite at x = mu, and EM moves mu to a row near it.
    ``default_init`` therefore first does ten iterations of the generalized hyperbolic, where it
    is finite, and then gives Y the gamma distribution with the same E[log Y] and E[Y].

    References
    ----------
    D. B. Madan and E. Seneta, The variance gamma model for share market returns, Journal of
    Business 63 (1990), 511-524.

    Examples
    --------
    >>> from nvmix import VarianceGamma
    >>> model = VarianceGamma.from_classical(
    ...     mu=[0.0], gamma=[0.2], sigma=[[1.0]], alpha=2.0, beta=2.0)
    >>> model.mean()
    array([0.2])
    """

    _subordinator_type: ClassVar[type[Subordinator]] = Gamma
    law_names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    alpha = _of_y("alpha", "Shape of the gamma distribution of Y.")
    beta = _of_y("beta", "Rate of the gamma distribution of Y.")


@dataclass(frozen=True, eq=False, repr=False)
class NormalInverseGamma(NormalMixture):
    """GH skew-t: Y ~ InverseGamma(alpha, beta), GIG(-alpha, 0, 2 beta).

    Make one from data with ``nvmix.fit(X, "skewt").model``, or with
    ``NormalInverseGamma.from_classical`` from mu, gamma, sigma, alpha and beta, shape and scale of
    Y, positive. With gamma = 0 it is Student's t with 2 alpha degrees of freedom. It is not the
    Bayesian prior of a mean and a variance that has the same name. See `NormalMixture` for the
    attributes.

    References
    ----------
    K. Aas and I. H. Haff, The generalized hyperbolic skew Student's t-distribution, Journal of
    Financial Econometrics 4 (2006), 275-309.

    Examples
    --------
    >>> from nvmix import NormalInverseGamma
    >>> student = NormalInverseGamma.from_classical(
    ...     mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=2.0, beta=2.0)
    >>> round(student.pdf(0.0), 12)  # Student's t with 4 degrees of freedom
    0.375
    """

    _subordinator_type: ClassVar[type[Subordinator]] = InverseGamma
    law_names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    alpha = _of_y("alpha", "Shape of the inverse gamma distribution of Y.")
    beta = _of_y("beta", "Scale of the inverse gamma distribution of Y.")


@dataclass(frozen=True, eq=False, repr=False)
class NormalInverseGaussian(NormalMixture):
    """Normal-inverse Gaussian: Y ~ InverseGaussian(mu_ig, lam), GIG(-1/2, lam / mu_ig^2, lam).

    Make one from data with ``nvmix.fit(X, "nig").model``, or with
    ``NormalInverseGaussian.from_classical`` from mu, gamma, sigma, mu_ig and lam, mean and shape of
    Y, positive. See `NormalMixture` for the attributes.

    References
    ----------
    O. E. Barndorff-Nielsen, Normal inverse Gaussian distributions and stochastic volatility
    modelling, Scandinavian Journal of Statistics 24 (1997), 1-13.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian
    >>> true = NormalInverseGaussian.from_classical(
    ...     mu=[0.0, 0.0], gamma=[0.4, -0.3], sigma=[[1.0, 0.3], [0.3, 1.0]],
    ...     mu_ig=1.0, lam=1.5)
    >>> X = true.rvs(2000, seed=0)
    >>> result = NormalInverseGaussian.default_init(X).fit(X)
    >>> result.converged
    True
    """

    _subordinator_type: ClassVar[type[Subordinator]] = InverseGaussian
    law_names: ClassVar[tuple[str, ...]] = ("mu_ig", "lam")
    mu_ig = _of_y("mu_ig", "Mean of the inverse Gaussian distribution of Y.")
    lam = _of_y("lam", "Shape of the inverse Gaussian distribution of Y.")


@dataclass(frozen=True, eq=False, repr=False)
class GeneralizedHyperbolic(NormalMixture):
    """Generalized hyperbolic: Y ~ GIG(p, a, b).

    Make one from data with ``nvmix.fit(X, "gh").model``, or with
    ``GeneralizedHyperbolic.from_classical`` from mu, gamma, sigma, and p, a and b of Y: a and b
    nonnegative, a = 0 needs p < 0, b = 0 needs p > 0. The limits b = 0 (variance gamma) and a = 0
    (GH skew-t) belong to the family, and a fit may end there. See `NormalMixture` for the
    attributes.

    Notes
    -----
    ``default_init`` takes that of `NormalInverseGaussian`, or, for data that put the method of
    moments in doubt, the likeliest of those of `NormalInverseGaussian`, `NormalInverseGamma` and
    `Hyperbolic` after a few iterations.

    A fit of rows in memory is at least as likely as `NormalInverseGaussian`, `NormalInverseGamma`,
    `Hyperbolic` and `VarianceGamma` from their default starts, with the same settings: after its
    end it runs a few iterations of each, to the end those that may become likelier, and goes on
    from one that does. ``n_passes`` counts them all. `BatchEMFitter` says when not.

    References
    ----------
    A. J. McNeil, R. Frey and P. Embrechts, Quantitative Risk Management, 2015, section 6.2.

    Examples
    --------
    >>> from nvmix import GeneralizedHyperbolic
    >>> model = GeneralizedHyperbolic.from_classical(
    ...     mu=[0.1, -0.2, 0.3], gamma=[0.3, -0.2, 0.1],
    ...     sigma=[[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]], p=0.5, a=1.5, b=1.5)
    >>> round(model.log_prob([0.0, 0.0, 0.0]), 12)
    -2.87749461087
    """

    _subordinator_type: ClassVar[type[Subordinator]] = GIG
    law_names: ClassVar[tuple[str, ...]] = ("p", "a", "b")
    p = _of_y("p", "Order of the GIG distribution of Y.")
    a = _of_y("a", "Coefficient of -y / 2 in the exponent of the GIG distribution of Y.")
    b = _of_y("b", "Coefficient of -1 / (2 y) in the exponent of the GIG distribution of Y.")


@dataclass(frozen=True, eq=False, repr=False)
class Hyperbolic(NormalMixture):
    """Hyperbolic: Y ~ GIG((d + 1) / 2, a, b), the generalized hyperbolic with linear log-tails.

    Make one from data with ``nvmix.fit(X, "hyperbolic").model``, or with
    ``Hyperbolic.from_classical`` from mu, gamma, sigma, and a and b of Y, a positive and b
    nonnegative. See `NormalMixture` for the attributes.

    References
    ----------
    O. E. Barndorff-Nielsen, Exponentially decreasing distributions for the logarithm of particle
    size, Proceedings of the Royal Society of London A 353 (1977), 401-419.

    Examples
    --------
    >>> from nvmix import Hyperbolic
    >>> model = Hyperbolic.from_classical(mu=[0.0], gamma=[0.0], sigma=[[1.0]], a=1.0, b=1.0)
    >>> model.p
    1.0
    """

    _subordinator_type: ClassVar[type[Subordinator]] = GIG
    law_names: ClassVar[tuple[str, ...]] = ("a", "b")
    p = _of_y("p", "Order of the GIG distribution of Y, (d + 1) / 2.")
    a = _of_y("a", "Coefficient of -y / 2 in the exponent of the GIG distribution of Y.")
    b = _of_y("b", "Coefficient of -1 / (2 y) in the exponent of the GIG distribution of Y.")

    @classmethod
    def _subordinator(cls, d: int, **law: float) -> Subordinator:
        return GIG(0.5 * (d + 1), **law)

    @classmethod
    def _fixed(cls, d: int) -> Fixed:
        return Fixed(p=0.5 * (d + 1))


SkewStudentT = NormalInverseGamma
NIG, VG, GH = NormalInverseGaussian, VarianceGamma, GeneralizedHyperbolic

# Short names of the families.
FAMILIES: Final[dict[str, type[NormalMixture]]] = {
    "nig": NormalInverseGaussian,
    "vg": VarianceGamma,
    "skewt": NormalInverseGamma,
    "hyperbolic": Hyperbolic,
    "gh": GeneralizedHyperbolic,
}
# Other names that are accepted, in lower case and without spaces, hyphens and underscores; so are
# short names, and those of the classes.
_ALIASES: Final[dict[str, type[NormalMixture]]] = {
    "skewstudentt": NormalInverseGamma,
    "hyp": Hyperbolic,
    "ghyp": GeneralizedHyperbolic,
    "t": StudentT,
    "student": StudentT,
    "normal": MultivariateNormal,
    "gaussian": MultivariateNormal,
}
# What a comparison of all families fits.
ALL: Final[tuple[type[NormalMixture], ...]] = (*FAMILIES.values(), MultivariateNormal)
_CLASSES: Final[list[type[NormalMixture]]] = [*ALL, StudentT]
_BY_CLASS: Final = {family.__name__.lower(): family for family in _CLASSES}
# Names in messages.
_NAMES: Final = (*FAMILIES, "t", "normal")


def family_of(name: str, family: Any) -> type[NormalMixture]:
    """The family of a name, in upper or lower case, or the family itself; else ValueError.

    name is the parameter that the message names. TypeError for what is not a name, such as data.
    """
    if isinstance(family, type) and issubclass(family, NormalMixture):
        return family
    if not isinstance(family, str):
        got = family.__name__ if isinstance(family, type) else type(family).__name__
        msg = (
            f"{name} must be a name such as 'nig', or a family, got {got}; data come first, as in "
            "fit(X, 'nig'), a fit from a model is model.fit(X), and compare(X) takes many families"
        )
        raise TypeError(msg)
    key = family.lower().translate(str.maketrans("", "", " -_"))
    known = FAMILIES | _ALIASES | _BY_CLASS
    return known[key] if key in known else FAMILIES[one_of(name, family, _NAMES)]
