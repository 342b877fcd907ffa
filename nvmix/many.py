"""Fits of many data sets, each by itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nvmix._validation import observations
from nvmix.backends.cpu._threads import get_num_threads
from nvmix.distributions.names import family_of
from nvmix.fitting.em import BatchEMFitter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nvmix.distributions.mixture import NormalMixture
    from nvmix.fitting.em import EMResult


def fit_many(
    data: Iterable[Any], family: str | type[NormalMixture] = "nig", **keywords: Any
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
    chosen, fitter = family_of("family", family), BatchEMFitter(**keywords)

    def fit(numbered: tuple[int, Any]) -> EMResult:
        i, X = numbered
        try:
            # default_init validates what this only converts.
            start = chosen.default_init(X, missing=fitter.missing)
            return fitter.run(start, observations(X, missing=fitter.missing))
        except (TypeError, ValueError) as error:
            msg = f"data set {i}: {error}"
            raise type(error)(msg) from error

    sets = list(enumerate(data))
    if get_num_threads() == 1 or len(sets) < 2:
        return [fit(numbered) for numbered in sets]
    # The first fit alone: threads must not compile the same kernels at once.
    first = [fit(numbered) for numbered in sets[:1]]
    with ThreadPoolExecutor(get_num_threads(), "nvmix-fits") as executor:
        return first + list(executor.map(fit, sets[1:]))
