"""Real data shipped with the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from nvmix._csv import read_csv

if TYPE_CHECKING:
    from nvmix._typing import FloatArray

__all__ = ["load_crude_oil"]


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
    with resources.as_file(resources.files("nvmix") / "data" / "crude_oil.csv") as path:
        return read_csv(path)
