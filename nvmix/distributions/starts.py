"""Short fits from several starting models, and the likeliest of several models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar, cast

import numpy as np

from nvmix.fitting.em import BatchEMFitter
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.source import ArraySource

M = TypeVar("M", bound=Mixture)

# Relative difference of log-likelihoods that counts as rounding.
_TIE: Final = 1e-12


def short_fits(starts: Sequence[M], rows: ArraySource, max_iter: int) -> list[M]:
    """Models fitted from each start, without those that ended at a singularity.

    A fit ends when the likelihood gains less than 1e-9, or at max_iter. If no fit is usable, the
    starts are returned.
    """
    fitter = BatchEMFitter(max_iter=max_iter, criterion="likelihood")
    unnamed = rows._replace(columns=None)
    results = [fitter.run_source(start, unnamed) for start in starts]
    return [cast("M", result.model) for result in results if result.usable] or list(starts)


def likeliest(models: Sequence[M], X: FloatArray) -> M:
    """The first model whose log-likelihood on X (n, d) is the highest, up to rounding."""
    values = np.array([model.marginal_log_likelihood(X) for model in models])
    values = np.where(np.isfinite(values), values, -np.inf)
    best = values.max()
    return models[int(np.argmax(values >= best - _TIE * abs(best)))]
