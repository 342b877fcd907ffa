"""What a fit prints: whole lines only, which read the same in a terminal, a notebook and a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvmix.distributions.mixture import NormalMixture
    from nvmix.fitting.em import EMResult
    from nvmix.sources import Source


class Progress:
    """Prints nothing (verbose 0), a start and an end line (1), a row per iteration too (2)."""

    def __init__(self, verbose: int) -> None:
        self._verbose = verbose

    def start(self, model: NormalMixture, source: Source, tol: float) -> None:
        """Announce the fit."""
        if self._verbose >= 1:
            self._line(f"EM: {type(model).__name__}, {source}, {model.d} columns, tol {tol:g}")
        if self._verbose >= 2:
            self._line(f"{'iteration':>9}  {'mean log-likelihood':>20}  {'change':>9}")

    def iteration(self, i: int, log_likelihood: float, change: float) -> None:
        """Show one iteration."""
        if self._verbose >= 2:
            self._line(f"{i:>9}  {log_likelihood:>20.10f}  {change:>9.2e}")

    def end(self, result: EMResult) -> None:
        """Show how the fit ended."""
        if self._verbose >= 1:
            likelihood = result.log_likelihood / result.n_observations
            self._line(
                f"EM: {result.status.name.lower()} after {result.n_iter} iterations "
                f"in {result.elapsed_time:.3g} s, mean log-likelihood {likelihood:.10g}"
            )

    @staticmethod
    def _line(text: str) -> None:
        print(text, flush=True)  # noqa: T201
