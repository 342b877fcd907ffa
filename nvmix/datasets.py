"""Data sets that come with the package."""

from __future__ import annotations

from pathlib import Path

from nvmix.foundation.typing import FloatArray
from nvmix.sources.tables.table import read_table

__all__ = ["load_crude_oil"]

CRUDE_OIL = Path(__file__).parent / "data" / "crude_oil.csv"


def load_crude_oil() -> tuple[FloatArray, tuple[str, ...]]:
    """Monthly log-returns of Brent and WTI crude oil spot prices, June 1987 to December 2019.

    Returns
    -------
    X : (391, 2) array
        Log-returns in percent.
    columns : tuple of str
        ``("brent", "wti")``.

    References
    ----------
    U.S. Energy Information Administration, Europe Brent and Cushing WTI spot prices, monthly
    averages; a work of the U.S. government, in the public domain.

    Examples
    --------
    >>> from nvmix.datasets import load_crude_oil
    >>> X, columns = load_crude_oil()
    >>> X.shape, columns
    ((391, 2), ('brent', 'wti'))
    """
    table = read_table(CRUDE_OIL)
    return table.numbers(table.columns, "raise"), table.columns
