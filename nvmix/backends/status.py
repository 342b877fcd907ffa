"""How a fit ended."""

from __future__ import annotations

import operator
from enum import IntEnum
from functools import reduce
from typing import Any, Final

import numpy as np


class Status(IntEnum):
    """How a fit ended; `message` is a sentence with advice.

    Attributes
    ----------
    CONVERGED
        The parameters settled inside the family.
    VARIANCE_GAMMA_LIMIT
        They settled at b = 0, where the law is `VarianceGamma`.
    SKEW_T_LIMIT
        They settled at a = 0, where the law is `NormalInverseGamma`.
    GAUSSIAN_LIMIT
        They settled where Y is constant, at the normal distribution.
    CUSP
        They settled with mu at a row, where the density has a cusp.
    MAX_ITER
        Stopped after max_iter iterations.
    DEGENERATE
        Stopped where the likelihood rises towards a singular Sigma or a constant Y.
    NON_FINITE
        Stopped at an infinite or nan likelihood.
    UNBOUNDED
        Stopped where the likelihood grows without limit as mu meets rows.
    SINGULAR
        Stopped with mu at a row at which the M-step is undefined.
    NO_SOLUTION
        Stopped because the solve for Y did not converge.
    NO_GAUGE
        Stopped at a limit of the family in which the gauge has no meaning.
    STEPS_DONE
        An incremental fit took all its steps.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> status = nvmix.fit(X, "nig").status
    >>> status is nvmix.Status.CONVERGED, status.converged
    (True, True)
    >>> print(status)
    CONVERGED
    >>> status.message
    'Converged: iterations no longer change the fit by more than tol.'
    """

    CONVERGED = 0
    VARIANCE_GAMMA_LIMIT = 1
    SKEW_T_LIMIT = 2
    GAUSSIAN_LIMIT = 3
    CUSP = 4
    MAX_ITER = 5
    DEGENERATE = 6
    NON_FINITE = 7
    UNBOUNDED = 8
    SINGULAR = 9
    NO_SOLUTION = 10
    NO_GAUGE = 11
    STEPS_DONE = 12

    @classmethod
    def of(cls, code: Any) -> Status:
        """Return the status of that number.

        Parameters
        ----------
        code : int
            As in ``EMResult.code``; a NumPy or JAX scalar too.

        Returns
        -------
        Status
            The member.

        Raises
        ------
        ValueError
            If code is not the number of a status, or is an array of them.

        Examples
        --------
        >>> from nvmix import Status
        >>> Status.of(5).name
        'MAX_ITER'
        """
        if np.ndim(code) != 0:
            msg = (
                f"code must be one number, got shape {np.shape(code)}: ask for each lane by itself"
            )
            raise ValueError(msg)
        return cls(int(code))

    def __str__(self) -> str:
        """The name, as in summaries."""
        return self.name

    @property
    def code(self) -> int:
        """Number of the status, as in ``EMResult.code``."""
        return int(self)

    @property
    def converged(self) -> bool:
        """Whether the parameters settled: of `CONVERGED`, the three limits and `CUSP`."""
        return bool(settled(self))

    @property
    def message(self) -> str:
        """What happened, and what to do about it."""
        return _MESSAGES[self]


_MESSAGES: Final = {
    Status.CONVERGED: "Converged: iterations no longer change the fit by more than tol.",
    Status.VARIANCE_GAMMA_LIMIT: (
        "Converged on the boundary b = 0 of the family, where the law is VarianceGamma: "
        "result.model is exact there, and VarianceGamma is simpler."
    ),
    Status.SKEW_T_LIMIT: (
        "Converged on the boundary a = 0 of the family, where the law is NormalInverseGamma (GH "
        "skew-t): result.model is exact there, and NormalInverseGamma is simpler."
    ),
    Status.GAUSSIAN_LIMIT: (
        "Converged on the Gaussian limit of the family, where Y is constant: the fit came to be no "
        "likelier than a normal law, which nvmix.MultivariateNormal.from_model(result.model) is."
    ),
    Status.CUSP: (
        "Converged with mu at a row of the data, where the density has a cusp: the highest of the "
        "local maxima at rows nearby."
    ),
    Status.MAX_ITER: (
        "Stopped at max_iter before the fit settled: raise max_iter, or tol; fit again from "
        "result.model to go on."
    ),
    Status.DEGENERATE: (
        "Stopped: the likelihood rises towards a limit of the family where Sigma is singular or Y "
        "constant, as with nearly Gaussian, one-sided or collinear data, or few rows; result.model "
        "is the last valid model. Try logarithms of one-sided data, symmetric=True, or a pull "
        "towards a target (Shrinkage)."
    ),
    Status.NON_FINITE: (
        "Stopped: the likelihood or its statistics became infinite or nan; result.model is the "
        "last finite model."
    ),
    Status.UNBOUNDED: (
        "Stopped: the likelihood is unbounded, growing without limit as mu meets rows of the data, "
        "which result.rows names; remove rows that repeat, if many do, or else fit "
        "NormalInverseGaussian, or VarianceGamma or GeneralizedHyperbolic with bounded=True."
    ),
    Status.SINGULAR: (
        "Stopped: mu has met a row of the data at which the density has a cusp and E[1/Y] is "
        "infinite, so that the M-step is undefined; result.model is the last valid model. Compare "
        "starts, or fit NormalInverseGaussian."
    ),
    Status.NO_SOLUTION: (
        "Stopped: the solve for the subordinator did not converge; try another m_step_method."
    ),
    Status.NO_GAUGE: (
        "Stopped: the subordinator reached a = 0 or b = 0, where regularization='a_eq_b' has no "
        "meaning, or an infinite mean, where 'unit_mean' has none; use 'det_sigma_one' or 'none'."
    ),
    Status.STEPS_DONE: (
        "Took all max_steps steps; incremental fits have no convergence test: compare "
        "log_likelihoods with verbose=1, or go on from result.model with BatchEMFitter."
    ),
}


# How fits end whose parameters settled.
_SETTLED: Final = (
    Status.CONVERGED,
    Status.VARIANCE_GAMMA_LIMIT,
    Status.SKEW_T_LIMIT,
    Status.GAUSSIAN_LIMIT,
    Status.CUSP,
)


def settled(code: Any) -> Any:
    """Whether codes, one or an array of them, are of fits whose parameters settled."""
    return reduce(operator.or_, (code == int(status) for status in _SETTLED))
