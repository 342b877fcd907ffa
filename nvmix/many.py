"""`fit` and `fit_many`: a starting model and a fit in one call, for one data set or many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Unpack, overload

from nvmix.distributions.families import family_of
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.em import BatchEMFitter, batch_fitter
from nvmix.fitting.outcome.ends import warn_unless_converged
from nvmix.fitting.outcome.fits import Fits
from nvmix.fitting.outcome.result import EMResult
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
        Observations; see `nvmix.BatchEMFitter.fit`.
    family : str or type
        A family, or its name, in upper or lower case: "nig", "vg", "skewt", "hyperbolic", "gh",
        "t" or "normal", or the class's name.
    weights : (n,) array_like or None
        Weight of each row; a Series goes by the index of X, if that has one.
    **settings
        Of `nvmix.BatchEMFitter`.

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

    See Also
    --------
    nvmix.compare : Fits of several families, ranked.
    nvmix.fit_many : Fits of many data sets.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> result = nvmix.fit(X, "skewt")
    >>> result.status.name, round(result.log_likelihood, 2), round(result.model.alpha, 2)
    ('CONVERGED', -2334.04, 2.67)
    """
    chosen, fitter = family_of("family", family), batch_fitter("fit", settings)
    watch = Stopwatch()
    result = fitter.run(chosen.default_init(X, missing=fitter.missing), X, weights)
    result = replace(result, elapsed_time=watch.seconds)
    warn_unless_converged(result, stacklevel=3)
    return result


@overload
def fit_many(  # type: ignore[overload-overlap]
    data: Mapping[Any, Any],
    family: str | type[NormalMixture] = "nig",
    *,
    weights: Any = None,
    **settings: Unpack[FitSettings],
) -> Fits: ...


@overload
def fit_many(
    data: Iterable[Any],
    family: str | type[NormalMixture] = "nig",
    *,
    weights: Any = None,
    **settings: Unpack[FitSettings],
) -> list[EMResult]: ...


@with_signature_of(BatchEMFitter)
def fit_many(
    data: Any,
    family: str | type[NormalMixture] = "nig",
    *,
    weights: Any = None,
    **settings: Unpack[FitSettings],
) -> list[EMResult] | Fits:
    """Fit a family to each of many data sets, in parallel threads.

    Each fit is equal to the last bit to ``family.default_init(X).fit(X)``, and all its iterations
    run in one call of compiled code. No fit warns; how it ended is in its `status`.

    Parameters
    ----------
    data : (k, n, d) array_like, iterable or mapping of (n, d) array_like, DataFrame or GroupBy
        The data sets: of a DataFrame each column, of a GroupBy of pandas each group, without the
        columns that it is grouped by.
    family : str or type
        A family, or its name, in upper or lower case: "nig", "vg", "skewt", "hyperbolic", "gh",
        "t" or "normal", or the class's name.
    weights : (k, n) array_like, iterable or mapping of (n,) array_like, or None
        Weights of the rows of each data set, in the same order or by the same labels.
    **settings
        Of `nvmix.BatchEMFitter`, for every fit.

    Returns
    -------
    list of EMResult, or Fits
        In the order of the data; of a mapping, DataFrame or GroupBy a mapping from its labels,
        which prints as a table.

    Raises
    ------
    TypeError, ValueError
        If a data set cannot be fitted (the message has its label or number, from 0), or a setting
        is unknown or outside its domain.

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
    labelled = _labelled(data)
    if labelled is not None:
        if isinstance(weights, Mapping) or hasattr(weights, "columns"):
            _check_labels(labelled, weights)
            weights = [weights[label] for label in labelled]
        results = _fit_all(labelled, chosen, fitter, weights)
        return Fits(dict(zip(labelled, results, strict=True)))
    if getattr(data, "ndim", 3) != 3:
        use = "data[:, :, None] has a data set in each row, data.T[:, :, None] in each column"
        msg = f"data must have shape (k, n, d) or be a list of data sets, got {data.shape}: {use}"
        raise ValueError(msg)
    return _fit_all(dict(enumerate(data)), chosen, fitter, weights)


def _fit_all(
    sets: dict[Any, Any], family: type[NormalMixture], fitter: BatchEMFitter, weights: Any
) -> list[EMResult]:
    """Results of the data sets, in order; weights is None or has those of each set in order."""
    omegas = [None] * len(sets) if weights is None else list(weights)
    if len(omegas) != len(sets):
        msg = f"weights must be one array for each of {len(sets)} data sets, got {len(omegas)}"
        raise ValueError(msg)

    def fit_one(job: tuple[tuple[Any, Any], Any]) -> EMResult:
        (label, X), omega = job
        try:
            # default_init validates the rows; `observations` only converts them.
            start = family.default_init(X, missing=fitter.missing)
            rows = observations(X, missing=fitter.missing)
            rows = rows._replace(weights=row_weights(omega, len(rows.values), X))
            return fitter.run_source(start, without_empty_rows(rows))
        except (TypeError, ValueError) as error:
            msg = f"data set {label!r}: {error}"
            raise type(error)(msg) from error

    jobs = list(zip(sets.items(), omegas, strict=True))
    if get_num_threads() == 1 or len(jobs) < 2:
        return [fit_one(job) for job in jobs]
    # The first fit runs alone, so that threads do not compile the same kernels at once.
    # The others have a pool beside that which shares the rows of a fit among threads.
    first = fit_one(jobs[0])
    return [first, *ThreadPool(get_num_threads()).map(fit_one, jobs[1:])]


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


def _labelled(data: Any) -> dict[Any, Any] | None:
    """Data sets by label, of a mapping, a DataFrame or a GroupBy of pandas; else None."""
    if isinstance(data, Mapping):
        return dict(data)
    if hasattr(data, "columns"):
        _check_distinct(data.columns)
        return {name: data[name] for name in data.columns}
    if hasattr(data, "get_group"):
        keys: frozenset[Any] = frozenset(getattr(data, "exclusions", ()))
        groups = (
            (label, group, keys & set(getattr(group, "columns", ()))) for label, group in data
        )
        return {label: group.drop(columns=by) if by else group for label, group, by in groups}
    return None


def _check_distinct(labels: Any) -> None:
    """Raise ValueError if a column has the name of another."""
    names = list(labels)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"data must have columns of different names, got {twice!r} twice"
        raise ValueError(msg)


def _check_labels(sets: dict[Any, Any], weights: Any) -> None:
    """Raise ValueError if weights have other labels than the data sets."""
    labels = list(weights) if isinstance(weights, Mapping) else list(weights.columns)
    if set(labels) != set(sets):
        msg = f"weights must have the labels of data, {list(sets)}, got {labels}"
        raise ValueError(msg)
