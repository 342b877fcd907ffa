"""Fits of one family to many data sets, by the label of the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.files.pickles import PublicPickle
from nvmix.foundation.tables import html_table, text_table
from nvmix.sources.frames import pandas

_HEADER = ("data", "rows", "log-likelihood", "AIC", "status", "iterations", "seconds")


@dataclass(frozen=True, eq=False, repr=False)
class Fits(PublicPickle, Mapping[Any, EMResult]):
    """Results by label: a mapping, printed as a table.

    Parameters
    ----------
    results : dict
        The result of each label, in the order of the data.

    Examples
    --------
    >>> from nvmix import fit_many
    >>> from nvmix.datasets import load_crude_oil
    >>> X, columns = load_crude_oil()
    >>> fits = fit_many(dict(zip(columns, X.T, strict=True)), "nig")
    >>> list(fits), fits["wti"].converged
    (['brent', 'wti'], True)
    """

    results: dict[Any, EMResult]

    def __getitem__(self, label: Any) -> EMResult:
        """The result of a label."""
        return self.results[label]

    def __iter__(self) -> Iterator[Any]:
        """The labels."""
        return iter(self.results)

    def __len__(self) -> int:
        """Number of fits."""
        return len(self.results)

    # `Mapping` compares values, which have arrays here: compare by identity instead.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def to_frame(self) -> Any:
        """The table as a DataFrame, with one row per fit.

        Returns
        -------
        pandas.DataFrame
            With an index of labels and the columns n_observations, log_likelihood, n_parameters,
            aic, bic, status, converged, n_iter and elapsed_time, and the parameters of Y; of models
            of one column also mu, gamma and sigma.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from nvmix import fit_many
        >>> from nvmix.datasets import load_crude_oil
        >>> X, columns = load_crude_oil()
        >>> fits = fit_many(dict(zip(columns, X.T, strict=True)), "nig")
        >>> print(fits.to_frame()[["mu", "converged"]].round(1))
                mu  converged
        brent  3.4       True
        wti    3.1       True
        """
        index = pandas().Index(list(self.results), tupleize_cols=False)
        return pandas().DataFrame([_row(result) for result in self.results.values()], index=index)

    def __repr__(self) -> str:
        """Number of fits, and how many converged."""
        converged = sum(bool(result.converged) for result in self.results.values())
        return f"<Fits of {len(self)} data sets, of which {converged} converged>"

    def __str__(self) -> str:
        """Table of the fits."""
        return text_table(_HEADER, self._cells())

    def _repr_html_(self) -> str:
        """Table of the fits for notebooks."""
        return html_table(_HEADER, self._cells())

    def _cells(self) -> list[list[str]]:
        """Lines of the table."""
        return [
            [
                str(label),
                f"{result.n_observations:.10g}",
                f"{result.log_likelihood:.4f}",
                f"{result.aic:.4f}",
                result.status.name.lower(),
                str(result.n_iter),
                f"{result.elapsed_time:.3f}",
            ]
            for label, result in self.results.items()
        ]


def _row(result: EMResult) -> dict[str, Any]:
    """A row of the DataFrame."""
    model = result.model
    names = ("n_observations", "log_likelihood", "n_parameters", "aic", "bic")
    row = {name: getattr(result, name) for name in names}
    row |= {"status": result.status.name, "converged": result.converged}
    row |= {"n_iter": result.n_iter, "elapsed_time": result.elapsed_time}
    if model.d == 1:
        sigma = model.sigma()
        row |= {"mu": model.mu[0], "gamma": model.gamma[0], "sigma": sigma[0, 0]}
    return row | {name: getattr(model, name) for name in model.law_names}
