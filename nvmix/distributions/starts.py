"""Short fits from several starts, and the best of their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar, cast

import numpy as np

from nvmix.fitting.em import BatchEMFitter
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.source import ArraySource

M = TypeVar("M", bound=Mixture)

# Relative difference of likelihoods that is rounding.
_TIE: Final = 1e-12


def short_fits(starts: Sequence[M], rows: ArraySource, max_iter: int) -> list[M]:
    """Models fitted from every start, except those that ended at a singularity.

    Fits go on until the likelihood settles to nearly the last digit, or max_iter. Of no usable fit
    the starts are returned.
    """
    fitter = BatchEMFitter(max_iter=max_iter, criterion="likelihood")
    unnamed = rows._replace(columns=None)
    results = [fitter.run_source(start, unnamed) for start in starts]
    return [cast("M", result.model) for result in results if result.usable] or list(starts)


def likeliest(models: Sequence[M], X: FloatArray) -> M:
    """The first model whose likelihood is the highest, but for rounding."""
    values = np.array([model.marginal_log_likelihood(X) for model in models])
    values = np.where(np.isfinite(values), values, -np.inf)
    best = values.max()
    return models[int(np.argmax(values >= best - _TIE * abs(best)))]
