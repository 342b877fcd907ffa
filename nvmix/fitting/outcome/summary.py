"""The table of a fit: what was fitted, how it ended, and the parameters with their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np

from nvmix.foundation.tables import html_table, text_table
from nvmix.foundation.typing import FloatArray
from nvmix.inference.standard_errors import frame_of_elements, intervals, z_values

# Elements beyond which a printed table has the diagonal of Sigma alone.
_MOST_ROWS: Final = 100
_EMPTY: Final = "-"
# Relative difference of sums of the same weights, with which JAX may have fewer digits.
_SAME_TOTAL: Final = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """Table of a fit, as text under `print` and as HTML in notebooks.

    Parameters
    ----------
    family : str
        Name of the family, with "symmetric" before it where gamma was fixed at 0.
    facts : dict
        Numbers by name: of columns and rows, log-likelihood, AIC, BIC, free parameters, iterations,
        passes and seconds; nan where one was not computed.
    status, message : str
        How the fit ended.
    labels : tuple of str
        Names of the k elements of the parameters, with names of columns, as in ``"mu[spx]"``.
    estimates, errors : (k,) array
        Their values and standard errors: 0 of what the fit or the gauge held, nan where there is
        none.
    note : str
        What the errors assume, or why there are none.
    level : float
        Coverage of the intervals.

    Raises
    ------
    TypeError, ValueError
        If level is not a number between 0 and 1.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> summary = nvmix.fit(X, "nig").summary()
    >>> print(str(summary).splitlines()[0])
    NormalInverseGaussian: CONVERGED
    >>> summary.labels[:2], summary.errors[:2].round(2)
    (('mu[0]', 'mu[1]'), array([0.94, 0.88]))
    """

    family: str
    facts: dict[str, float]
    status: str
    message: str
    labels: tuple[str, ...]
    estimates: FloatArray
    errors: FloatArray
    note: str
    level: float

    def __post_init__(self) -> None:
        """Validate the level."""
        intervals(self.estimates, self.errors, self.level)

    def to_frame(self) -> Any:
        """Table of the parameters as a DataFrame.

        Returns
        -------
        pandas.DataFrame
            With an index of `labels` and the columns estimate, std_error, z, lower and upper, as of
            `StandardErrors`: nan where there is none, as for what is held, and z of mu and gamma
            alone.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import nvmix
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> frame = nvmix.fit(X, "nig").summary().to_frame()
        >>> print(frame.loc[["mu[0]", "gamma[0]"], ["estimate", "z"]].round(1))
                  estimate    z
        mu[0]          2.8  3.0
        gamma[0]      -2.5 -2.3
        """
        return frame_of_elements(self.labels, self.estimates, self.errors, self.level)

    def __repr__(self) -> str:
        """The family, the status and the log-likelihood in a line."""
        value = _number("log-likelihood", self.facts["log-likelihood"])
        return f"<Summary of {self.family}, {self.status}, log-likelihood {value}>"

    def __str__(self) -> str:
        """Facts, the message, the table and notes."""
        width = max(map(len, self.facts))
        facts = [f"{name.ljust(width)}  {_number(name, x)}" for name, x in self.facts.items()]
        head = [f"{self.family}: {self.status}", self.message, "", *facts, ""]
        return "\n".join([*head, text_table(self._header(), self._rows()), *self._notes()])

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        head = html_of_fit(self.family, self.facts, self.status, self.message)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self._notes())
        return head + html_table(self._header(), self._rows()) + notes

    def _header(self) -> list[str]:
        """Names of the columns of the table."""
        ends = [f"{100.0 * q:g} %" for q in (0.5 - 0.5 * self.level, 0.5 + 0.5 * self.level)]
        return ["parameter", "estimate", "std. error", "z", *ends]

    def _printed(self) -> list[int]:
        """Positions of the elements that the printed table has."""
        all_of_them = range(len(self.labels))
        if len(self.labels) <= _MOST_ROWS:
            return list(all_of_them)
        return [i for i in all_of_them if not self._is_beside_diagonal(i)]

    def _is_beside_diagonal(self, i: int) -> bool:
        """Whether an element is of Sigma and not of its diagonal, whose places follow from d."""
        k = i - 2 * int(self.facts["columns"])
        row = (math.isqrt(8 * k + 1) - 1) // 2 if k >= 0 else 0
        return self.labels[i].startswith("sigma[") and k != row * (row + 3) // 2

    def _rows(self) -> list[list[str]]:
        """Cells of the table."""
        z = z_values(self.labels, self.estimates, self.errors)
        ends = intervals(self.estimates, self.errors, self.level)
        rows = []
        for i in self._printed():
            row = [self.labels[i], f"{self.estimates[i]:.6g}"]
            if self.errors[i] > 0.0:
                tested = _EMPTY if math.isnan(z[i]) else f"{z[i]:.2f}"
                row += [f"{self.errors[i]:.3g}", tested, *(f"{x:.6g}" for x in ends[i])]
            else:
                row += ["held" if self.errors[i] == 0.0 else _EMPTY, *[_EMPTY] * 3]
            rows.append(row)
        return rows

    def _notes(self) -> list[str]:
        """What the reader of the table must know."""
        left = len(self.labels) - len(self._printed())
        more = f"{left} elements of sigma beside its diagonal are in to_frame()."
        return [self.note, more] if left else [self.note]


def html_of_fit(family: str, facts: dict[str, float], status: str, message: str) -> str:
    """How a fit ended, and a table of its numbers."""
    title = f"<p><b>{escape(family)}</b>: {escape(status)}<br>{escape(message)}</p>"
    return title + html_table(["fit", ""], [[name, _number(name, x)] for name, x in facts.items()])


def without_errors(estimates: FloatArray) -> FloatArray:
    """Errors (k,) of estimates that have none."""
    return np.full(estimates.shape, np.nan)


def same_rows(values: FloatArray, weights: FloatArray | None, n: float) -> None:
    """Raise ValueError unless rows, or their weights, add to the number n of a fit."""
    total = float(len(values) if weights is None else np.sum(weights))
    if not math.isclose(total, float(n), rel_tol=_SAME_TOTAL):
        got = f"X has {total:.10g} rows" if weights is None else f"weights sum to {total:.10g}"
        msg = f"{got} and the fit had {float(n):.10g}: give the rows and weights of the fit"
        raise ValueError(msg)


def _number(name: str, value: float) -> str:
    """A fact as text."""
    if math.isnan(value):
        return "not computed"
    decimals = {"log-likelihood": 4, "AIC": 4, "BIC": 4, "seconds": 3}
    return f"{value:.{decimals[name]}f}" if name in decimals else f"{value:.10g}"
