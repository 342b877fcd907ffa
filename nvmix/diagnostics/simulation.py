"""Statistics of simulated samples, in threads, with a report of the progress."""

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from nvmix.backends.status import Status
from nvmix.diagnostics.statistics import of_rows, statistics_of
from nvmix.diagnostics.transforms import Tails, log_tails
from nvmix.fitting.em import BatchEMFitter
from nvmix.fitting.report.progress import duration
from nvmix.foundation.threads import ThreadPool, get_num_threads
from nvmix.foundation.typing import FloatArray
from nvmix.mixture.em_maps import Mixture

# With verbose 1, seconds between the lines of a long simulation; with 2, lines in all.
_INTERVAL: Final = 10.0
_LINES: Final = 10


class Simulation(NamedTuple):
    """Statistics (k, 3) of k samples, and how the fit to each ended."""

    statistics: FloatArray
    statuses: tuple[Status, ...]


class Counter:
    """Counts simulations, from any thread, and prints where they are, as fits do."""

    def __init__(self, verbose: int, total: int, unit: str) -> None:
        self._verbose, self._total, self._unit = verbose, total, unit
        self._lock = threading.Lock()
        self._done = 0
        self._begin = self._last_line = time.monotonic()

    def count(self) -> None:
        """Count one more, and print a line if it is time."""
        with self._lock:
            self._done += 1
            now = time.monotonic()
            is_tenth = self._done * _LINES // self._total > (self._done - 1) * _LINES // self._total
            is_due = now - self._last_line > _INTERVAL or self._done == self._total
            if (is_due or is_tenth) and self._verbose >= (1 if is_due else 2):
                self._last_line = now
                rate = self._done / max(now - self._begin, 1e-3)
                left = duration((self._total - self._done) / rate)
                line = f"goodness of fit: {self._done:,} of {self._total:,} {self._unit}"
                print(f"{line}, {rate:.2g}/s, {left} left", flush=True)  # noqa: T201


def refits(
    model: Mixture, fitter: BatchEMFitter, n: int, seeds: list[int], verbose: int
) -> Simulation:
    """Draw n rows for each seed, fit them, and take the statistics of the fit."""
    counter = Counter(verbose, len(seeds), "refits")

    def one(seed: int) -> tuple[FloatArray, Status]:
        rows = model.rvs(n, seed)
        result = fitter.run(model, rows)
        values = statistics_of(of_rows(log_tails(result.model, rows)))
        counter.count()
        return values, result.status

    return _in_threads(one, seeds)


def draws(n: int, seeds: list[int], verbose: int) -> Simulation:
    """Take the statistics of n uniform variables for each seed: those of a known law."""
    counter = Counter(verbose, len(seeds), "samples")

    def one(seed: int) -> tuple[FloatArray, Status]:
        u = np.random.default_rng(seed).uniform(np.nextafter(0.0, 1.0), 1.0, n)
        values = statistics_of(Tails(np.log(u), np.log1p(-u)))
        counter.count()
        return values, Status.CONVERGED

    return _in_threads(one, seeds)


def _in_threads(one: Callable[[int], tuple[FloatArray, Status]], seeds: list[int]) -> Simulation:
    """Results for all seeds."""
    # The first runs alone, so that threads do not compile the same kernels at once.
    first, rest = one(seeds[0]), ThreadPool(get_num_threads()).map(one, seeds[1:])
    statistics, statuses = zip(first, *rest, strict=True)
    return Simulation(np.array(statistics), statuses)
