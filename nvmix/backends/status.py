"""How a fit ended."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np

from nvmix.backends.types import Ending


class Status(Enum):
    """How a fit ended; the value of each member is a sentence for the user.

    Examples
    --------
    >>> from nvmix.backends.status import Status
    >>> Status.CONVERGED.message
    'Converged: iterations no longer change the fit by more than tol.'
    """

    CONVERGED = "Converged: iterations no longer change the fit by more than tol."
    VARIANCE_GAMMA_LIMIT = (
        "Converged on the boundary b = 0 of the family, where the law is VarianceGamma: "
        "result.model is exact there, and VarianceGamma is simpler."
    )
    SKEW_T_LIMIT = (
        "Converged on the boundary a = 0 of the family, where the law is NormalInverseGamma (GH "
        "skew-t): result.model is exact there, and NormalInverseGamma is simpler."
    )
    GAUSSIAN_LIMIT = (
        "Converged on the Gaussian limit of the family, where Y is constant: the fit came to be no "
        "likelier than the normal law of result.model.mean() and result.model.cov()."
    )
    CUSP = (
        "Converged with mu at a row of the data, where the density has a cusp: the highest of the "
        "local maxima at rows nearby."
    )
    MAX_ITER = (
        "Stopped at max_iter before the fit settled: raise max_iter, or tol; fit again from "
        "result.model to go on."
    )
    DEGENERATE = (
        "Stopped: the likelihood rises towards a limit of the family where Sigma is singular or Y "
        "constant, as with nearly Gaussian, one-sided or collinear data, or few rows; result.model "
        "is the last valid model. Try symmetric=True, or NormalInverseGaussian."
    )
    NON_FINITE = (
        "Stopped: the likelihood or its statistics became infinite or nan; result.model is the "
        "last finite model."
    )
    UNBOUNDED = (
        "Stopped: the likelihood is unbounded, growing without limit as mu meets rows of the data, "
        "which result.rows names; fit with bounded=True, or NormalInverseGaussian, or remove "
        "repeated rows."
    )
    SINGULAR = (
        "Stopped: mu has met a row of the data at which the density has a cusp and E[1/Y] is "
        "infinite, so that the M-step is undefined; result.model is the last valid model. Compare "
        "starts, or fit NormalInverseGaussian."
    )
    NO_SOLUTION = (
        "Stopped: the solve for the subordinator did not converge; try another m_step_method."
    )
    NO_GAUGE = (
        "Stopped: the subordinator reached a = 0 or b = 0, where regularization='a_eq_b' has no "
        "meaning; use 'det_sigma_one' or 'none'."
    )
    STEPS_DONE = (
        "Took all max_steps steps, after which nothing tells whether the fit has settled: compare "
        "log_likelihoods with verbose=1, or go on from result.model with BatchEMFitter."
    )

    @classmethod
    def of(cls, code: int) -> Status:
        """Return the status of that number.

        Parameters
        ----------
        code : int
            As in ``EMResult.code``.

        Returns
        -------
        Status
            The member.

        Raises
        ------
        ValueError
            If code is not the number of a status, or is an array of them.
        """
        if np.ndim(code) != 0:
            msg = (
                f"code must be one number, got shape {np.shape(code)}: ask for each lane by itself"
            )
            raise ValueError(msg)
        return cls[Ending(int(code)).name]

    @property
    def code(self) -> int:
        """Number of the status, as in ``EMResult.code``."""
        return int(Ending[self.name])

    @property
    def converged(self) -> bool:
        """Whether the parameters settled."""
        return bool(settled(self.code))

    @property
    def message(self) -> str:
        """What happened, and what to do about it."""
        return str(self.value)


def settled(code: Any) -> Any:
    """Whether codes, one or an array of them, are of fits whose parameters settled.

    Parameters
    ----------
    code : int or array of int
        As in ``EMResult.code``.

    Returns
    -------
    bool or array of bool
        Of the shape of code.
    """
    return code <= Ending.CUSP
