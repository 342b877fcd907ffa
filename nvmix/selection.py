"""`compare`: fits of several families to the same data, ranked by AIC or BIC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, overload

import numpy as np

from nvmix.distributions.families import ALL, family_of
from nvmix.distributions.members import MultivariateNormal
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.em import BatchEMFitter, EMResult
from nvmix.fitting.settings import with_signature_of
from nvmix.foundation.files.pickles import PublicPickle
from nvmix.foundation.tables import html_table, text_table
from nvmix.foundation.validation import one_of
from nvmix.many import fit_rows, fitter_of_many
from nvmix.sources.frames import pandas
from nvmix.sources.observations import sample

Family: TypeAlias = str | type[NormalMixture]

_HEADER: Final = (
    "family", "symmetric", "log-likelihood", "k", "AIC", "BIC", "status", "seconds",
)  # fmt: skip
_RANKS: Final = ("aic", "bic")
_NO_SETTINGS: Final = frozenset({"sort", "sort_by", "rank", "order_by", "ic"})
_FOOTNOTE: Final = "* did not converge"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(PublicPickle, Sequence[EMResult]):
    """Fits of several families to the same data: a sequence of results, printed as a table.

    Parameters
    ----------
    results : tuple of EMResult
        The fits that converged by increasing AIC or BIC, then the others.

    Examples
    --------
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix import compare
    >>> X, _ = load_crude_oil()
    >>> comparison = compare(X, ["nig", "skewt"], symmetric=False)
    >>> [type(result.model).__name__ for result in comparison]
    ['NormalInverseGaussian', 'NormalInverseGamma']
    >>> comparison.best is comparison[0]
    True
    """

    results: tuple[EMResult, ...]

    @property
    def best(self) -> EMResult:
        """The first of the converged fits; ValueError if no fit converged."""
        if not self.results or not self.results[0].converged:
            msg = "no fit converged; see the column status, and result.status.message of each"
            raise ValueError(msg)
        return self.results[0]

    def to_frame(self) -> Any:
        """The table as a DataFrame, with one row per fit.

        Returns
        -------
        pandas.DataFrame
            With columns family, symmetric, log_likelihood, n_parameters, aic, bic, status,
            converged and elapsed_time.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import nvmix
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> table = nvmix.compare(X, ["nig", "normal"], symmetric=False).to_frame()
        >>> print(table[["family", "aic"]].round(1))
                          family     aic
        0  NormalInverseGaussian  4683.0
        1     MultivariateNormal  4744.3
        """
        names = ("symmetric", "log_likelihood", "n_parameters", "aic", "bic")
        return pandas().DataFrame(
            {
                "family": type(result.model).__name__,
                **{name: getattr(result, name) for name in names},
                "status": result.status.name,
                "converged": result.converged,
                "elapsed_time": result.elapsed_time,
            }
            for result in self.results
        )

    @overload
    def __getitem__(self, index: int) -> EMResult: ...

    @overload
    def __getitem__(self, index: slice) -> Comparison: ...

    def __getitem__(self, index: int | slice) -> EMResult | Comparison:
        """One result, or the comparison of several."""
        if isinstance(index, slice):
            return Comparison(self.results[index])
        return self.results[index]

    def __len__(self) -> int:
        """Number of fits."""
        return len(self.results)

    def __repr__(self) -> str:
        """Table of the fits."""
        note = "" if all(result.converged for result in self.results) else f"\n{_FOOTNOTE}"
        return text_table(_HEADER, [_cells(result) for result in self.results]) + note

    def _repr_html_(self) -> str:
        """Table of the fits as HTML, for notebooks."""
        note = "" if all(result.converged for result in self.results) else f"<p>{_FOOTNOTE}</p>"
        return html_table(_HEADER, [_cells(result) for result in self.results]) + note


@with_signature_of(BatchEMFitter)
def compare(
    X: Any,
    families: Family | Iterable[Family] = "all",
    symmetric: bool | Iterable[bool] = (False, True),  # noqa: FBT001
    *,
    rank_by: str = "aic",
    weights: Any = None,
    **settings: Any,
) -> Comparison:
    """Fit families to the same data, with and without skewness, and rank them.

    Parameters
    ----------
    X : (n, d) array_like
        Observations.
    families : str, type or iterable of them
        "all", or families by class or by name: "nig", "vg", "skewt", "hyperbolic", "gh", "t" or
        "normal", or the class's name, in upper or lower case. "all" is the five families and
        `MultivariateNormal`, which is left out where values are missing.
    symmetric : bool or iterable of bool
        Whether gamma is fixed at 0; by default each family is fitted both ways. `StudentT` and
        `MultivariateNormal` are always symmetric, and fitted once.
    rank_by : {"aic", "bic"}
        The criterion by which converged fits are sorted, in any case of letters; the command line
        has the same.
    weights : (n,) array_like or None
        Weight of each row; a Series goes by the index of X, if that has one.
    **settings
        Of `nvmix.BatchEMFitter`, for every fit.

    Returns
    -------
    Comparison
        The fits, each from its family's `default_init`, whose time is included. No fit warns; the
        table has how it ended.

    Raises
    ------
    TypeError, ValueError
        If X cannot be fitted, a family is unknown, or a setting is unknown or outside its domain.

    References
    ----------
    H. Akaike, A new look at the statistical model identification, IEEE Transactions on Automatic
    Control 19 (1974), 716-723.
    G. Schwarz, Estimating the dimension of a model, Annals of Statistics 6 (1978), 461-464.

    Examples
    --------
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix import compare
    >>> X, _ = load_crude_oil()
    >>> comparison = compare(X, "nig")
    >>> sorted(result.symmetric for result in comparison)
    [False, True]
    """
    rank_by = one_of("rank_by", str(rank_by).lower(), _RANKS)
    for name in _NO_SETTINGS & settings.keys():
        msg = f"compare got an unexpected keyword argument {name!r}: rank_by='bic' ranks by BIC"
        raise TypeError(msg)
    if str(settings.get("criterion")).lower() in _RANKS:
        msg = f"criterion is that of convergence: rank by rank_by={settings['criterion']!r}"
        raise ValueError(msg)
    chosen = _families(families)
    sides = (symmetric,) if isinstance(symmetric, bool) else tuple(symmetric)
    fitters = [fitter_of_many("compare", {**settings, "symmetric": side}) for side in sides]
    rows = sample(X, missing=fitters[0].missing if fitters else "raise", weights=weights)
    if chosen == [*ALL] and fitters and fitters[0].missing == "em" and np.isnan(rows.values).any():
        chosen.remove(MultivariateNormal)
    results = []
    for family in chosen:
        once = 1 if family.symmetric_only else None
        try:
            results += [fit_rows(family, fitter, X, rows) for fitter in fitters[:once]]
        except (TypeError, ValueError) as error:
            msg = f"{family.__name__}: {error}"
            raise type(error)(msg) from error
    results.sort(key=lambda result: _rank(result, getattr(result, rank_by)))
    return Comparison(tuple(results))


def _rank(result: EMResult, criterion: float) -> tuple[bool, bool, float]:
    """Key of a fit; a criterion of nan cannot be compared, so finiteness comes before it."""
    return not result.converged, not np.isfinite(criterion), criterion


def _families(families: Family | Iterable[Family]) -> list[type[NormalMixture]]:
    """Families from names or classes; ValueError for an unknown one."""
    if isinstance(families, str) and families == "all":
        return list(ALL)
    several = [families] if isinstance(families, str | type) else list(families)
    return [family_of("families", family) for family in several]


def _cells(result: EMResult) -> list[str]:
    """One line of the table."""
    mark = "" if result.converged else " *"
    return [
        type(result.model).__name__,
        "yes" if result.symmetric else "no",
        f"{result.log_likelihood:.4f}",
        str(result.n_parameters),
        f"{result.aic:.4f}",
        f"{result.bic:.4f}",
        result.status.name.lower() + mark,
        f"{result.elapsed_time:.3f}",
    ]
