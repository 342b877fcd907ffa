"""A model as a line of text, and as a table of its parameters by column."""

from html import escape
from typing import Any, Final

import numpy as np

from nvmix.foundation.tables import brief, html_table, text_table
from nvmix.foundation.typing import Columns, FloatArray

# Largest number of columns of which a line has Sigma, one has vectors, and a table is made.
_WITH_SIGMA: Final = 2
_WITH_VECTORS: Final = 6
_WITH_TABLE: Final = 12


class Displayed:
    """What Python, `print` and notebooks show of a model."""

    mu: FloatArray
    gamma: FloatArray
    L_sigma: FloatArray
    subordinator: Any
    columns: Columns

    def __repr__(self) -> str:
        """The family and the parameters, of many columns those of Y alone, in a line."""
        family, law = type(self).__name__, self._law_parameters()
        mu, gamma, L = self.mu, self.gamma, self.L_sigma
        if not {type(mu), *map(type, law.values())} <= {np.ndarray, float} or mu.ndim != 1:
            # A traced model, a batch of models or a gradient: leaves of any shape or type.
            leaves = {"mu": mu, "gamma": gamma, "L_sigma": L, **self.subordinator.parameters}
            return f"{family}({', '.join(f'{name}={x}' for name, x in leaves.items())})"
        parts = [f"d={mu.size}", *(f"{name}={x:.6g}" for name, x in law.items())]
        if mu.size <= _WITH_VECTORS:
            parts += [f"mu={brief(mu)}", f"gamma={brief(gamma)}"]
        if mu.size <= _WITH_SIGMA:
            parts.append(f"sigma={brief(L @ L.T)}")
        return f"{family}({', '.join(parts)})"

    def __str__(self) -> str:
        """Table of the parameters by column; the line of `repr` where columns are many."""
        if not self._has_table():
            return repr(self)
        return f"{text_table(*self._table())}\n{self._law_in_words()}".rstrip()

    def _repr_html_(self) -> str:
        """The table for notebooks."""
        if not self._has_table():
            return f"<p>{escape(repr(self))}</p>"
        return f"{html_table(*self._table())}<p>{self._law_in_words()}</p>"

    def _law_parameters(self) -> dict[str, float]:
        """Parameters of Y by the names that a line has."""
        parameters: dict[str, float] = self.subordinator.parameters
        return parameters

    def _law_in_words(self) -> str:
        """The law of Y and its parameters, empty if it has none."""
        law, shown = self.subordinator, self._law_parameters()
        numbers = ", ".join(f"{name} = {x:.6g}" for name, x in shown.items())
        is_own = shown.keys() == law.parameters.keys()
        return f"{type(law).__name__}: {numbers}" if numbers and is_own else numbers

    def _has_table(self) -> bool:
        """Whether there are few columns, and numbers in them."""
        mu = self.mu
        return type(mu) is np.ndarray and mu.ndim == 1 and mu.size <= _WITH_TABLE

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of mu, gamma and Sigma, with a column for each of the data."""
        columns = self.columns or tuple(f"x{j}" for j in range(self.mu.size))
        names = ["mu", "gamma", *(f"sigma {name}" for name in columns)]
        values = np.vstack([self.mu, self.gamma, self.L_sigma @ self.L_sigma.T]).tolist()
        rows = [[name, *(f"{x:.6g}" for x in row)] for name, row in zip(names, values, strict=True)]
        return [type(self).__name__, *columns], rows
