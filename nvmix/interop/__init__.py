"""Models as other libraries take them; each adapter is loaded, with its library, when first used.

`nvmix.estimators` has the estimators of scikit-learn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nvmix.interop.arch import MixtureInnovation as MixtureInnovation
    from nvmix.interop.numpyro import MixtureDistribution as MixtureDistribution
    from nvmix.interop.scipy import scipy_distribution as scipy_distribution
    from nvmix.interop.skfolio_marginal import MixtureMarginal as MixtureMarginal
    from nvmix.interop.skfolio_prior import MixturePrior as MixturePrior

_HOME: Final = {
    "MixtureInnovation": "arch",
    "MixtureDistribution": "numpyro",
    "scipy_distribution": "scipy",
    "MixtureMarginal": "skfolio_marginal",
    "MixturePrior": "skfolio_prior",
}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Load a name, and the library that it is for."""
    if name not in _HOME:
        msg = f"module 'nvmix.interop' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        module = importlib.import_module(f"nvmix.interop.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nvmix"):
            raise
        library = error.name.partition(".")[0]
        msg = f"{name} needs {library}: pip install 'nvmix[interop]'"
        raise ImportError(msg) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    """Public names."""
    return __all__
