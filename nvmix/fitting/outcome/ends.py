"""What follows from how fits ended: a warning, and the likeliest of several."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nvmix.backends.status import Status
from nvmix.fitting.outcome.limits import is_at_pole, rows_at_mu
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.arrays import traced
from nvmix.foundation.exceptions import ConvergenceWarning
from nvmix.sources.source import Source


def most_likely(results: Sequence[EMResult]) -> int:
    """Place of the likeliest of several ends, usable or not; of equal ones the first.

    Those that are UNBOUNDED or NON_FINITE have no likelihood to compare, and come after all others.
    """
    without = (Status.UNBOUNDED, Status.NON_FINITE)
    keys = [(r.status not in without, r.log_likelihood) for r in results]
    ranked = [(finite, value if np.isfinite(value) else -np.inf) for finite, value in keys]
    return ranked.index(max(ranked))


def unbounded_if_at_pole(result: EMResult, source: Source) -> EMResult:
    """The result of a fit that has stopped; UNBOUNDED where it is on the way to rows that repeat.

    It stops there with a Sigma that is singular beside the other rows, or after many iterations.
    """
    if not is_at_pole(result.model, source):
        return result
    return replace(result, code=int(Status.UNBOUNDED), rows=rows_at_mu(result.model, source))


def warn_unless_converged(result: EMResult, stacklevel: int) -> None:
    """Issue a `ConvergenceWarning` with the message of a fit that did not converge.

    No warning for a fit without a criterion or under a JAX trace. The stacklevel, that of
    `warnings.warn`, is counted from this function.
    """
    undecided = result.converged is None or traced(result.converged)
    if not undecided and not result.converged:
        warnings.warn(result.message, ConvergenceWarning, stacklevel=stacklevel)
