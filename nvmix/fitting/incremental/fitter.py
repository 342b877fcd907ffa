"""Incremental EM: a step for each batch of rows, of data at hand or of a stream."""

from __future__ import annotations

import os
import warnings
from contextlib import closing
from typing import Any, Final, Self

import numpy as np

from nvmix.backends import BACKENDS, GAUGES, M_STEP_METHODS
from nvmix.fitting.checkpoints.checkpoint import Checkpoint, optional_checkpoint
from nvmix.fitting.checkpoints.contents import digest
from nvmix.fitting.checkpoints.file import checkpoint_file
from nvmix.fitting.incremental.batches import Batches, generator_of_key, state_of_generator
from nvmix.fitting.incremental.likelihood_passes import LikelihoodPasses
from nvmix.fitting.incremental.run import IncrementalFitRun
from nvmix.fitting.incremental.step import Step, StreamState
from nvmix.fitting.outcome.result import EMResult, warn_unless_converged
from nvmix.fitting.report.forecast import Forecast
from nvmix.fitting.report.progress import Progress
from nvmix.fitting.rules.updates import EtaUpdate, RobbinsMonroUpdate
from nvmix.fitting.settings import check_model, check_start
from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.exceptions import ConvergenceWarning, DegenerateError, SolveError
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.validation import boolean, integer, one_of, optional_callable
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import check_gauge
from nvmix.sources.factory import sample_source
from nvmix.sources.observations import observations
from nvmix.sources.source import ArraySource

_SETTINGS = (
    "eta_update", "batch_size", "max_steps", "inner_iter", "verbose", "regularization",
    "e_step_backend", "m_step_backend", "m_step_method", "averaging", "checkpoint",
)  # fmt: skip
# Steps between two writes of a checkpoint that does not say.
_CHECKPOINT_EVERY: Final = 1000
# Settings that a fit must share with the one whose checkpoint it goes on from.
_DECISIVE = (
    "eta_update", "batch_size", "inner_iter", "e_step_backend", "m_step_backend", "m_step_method",
    "averaging",
)  # fmt: skip


