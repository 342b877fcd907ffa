"""Short fits from several starts, and the best of their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from nvmix.fitting.em import BatchEMFitter
from nvmix.sources.observations import Data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.foundation.typing import FloatArray

M = TypeVar("M", bound="NormalMixture")

# Relative difference of likelihoods that is rounding.
_TIE = 1e-12


def fitted(starts: Sequence[M], X: FloatArray, max_iter: int) -> list[M]:
    """Fit from every start to nearly the last digit; fits at a singularity are left out.

    Parameters
    ----------
    starts : sequence of NormalMixture
        Starting models, of any families.
    X : (n, d) array
        Validated observations.
    max_iter : int
        Most iterations of each.

    Returns
    -------
    list of NormalMixture
        The fitted models that converged or ran out of iterations; all starts where none did.
    """
    fitter = BatchEMFitter(max_iter=max_iter, criterion="likelihood")
    results = [fitter.run(start, Data(X, None)) for start in starts]
    return [cast("M", result.model) for result in results if result.usable] or list(starts)


def likeliest(models: Sequence[M], X: FloatArray) -> M:
    """Return the first model whose likelihood is the highest, but for rounding.

    Parameters
    ----------
    models : sequence of NormalMixture
        Models, at least one with a finite likelihood.
    X : (n, d) array
        Validated observations.

    Returns
    -------
    NormalMixture
        One of them.
    """
    values = np.array([model.marginal_log_likelihood(X) for model in models])
    values = np.where(np.isfinite(values), values, -np.inf)
    best = values.max()
    return models[int(np.argmax(values >= best - _TIE * abs(best)))]
