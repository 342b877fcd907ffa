"""Families of laws of one column with mean 0 and variance 1, by two or three parameters."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from nvmix.backends.types import GIGParameters
from nvmix.distributions.families import FAMILIES, family_of
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.em import BatchEMFitter
from nvmix.foundation.validation import boolean, one_of

_XI: Final = {"xi": (0.02, 0.9995)}
# Parameters of Y and their bounds: those of xi are zeta = sqrt(a b) from 1e-3 to 2500; the density
# is bounded for alpha > 1/2, and the variance finite for nu > 4.
_OF_Y: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "nig": _XI,
    "hyperbolic": _XI,
    "gh": {"p": (-50.0, 50.0), **_XI},
    "vg": {"alpha": (0.51, 500.0)},
    "skewt": {"nu": (4.05, 500.0)},
}
_RHO: Final = {"rho": (-0.995, 0.995)}
# Where rho = 0, the variance is finite for nu > 2.
_NU_IF_SYMMETRIC: Final = (2.05, 500.0)


class StandardizedFamily:
    """A family in the parameters that `nvmix.interop.MixtureInnovation` describes."""

    def __init__(self, family: str | type[NormalMixture], *, symmetric: bool) -> None:
        self.family = family_of("family", family)
        names = {kind: name for name, kind in FAMILIES.items()}
        self._name = one_of("family", names.get(self.family, family), tuple(_OF_Y))
        self.symmetric = boolean("symmetric", symmetric)
        self.bounds = _OF_Y[self._name] | ({} if symmetric else _RHO)
        if symmetric and self._name == "skewt":
            self.bounds["nu"] = _NU_IF_SYMMETRIC

    def model(self, parameters: Any) -> NormalMixture:
        """Model with mean 0 and variance 1 by its parameters, in the order of `bounds`."""
        given = dict(zip(self.bounds, map(float, parameters), strict=True))
        rho = given.get("rho", 0.0)
        law = self.family._subordinator_type.from_gig(*self._theta(given))  # noqa: SLF001
        law = law.scaled(1.0 / law.mean())
        gamma = rho / law.std()
        return self.family.of_law(-gamma, gamma, 1.0 - rho * rho, law.gig)

    def _theta(self, given: dict[str, float]) -> GIGParameters:
        """(p, a, b) of the law of Y up to its scale."""
        if self._name == "vg":
            return given["alpha"], 1.0, 0.0
        if self._name == "skewt":
            return -0.5 * given["nu"], 0.0, 1.0
        zeta = 1.0 / given["xi"] ** 2 - 1.0
        p = self.family._fixed(1).p  # noqa: SLF001
        return given["p"] if p is None else p, zeta, zeta

    def start(self, X: Any) -> Any:
        """Parameters of a fit by EM to X, within the bounds."""
        fitter = BatchEMFitter(symmetric=self.symmetric)
        model = fitter.run(self.family.default_init(X), X).model
        p, a, b = model.subordinator.gig
        with np.errstate(invalid="ignore"):
            rho = model.gamma[0] * model.subordinator.std() / model.std()[0]
        xi = (1.0 + math.sqrt(a * b)) ** -0.5
        values = {"p": p, "alpha": p, "nu": -2.0 * p, "xi": xi, "rho": np.nan_to_num(rho)}
        return np.array([np.clip(values[name], *ends) for name, ends in self.bounds.items()])