class IncrementalEMFitter:
    r"""Fit a normal mixture by EM over one batch of rows in each step.

    A step takes the conditional expectations :math:`\bar s_t` of the sufficient statistics over a
    batch at the current model, combines them with those before by a rule, and inverts the result:

    .. math::

        \eta_t = (1 - w_t)\,\eta_{t-1} + w_t\,\bar s_t, \qquad \theta_t = \theta(\eta_t),

    with :math:`w_t` falling as the rule says. :math:`\eta_0` is what the starting model expects of
    one row, where that is finite.

    Parameters
    ----------
    eta_update : EtaUpdate or None
        Rule that combines statistics; None is ``RobbinsMonroUpdate(10.0)``.
    batch_size : int
        Rows of a batch of `fit`, at least 1.
    max_steps : int
        Batches of `fit`, at least 1.
    inner_iter : int
        E- and M-steps on each batch, always from the statistics of before it.
    verbose : int
        0 prints nothing, 1 a start and an end line and about ten log-likelihoods on the way, for
        each of which a pass is made over all rows, 2 a row per step too.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        Gauge of the fitted model, as of `BatchEMFitter`. Each step of a rule without constants
        begins in that of the starting model, "det_sigma_x".
    e_step_backend, m_step_backend : {"cpu", "jax"}
        Where each step runs.
    m_step_method : {"newton", "lbfgs", "bfgs"}
        How the subordinator's eta -> theta is solved where it has no closed form.
    averaging : bool
        Whether the fitted model is that of a running average of :math:`\eta_t` (Polyak averaging),
        in which step t counts as :math:`t^3`, nearly. The steps go on from :math:`\eta_t` itself.
    checkpoint : Checkpoint, path or None
        File in which a `fit` keeps its state, to go on from after an interrupt, under the same key,
        or none, and a larger max_steps too (by which a verbose fit makes other passes). Rows are
        read anew from the beginning of the pass that was not complete; they are recognised by their
        number and the last batch. `partial_fit` writes none: pickle the fitter.

    Attributes
    ----------
    model : Mixture or None
        The fitted model, in its gauge, or in a free one where the law of Y has reached a limit
        without it; None before the first fit.
    eta : SufficientStatistics or None
        Statistics of the last step.
    n_steps : int
        Steps taken since the start.
    n_rows : float
        Rows seen in them, those seen again included.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain.

    Notes
    -----
    No E-step sees all rows, so that nothing tells when a fit has converged: it takes its steps.

    With averaging and steps that fall as :math:`t^{-\kappa}`, 1/2 < kappa < 1, the mean
    log-likelihood comes to its maximum as 1/t on independent batches: k parameters and N rows seen
    leave about :math:`\tfrac{16}{7} k / (2 N)` to gain, of which k / (2 N) is what any estimate
    leaves, and 16/7 the price of forgetting early steps. Batches of `fit`, each row once in a
    pass, lead there as :math:`1/t^2`, about. Without averaging steps of :math:`t^{-\kappa}` leave
    :math:`t^{-\kappa}`, and those of 1/t are slow where much information is missing.

    A fitter pickles with its stream, which goes on to the same bits.

    References
    ----------
    O. Cappé and E. Moulines, On-line expectation-maximization algorithm for latent data models,
    Journal of the Royal Statistical Society B 71 (2009), 593-613.
    B. T. Polyak and A. B. Juditsky, Acceleration of stochastic approximation by averaging, SIAM
    Journal on Control and Optimization 30 (1992), 838-855.
    O. Shamir and T. Zhang, Stochastic gradient descent for non-smooth optimization: convergence
    results and optimal averaging schemes, ICML 2013, 71-79, for the weights of the average.

    Examples
    --------
    >>> from nvmix import IncrementalEMFitter, NormalInverseGaussian, RobbinsMonroUpdate
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> start = NormalInverseGaussian.default_init(X)
    >>> fitter = IncrementalEMFitter(
    ...     eta_update=RobbinsMonroUpdate(10.0, exponent=0.6), batch_size=64, averaging=True)
    >>> fitted = fitter.fit(start, X, key=0).model
    >>> best = start.fit(X).model
    >>> best.marginal_log_likelihood(X) - fitted.marginal_log_likelihood(X) < 1e-3
    True
    """

    def __init__(
        self,
        *,
        eta_update: EtaUpdate | None = None,
        batch_size: int = 256,
        max_steps: int = 200,
        inner_iter: int = 1,
        verbose: int = 0,
        regularization: str = "none",
        e_step_backend: str = "cpu",
        m_step_backend: str = "cpu",
        m_step_method: str = "newton",
        averaging: bool = False,
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    ) -> None:
        self.eta_update = optional_callable("eta_update", eta_update)
        self.batch_size = integer("batch_size", batch_size, 1)
        self.max_steps = integer("max_steps", max_steps, 1)
        self.inner_iter = integer("inner_iter", inner_iter, 1)
        self.verbose = integer("verbose", verbose, 0)
        self.regularization = one_of("regularization", regularization, GAUGES)
        self.e_step_backend = one_of("e_step_backend", e_step_backend, BACKENDS)
        self.m_step_backend = one_of("m_step_backend", m_step_backend, BACKENDS)
        self.m_step_method = one_of("m_step_method", m_step_method, M_STEP_METHODS)
        self.averaging = boolean("averaging", averaging)
        self.checkpoint = optional_checkpoint(checkpoint)
        self._state: StreamState | None = None

    @property
    def model(self) -> Mixture | None:
        """The fitted model; None before the first fit."""
        if self._state is None:
            return None
        return self._step().fitted(self._state, self.regularization)[0]

    @property
    def eta(self) -> SufficientStatistics | None:
        """Statistics of the last step."""
        return None if self._state is None else self._state.eta

    @property
    def n_steps(self) -> int:
        """Steps taken since the start."""
        return 0 if self._state is None else self._state.n_steps

    @property
    def n_rows(self) -> float:
        """Rows seen since the start."""
        return 0.0 if self._state is None else self._state.n_rows

    def fit(self, model: Mixture, X: Any = None, *, key: Any = None) -> EMResult:
        """Fit from a starting model, in batches of rows in random order.

        Each pass has every row once. An earlier fit is forgotten; `partial_fit` goes on from the
        end of this one.

        Parameters
        ----------
        model : Mixture
            Where to start; the fit stays in its family.
        X : (n, d) array_like or source
            Observations, as of `BatchEMFitter.fit`; never modified. Those of a source are read
            chunk by chunk, and are in random order within each; blocks on workers come here one
            by one. A verbose fit reads them a second time meanwhile. All rows count alike, and
            none may have missing values.
        key : int, numpy.random.Generator, JAX key or None
            Source of the order; the same key gives the same bits.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit. ``converged`` is None; the log-likelihoods
            are the about ten of a verbose fit, else there are none;
            ``n_observations`` is nan where no second pass over a source was begun.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, key is no source, or the family has no such gauge.
        ReadError
            If a chunk of a source cannot be read; the message names it.
        CheckpointError, FileExistsError
            If the file of `checkpoint` is damaged or of another fit, or exists without `resume`.

        Warns
        -----
        ConvergenceWarning
            If a batch leaves the family, with which the fit ends.
        """
        check_start(model, X)
        check_gauge(model, self.regularization)
        source = sample_source(_on_host("X", X), model.d, model.columns)
        rng = generator_of_key(key)
        identity = {"rows": "in memory" if isinstance(source, ArraySource) else "in chunks"}
        if key is not None:
            identity["key"] = digest(state_of_generator(rng).encode())
        batches = Batches(source, self.batch_size, rng)
        fit = self._one_fit(StreamState.of(model, source.columns), batches, identity)
        try:
            with closing(source):
                result = fit.run()
        finally:
            self._state = fit.state
        warn_unless_converged(result, stacklevel=3)
        return result

    def partial_fit(self, batch: Any, *, model: Mixture | None = None) -> Self:
        """Take one step, on a batch of a stream.

        Parameters
        ----------
        batch : (m, d) array_like
            Observations, at least one; batches may be of different sizes.
        model : Mixture or None
            Where the stream starts, in the first call, unless `fit` has been called. In others it
            may be given again, and must be the same.

        Returns
        -------
        IncrementalEMFitter
            This fitter.

        Raises
        ------
        TypeError, ValueError
            If batch is not (m, d) finite real numbers, there is no model to start from, or it is
            not the one that the stream has started from.

        Warns
        -----
        ConvergenceWarning
            If no model can be made with the batch, which is left out: all stays as it was.

        Examples
        --------
        >>> from nvmix import IncrementalEMFitter, NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> fitter = IncrementalEMFitter()
        >>> for batch in (X[:200], X[200:]):
        ...     _ = fitter.partial_fit(batch, model=NormalInverseGaussian.default_init(X[:200]))
        >>> fitter.n_steps, fitter.n_rows
        (2, 391.0)
        """
        start = self._starting_model(model)
        rows = observations(_on_host("batch", batch), start.d, start.columns, name="batch")
        state = self._state or StreamState.of(start, rows.columns)
        try:
            self._state, record = self._step().take(state, rows.values)
        except (DegenerateError, SolveError) as error:
            self._state = state
            msg = f"the batch after step {state.n_steps} was left out: {error}"
            warnings.warn(msg, ConvergenceWarning, stacklevel=2)
        else:
            Progress(self.verbose, unit="step").iteration(self._state.n_steps, *record)
        return self

    def __repr__(self) -> str:
        """Settings by name."""
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in _SETTINGS)
        return f"IncrementalEMFitter({shown})"

    def _starting_model(self, model: Mixture | None) -> Mixture:
        """The model that the stream starts from, or has started from."""
        if model is not None:
            check_model(model)
        if self._state is None:
            if model is None:
                msg = "model must be given in the first call of partial_fit, got None"
                raise ValueError(msg)
            check_gauge(model, self.regularization)
            return model
        if model is not None and not self._state.starts_from(model):
            msg = (
                f"model must be the one that this stream of {self._state.n_steps} steps has "
                f"started from, or None, got {model!r}; another stream takes another fitter"
            )
            raise ValueError(msg)
        return self._state.start

    def _one_fit(
        self, state: StreamState, batches: Batches, identity: dict[str, str]
    ) -> IncrementalFitRun:
        """The steps of `fit`."""
        step = self._step()
        progress = Progress(self.verbose, Forecast(self.max_steps), "step")
        every, start = _CHECKPOINT_EVERY, state.start
        return IncrementalFitRun(
            state,
            batches,
            step,
            self.max_steps,
            self.regularization,
            progress,
            LikelihoodPasses(step, batches.source, self.max_steps, progress, self.verbose),
            checkpoint_file(self, every, _DECISIVE, start, **identity),
        )

    def _step(self) -> Step:
        """How a step is taken."""
        return Step(
            RobbinsMonroUpdate() if self.eta_update is None else self.eta_update,
            self.inner_iter,
            self.averaging,
            self.e_step_backend,
            self.m_step_backend,
            self.m_step_method,
        )


def _on_host(name: str, rows: Any) -> Any:
    """Rows as NumPy has them, where they are of JAX, so that their numbers are validated."""
    if traced(rows):
        msg = f"{name} must be concrete, got rows that JAX traces: incremental EM runs outside it"
        raise TypeError(msg)
    return np.asarray(rows) if on_jax(rows) else rows
