"""Observations as an EM loop sees them: something that an E-step can be asked of."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nvmix.backends import get_backend
from nvmix.sources.column_checks import check_sample
from nvmix.sources.dask_cluster import Cluster
from nvmix.sources.observations import finite_rows
from nvmix.sources.source import Whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvmix.backends.types import Backend, Gaussian, GIGParameters
    from nvmix.foundation.statistics import SufficientStatistics
    from nvmix.sources.source import Chunk, Source

    Watch = Callable[[float, float, float], None]

# Relative difference of sums of weights that is rounding.
_ROUNDING = 1e-12


def unwatched(rows: float, done: float, of: float) -> None:
    """Tell nobody of rows that are done."""


class Observed(Protocol):
    """Observations that E-steps pass over."""

    @property
    def source(self) -> Source:
        """Where the rows are."""

    @property
    def weight(self) -> float:
        """Sum of the weights of the rows."""

    def e_step(self, block: Gaussian, theta: GIGParameters) -> SufficientStatistics:
        """Posterior expectations summed over all rows, in the block's frame."""


@dataclass(frozen=True)
class InMemory:
    """Observations that a backend has placed.

    Parameters
    ----------
    source : Whole
        The rows.
    backend : Backend
        Where E-steps run.
    placed : placed observations
        As the backend placed them.
    watch : callable
        Is told the rows of an E-step that is done, those done in its pass, and those of a pass.
    """

    source: Whole
    backend: Backend
    placed: Any
    watch: Watch

    @property
    def weight(self) -> float:
        """Sum of the weights of the rows."""
        weights = self.source.weights
        return float(len(self.source.values) if weights is None else weights.sum())

    def e_step(self, block: Gaussian, theta: GIGParameters) -> SufficientStatistics:
        """Posterior expectations summed over all rows, in the block's frame."""
        statistics = self.backend.e_step(self.placed, block, theta)
        n = len(self.source.values)
        self.watch(n, n, n)
        return statistics


@dataclass
class PassedOver:
    """Observations that each E-step reads anew, chunk by chunk.

    Parameters
    ----------
    source : Source
        The rows.
    backend : {"cpu", "jax"}
        Where E-steps run.
    watch : callable
        Is told the rows of each chunk that is done, those done in the pass, and those of a pass
        (nan in the first); of all at once where they are on workers.
    """

    source: Source
    backend: str
    watch: Watch = unwatched
    weight: float = field(default=math.nan, init=False)
    _n_rows: float = field(default=math.nan, init=False)
    _done: int = field(default=0, init=False)

    def e_step(self, block: Gaussian, theta: GIGParameters) -> SufficientStatistics:
        """Posterior expectations summed over all rows, in the block's frame.

        Raises
        ------
        ValueError
            If a chunk has rows that are not finite, two passes differ in their rows, or no law
            can be estimated from the rows.
        ReadError
            If a chunk cannot be read.
        """
        statistics = self.sums(block, theta)
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

    def sums(self, block: Gaussian, theta: GIGParameters) -> SufficientStatistics:
        """The same of any rows, be they too few to estimate a law from."""
        function, self._done = EStep(self.backend, block, theta, self.source.missing), 0
        statistics: SufficientStatistics = self.source.fold(self._watched(function), operator.add)
        if isinstance(self.source, Cluster):
            self.watch(*3 * (self.source.n_rows,))
        self._n_rows = self._done
        return statistics

    def _watched(self, function: EStep) -> Callable[[Chunk], SufficientStatistics]:
        """The function, which tells of its chunks where they come to this process."""
        if isinstance(self.source, Cluster):
            return function

        def of_chunk(chunk: Chunk) -> SufficientStatistics:
            statistics = function(chunk)
            self._done += len(chunk.values)
            self.watch(len(chunk.values), self._done, self._n_rows)
            return statistics

        return of_chunk


@dataclass(frozen=True)
class EStep:
    """The E-step of a chunk of rows.

    Attributes
    ----------
    backend : {"cpu", "jax"}
        Where it runs.
    block : Gaussian
        mu, gamma and L.
    theta : (float, float, float)
        p, a and b.
    missing : {"raise", "em"}
        Whether nan is refused or stands for a missing value.
    """

    backend: str
    block: Gaussian
    theta: GIGParameters
    missing: str = "raise"

    def __call__(self, chunk: Chunk) -> SufficientStatistics:
        """Posterior expectations summed over the rows of a chunk, in the block's frame."""
        backend = get_backend(self.backend)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            holes = self.missing == "em"
            placed = backend.place(chunk.values, weights=chunk.weights, missing=holes)
            statistics = backend.e_step(placed, self.block, self.theta)
        if not np.isfinite(statistics.x.sum() + statistics.log_likelihood):
            finite_rows(chunk.values, self.missing, chunk.first, chunk.number)
        return statistics


def observed(
    source: Source, backend: str, device: Any = None, watch: Watch = unwatched
) -> InMemory | PassedOver:
    """Observations of a source, for E-steps on a backend.

    Parameters
    ----------
    source : Source
        The rows.
    backend : {"cpu", "jax"}
        Where E-steps run.
    device : jax.Device, jax.sharding.Sharding or None
        Where JAX has rows that are in memory.
    watch : callable
        Is told the rows of an E-step that is done, those done in its pass, and those of a pass.

    Returns
    -------
    InMemory or PassedOver
        What E-steps can be asked of.
    """
    if not isinstance(source, Whole):
        return PassedOver(source, backend, watch)
    chosen = get_backend(backend)
    holes = source.missing == "em"
    placed = chosen.place(source.values, device, source.weights, missing=holes)
    return InMemory(source, chosen, placed, watch)
