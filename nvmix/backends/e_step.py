"""The E-step over any source of rows: one class for arrays, chunks and clusters."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.types import GIGParameters, NormalParameters
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.sources.column_checks import check_sample
from nvmix.sources.dask_cluster import ClusterSource
from nvmix.sources.observations import finite_rows
from nvmix.sources.source import ArraySource, Chunk, Source

# Relative difference of sums of weights that is rounding.
_ROUNDING: Final = 1e-12


@dataclass
class EStep:
    """The E-step over all rows of a source, on a backend: a call is one pass over the data.

    Rows in memory are placed once, where the backend computes. Others are read anew in each pass,
    chunk by chunk, or stay on the workers that hold them; the first pass then checks that a law
    can be estimated from them, and later ones that the rows are as many as before.
    """

    source: Source
    backend: str = "cpu"
    device: Any = None  # where JAX has rows that are in memory
    # Called with the numbers of rows just done, done in this pass, and of a whole pass, which is
    # nan in the first pass over a stream.
    watch: Callable[[float, float, float], None] | None = None
    # Rows in memory as the backend takes them, else None.
    placed: Any = field(default=None, init=False)
    # Sum of the weights of all rows; nan before the first pass over rows that are not in memory.
    weight: float = field(default=math.nan, init=False)
    _n_rows: float = field(default=math.nan, init=False)
    _done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Place rows that are in memory."""
        source = self.source
        if isinstance(source, ArraySource):
            missing, omega = source.missing == "em", source.weights
            self.placed = get_backend(self.backend).place(
                source.values, self.device, omega, missing=missing
            )
            self._n_rows = len(source.values)
            self.weight = float(self._n_rows if omega is None else omega.sum())

    def __call__(self, normal: NormalParameters, theta: GIGParameters) -> SufficientStatistics:
        """Posterior expectations summed over all rows, in the frame of mu and L.

        ValueError if a chunk has rows that are not finite, two passes differ in their rows, or no
        law can be estimated from the rows; ReadError if a chunk cannot be read.
        """
        statistics = self.unchecked(normal, theta)
        if self.placed is not None:
            return statistics
        if math.isnan(self.weight):
            check_sample(self.source, statistics)
            self.weight = statistics.weight
        elif abs(statistics.weight - self.weight) > _ROUNDING * self.weight:
            msg = (
                f"X must have {self.weight:.15g} rows in each pass, by their weights, got "
                f"{statistics.weight:.15g} from {self.source}"
            )
            raise ValueError(msg)
        return statistics

    def unchecked(self, normal: NormalParameters, theta: GIGParameters) -> SufficientStatistics:
        """The same of any rows, also of too few to estimate a law from."""
        statistics: SufficientStatistics
        if self.placed is not None:
            statistics = get_backend(self.backend).e_step(self.placed, normal, theta)
            self._report(self._n_rows, self._n_rows)
            return statistics
        of_chunk = partial(_statistics_of_chunk, self.backend, normal, theta, self.source.missing)
        self._done = 0
        if isinstance(self.source, ClusterSource):
            # The chunks are on workers, which get the function as it is.
            statistics = self.source.reduce(of_chunk, operator.add)
            self._n_rows = self.source.n_rows
            self._report(self._n_rows, self._n_rows)
            return statistics

        def reported(chunk: Chunk) -> SufficientStatistics:
            statistics = of_chunk(chunk)
            self._done += len(chunk.values)
            self._report(len(chunk.values), self._done)
            return statistics

        statistics = self.source.reduce(reported, operator.add)
        self._n_rows = self._done
        return statistics

    def _report(self, rows: float, done: float) -> None:
        """Tell the watcher of rows that are done."""
        if self.watch is not None:
            self.watch(rows, done, self._n_rows)


def _statistics_of_chunk(
    backend: str, normal: NormalParameters, theta: GIGParameters, missing: str, chunk: Chunk
) -> SufficientStatistics:
    """Posterior expectations summed over the rows of a chunk; ValueError if they are not finite."""
    chosen = get_backend(backend)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        placed = chosen.place(chunk.values, weights=chunk.weights, missing=missing == "em")
        statistics = chosen.e_step(placed, normal, theta)
    if not np.isfinite(statistics.x.sum() + statistics.log_likelihood):
        finite_rows(chunk.values, missing, chunk.first, chunk.number)
    return statistics
