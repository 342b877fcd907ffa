"""Batch EM: the loop of E-steps and M-steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from nvmix._arrays import on_jax, traced
from nvmix._exceptions import DegenerateError, SolveError
from nvmix._validation import (
    Data,
    instance,
    integer,
    nonnegative,
    one_of,
    optional_callable,
    sample,
)
from nvmix.backends import BACKENDS, GAUGES, M_STEP_METHODS, get_backend, get_looper
from nvmix.backends._protocol import Gaussian, Plan
from nvmix.fitting.change import parameter_change
from nvmix.fitting.endings import status_at_pole, status_at_rest
from nvmix.fitting.progress import Progress
from nvmix.fitting.regularization import check_gauge, in_gauge
from nvmix.fitting.result import EMResult, warn_unless_converged
from nvmix.fitting.rules import EtaUpdate, EWMAUpdate, IdentityUpdate
from nvmix.fitting.status import Status, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nvmix._statistics import SufficientStatistics
    from nvmix._typing import FloatArray
    from nvmix.backends._protocol import Backend, GIGParameters
    from nvmix.distributions.mixture import NormalMixture

__all__ = ["BatchEMFitter", "EMResult"]


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

    def at(self, block: Gaussian, theta: GIGParameters) -> Any:
        """Return the model of the family that is there."""


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
    device : jax.Device, jax.sharding.Sharding or None
        Where an E-step on JAX has its rows; None leaves JAX arrays where they are and puts others
        on JAX's default device. Sums are reduced over the devices of a sharding of rows.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain.

    Notes
    -----
    With both steps on "jax" the loop is one compiled program, and the fitted model is all that
    leaves the device. A fit of as many columns, and of a similar number of rows, compiles nothing
    new. Under `jax.jit` or `jax.vmap` the same method fits what JAX traces; each lane of a batch
    stops by itself. An `eta_update` of your own runs step by step.

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
        device: Any = None,
    ) -> None:
        self.max_iter = integer("max_iter", max_iter, 1)
        self.tol = nonnegative("tol", tol)
        self.verbose = integer("verbose", verbose, 0)
        self.regularization = one_of("regularization", regularization, GAUGES)
        self.e_step_backend = one_of("e_step_backend", e_step_backend, BACKENDS)
        self.m_step_backend = one_of("m_step_backend", m_step_backend, BACKENDS)
        self.m_step_method = one_of("m_step_method", m_step_method, M_STEP_METHODS)
        self.eta_update = optional_callable("eta_update", eta_update)
        self.device = device
        if device is not None and self.e_step_backend != "jax":
            msg = f"device needs e_step_backend='jax', got device {device!r}"
            raise ValueError(msg)

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
        under_trace = traced(data.values, *model.block, *model.subordinator.gig)
        if under_trace and {self.e_step_backend, self.m_step_backend} != {"jax"}:
            msg = "what JAX traces is fitted by e_step_backend='jax' and m_step_backend='jax' only"
            raise TypeError(msg)
        begin = time.perf_counter()
        if not under_trace:
            model = _on_host(model)
        if data.columns is not None:
            model = replace(model, columns=data.columns)
        progress = Progress(self.verbose if not under_trace else 0)
        progress.start(model, len(data.values), self.tol)
        whole = self._runs_whole() or under_trace
        result = (self._fit_whole if whole else self._fit_by_steps)(model, data.values, progress)
        elapsed = math.nan if under_trace else time.perf_counter() - begin
        result = replace(result, elapsed_time=elapsed)
        progress.end(result)
        return result

    def _runs_whole(self) -> bool:
        """Whether the whole loop can run on JAX: with a rule that is pure arithmetic."""
        known = self.eta_update is None or isinstance(self.eta_update, IdentityUpdate | EWMAUpdate)
        return known and self.e_step_backend == self.m_step_backend == "jax"

    def _fit_whole(self, model: NormalMixture, X: Any, progress: Progress) -> EMResult:
        """Fit by one program, which returns when it is done."""
        rule = None if isinstance(self.eta_update, IdentityUpdate) else self.eta_update
        gauge = GAUGES.index(self.regularization)
        plan = Plan(model.fixed, gauge, self.m_step_method, rule, self.max_iter, self.tol)
        looper = get_looper()
        placed = looper.place(X, self.device)
        course = looper.fit(placed, model.block, model.subordinator.gig, plan)
        batched = traced(course.n_iter)
        n_iter = self.max_iter if batched else int(course.n_iter)
        histories = (course.log_likelihoods[:n_iter], course.changes[:n_iter])
        if not batched:
            histories = (_frozen(histories[0]), _frozen(histories[1]))
            for i, (log_likelihood, change) in enumerate(zip(*histories, strict=True)):
                progress.iteration(i + 1, log_likelihood, change)
        return EMResult(
            model.at(course.block, course.theta),
            *histories,
            n_iter=course.n_iter if batched else n_iter,
            converged=settled(course.ending) if batched else bool(settled(course.ending)),
            elapsed_time=math.nan,
            code=course.ending if batched else int(course.ending),
        )

    def _fit_by_steps(self, model: NormalMixture, X: Any, progress: Progress) -> EMResult:
        """Fit step by step, each step on its own backend."""
        backend = get_backend(self.e_step_backend)
        placed = backend.place(X, self.device)
        log_det_start = model.log_det_sigma()
        start = in_gauge(model, self.regularization, log_det_start)
        model = model if start is None else start
        course = _Course(model, model)
        # Numbers that leave the range of doubles end in a status, not in warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            status = self._iterate(course, backend, placed, progress, log_det_start)
            status = status_at_pole(status, course.model, backend, placed)
        unsafe = status in {Status.NON_FINITE, Status.UNBOUNDED}
        return EMResult(
            model=course.previous if unsafe else course.model,
            log_likelihoods=_frozen(course.log_likelihoods),
            param_changes=_frozen(course.changes),
            n_iter=len(course.changes),
            converged=status.converged,
            elapsed_time=math.nan,
            code=status.code,
        )

    def _iterate(
        self, course: _Course, backend: Backend, X: Any, progress: Progress, log_det_start: float
    ) -> Status:
        """Iterate until the parameters settle or something ends the fit, and say which."""
        for i in range(self.max_iter):
            ending = self._step(course, backend, X, log_det_start)
            if ending is not None:
                return ending
            progress.iteration(i + 1, course.log_likelihoods[-1], course.changes[-1])
            if course.changes[-1] < self.tol:
                return status_at_rest(course.model)
        return Status.MAX_ITER

    def _step(
        self, course: _Course, backend: Backend, X: Any, log_det_start: float
    ) -> Status | None:
        """One E-step and one M-step; the status that ends the fit, if one does."""
        model = course.model
        batch = backend.e_step(X, model.block, model.subordinator.gig)
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


def _on_host(model: NormalMixture) -> NormalMixture:
    """The model with NumPy arrays, where JAX has put its own."""
    block, theta = model.block, model.subordinator.gig
    if not on_jax(*block, *theta):
        return model
    p, a, b = map(float, theta)
    return model.at(Gaussian(*(np.array(x, np.float64) for x in block)), (p, a, b))


def _frozen(values: Sequence[float]) -> FloatArray:
    """Read-only array."""
    array = np.array(values, np.float64)
    array.setflags(write=False)
    return array
