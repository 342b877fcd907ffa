"""Normal variance-mean mixtures, fitted by EM.

Names are loaded when first used: ``import nvmix`` loads NumPy only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from nvmix._warm_up import warm_up as warm_up
    from nvmix.backends.status import Status as Status
    from nvmix.conversions import from_ghyp as from_ghyp
    from nvmix.conversions import from_scipy as from_scipy
    from nvmix.distributions.families import GH as GH
    from nvmix.distributions.families import NIG as NIG
    from nvmix.distributions.families import VG as VG
    from nvmix.distributions.families import GeneralizedHyperbolic as GeneralizedHyperbolic
    from nvmix.distributions.families import Hyperbolic as Hyperbolic
    from nvmix.distributions.families import NormalInverseGamma as NormalInverseGamma
    from nvmix.distributions.families import NormalInverseGaussian as NormalInverseGaussian
    from nvmix.distributions.families import SkewStudentT as SkewStudentT
    from nvmix.distributions.families import VarianceGamma as VarianceGamma
    from nvmix.distributions.members import MultivariateNormal as MultivariateNormal
    from nvmix.distributions.members import StudentT as StudentT
    from nvmix.distributions.normal_mixture import NormalMixture as NormalMixture
    from nvmix.fitting.checkpoints.checkpoint import Checkpoint as Checkpoint
    from nvmix.fitting.em import BatchEMFitter as BatchEMFitter
    from nvmix.fitting.em import EMResult as EMResult
    from nvmix.fitting.em import IncrementalEMFitter as IncrementalEMFitter
    from nvmix.fitting.outcome.fits import Fits as Fits
    from nvmix.fitting.rules.shrinkage import Shrinkage as Shrinkage
    from nvmix.fitting.rules.targets import eta0_diagonal as eta0_diagonal
    from nvmix.fitting.rules.targets import eta0_from_model as eta0_from_model
    from nvmix.fitting.rules.targets import eta0_isotropic as eta0_isotropic
    from nvmix.fitting.rules.targets import eta0_with_sigma as eta0_with_sigma
    from nvmix.fitting.rules.updates import AffineUpdate as AffineUpdate
    from nvmix.fitting.rules.updates import EWMAUpdate as EWMAUpdate
    from nvmix.fitting.rules.updates import IdentityUpdate as IdentityUpdate
    from nvmix.fitting.rules.updates import RobbinsMonroUpdate as RobbinsMonroUpdate
    from nvmix.fitting.rules.updates import SampleWeightedUpdate as SampleWeightedUpdate
    from nvmix.foundation.exceptions import CheckpointError as CheckpointError
    from nvmix.foundation.exceptions import ConvergenceWarning as ConvergenceWarning
    from nvmix.foundation.exceptions import ReadError as ReadError
    from nvmix.foundation.statistics import SufficientStatistics as SufficientStatistics
    from nvmix.foundation.threads import get_num_threads as get_num_threads
    from nvmix.foundation.threads import set_num_threads as set_num_threads
    from nvmix.inference.standard_errors import StandardErrors as StandardErrors
    from nvmix.likelihood_ratio import LikelihoodRatioTest as LikelihoodRatioTest
    from nvmix.likelihood_ratio import likelihood_ratio_test as likelihood_ratio_test
    from nvmix.many import fit as fit
    from nvmix.many import fit_many as fit_many
    from nvmix.mixture.divergence import kl_divergence as kl_divergence
    from nvmix.mixture.divergence import squared_hellinger as squared_hellinger
    from nvmix.mixture.subordinators import GIG as GIG
    from nvmix.mixture.subordinators import Gamma as Gamma
    from nvmix.mixture.subordinators import InverseGamma as InverseGamma
    from nvmix.mixture.subordinators import InverseGaussian as InverseGaussian
    from nvmix.mixture.subordinators import PointMass as PointMass
    from nvmix.selection import Comparison as Comparison
    from nvmix.selection import compare as compare
    from nvmix.serialization import from_dict as from_dict
    from nvmix.serialization import load as load
    from nvmix.special import log_kv as log_kv

_MODULES = {
    "nvmix._warm_up": ("warm_up",),
    "nvmix.backends.status": ("Status",),
    "nvmix.conversions": ("from_ghyp", "from_scipy"),
    "nvmix.distributions.families": (
        "GH",
        "NIG",
        "VG",
        "GeneralizedHyperbolic",
        "Hyperbolic",
        "NormalInverseGamma",
        "NormalInverseGaussian",
        "SkewStudentT",
        "VarianceGamma",
    ),
    "nvmix.distributions.members": ("MultivariateNormal", "StudentT"),
    "nvmix.distributions.normal_mixture": ("NormalMixture",),
    "nvmix.fitting.checkpoints.checkpoint": ("Checkpoint",),
    "nvmix.fitting.em": ("BatchEMFitter", "EMResult", "IncrementalEMFitter"),
    "nvmix.fitting.outcome.fits": ("Fits",),
    "nvmix.fitting.rules.shrinkage": ("Shrinkage",),
    "nvmix.fitting.rules.targets": (
        "eta0_diagonal",
        "eta0_from_model",
        "eta0_isotropic",
        "eta0_with_sigma",
    ),
    "nvmix.fitting.rules.updates": (
        "AffineUpdate",
        "EWMAUpdate",
        "IdentityUpdate",
        "RobbinsMonroUpdate",
        "SampleWeightedUpdate",
    ),
    "nvmix.foundation.exceptions": ("CheckpointError", "ConvergenceWarning", "ReadError"),
    "nvmix.foundation.statistics": ("SufficientStatistics",),
    "nvmix.foundation.threads": ("get_num_threads", "set_num_threads"),
    "nvmix.inference.standard_errors": ("StandardErrors",),
    "nvmix.likelihood_ratio": ("LikelihoodRatioTest", "likelihood_ratio_test"),
    "nvmix.many": ("fit", "fit_many"),
    "nvmix.mixture.divergence": ("kl_divergence", "squared_hellinger"),
    "nvmix.mixture.subordinators": (
        "GIG",
        "Gamma",
        "InverseGamma",
        "InverseGaussian",
        "PointMass",
    ),
    "nvmix.selection": ("Comparison", "compare"),
    "nvmix.serialization": ("from_dict", "load"),
    "nvmix.special": ("log_kv",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
_SUBMODULES = (
    "backends", "datasets", "diagnostics", "distributions", "estimators", "fitting", "interop",
    "risk", "special", "utils",
)  # fmt: skip

# What others call a name, in lower case and without underscores.
_OTHERS = {"skewt": "SkewStudentT", "fromjson": "load", "loads": "from_dict", "read": "load"}

__all__ = sorted([*_HOME, *_SUBMODULES])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"nvmix.{name}")
    msg = f"module 'nvmix' has no attribute {name!r}"
    if not name.startswith("_"):
        close = importlib.import_module("difflib").get_close_matches(name, __all__, 1)
        known = _OTHERS.get(name.lower().replace("_", ""))
        for use in [known] if known else close:
            msg += f": did you mean {use!r}?"
    raise AttributeError(msg)


def _unpickled(name: str) -> Any:
    """An object of a public class, without the state that pickle then gives it."""
    return object.__new__(__getattr__(name))


def __dir__() -> list[str]:
    """Public names."""
    return __all__
