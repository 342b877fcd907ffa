"""Batch EM: the loop of E-steps and M-steps, and the record of a fit."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np

from nvmix._exceptions import ConvergenceWarning, DegenerateError, SolveError
from nvmix._linalg import inverse_lower
from nvmix._validation import (
    Data,
    instance,
    integer,
    nonnegative,
    one_of,
    optional_callable,
    sample,
)
from nvmix.backends import BACKENDS, M_STEP_METHODS, get_backend
from nvmix.fitting.endings import status_at_pole, status_at_rest
from nvmix.fitting.progress import Progress
from nvmix.fitting.regularization import REGULARIZATIONS, check_gauge, in_gauge
from nvmix.fitting.rules import EtaUpdate, IdentityUpdate
from nvmix.fitting.status import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nvmix._statistics import SufficientStatistics
    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import Gaussian
    from nvmix.distributions.mixture import NormalMixture

__all__ = ["BatchEMFitter", "EMResult"]

M = TypeVar("M", bound="NormalMixture")


@runtime_checkable
class Model(Protocol):
    """What EM needs of a model; every `NormalMixture` has it."""

    @property
    def block(self) -> Gaussian:
        """mu, gamma and L."""

    @property
    def subordinator(self) -> Any:
        """Law of Y, with its `gig` and `gig_expectations`."""

    def m_step(self, eta: SufficientStatistics, backend: str, method: str) -> Any:
        """Return the model of the next iteration."""


@dataclass(frozen=True, eq=False)
class EMResult:
    """Record of a fit.

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
    status : Status
        How the fit ended; ``status.message`` is a sentence with advice.
    """

    model: NormalMixture
    log_likelihoods: FloatArray
    param_changes: FloatArray
    n_iter: int
    converged: bool
    elapsed_time: float
    status: Status


class BatchEMFitter:
    r"""Fit a normal mixture by EM over the whole data in each iteration.

    The E-step takes the conditional expectations of the sufficient statistics, the M-step inverts
    them. An iteration's parameter change is the largest of

    .. math::

        \lVert\Delta\mu\rVert, \quad \lVert\Delta\gamma\rVert, \quad
        \lVert\Delta\Sigma\rVert_F / \lVert\Sigma\rVert_F, \quad
        \sqrt{\Delta\theta\cdot\Delta\eta},

    in coordinates in which the current Sigma is the identity and with Y scaled to E[log Y] = 0,
    so that units, shifts, rotations and gauges change nothing. The last is the root of the
    Jeffreys divergence between the old and the new law of Y.

    Parameters
    ----------
    max_iter : int
        Most iterations, at least 1.
    tol : float
        The fit has converged when the parameter change is below this.
    verbose : int
        0 prints nothing, 1 a start and an end line, 2 a row per iteration too.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        Gauge of the scale shared by Sigma and Y: free, \|Sigma\| = 1, \|Sigma\| as in the starting
        model, or a GIG with a = b. The law of X is the same in each.
    e_step_backend, m_step_backend : {"cpu", "jax"}
        Where each step runs.
    m_step_method : {"newton", "lbfgs", "bfgs"}
        How the subordinator's eta -> theta is solved where it has no closed form.
    eta_update : EtaUpdate or None
        Rule that combines each E-step's statistics with those before; None is `IdentityUpdate`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, Maximum likelihood from incomplete data via the
    EM algorithm, Journal of the Royal Statistical Society B 39 (1977), 1-38.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix import VarianceGamma
    >>> from nvmix.fitting.em import BatchEMFitter
    >>> true = VarianceGamma.from_classical(
    ...     mu=[0.0], gamma=[0.5], sigma=[[1.0]], alpha=2.0, beta=2.0)
    >>> X = true.rvs(3000, seed=1)
    >>> result = BatchEMFitter(tol=1e-5).fit(VarianceGamma.default_init(X), X)
    >>> result.status.name
    'CONVERGED'
    >>> bool(np.all(np.diff(result.log_likelihoods) > 0))
    True
    """

    def __init__(
        self,
        *,
        max_iter: int = 200,
        tol: float = 1e-4,
        verbose: int = 0,
        regularization: str = "none",
        e_step_backend: str = "cpu",
        m_step_backend: str = "cpu",
        m_step_method: str = "newton",
        eta_update: EtaUpdate | None = None,
    ) -> None:
        self.max_iter = integer("max_iter", max_iter, 1)
        self.tol = nonnegative("tol", tol)
        self.verbose = integer("verbose", verbose, 0)
        self.regularization = one_of("regularization", regularization, REGULARIZATIONS)
        self.e_step_backend = one_of("e_step_backend", e_step_backend, BACKENDS)
        self.m_step_backend = one_of("m_step_backend", m_step_backend, BACKENDS)
        self.m_step_method = one_of("m_step_method", m_step_method, M_STEP_METHODS)
        self.eta_update = optional_callable("eta_update", eta_update)

    def fit(self, model: NormalMixture, X: Any) -> EMResult:
        """Fit from a starting model.

        Parameters
        ----------
        model : NormalMixture
            Where to start; the fit stays in its family.
        X : (n, d) array_like
            Observations; never modified. The names of a DataFrame's columns go to the model.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, or the family has no such gauge.

        Warns
        -----
        ConvergenceWarning
            If the fit ends without converging; the message says how and what to try.
        """
        instance("model", model, Model)
        result = self.run(model, sample(X, model.d, model.columns))
        warn_unless_converged(result, stacklevel=3)
        return result

    def __repr__(self) -> str:
        """Settings by name."""
        return f"BatchEMFitter({', '.join(f'{name}={x!r}' for name, x in vars(self).items())})"

    def run(self, model: NormalMixture, data: Data) -> EMResult:
        """Fit to validated observations without warning.

        Parameters
        ----------
        model : NormalMixture
            Where to start.
        data : Data
            Validated observations.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit.
        """
        check_gauge(model, self.regularization)
        begin = time.perf_counter()
        if data.columns is not None:
            model = replace(model, columns=data.columns)
        X = get_backend(self.e_step_backend).place(data.values)
        progress = Progress(self.verbose)
        progress.start(model, len(data.values), self.tol)
        log_det_start = model.log_det_sigma()
        start = in_gauge(model, self.regularization, log_det_start)
        model = model if start is None else start
        course = _Course(model, model)
        # Numbers that leave the range of doubles end in a status, not in warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            status = self._iterate(course, X, progress, log_det_start)
            status = status_at_pole(status, course.model, data.values)
        unsafe = status in {Status.NON_FINITE, Status.UNBOUNDED}
        result = EMResult(
            model=course.previous if unsafe else course.model,
            log_likelihoods=_frozen(course.log_likelihoods),
            param_changes=_frozen(course.changes),
            n_iter=len(course.changes),
            converged=status.converged,
            elapsed_time=time.perf_counter() - begin,
            status=status,
        )
        progress.end(result)
        return result

    def _iterate(self, course: _Course, X: Any, progress: Progress, log_det_start: float) -> Status:
        """Iterate until the parameters settle or something ends the fit, and say which."""
        for i in range(self.max_iter):
            ending = self._step(course, X, log_det_start)
            if ending is not None:
                return ending
            progress.iteration(i + 1, course.log_likelihoods[-1], course.changes[-1])
            if course.changes[-1] < self.tol:
                return status_at_rest(course.model)
        return Status.MAX_ITER

    def _step(self, course: _Course, X: Any, log_det_start: float) -> Status | None:
        """One E-step and one M-step; the status that ends the fit, if one does."""
        model = course.model
        batch = get_backend(self.e_step_backend).e_step(X, model.block, model.subordinator.gig)
        log_likelihood = batch.mean_log_likelihood
        if not math.isfinite(log_likelihood):
            return Status.UNBOUNDED if log_likelihood == math.inf else Status.NON_FINITE
        rule = self.eta_update or IdentityUpdate()
        eta = rule(course.eta, batch, len(course.changes))
        try:
            proposal = model.m_step(eta, self.m_step_backend, self.m_step_method)
            gauged = in_gauge(proposal, self.regularization, log_det_start)
        except DegenerateError:
            return Status.DEGENERATE
        except SolveError:
            return Status.NO_SOLUTION
        if gauged is None:
            return Status.NO_GAUGE
        change = parameter_change(model, gauged)
        if math.isnan(change):
            return Status.DEGENERATE
        course.advance(gauged, eta, log_likelihood, change)
        return None


def warn_unless_converged(result: EMResult, stacklevel: int) -> None:
    """Issue a `ConvergenceWarning` with the advice of a fit that did not converge.

    Parameters
    ----------
    result : EMResult
        A fit.
    stacklevel : int
        As of `warnings.warn`, counted from this function.
    """
    if not result.converged:
        warnings.warn(result.status.message, ConvergenceWarning, stacklevel=stacklevel)


@dataclass
class _Course:
    """A fit under way: its last two models, its last statistics and its histories."""

    model: NormalMixture
    previous: NormalMixture
    eta: SufficientStatistics | None = None
    log_likelihoods: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)

    def advance(
        self, model: NormalMixture, eta: SufficientStatistics, log_likelihood: float, change: float
    ) -> None:
        """Take an iteration: the new model, and the likelihood of the one it started from."""
        self.model, self.previous, self.eta = model, self.model, eta
        self.log_likelihoods.append(log_likelihood)
        self.changes.append(change)


def parameter_change(old: NormalMixture, new: NormalMixture) -> float:
    """Largest relative change of mu, gamma, Sigma and the law of Y; see `BatchEMFitter`.

    Parameters
    ----------
    old, new : NormalMixture
        Models of one family, in any gauge.

    Returns
    -------
    float
        The change.
    """
    (_, a, b), (log_y, inv_y, y) = old.subordinator.gig, old.subordinator.gig_expectations
    (_, a1, b1), (log_y1, inv_y1, y1) = new.subordinator.gig, new.subordinator.gig_expectations
    s, t = float(np.exp(log_y)), float(np.exp(log_y1))
    shifts = np.empty((old.d, old.d + 2))
    shifts[:, 0] = new.mu - old.mu
    shifts[:, 1] = new.gamma * t - old.gamma * s
    shifts[:, 2:] = new.L_sigma
    w = inverse_lower(old.L_sigma) @ shifts
    sigma = w[:, 2:] @ w[:, 2:].T
    sigma *= t / s
    sigma.flat[:: old.d + 1] -= 1.0
    # (theta - theta') . (eta - eta') of GIG(p, a s, b / s), the law of Y / s; E[log] cancels.
    law = _product(a * s - a1 * t, y / s, y1 / t) + _product(b / s - b1 / t, inv_y * s, inv_y1 * t)
    squares = (
        max(-0.5 * law, 0.0),
        float(w[:, 0] @ w[:, 0]) / s,
        float(w[:, 1] @ w[:, 1]) / s,
        float(np.vdot(sigma, sigma)) / old.d,
    )
    return math.sqrt(max(squares)) if not any(map(math.isnan, squares)) else math.nan


def _product(x: float, y: float, z: float) -> float:
    """x (y - z), 0 where x is, though y and z be infinite."""
    return x * (y - z) if x != 0.0 else 0.0


def fitted(starts: Sequence[M], X: FloatArray, max_iter: int) -> list[M]:
    """Fit from every start with default settings; fits at a singularity are left out.

    Parameters
    ----------
    starts : sequence of NormalMixture
        Starting models, of any families.
    X : (n, d) array
        Validated observations.
    max_iter : int
        Most iterations of each.

    Returns
    -------
    list of NormalMixture
        The fitted models that converged or ran out of iterations; all starts where none did.
    """
    results = [BatchEMFitter(max_iter=max_iter).run(start, Data(X, None)) for start in starts]
    usable = [
        cast("M", result.model)
        for result in results
        if result.converged or result.status is Status.MAX_ITER
    ]
    return usable or list(starts)


def likeliest(models: Sequence[M], X: FloatArray) -> M:
    """Return the model of the highest finite likelihood.

    Parameters
    ----------
    models : sequence of NormalMixture
        Models, at least one with a finite likelihood.
    X : (n, d) array
        Validated observations.

    Returns
    -------
    NormalMixture
        One of them.
    """
    values = np.array([model.marginal_log_likelihood(X) for model in models])
    return models[int(np.argmax(np.where(np.isfinite(values), values, -np.inf)))]


def _frozen(values: Sequence[float]) -> FloatArray:
    """Read-only array."""
    array = np.array(values, np.float64)
    array.setflags(write=False)
    return array
