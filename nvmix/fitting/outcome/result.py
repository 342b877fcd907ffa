"""The record of a fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix.backends.status import Status
from nvmix.fitting.outcome.other_names import OF_RESULTS, no_attribute
from nvmix.fitting.outcome.summary import Summary, html_of_fit, same_rows, without_errors
from nvmix.foundation.arrays import namespace, traced
from nvmix.foundation.files.json_text import all_encoded, encoded
from nvmix.foundation.files.storable import Storable
from nvmix.foundation.pytrees import pytree
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import one_of
from nvmix.inference.standard_errors import (
    StandardErrors,
    elements_of,
    labels_of,
    standard_errors,
)
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.observations import MISSING, sample

_LEAVES = (
    "model", "log_likelihoods", "param_changes", "n_iter", "converged", "elapsed_time", "code",
    "n_passes", "log_likelihood", "n_observations",
)  # fmt: skip
_STATIC = (
    "n_parameters", "held", "at_bound", "regularization", "scores", "best_start", "rows", "notes",
    "settings",
)  # fmt: skip
# What a file has of a fit as numbers, and as counts.
NUMBERS = ("log_likelihood", "n_observations", "elapsed_time")
COUNTS = ("n_parameters", "n_iter", "n_passes", "best_start")
# Largest number of elements of parameters of which a summary has standard errors unasked.
_FEW_ELEMENTS = 500
# Largest number of rows that a message lists.
_NAMED = 10


@pytree(_LEAVES, _STATIC)
@dataclass(frozen=True, eq=False, repr=False)
class EMResult(Storable):
    """Record of a fit.

    A result is a pytree once JAX is loaded. In a fit under a JAX trace, such as `jax.vmap`, numbers
    are arrays, the arrays of iterations have max_iter entries, nan from n_iter on, and elapsed_time
    is nan.

    Parameters
    ----------
    model : NormalMixture
        The fitted model.
    log_likelihoods : (n_iter,) array
        Mean log-likelihood of the model before each iteration. In the result of an
        `IncrementalEMFitter`: of the fitted model at about ten steps if verbose, else empty.
    param_changes : (n_iter,) array
        Largest relative change of the parameters that EM's own step makes from the model before
        each iteration; see `BatchEMFitter`. With an `eta_update` or "mcecm" it is that of the
        iteration.
    n_iter : int
        Number of iterations.
    converged : bool or None
        Whether the fit met its criterion; None for incremental fits, which have none.
    elapsed_time : float
        Seconds, without those in which kernels of the CPU were compiled or loaded.
    code : int
        Number of `status`.
    n_passes : int
        Passes over the data: one for each iteration, for each rejected extrapolation, and for the
        fitted model, those of other starts and special cases included. A step of Newton's method
        takes two. An incremental fit counts the rows of its batches, rounded up to passes.
    log_likelihood : float
        Log-likelihood of the fitted model, summed over all rows; nan if it was not computed.
    n_observations : float
        Number of rows, or the sum of their weights.
    n_parameters : int
        Number of free parameters. Parameters held fixed do not count, and the scale shared by Sigma
        and Y counts once.
    held : tuple of str
        Names of the parameters that were held fixed.
    at_bound : tuple of str
        Name of the parameter that ended at the bound of ``bounded=True``, if it did.
    regularization : str
        How the scale shared by Sigma and Y was fixed, the gauge; see `BatchEMFitter`.
    scores : tuple of float
        With ``n_init`` above 1, the log-likelihoods of the fits from all starts, that of the given
        model first.
    best_start : int
        Which of the starts led to this result, from 0, the given model: its place in ``scores``.
    rows : tuple of int
        Numbers, from 0, of the rows at mu if they dominate the fit; 10,000 at most.
    notes : tuple of str
        Sentences that `message` has beside that of the status.
    settings : tuple of pairs
        Names and values of the settings of the fitter; what is no number or text is a text.
    data : tuple or None
        The observations and their weights or None; not pickled, and no leaf of the pytree.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> result = nvmix.fit(X, "nig")
    >>> result.status, result.usable, round(result.bic, 2)
    (<Status.CONVERGED: 0>, True, 4714.71)
    """

    model: Mixture
    log_likelihoods: FloatArray
    param_changes: FloatArray
    n_iter: int
    converged: bool | None
    elapsed_time: float
    code: int
    n_passes: int
    log_likelihood: float
    n_observations: float
    n_parameters: int
    held: tuple[str, ...] = ()
    at_bound: tuple[str, ...] = ()
    regularization: str = "none"
    scores: tuple[float, ...] = ()
    best_start: int = 0
    rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    data: tuple[Any, Any] | None = field(default=None, repr=False)

    @property
    def status(self) -> Status:
        """How the fit ended; ``status.message`` is a sentence with advice."""
        return Status.of(self.code)

    @property
    def message(self) -> str:
        """The message of the status, the rows at mu if they dominate the fit, and notes."""
        sentences = [self.status.message, *self.notes]
        if not self.rows:
            return " ".join(sentences)
        named = ", ".join(map(str, self.rows[:_NAMED]))
        more = f" and {len(self.rows) - _NAMED} more" if len(self.rows) > _NAMED else ""
        sentences.insert(1, f"Rows at mu: {named}{more}.")
        return " ".join(sentences)

    @property
    def symmetric(self) -> bool:
        """Whether gamma was fixed at 0."""
        return "gamma" in self.held

    @property
    def usable(self) -> bool:
        """Whether the log-likelihood may be compared: the fit converged or reached max_iter.

        For an incremental fit: whether its log-likelihood was computed, as in a verbose fit.
        """
        if self.status is Status.STEPS_DONE:
            return bool(np.isfinite(self.log_likelihood))
        return bool(self.converged) or self.status is Status.MAX_ITER

    @property
    def aic(self) -> float:
        """Akaike's information criterion, 2 k - 2 log L."""
        return 2.0 * self.n_parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, k log n - 2 log L."""
        n: Any = self.n_observations
        log_n: float = math.log(n) if isinstance(n, float) else namespace(n).log(n)
        return self.n_parameters * log_n - 2.0 * self.log_likelihood

    def standard_errors(
        self, X: Any = None, *, weights: Any = None, missing: str = "raise"
    ) -> StandardErrors:
        """Standard errors of the parameters from the observed information.

        Rows of a fit with ``missing="em"`` have the information of the values that they have.

        Parameters
        ----------
        X : (n, d) array_like or None
            The observations that were fitted; None takes those in ``data`` of the result.
        weights : (n,) array_like or None
            Weights of the rows of X, None for 1 each; those of ``data`` come with it.
        missing : {"raise", "em"}
            Whether nan in X is an error, or stands for a missing value.

        Returns
        -------
        StandardErrors
            Errors by parameter, their covariance and Wald intervals. Parameters held fixed, by the
            fit or by the gauge, the convention for the scale that Sigma and Y share, have error 0.

        Raises
        ------
        ValueError
            If there are no observations, X or weights are not those of the fit, weights come
            without X, or the fit is not at a maximum in the interior of the family, as at the
            Gaussian limit.

        Examples
        --------
        >>> from nvmix import NormalInverseGaussian
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> result = NormalInverseGaussian.default_init(X).fit(X, tol=1e-7)
        >>> result.standard_errors()["mu"].round(2)
        array([0.94, 0.88])
        """
        if not self.converged:
            msg = (
                f"standard errors need a fit that converged, got {self.status.name}: {self.message}"
            )
            raise ValueError(msg)
        if self.status is Status.GAUSSIAN_LIMIT:
            msg = (
                "standard errors do not exist at the Gaussian limit, where Y is constant; those of "
                'the normal law do: nvmix.fit(X, "normal")'
            )
            raise ValueError(msg)
        if X is None and weights is not None:
            msg = "weights go with X: a result remembers those of its fit"
            raise ValueError(msg)
        if X is not None:
            one_of("missing", missing, MISSING)
            rows = sample(X, self.model.d, self.model.columns, missing, weights)
            values, omega = rows.values, rows.weights
            same_rows(values, omega, self.n_observations)
        elif self.data is not None:
            values, omega = self.data
        else:
            msg = (
                "X must be given: this result has no data, as of a source, a file, a pickle or JAX"
            )
            raise ValueError(msg)
        values = np.asarray(values, np.float64)
        gauge, held = self.regularization, (*self.held, *self.at_bound)
        return standard_errors(self.model, values, omega, regularization=gauge, held=held)

    def summary(
        self,
        X: Any = None,
        *,
        weights: Any = None,
        missing: str = "raise",
        level: float = 0.95,
        errors: bool | None = None,
    ) -> Summary:
        """Table of the fit: likelihood, status, and parameters with errors and intervals.

        Parameters
        ----------
        X, weights, missing
            As of `standard_errors`; where the fit has none, the table says why.
        level : float
            Coverage of the intervals.
        errors : bool or None
            Whether to compute standard errors; None does for at most 500 elements of parameters,
            some 30 columns, of which they take seconds.

        Returns
        -------
        Summary
            Text under `print`, HTML in notebooks, and a DataFrame by its ``to_frame()``.

        Raises
        ------
        TypeError, ValueError
            If level is not a number between 0 and 1, or X or weights are not those of a fit.

        Examples
        --------
        >>> import nvmix
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> summary = nvmix.fit(X, "t").summary()
        >>> summary
        <Summary of StudentT, CONVERGED, log-likelihood -2336.0657>
        >>> bool(summary.to_frame().std_error["df"] < 1.1)
        True
        """
        names, estimates = elements_of(self.model)
        labels = labels_of(names, self.model.columns)
        values, note = without_errors(estimates), "No standard errors: the fit did not converge."
        if errors is False or (errors is None and len(names) > _FEW_ELEMENTS):
            note = (
                f"No standard errors: summary(errors=True) computes those of {len(names)} elements."
            )
        elif self.converged:
            try:
                found = self.standard_errors(X, weights=weights, missing=missing)
            except ValueError as error:
                if X is not None:
                    raise
                note = f"No standard errors: {error}."
            else:
                values, note = found.errors, found.note
        if "df" in self.model.law_names:
            # alpha = beta = df / 2 are the last elements.
            labels = (*labels[:-2], "df")
            estimates, values = (np.append(x[:-2], 2.0 * x[-1]) for x in (estimates, values))
        about = self._family(), self._facts(), self.status.name, self.message
        return Summary(*about, labels, estimates, values, note, level)

    def _family(self) -> str:
        """Name of the family, and whether gamma was fixed."""
        side = "symmetric " if self.symmetric and not self.model.symmetric_only else ""
        return side + type(self.model).__name__

    def _facts(self) -> dict[str, float]:
        """What a table says of the fit as a whole."""
        return {
            "columns": self.model.d,
            "rows": float(self.n_observations),
            "log-likelihood": float(self.log_likelihood),
            "AIC": float(self.aic),
            "BIC": float(self.bic),
            "free parameters": self.n_parameters,
            "iterations": int(self.n_iter),
            "passes": int(self.n_passes),
            "seconds": float(self.elapsed_time),
        }

    def _repr_html_(self) -> str:
        """How the fit ended, and the model, for notebooks; `summary` has standard errors too."""
        if self._is_batch():
            return f"<p>{escape(repr(self))}</p>"
        about = self._family(), self._facts(), self.status.name, self.message
        return html_of_fit(*about) + self.model._repr_html_()

    def _is_batch(self) -> bool:
        """Whether this is of several fits at once, or JAX traces it."""
        return np.ndim(self.code) != 0 or traced(self.code)

    def __repr__(self) -> str:
        """Family, status and numbers in a line."""
        family = type(self.model).__name__
        if self._is_batch():
            return f"<EMResult of {family}, batched or traced by JAX, code {self.code}>"
        numbers = f"n_observations={self.n_observations:.10g}, n_iter={self.n_iter}"
        value = f"log_likelihood={float(self.log_likelihood):.10g}"
        return f"EMResult({family}, d={self.model.d}, {self.status.name}, {value}, {numbers})"

    if not TYPE_CHECKING:  # of unknown names a type checker has its own errors

        def __getattr__(self, name: str) -> Any:
            """AttributeError, with the name here of what other packages call so."""
            raise no_attribute(self, name, OF_RESULTS)

    def _record(self) -> dict[str, Any]:
        """The model and what is known of its fit, without the data."""
        if traced(self.code, self.log_likelihood):
            msg = "a result that JAX traces has no numbers to save"
            raise TypeError(msg)
        model, converged = self.model.to_dict(), self.converged
        of_model = {k: x for k, x in model.items() if k not in ("format", "schema", "version")}
        return {
            "kind": "fit",
            "model": {k: x for k, x in of_model.items() if k != "kind"},
            "status": self.status.name,
            "converged": None if converged is None else bool(converged),
            **{name: encoded(getattr(self, name)) for name in NUMBERS},
            **{name: int(getattr(self, name)) for name in COUNTS},
            "held": list(self.held),
            "at_bound": list(self.at_bound),
            "regularization": self.regularization,
            "scores": all_encoded(self.scores),
            "rows": list(self.rows),
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "log_likelihoods": all_encoded(self.log_likelihoods),
            "param_changes": all_encoded(self.param_changes),
        }

    def __getstate__(self) -> dict[str, Any]:
        """State for pickling: all attributes, without the data."""
        return {**self.__dict__, "data": None}


def read_only(values: Sequence[float]) -> FloatArray:
    """Read-only copy as an array."""
    array = np.array(values, np.float64)
    array.setflags(write=False)
    return array
