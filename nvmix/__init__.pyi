# Every public name with its module: type checkers read this file, and so does `__init__.py`, which
# loads a name when it is first used.

from nvmix import backends as backends
from nvmix import datasets as datasets
from nvmix import distributions as distributions
from nvmix import fitting as fitting
from nvmix import special as special
from nvmix import utils as utils
from nvmix._warm_up import warm_up as warm_up
from nvmix.backends.status import Status as Status
from nvmix.distributions.families import GeneralizedHyperbolic as GeneralizedHyperbolic
from nvmix.distributions.families import Hyperbolic as Hyperbolic
from nvmix.distributions.families import NormalInverseGamma as NormalInverseGamma
from nvmix.distributions.families import NormalInverseGaussian as NormalInverseGaussian
from nvmix.distributions.families import VarianceGamma as VarianceGamma
from nvmix.distributions.normal_mixture import NormalMixture as NormalMixture
from nvmix.fitting.checkpoints.checkpoint import Checkpoint as Checkpoint
from nvmix.fitting.em import BatchEMFitter as BatchEMFitter
from nvmix.fitting.em import EMResult as EMResult
from nvmix.fitting.em import IncrementalEMFitter as IncrementalEMFitter
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
from nvmix.mixture.subordinators import GIG as GIG
from nvmix.mixture.subordinators import Gamma as Gamma
from nvmix.mixture.subordinators import InverseGamma as InverseGamma
from nvmix.mixture.subordinators import InverseGaussian as InverseGaussian
from nvmix.selection import Comparison as Comparison
from nvmix.selection import compare as compare

__version__: str
__all__: list[str]  # noqa: PYI035
