"""What a fit prints: whole lines only, which read the same in a terminal, a notebook and a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvmix.distributions.mixture import NormalMixture
    from nvmix.fitting.em import EMResult


class Progress:
    """Prints nothing (verbose 0), a start and an end line (1), a row per iteration too (2).

    Parameters
    ----------
    verbose : int
        How much.
    unit : {"iteration", "step"}
        What an iteration is called.
    """

    def __init__(self, verbose: int, unit: str = "iteration") -> None:
        self._verbose = verbose
        self._unit = unit

    def start(self, model: NormalMixture, rows: object, terms: str) -> None:
        """Announce the fit."""
        if self._verbose >= 1:
            self._line(f"EM: {type(model).__name__}, {rows}, {model.d} columns, {terms}")
        if self._verbose >= 2:
            self._line(f"{self._unit:>9}  {'mean log-likelihood':>20}  {'change':>9}")

    def iteration(self, i: int, log_likelihood: float, change: float) -> None:
        """Show one iteration."""
        if self._verbose >= 2:
            self._line(f"{i:>9}  {log_likelihood:>20.10f}  {change:>9.2e}")

    def checkpoint(self, i: int, log_likelihood: float) -> None:
        """Show the likelihood of all rows."""
        if self._verbose >= 1:
            self._line(
                f"EM: {self._unit} {i}, mean log-likelihood of all rows {log_likelihood:.10g}"
            )

    def end(self, result: EMResult) -> None:
        """Show how the fit ended."""
        if self._verbose >= 1:
            likelihood = result.log_likelihood / result.n_observations
            self._line(
                f"EM: {result.status.name.lower()} after {result.n_iter} {self._unit}s "
                f"in {result.elapsed_time:.3g} s, mean log-likelihood {likelihood:.10g}"
            )

    @staticmethod
    def _line(text: str) -> None:
        print(text, flush=True)  # noqa: T201
