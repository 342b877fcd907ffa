"""The fitter of incremental EM: one step on each batch of rows, from a data set or a stream."""

from __future__ import annotations

import os
import warnings
from contextlib import closing
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np

from nvmix.backends import BACKENDS, GAUGES, M_STEP_METHODS
from nvmix.backends.e_step import EStep
from nvmix.fitting.checkpoints.checkpoint import Checkpoint, optional_checkpoint
from nvmix.fitting.checkpoints.contents import digest
from nvmix.fitting.checkpoints.file import checkpoint_file
from nvmix.fitting.incremental.batches import Batches, generator_of_key, state_of_generator
from nvmix.fitting.incremental.run import IncrementalFitRun, Step, StreamState
from nvmix.fitting.outcome.ends import warn_unless_converged
from nvmix.fitting.outcome.result import EMResult
from nvmix.fitting.report.progress import Forecast, Progress
from nvmix.fitting.rules.updates import EtaUpdate, RobbinsMonroUpdate
from nvmix.fitting.settings import check_model, check_start, settings_of
from nvmix.foundation.arrays import on_jax, traced
from nvmix.foundation.exceptions import ConvergenceWarning, DegenerateError, SolveError
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.validation import boolean, integer, one_of, optional_callable
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import check_gauge
from nvmix.sources.factory import sample_source
from nvmix.sources.observations import observations
from nvmix.sources.source import ArraySource

# Steps between two writes of a checkpoint, unless it says otherwise.
_CHECKPOINT_EVERY: Final = 1000
# Settings that must be equal when a fit is resumed from a checkpoint.
_DECISIVE = (
    "eta_update", "batch_size", "inner_iter", "e_step_backend", "m_step_backend", "m_step_method",
    "averaging",
)  # fmt: skip


