"""Fits of many data sets, each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nvmix.backends.cpu.threads import get_num_threads
from nvmix.distributions.names import family_of
from nvmix.fitting.em import BatchEMFitter
from nvmix.sources.observations import observations, row_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.fitting.em import EMResult


def fit_many(
    data: Iterable[Any],
    family: str | type[NormalMixture] = "nig",
    *,
    weights: Iterable[Any] | None = None,
    **keywords: Any,
) -> list[EMResult]:
    """Fit a family to each of many data sets, in parallel threads.

    Each fit is the one, to the last bit, that ``family.default_init(X).fit(X)`` makes, and runs as
    compiled code from its first iteration to its last. How each ended is in its status; none warns.

    Parameters
    ----------
    data : (k, n, d) array_like or iterable of (n, d) array_like
        The data sets.
    family : str or type
        A family, or its name: "nig", "vg", "skewt", "hyperbolic" or "gh".
    weights : (k, n) array_like or iterable of (n,) array_like, or None
        Weights of the rows of each data set.
    **keywords
        Of `nvmix.fitting.em.BatchEMFitter`, for every fit.

    Returns
    -------
    list of EMResult
        In the order of the data.

    Raises
    ------
    TypeError, ValueError
        If a data set cannot be fitted, which the message names by its number from 0, or a keyword
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
    chosen, fitter = family_of("family", family), fitter_of_many(**keywords)
    sets = _data_sets(data)
    omegas = [None] * len(sets) if weights is None else list(weights)
    if len(omegas) != len(sets):
        msg = f"weights must be one array for each of {len(sets)} data sets, got {len(omegas)}"
        raise ValueError(msg)

    def fit(i: int) -> EMResult:
        try:
            # default_init validates what this only converts.
            start = chosen.default_init(sets[i], missing=fitter.missing)
            found = observations(sets[i], missing=fitter.missing)
            return fitter.run(start, found, row_weights(omegas[i], len(found.values)))
        except (TypeError, ValueError) as error:
            msg = f"data set {i}: {error}"
            raise type(error)(msg) from error

    if get_num_threads() == 1 or len(sets) < 2:
        return [fit(i) for i in range(len(sets))]
    # The first fit alone: threads must not compile the same kernels at once.
    first = [fit(0)]
    with ThreadPoolExecutor(get_num_threads(), "nvmix-fits") as executor:
        return first + list(executor.map(fit, range(1, len(sets))))


def fitter_of_many(**keywords: Any) -> BatchEMFitter:
    """Fitter for several fits, which have no place in one checkpoint.

    Parameters
    ----------
    **keywords
        Of `BatchEMFitter`.

    Returns
    -------
    BatchEMFitter
        Without a checkpoint.

    Raises
    ------
    TypeError, ValueError
        If a keyword is unknown or outside its domain, or a checkpoint is asked for.
    """
    fitter = BatchEMFitter(**keywords)
    if fitter.checkpoint is not None:
        msg = f"checkpoint is of one fit and not of several, got {str(fitter.checkpoint)!r}"
        raise ValueError(msg)
    return fitter


def _data_sets(data: Any) -> list[Any]:
    """The data sets one by one."""
    if isinstance(data, Mapping) or hasattr(data, "columns"):
        msg = f"data must be a sequence of data sets, got {type(data).__name__}"
        raise TypeError(msg)
    if getattr(data, "ndim", 3) != 3:
        msg = f"data must have shape (k, n, d) or be a list of data sets, got {data.shape}"
        raise ValueError(msg)
    return list(data)
