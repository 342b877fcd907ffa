"""The record of a fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvmix._arrays import traced
from nvmix._exceptions import ConvergenceWarning
from nvmix._pytrees import pytree
from nvmix.fitting.status import Status

if TYPE_CHECKING:
    from nvmix._typing import FloatArray
    from nvmix.distributions.mixture import NormalMixture

_FIELDS = (
    "model", "log_likelihoods", "param_changes", "n_iter", "converged", "elapsed_time", "code",
)  # fmt: skip


@pytree(_FIELDS)
@dataclass(frozen=True, eq=False)
class EMResult:
    """Record of a fit.

    A pytree once JAX is loaded. A fit under a trace, as of `jax.vmap`, has arrays in the place of
    numbers, histories of max_iter places that are nan from n_iter on, and no time.

    Parameters
    ----------
    model : NormalMixture
        The fitted model.
    log_likelihoods : (n_iter,) array
        Mean log-likelihood of the model that each iteration started from, from its E-step's pass.
    param_changes : (n_iter,) array
        Largest relative change of the parameters in each iteration; see `BatchEMFitter`.
    n_iter : int
        Iterations done.
    converged : bool
        Whether the parameters settled within tol.
    elapsed_time : float
        Seconds.
    code : int
        Number of the status.
    """

    model: NormalMixture
    log_likelihoods: FloatArray
    param_changes: FloatArray
    n_iter: int
    converged: bool
    elapsed_time: float
    code: int

    @property
    def status(self) -> Status:
        """How the fit ended; ``status.message`` is a sentence with advice."""
        return Status.of(self.code)


def warn_unless_converged(result: EMResult, stacklevel: int) -> None:
    """Issue a `ConvergenceWarning` with the advice of a fit that did not converge.

    Parameters
    ----------
    result : EMResult
        A fit.
    stacklevel : int
        As of `warnings.warn`, counted from this function.
    """
    if not traced(result.converged) and not result.converged:
        warnings.warn(result.status.message, ConvergenceWarning, stacklevel=stacklevel)
