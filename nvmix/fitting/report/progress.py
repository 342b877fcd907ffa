"""Progress lines of a fit, in a terminal, a notebook or a log file, and the forecast in them."""

import math
import time
from collections import deque
from typing import Final

from nvmix.backends.types import FitTrace
from nvmix.fitting.outcome.result import EMResult
from nvmix.mixture.em_maps import Mixture

# With verbose 1, seconds between the lines of a long fit.
_INTERVAL: Final = 10.0
# Least elapsed time in seconds, in case the clock is coarse.
_TICK: Final = 1e-3
# A forecast uses the last so many iterations.
_WINDOW: Final = 6
_ROUNDING: Final = 1e-9


class Forecast:
    """Number of remaining iterations, if parameter changes decrease geometrically down to tol.

    With by_likelihood it uses gains of the mean log-likelihood instead. With tol = 0 a fit always
    takes max_iter iterations.
    """

    def __init__(self, max_iter: int, tol: float = 0.0, *, by_likelihood: bool = False) -> None:
        self._max_iter, self._tol = max_iter, tol
        self._by_likelihood = by_likelihood
        self._value = math.nan
        self._sizes: deque[float] = deque(maxlen=_WINDOW)

    def left(self, i: int, log_likelihood: float, change: float) -> float:
        """Iterations after number i (from 1), at most those up to max_iter; nan if not yet known.

        log_likelihood is the mean log-likelihood before iteration i, change its parameter change.
        """
        size = abs(log_likelihood - self._value) if self._by_likelihood else change
        self._value = log_likelihood
        if self._tol == 0.0:
            return float(self._max_iter - i)
        if size > 0.0:
            self._sizes.append(math.log(size))
        if len(self._sizes) < 2:
            return math.nan
        fall = (self._sizes[0] - self._sizes[-1]) / (len(self._sizes) - 1)
        above = self._sizes[-1] - math.log(self._tol)
        steps = math.ceil(above / fall - _ROUNDING) if fall > 0.0 else math.inf
        return float(min(max(steps, 0), self._max_iter - i))


class Progress:
    """Prints nothing (verbose 0), a first and a last line (1), or also each iteration (2).

    With verbose 1, a fit also prints a line every 10 seconds. unit is the word for an iteration.
    """

    def __init__(
        self, verbose: int, forecast: Forecast | None = None, unit: str = "iteration"
    ) -> None:
        self._verbose = verbose
        self._forecast = forecast
        self._unit = unit
        self._rows, self._shown = 0.0, 0
        self._begin = self._last_line = time.monotonic()

    def start(self, model: Mixture, rows: object, terms: str) -> None:
        """Print the first line, and with verbose 2 the header of the table of iterations."""
        self._begin = time.monotonic()
        if self._verbose >= 1:
            self._line(f"EM: {type(model).__name__}, {rows}, {model.d} columns, {terms}")
        if self._verbose >= 2:
            self._line(
                f"{self._unit:>9}  {'mean log-likelihood':>20}  {'change':>9}  {'rows/s':>8}  "
                f"{'left':>8}"
            )

    def count(self, rows: float) -> None:
        """Count rows that an E-step has processed."""
        self._rows += rows

    def passed(self, rows: float, done: float, of: float) -> None:
        """Count rows processed in a pass (done, out of `of` or nan), and report a long pass."""
        self.count(rows)
        if self._verbose >= 1 and time.monotonic() - self._last_line > _INTERVAL:
            rate = self._rows / self._elapsed()
            rest = "" if math.isnan(of) else f" of {of:.4g}"
            left = "" if math.isnan(of) else f", {duration((of - done) / rate)} left of it"
            self._line(f"EM: {done:.4g}{rest} rows of a pass, {rate:.2g} rows/s{left}")

    def iteration(self, i: int, log_likelihood: float, change: float) -> None:
        """Report iteration number i, from 1: log-likelihood before it, and parameter change."""
        if self._verbose == 0:
            return
        elapsed, left = self._elapsed(), math.nan
        self._shown += 1
        if self._forecast is not None:
            steps = self._forecast.left(i, log_likelihood, change)
            left = steps * elapsed / self._shown
        rate = self._rows / elapsed if self._rows else math.nan
        if self._verbose >= 2:
            self._row(i, log_likelihood, change, rate, left)
        elif time.monotonic() - self._last_line > _INTERVAL:
            self._line(
                f"EM: {self._unit} {i}, mean log-likelihood {log_likelihood:.10g}, change "
                f"{change:.1e}, {rate:.2g} rows/s, about {duration(left)} left"
            )

    def note(self, text: str, verbose: int) -> None:
        """Print a line if verbose is at least that much."""
        if self._verbose >= verbose:
            self._line(f"EM: {text}")

    def replay(self, trace: FitTrace) -> None:
        """Report all iterations of a compiled loop after its end; their times are not known."""
        if self._verbose < 2:
            return
        histories = zip(trace.log_likelihoods, trace.changes, strict=True)
        for i, (log_likelihood, change) in zip(range(int(trace.n_iter)), histories, strict=False):
            self._row(i + 1, log_likelihood, change, math.nan, math.nan)

    def likelihood(self, i: int, log_likelihood: float) -> None:
        """Report the mean log-likelihood of all rows after iteration i."""
        if self._verbose >= 1:
            self._line(
                f"EM: {self._unit} {i}, mean log-likelihood of all rows {log_likelihood:.10g}"
            )

    def end(self, result: EMResult) -> None:
        """Print the last line: status, iterations, time and log-likelihood."""
        if self._verbose >= 1:
            likelihood = result.log_likelihood / result.n_observations
            self._line(
                f"EM: {result.status.name.lower()} after {result.n_iter} {self._unit}s "
                f"in {result.elapsed_time:.3g} s, mean log-likelihood {likelihood:.10g}"
            )

    def _elapsed(self) -> float:
        """Seconds since the start, at least `_TICK`."""
        return max(time.monotonic() - self._begin, _TICK)

    def _row(self, i: int, log_likelihood: float, change: float, rate: float, left: float) -> None:
        """Print a line of the table of iterations."""
        speed = "-" if math.isnan(rate) else f"{rate:.2g}"
        self._line(
            f"{i:>9}  {log_likelihood:>20.10f}  {change:>9.2e}  {speed:>8}  {duration(left):>8}"
        )

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        print(text, flush=True)  # noqa: T201


def duration(seconds: float) -> str:
    """Text of a duration in seconds, minutes or hours; "-" if it is not finite.

    >>> [duration(t) for t in (0.02, 59.0, 600.0, 40_000.0, float("nan"))]
    ['0.02 s', '59 s', '10 min', '11.1 h', '-']
    """
    if not math.isfinite(seconds):
        return "-"
    if seconds < 90.0:
        return f"{seconds:.2g} s"
    return f"{seconds / 60.0:.3g} min" if seconds < 5400.0 else f"{seconds / 3600.0:.3g} h"