class IncrementalEMFitter:
    r"""Fit a normal mixture by EM over one batch of rows in each step.

    A step takes the conditional expectations :math:`\bar s_t` of the sufficient statistics over a
    batch under the current model, combines them with those of earlier steps by a rule, and maps the
    result to parameters:

    .. math::

        \eta_t = (1 - w_t)\,\eta_{t-1} + w_t\,\bar s_t, \qquad \theta_t = \theta(\eta_t),

    where the rule gives :math:`w_t`. :math:`\eta_0` is what the starting model expects of one row,
    where that is finite.

    Parameters
    ----------
    eta_update : EtaUpdate or None
        Rule that combines statistics; None is ``RobbinsMonroUpdate(10.0)``.
    batch_size : int
        Rows of a batch of `fit`, at least 1.
    max_steps : int
        Batches of `fit`, at least 1.
    inner_iter : int
        E- and M-steps on each batch, each combined with the statistics from before the batch.
    verbose : int
        0 prints nothing; 1 a first and a last line and about ten log-likelihoods between, each of
        which takes a pass over all rows; 2 also a line for each step.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b", "unit_mean"}
        Gauge of the fitted model, as for `BatchEMFitter`. With a rule without constants, each step
        begins in "det_sigma_x", the gauge of the starting model.
    e_step_backend, m_step_backend, m_step_method : str
        As for `BatchEMFitter`.
    averaging : bool
        Whether the fitted model is made from a weighted average of :math:`\eta_t` over all steps
        (Polyak averaging), with weights nearly :math:`t^3`. The steps do not use the average.
    checkpoint : Checkpoint, path or None
        File for the state of a `fit`, from which an interrupted fit can be resumed, with the same
        key or none. max_steps may then be larger, with which a verbose fit computes log-likelihoods
        after other steps. The pass that was not complete is read again from its beginning; the fit
        recognises the rows by their number and the last batch. `partial_fit` writes no checkpoint:
        pickle the fitter.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain.

    Notes
    -----
    No E-step has all rows, so there is no test of convergence: a fit takes `max_steps` steps.

    Let g be the difference between the maximum of the mean log-likelihood and its value. With
    averaging and :math:`w_t \sim t^{-\kappa}`, 1/2 < kappa < 1, g falls as 1/t on independent
    batches: it is about :math:`\tfrac{16}{7} k / (2 N)` for k parameters after N rows. An efficient
    estimate has k / (2 N); the factor 16/7 comes from the small weights of early steps. On batches
    of `fit`, with each row once in a pass, g falls about as :math:`1/t^2`. Without averaging it
    falls as :math:`t^{-\kappa}`; :math:`w_t \sim 1/t` is slow where much information is missing.

    A pickled fitter contains the state of its stream, and continues it to the same bits, on the
    same kind of processor.

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
        """The fitted model; None before the first fit.

        It has the gauge `regularization`, unless the subordinator has reached a limit without it.
        """
        if self._state is None:
            return None
        return self._step().fitted(self._state, self.regularization)[0]

    @property
    def eta(self) -> SufficientStatistics | None:
        """Statistics of the last step; None before the first fit."""
        return None if self._state is None else self._state.eta

    @property
    def n_steps(self) -> int:
        """Steps taken since the start."""
        return 0 if self._state is None else self._state.n_steps

    @property
    def n_rows(self) -> float:
        """Rows used since the start; a row counts in each step that used it."""
        return 0.0 if self._state is None else self._state.n_rows

    def fit(self, model: Mixture, X: Any = None, *, key: Any = None) -> EMResult:
        """Fit from a starting model, in batches of rows in random order.

        Each pass has every row once. The fit replaces the state of the fitter; `partial_fit` then
        continues from its result.

        Parameters
        ----------
        model : Mixture
            Where to start; the fit stays in its family.
        X : (n, d) array_like or source
            Observations, as for `BatchEMFitter.fit`, without weights and missing values. A source
            is read chunk by chunk, in random order within each chunk; chunks on Dask workers are
            fetched one by one. A verbose fit reads the source again while batches are drawn.
        key : int, numpy.random.Generator, JAX key or None
            Source of the order; the same key gives the same bits.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit. ``converged`` is None. The log-likelihoods
            are those of a verbose fit, else there are none. ``n_observations`` is nan if the fit
            ended before a second pass over a source began.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, key is of no such kind, or the family has no such gauge.
        ReadError, CheckpointError, FileExistsError
            As for `BatchEMFitter.fit`.

        Warns
        -----
        ConvergenceWarning
            If the fit ends because no model can be made with a batch.

        Examples
        --------
        >>> from nvmix import IncrementalEMFitter, NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> fitter = IncrementalEMFitter(batch_size=64, max_steps=50)
        >>> result = fitter.fit(NormalInverseGaussian.default_init(X), X, key=0)
        >>> result.n_iter, result.status.name
        (50, 'STEPS_DONE')
        """
        check_start(model, X)
        check_gauge(model, self.regularization)
        source = sample_source(_on_host("X", X), model.d, model.columns)
        rng = generator_of_key(key)
        identity = {"rows": "in memory" if isinstance(source, ArraySource) else "in chunks"}
        if key is not None:
            identity["key"] = digest(state_of_generator(rng).encode())
        state = StreamState.of(model, source.columns)
        run = IncrementalFitRun(
            state,
            Batches(source, self.batch_size, rng),
            self._step(),
            self.max_steps,
            self.regularization,
            Progress(self.verbose, Forecast(self.max_steps), "step"),
            EStep(source, self.e_step_backend) if self.verbose else None,
            checkpoint_file(self, _CHECKPOINT_EVERY, _DECISIVE, state.start, **identity),
        )
        try:
            with closing(source):
                result = replace(run.run(), settings=settings_of(self))
        finally:
            self._state = run.state
        warn_unless_converged(result, stacklevel=3)
        return result

    def partial_fit(self, batch: Any, *, model: Mixture | None = None) -> Self:
        """Take one step on a batch of a stream.

        Parameters
        ----------
        batch : (m, d) array_like
            Observations, at least one; batches may be of different sizes.
        model : Mixture or None
            Starting model, required in the first call unless `fit` has been called. Later calls
            may give the same model again.

        Returns
        -------
        IncrementalEMFitter
            This fitter.

        Raises
        ------
        TypeError, ValueError
            If batch is not (m, d) finite real numbers, or model is missing or another one.

        Warns
        -----
        ConvergenceWarning
            If no model can be made with the batch, which is then left out of the stream.

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
            self._state, value, change = self._step().take(state, rows.values)
        except (DegenerateError, SolveError) as error:
            self._state = state
            msg = f"the batch after step {state.n_steps} was left out: {error}"
            warnings.warn(msg, ConvergenceWarning, stacklevel=2)
        else:
            Progress(self.verbose, unit="step").iteration(self._state.n_steps, value, change)
        return self

    def __repr__(self) -> str:
        """Settings by name."""
        settings = (f"{name}={x!r}" for name, x in vars(self).items() if name != "_state")
        return f"IncrementalEMFitter({', '.join(settings)})"

    def _starting_model(self, model: Mixture | None) -> Mixture:
        """The starting model of the stream; ValueError if `model` is missing or another one."""
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

    def _step(self) -> Step:
        """The settings of a step."""
        rule = RobbinsMonroUpdate() if self.eta_update is None else self.eta_update
        backends = self.e_step_backend, self.m_step_backend
        return Step(rule, self.inner_iter, self.averaging, *backends, self.m_step_method)


def _on_host(name: str, rows: Any) -> Any:
    """JAX arrays as NumPy arrays, which can be validated; TypeError for a tracer."""
    if traced(rows):
        msg = f"{name} must be concrete, got rows that JAX traces: incremental EM runs outside it"
        raise TypeError(msg)
    return np.asarray(rows) if on_jax(rows) else rows
