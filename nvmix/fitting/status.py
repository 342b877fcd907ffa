"""How a fit ended."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """How a fit ended; the value of each member is a sentence for the user.

    Examples
    --------
    >>> from nvmix.fitting.status import Status
    >>> Status.CONVERGED.message
    'Converged: the last iteration changed the parameters by less than tol.'
    """

    CONVERGED = "Converged: the last iteration changed the parameters by less than tol."
    BOUNDARY = (
        "Converged on the boundary of the family, where the subordinator's a or b is 0: the "
        "limiting VarianceGamma (b = 0) or NormalInverseGamma (a = 0) is the same law, and simpler."
    )
    MAX_ITER = (
        "Stopped at max_iter before the parameters settled: raise max_iter, or tol; fit again from "
        "result.model to go on."
    )
    DEGENERATE = (
        "Stopped: the next step would make Sigma singular or Y constant, as with (nearly) Gaussian "
        "or collinear data; result.model is the last valid model."
    )
    NON_FINITE = (
        "Stopped: the likelihood or its statistics became infinite or nan; result.model is the "
        "last finite model."
    )
    UNBOUNDED = (
        "Stopped: the likelihood is unbounded, growing without limit as mu meets a row of the "
        "data, repeated or single; fit NormalInverseGaussian, or remove repeated rows."
    )
    NO_GAUGE = (
        "Stopped: the subordinator reached a = 0 or b = 0, where regularization='a_eq_b' has no "
        "meaning; use 'det_sigma_one' or 'none'."
    )

    @property
    def converged(self) -> bool:
        """Whether the parameters settled."""
        return self in {Status.CONVERGED, Status.BOUNDARY}

    @property
    def message(self) -> str:
        """What happened, and what to do about it."""
        return str(self.value)
