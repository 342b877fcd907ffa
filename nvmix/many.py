"""`fit` and `fit_many`: a starting model and a fit in one call, for one data set or many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Unpack

from nvmix.distributions.families import family_of
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.em import BatchEMFitter, batch_fitter
from nvmix.fitting.outcome.result import EMResult, warn_unless_converged
from nvmix.fitting.settings import FitSettings, with_signature_of
from nvmix.foundation.stopwatch import Stopwatch
from nvmix.foundation.threads import ThreadPool, get_num_threads
from nvmix.sources.observations import observations, row_weights, without_empty_rows
from nvmix.sources.source import ArraySource


@with_signature_of(BatchEMFitter)
def fit(
    X: Any,
    family: str | type[NormalMixture] = "nig",
    *,
    weights: Any = None,
    **settings: Unpack[FitSettings],
) -> EMResult:
    """Fit a family to data, from its `default_init`.

    Parameters
    ----------
    X : (n, d) array_like or source
        Observations; see `nvmix.fitting.em.BatchEMFitter.fit`.
    family : str or type
        A family, or its name, in upper or lower case: "nig", "vg", "skewt", "hyperbolic", "gh",
        "t" or "normal", or the class's name.
    weights : (n,) array_like or None
        Weight of each row; a Series goes by the index of X, if that has one.
    **settings
        Of `nvmix.fitting.em.BatchEMFitter`.

    Returns
    -------
    EMResult
        The fitted model and the record of the fit; elapsed_time includes the starting model.

    Raises
    ------
    TypeError, ValueError
        If X cannot be fitted, the family is unknown, or a setting is unknown or outside its domain.

    Warns
    -----
    ConvergenceWarning
        If the fit ends without converging; the message says how and what to try.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> nvmix.fit(X, "skewt").converged
    True
    """
    chosen, fitter = family_of("family", family), batch_fitter("fit", settings)
    watch = Stopwatch()
    result = fitter.run(chosen.default_init(X, missing=fitter.missing), X, weights)
    result = replace(result, elapsed_time=watch.seconds)
    warn_unless_converged(result, stacklevel=3)
    return result


@with_signature_of(BatchEMFitter)
def fit_many(
    data: Iterable[Any],
    family: str | type[NormalMixture] = "nig",
    *,
    weights: Iterable[Any] | None = None,
    **settings: Unpack[FitSettings],
) -> list[EMResult]:
    """Fit a family to each of many data sets, in parallel threads.

    Each fit is equal to the last bit to ``family.default_init(X).fit(X)``, and all its iterations
    run in one call of compiled code. No fit warns; how it ended is in its `status`.

    Parameters
    ----------
    data : (k, n, d) array_like or iterable of (n, d) array_like
        The data sets.
    family : str or type
        A family, or its name, in upper or lower case: "nig", "vg", "skewt", "hyperbolic", "gh",
        "t" or "normal", or the class's name.
    weights : (k, n) array_like or iterable of (n,) array_like, or None
        Weights of the rows of each data set.
    **settings
        Of `nvmix.fitting.em.BatchEMFitter`, for every fit.

    Returns
    -------
    list of EMResult
        In the order of the data.

    Raises
    ------
    TypeError, ValueError
        If a data set cannot be fitted (the message has its number, from 0), or a setting is unknown
        or outside its domain.

    See Also
    --------
    nvmix.set_num_threads : How many threads.

    Examples
    --------
    >>> import numpy as np
    >>> from nvmix import fit_many
    >>> data = np.random.default_rng(0).standard_t(5, size=(20, 500, 1))
    >>> results = fit_many(data, "nig")
    >>> len(results), all(result.converged for result in results)
    (20, True)
    """
    chosen, fitter = family_of("family", family), fitter_of_many("fit_many", settings)
    sets = _data_sets(data)
    omegas = [None] * len(sets) if weights is None else list(weights)
    if len(omegas) != len(sets):
        msg = f"weights must be one array for each of {len(sets)} data sets, got {len(omegas)}"
        raise ValueError(msg)

    def fit_one(i: int) -> EMResult:
        try:
            # default_init validates the rows; `observations` only converts them.
            start = chosen.default_init(sets[i], missing=fitter.missing)
            rows = observations(sets[i], missing=fitter.missing)
            rows = rows._replace(weights=row_weights(omegas[i], len(rows.values), sets[i]))
            return fitter.run_source(start, without_empty_rows(rows))
        except (TypeError, ValueError) as error:
            msg = f"data set {i}: {error}"
            raise type(error)(msg) from error

    if get_num_threads() == 1 or len(sets) < 2:
        return [fit_one(i) for i in range(len(sets))]
    # The first fit runs alone, so that threads do not compile the same kernels at once.
    # The others have a pool beside that which shares the rows of a fit among threads.
    first = fit_one(0)
    return [first, *ThreadPool(get_num_threads()).map(fit_one, list(range(1, len(sets))))]


def fit_rows(
    family: type[NormalMixture], fitter: BatchEMFitter, X: Any, rows: ArraySource
) -> EMResult:
    """Fit validated rows of X from the family's default start, whose time is included."""
    watch = Stopwatch()
    result = fitter.run_source(family.default_init(X, missing=fitter.missing), rows)
    return replace(result, elapsed_time=watch.seconds)


def fitter_of_many(caller: str, settings: Mapping[str, Any]) -> BatchEMFitter:
    """Fitter with these settings for several fits; ValueError if they have a checkpoint."""
    fitter = batch_fitter(caller, settings)
    if fitter.checkpoint is not None:
        msg = f"checkpoint is of one fit and not of several, got {str(fitter.checkpoint.path)!r}"
        raise ValueError(msg)
    return fitter


def _data_sets(data: Any) -> list[Any]:
    """List of the data sets; TypeError or ValueError for data of other kinds or shapes."""
    if isinstance(data, Mapping) or hasattr(data, "columns"):
        use = "[data[name] for name in data] has each of its columns"
        msg = f"data must be a sequence of data sets, got {type(data).__name__}: {use}"
        raise TypeError(msg)
    if getattr(data, "ndim", 3) != 3:
        use = "data[:, :, None] has a data set in each row, data.T[:, :, None] in each column"
        msg = f"data must have shape (k, n, d) or be a list of data sets, got {data.shape}: {use}"
        raise ValueError(msg)
    return list(data)
