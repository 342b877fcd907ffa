"""Batch EM: the fitter and its settings; incremental EM is in `nvmix.fitting.incremental`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, Final

import numpy as np

from nvmix.backends import ACCELERATIONS, BACKENDS, CRITERIA, GAUGES, M_STEP_METHODS
from nvmix.backends.types import Constraints, EMOptions
from nvmix.fitting.checkpoints.checkpoint import Checkpoint, optional_checkpoint
from nvmix.fitting.checkpoints.file import checkpoint_file
from nvmix.fitting.engine.constraints import constrained, constraints_of
from nvmix.fitting.engine.run import FitRun
from nvmix.fitting.incremental.fitter import IncrementalEMFitter
from nvmix.fitting.outcome.ends import most_likely, warn_unless_converged
from nvmix.fitting.outcome.result import EMResult
from nvmix.fitting.report.progress import Forecast, Progress
from nvmix.fitting.rules.updates import EtaUpdate, IdentityUpdate
from nvmix.fitting.settings import check_settings, check_start, check_together, settings_of
from nvmix.fitting.starts.moments import random_subsets
from nvmix.fitting.starts.start import StartingRows
from nvmix.foundation.arrays import traced
from nvmix.foundation.stopwatch import Stopwatch
from nvmix.foundation.validation import (
    boolean,
    integer,
    mapping,
    nonnegative,
    one_of,
    optional_callable,
)
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import check_gauge
from nvmix.sources.factory import sample_source
from nvmix.sources.observations import MISSING, starting_sample
from nvmix.sources.source import ArraySource, Source

__all__ = ["BatchEMFitter", "EMResult", "IncrementalEMFitter"]

ALGORITHMS: Final = ("em", "mcecm")
# tol where none is given: of parameter changes, and of gains of mean log-likelihood.
_TOL: Final = {"parameters": 1e-4, "likelihood": 1e-9}
# Settings that a fit must share with the one whose checkpoint it goes on from.
_DECISIVE: Final = (
    "tol", "criterion", "acceleration", "algorithm", "fixed", "symmetric", "bounded", "missing",
    "eta_update", "e_step_backend", "m_step_backend", "m_step_method",
)  # fmt: skip
# Iterations between two writes of a checkpoint that does not say.
_CHECKPOINT_EVERY: Final = 10
# Iterations that make a random start from a random subset of the rows.
_START_STEPS: Final = 10


class BatchEMFitter:
    r"""Fit a normal mixture by EM over the whole data in each iteration.

    The E-step takes the conditional expectations of the sufficient statistics, the M-step inverts
    them. The parameter change of EM's own step from a model is the largest of

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
    tol : float or None
        What the criterion is compared with; None is 1e-4 for "parameters", 1e-9 for "likelihood".
    verbose : int
        0 prints nothing, 1 a start and an end line, and a line every 10 seconds, 2 a row per
        iteration too, with the rows read per second and an estimate of the time left.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b", "unit_mean"}
        Gauge of the scale shared by Sigma and Y: free, \|Sigma\| = 1, \|Sigma\| as in the starting
        model, a GIG with a = b, or E[Y] = 1. The law of X is the same in each.
    e_step_backend, m_step_backend : {"cpu", "jax"}
        Where each step runs.
    m_step_method : {"newton", "lbfgs", "bfgs"}
        How the subordinator's eta -> theta is solved where it has no closed form.
    eta_update : EtaUpdate or None
        Rule that combines each E-step's statistics with those before; None is `IdentityUpdate`.
    acceleration : {"auto", "anderson", "squarem", "none"}
        How steps are extrapolated: by Anderson acceleration over the last 5, by SQUAREM, or not at
        all. "auto" is "anderson" wherever it can be, that is with `IdentityUpdate` and "em".
    criterion : {"parameters", "likelihood"}
        A fit has converged when the parameter change of EM's own step is below tol, or when the
        gain of mean log-likelihood that is predicted from the last iterations is. Either has to be
        confirmed: what is left to gain, by prediction, is at most 10 tol^2 a row, or tol.
    algorithm : {"em", "mcecm"}
        Whether an iteration maximises over everything at once, or over the law of Y after an
        E-step of its own.
    fixed : mapping or None
        Parameters to hold at values, by name: "mu", "gamma" (at 0), "p" of `GeneralizedHyperbolic`,
        "alpha" of `VarianceGamma` and `NormalInverseGamma`, "df" = 2 alpha of the latter.
    symmetric : bool
        Whether gamma is held at 0.
    bounded : bool
        Whether p of `GeneralizedHyperbolic`, or alpha of `VarianceGamma`, is at least (d + 1) / 2,
        which bounds the density, and so the likelihood, where data repeat.
    missing : {"raise", "em"}
        Whether nan is refused, or stands for a missing value, at random, over which the E-step
        takes exact conditional expectations; rows without a value are passed over.
    n_init : int
        Starts: the model given, models of the densest half and quarter of the rows, which must be
        in memory, and fits to random subsets. The likeliest end is kept, whether or not it
        converged, unless it is `UNBOUNDED`; ``EMResult.best_start`` says which it is.
    seed : int, numpy.random.Generator or None
        Source of the subsets.
    device : jax.Device, jax.sharding.Sharding or None
        Where an E-step on JAX has its rows; None leaves JAX arrays where they are and puts others
        on JAX's default device. Sums are reduced over the devices of a sharding of rows.
    checkpoint : Checkpoint, path or None
        File in which the fit keeps its state, to go on from after an interrupt. Such a fit runs
        step by step in Python, which for few rows in memory changes the last digits.

    Raises
    ------
    TypeError, ValueError
        If a parameter is outside its domain.

    Notes
    -----
    An extrapolated step is accepted if the likelihood does not fall, so that it rises in every
    iteration, and if it makes Sigma nowhere more than 1.5 times narrower than EM's own step. Each
    step costs one pass over the data, rejected ones too; ``EMResult.n_passes`` counts both.

    If EM's end is not confirmed after 100 iterations, or 8 after it met the criterion, steps of
    Newton's method on the exact likelihood follow, which count as iterations. They need complete
    rows in memory, at most some 1e8 over the square of the number of parameters. Of few rows, a fit
    less likely than the fitted normal distribution is done again from there, and one whose density
    may have a peak at mu is compared with fits that have mu at other rows.

    The likelihood of `GeneralizedHyperbolic` often has several maxima. After a fit, each special
    case (p = -1/2, p = (d + 1) / 2, a = 0 and b = 0) that agrees with what is held is fitted from
    its own default start, for a few iterations, or to the end if it may become likelier; and the
    fit goes on from one that did. So it is no less likely than fits of those families. ``n_passes``
    counts all of that, and the histories are those that led to the result. There is no such
    comparison where p is held, with an `eta_update`, of rows that are not in memory, under a JAX
    trace, and in the fits from further starts of `n_init`.

    With both steps on "jax" the loop is one compiled program, and the fitted model is all that
    leaves the device. A fit of as many columns, and of a similar number of rows, compiles nothing
    new. Under `jax.jit` or `jax.vmap` the same method fits what JAX traces; each lane of a batch
    stops by itself. An `eta_update` of your own runs step by step, and so does "mcecm".

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, Maximum likelihood from incomplete data via the
    EM algorithm, Journal of the Royal Statistical Society B 39 (1977), 1-38.
    N. C. Henderson and R. Varadhan, Damped Anderson acceleration with restarts and monotonicity
    control for accelerating EM and EM-like algorithms, Journal of Computational and Graphical
    Statistics 28 (2019), 834-846.
    C. Liu and D. B. Rubin, The ECME algorithm, Biometrika 81 (1994), 633-648, for "mcecm".

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
        tol: float | None = None,
        verbose: int = 0,
        regularization: str = "none",
        e_step_backend: str = "cpu",
        m_step_backend: str = "cpu",
        m_step_method: str = "newton",
        eta_update: EtaUpdate | None = None,
        acceleration: str = "auto",
        criterion: str = "parameters",
        algorithm: str = "em",
        fixed: Mapping[str, Any] | None = None,
        symmetric: bool = False,
        bounded: bool = False,
        missing: str = "raise",
        n_init: int = 1,
        seed: int | np.random.Generator | None = 0,
        device: Any = None,
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    ) -> None:
        self.max_iter = integer("max_iter", max_iter, 1)
        self.criterion = one_of("criterion", criterion, CRITERIA)
        self.tol = _TOL[criterion] if tol is None else nonnegative("tol", tol)
        self.verbose = integer("verbose", verbose, 0)
        self.regularization = one_of("regularization", regularization, GAUGES)
        self.e_step_backend = one_of("e_step_backend", e_step_backend, BACKENDS)
        self.m_step_backend = one_of("m_step_backend", m_step_backend, BACKENDS)
        self.m_step_method = one_of("m_step_method", m_step_method, M_STEP_METHODS)
        self.eta_update = optional_callable("eta_update", eta_update)
        self.acceleration = one_of("acceleration", acceleration, ("auto", *ACCELERATIONS))
        self.algorithm = one_of("algorithm", algorithm, ALGORITHMS)
        self.fixed = mapping("fixed", fixed)
        self.symmetric = boolean("symmetric", symmetric)
        self.bounded = boolean("bounded", bounded)
        self.missing = one_of("missing", missing, MISSING)
        self.n_init = integer("n_init", n_init, 1)
        self.seed = seed
        self.device = device
        self.checkpoint = optional_checkpoint(checkpoint)
        check_together(self, may_extrapolate=self._may_extrapolate())

    def _check_source(self, source: Source) -> None:
        """Check settings that need rows in memory."""
        needs = {"n_init": self.n_init > 1, "device": self.device is not None}
        for name, is_set in needs.items():
            if is_set and not isinstance(source, ArraySource):
                msg = f"{name} needs X to be an array in memory, got {source}"
                raise ValueError(msg)

    def _may_extrapolate(self) -> bool:
        """Whether an iteration is EM's own map, which extrapolation assumes."""
        return self._rule() is None and self.algorithm == "em"

    def _rule(self) -> EtaUpdate | None:
        """The rule, None for plain EM."""
        return None if type(self.eta_update) is IdentityUpdate else self.eta_update

    def fit(self, model: Mixture, X: Any = None, *, weights: Any = None) -> EMResult:
        """Fit from a starting model.

        Parameters
        ----------
        model : NormalMixture
            Where to start; the fit stays in its family.
        X : (n, d) array_like or source
            Observations; never modified. The names of columns go to the model. A source is read
            anew in each pass: an `np.memmap`, the path of a .npy, .parquet, .arrow or .feather
            file or of a directory, an Arrow dataset or table, a function that returns an iterable
            of chunks (m, d) or of pairs of them with (m,) weights (a thread calls it and prefetches
            chunks), or a Dask array or DataFrame, whose rows stay on the workers where there is a
            ``distributed.Client``.
        weights : (n,) array_like or None
            Weight of each row, nonnegative: 2 counts for two such rows. None is 1 for all.

        Returns
        -------
        EMResult
            The fitted model and the record of the fit.

        Raises
        ------
        TypeError, ValueError
            If X cannot be fitted, or the family has no such gauge.
        ReadError
            If a chunk of a source cannot be read; the message names it.
        CheckpointError, FileExistsError
            If the file of `checkpoint` is damaged or of another fit, or exists without `resume`.

        Warns
        -----
        ConvergenceWarning
            If the fit ends without converging; the message says how and what to try.

        Examples
        --------
        >>> from nvmix import BatchEMFitter, NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> fitter = BatchEMFitter(criterion="likelihood", symmetric=True)
        >>> result = fitter.fit(NormalInverseGaussian.default_init(X), X)
        >>> result.converged, round(result.log_likelihood, 2)
        (True, -2336.35)
        """
        check_start(model, X)
        result = self.run(model, X, weights)
        warn_unless_converged(result, stacklevel=3)
        return result

    def run(self, model: Mixture, X: Any, weights: Any = None) -> EMResult:
        """`fit` without a warning, with the same arguments, result and errors."""
        with closing(sample_source(X, model.d, model.columns, self.missing, weights)) as source:
            return self.run_source(model, source)

    def __repr__(self) -> str:
        """Settings by name."""
        return f"BatchEMFitter({', '.join(f'{name}={x!r}' for name, x in vars(self).items())})"

    def run_source(self, model: Mixture, source: Source) -> EMResult:
        """Fit to a source, whose rows have been validated, as `run` does."""
        check_gauge(model, self.regularization)
        self._check_source(source)
        rows = (source.values, source.weights) if isinstance(source, ArraySource) else ()
        if traced(*rows, *model.normal, *model.subordinator.gig):
            return self._run_traced(model, *rows)
        watch = Stopwatch()
        model = model.on_host()
        if source.columns is not None:
            model = replace(model, columns=source.columns)
        constraints = self._constraints(model)
        model = constrained(model, constraints)
        forecast = Forecast(self.max_iter, self.tol, by_likelihood=self.criterion == "likelihood")
        progress = Progress(self.verbose, forecast)
        progress.start(model, source, f"tol {self.tol:g}")
        one = self._one_fit(model, constraints, progress)
        result = one.run(model, source)
        several = self.n_init > 1 and not model.subordinator.is_constant
        if several and isinstance(source, ArraySource):
            result = self._best_of(one, result, model, source)
        if result.model.columns is None and source.columns is not None:
            # The first pass over a stream has named its columns.
            result = replace(result, model=replace(result.model, columns=source.columns))
        result = replace(result, elapsed_time=watch.seconds, settings=settings_of(self))
        progress.end(result)
        return result

    def _constraints(self, model: Mixture) -> Constraints:
        """What the settings hold in a model."""
        return constraints_of(model, self.fixed, symmetric=self.symmetric, bounded=self.bounded)

    def _one_fit(self, model: Mixture, constraints: Constraints, progress: Progress) -> FitRun:
        """How to fit from one start."""
        acceleration, method, rule = self.acceleration, self.m_step_method, self._rule()
        if acceleration == "auto":
            acceleration = "anderson" if self._may_extrapolate() else "none"
        options = EMOptions(
            constraints,
            method,
            rule,
            acceleration,
            self.criterion,
            self.max_iter,
            self.tol,
            conditional=self.algorithm == "mcecm",
        )
        checkpoint = checkpoint_file(self, _CHECKPOINT_EVERY, _DECISIVE, model)
        backends = self.e_step_backend, self.m_step_backend
        return FitRun(options, self.regularization, *backends, self.device, progress, checkpoint)

    def _run_traced(self, model: Mixture, X: Any, weights: Any = None) -> EMResult:
        """Fit rows, or from a model, that JAX traces, as one program."""
        one = self._one_fit(model, self._constraints(model), Progress(0))
        if self.e_step_backend != "jax" or self.n_init > 1 or not one.is_one_program():
            msg = (
                "what JAX traces is fitted by e_step_backend='jax' and m_step_backend='jax' only, "
                "from one start, with algorithm 'em' and a known rule"
            )
            raise TypeError(msg)
        return one.run_traced(model, X, weights)

    def _best_of(
        self, one: FitRun, first: EMResult, model: Mixture, source: ArraySource
    ) -> EMResult:
        """The likeliest of fits from several starts, the first of which is done."""
        starts = islice(self._more_starts(model, source), self.n_init - 1)
        more, constraints = replace(one, compared=False), one.options.constraints
        results = [first, *(more.run(constrained(s, constraints), source) for s in starts)]
        best = most_likely(results)
        scores = tuple(result.log_likelihood for result in results)
        return replace(results[best], scores=scores, best_start=best)

    def _more_starts(self, model: Mixture, source: ArraySource) -> Iterator[Mixture]:
        """Models of the family of the model, from the densest rows, then from random subsets."""
        rows = starting_sample(source.values, source.missing)
        for start in StartingRows(rows.values).cores(model.fixed):
            yield model.at(*start)
        short = BatchEMFitter(max_iter=_START_STEPS, missing=self.missing)
        for subset in random_subsets(source.values, self.n_init - 1, self.seed):
            yield short.run_source(model, ArraySource(subset, missing=self.missing)).model


def batch_fitter(caller: str, settings: Mapping[str, Any]) -> BatchEMFitter:
    """The fitter with these settings; TypeError that names the caller for an unknown one."""
    check_settings(caller, settings)
    return BatchEMFitter(**settings)
