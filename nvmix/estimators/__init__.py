"""Estimators with the interface of scikit-learn, which is loaded when one is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nvmix.estimators.density import NormalMixtureEstimator as NormalMixtureEstimator
    from nvmix.estimators.outliers import NormalMixtureOutliers as NormalMixtureOutliers

_HOME: Final = {"NormalMixtureEstimator": "density", "NormalMixtureOutliers": "outliers"}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Load an estimator, and scikit-learn."""
    if name not in _HOME:
        msg = f"module 'nvmix.estimators' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        module = importlib.import_module(f"nvmix.estimators.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("sklearn"):
            raise
        msg = f"{name} needs scikit-learn: pip install 'nvmix[sklearn]'"
        raise ImportError(msg) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    """Public names."""
    return __all__
