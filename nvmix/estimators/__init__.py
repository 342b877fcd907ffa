"""Estimators with the interface of scikit-learn, which they need: the extra nvmix[sklearn]."""

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    message = "estimators need scikit-learn: pip install 'nvmix[sklearn]'"
    raise ImportError(message) from error

from nvmix.estimators.density import NormalMixtureEstimator
from nvmix.estimators.outliers import NormalMixtureOutliers

__all__ = ["NormalMixtureEstimator", "NormalMixtureOutliers"]
