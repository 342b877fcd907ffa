"""Tests of goodness of fit by parametric bootstrap."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from nvmix.backends.status import Status
from nvmix.diagnostics.arguments import model_and_rows
from nvmix.diagnostics.simulation import Simulation, draws, refits
from nvmix.diagnostics.statistics import NAMES, of_rows, statistics_of
from nvmix.diagnostics.transforms import check_density, log_tails
from nvmix.fitting.em import BatchEMFitter
from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.exceptions import ConvergenceWarning, warn_user
from nvmix.foundation.tables import html_table, text_table
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import generator, integer
from nvmix.many import fitter_of_many
from nvmix.mixture.em_maps import Mixture
from nvmix.sources.frames import pandas

_HEADER = ("test", "statistic", "p-value")
# Settings that say what is fitted, and not how.
_OF_THE_NULL = ("fixed", "symmetric", "bounded", "missing", "weights")


@dataclass(frozen=True, eq=False, repr=False)
class GoodnessOfFit:
    """Result of `goodness_of_fit`, printed as a table.

    Parameters
    ----------
    names : tuple of str
        Names of the tests.
    statistics, pvalues : (3,) arrays
        Statistic of each, and probability of one as large under the null.
    family : str
        Class of the model.
    n_observations : int
        Number of rows.
    simulated : (k, 3) array
        Statistics of the k simulated samples.
    n_unconverged : int
        How many of the k refits did not converge.
    is_refitted : bool
        Whether the model was fitted again to each simulated sample.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.diagnostics import goodness_of_fit
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> test = goodness_of_fit(nvmix.fit(X[:, 0], "normal"), n_simulations=99)
    >>> test.names, bool(test.pvalues.max() < 0.05)
    (('Kolmogorov-Smirnov', 'Anderson-Darling', 'Cramer-von Mises'), True)
    """

    names: tuple[str, ...]
    statistics: FloatArray
    pvalues: FloatArray
    family: str
    n_observations: int
    simulated: FloatArray
    n_unconverged: int
    is_refitted: bool

    def to_frame(self) -> Any:
        """The table as a DataFrame, with one row per test.

        Returns
        -------
        pandas.DataFrame
            With columns statistic and pvalue, indexed by the names.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import nvmix
        >>> from nvmix.diagnostics import goodness_of_fit
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> test = goodness_of_fit(nvmix.fit(X[:, 0], "normal"), n_simulations=99)
        >>> list(test.to_frame().columns), test.to_frame().shape
        (['statistic', 'pvalue'], (3, 2))
        """
        columns = {"statistic": self.statistics, "pvalue": self.pvalues}
        return pandas().DataFrame(columns, index=list(self.names))

    def __repr__(self) -> str:
        """Table of the tests."""
        return f"{self._title()}\n{text_table(_HEADER, self._cells())}"

    def _repr_html_(self) -> str:
        """Table of the tests as HTML, for notebooks."""
        return f"<p>{self._title()}</p>{html_table(_HEADER, self._cells())}"

    def _title(self) -> str:
        kind = "refits" if self.is_refitted else "samples of the known law"
        title = f"{self.family}, {self.n_observations:,} rows, {len(self.simulated):,} {kind}"
        return f"{title}, {self.n_unconverged:,} unconverged" if self.n_unconverged else title

    def _cells(self) -> list[list[str]]:
        numbers = zip(self.names, self.statistics, self.pvalues, strict=True)
        return [[name, f"{statistic:.5g}", f"{p:.4f}"] for name, statistic, p in numbers]


def goodness_of_fit(
    fitted: Any,
    X: Any = None,
    *,
    n_simulations: int = 1000,
    seed: Any = 0,
    verbose: int = 0,
    **settings: Any,
) -> GoodnessOfFit:
    r"""Test whether data have the law that was fitted to them.

    The statistics are those of Kolmogorov and Smirnov, the largest distance of distribution
    functions; of Anderson and Darling, the mean squared distance with weights that grow in the
    tails; and of Cramer and von Mises, without these weights. In one column they compare the
    `probability_integral_transform` with the uniform distribution. In d columns the `rosenblatt`
    transform u of a row has one number, :math:`\sum_j \Phi^{-1}(u_j)^2`, chi-squared with d degrees
    of freedom under the null: how far out the row is, as the Mahalanobis distance of the normal
    distribution is. That has power against wrong tails, by which the families differ, and little
    against wrong skewness alone, for which single columns can be tested.

    Parameters were estimated, which makes statistics smaller than those of a known law. So p-values
    are by parametric bootstrap: samples of the fitted model are fitted again, as the data were, and
    the p-value is (1 + number of statistics at least as large) / (1 + number of samples).

    Parameters
    ----------
    fitted : EMResult or NormalMixture
        A fit that has converged, without weights or missing values. A model is taken as known
        beforehand: nothing is refitted, and with a model that was fitted to X the p-values are too
        large.
    X : (n, d) array_like or DataFrame, or None
        The observations that were fitted, and no others; None takes those that the result
        remembers. Of a model, any observations.
    n_simulations : int
        Number of samples, at least 1.
    seed : int, numpy.random.Generator or None
        Source of the samples; results do not depend on the number of threads.
    verbose : int
        0 prints nothing, 1 a line every 10 seconds and at the end, 2 ten lines or more.
    **settings
        Of `nvmix.BatchEMFitter`, for the refits, which start from the fitted model: how
        they get to the maximum, such as max_iter and tol. What the fit held is held in them, so
        that fixed, symmetric, bounded and missing are refused; an eta_update of the fit has to be
        given again.

    Returns
    -------
    GoodnessOfFit
        Statistics and p-values.

    Raises
    ------
    TypeError, ValueError
        If fitted is neither a fit nor a model, or the fit has not converged, or had weights or
        missing values, X is missing, or not finite real numbers of the model's columns, or not what
        was fitted, or has a row where the density of its first columns is infinite, or a setting
        is unknown, outside its domain, or would change what is fitted.

    Warns
    -----
    ConvergenceWarning
        If refits do not converge, with their number. Their statistics count like all others, those
        of the models at which they stopped.

    Notes
    -----
    A thread for each processor draws and fits; see `nvmix.set_num_threads`.

    References
    ----------
    W. Stute, W. Gonzalez Manteiga and M. Presedo Quindimil, Bootstrap based goodness-of-fit tests,
    Metrika 40 (1993), 243-256.
    W. Breymann, A. Dias and P. Embrechts, Dependence structures for multivariate high-frequency
    data in finance, Quantitative Finance 3 (2003), 1-14, for several columns.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> from nvmix.diagnostics import goodness_of_fit
    >>> X, _ = load_crude_oil()
    >>> normal, nig = (
    ...     goodness_of_fit(nvmix.fit(X[:, 1], family), n_simulations=99)
    ...     for family in ("normal", "nig"))
    >>> bool((normal.pvalues < 0.05).all()), bool((nig.pvalues > 0.1).all())
    (True, True)
    """
    model, values = _observed(fitted, X)
    seeds = generator(seed).integers(1 << 63, size=integer("n_simulations", n_simulations, 1))
    verbose = integer("verbose", verbose, 0)
    check_density(model, values)
    observed = statistics_of(of_rows(log_tails(model, values)))
    fitter = _fitter(fitted, settings)
    if fitter is None:
        simulated = draws(len(values), seeds.tolist(), verbose)
    else:
        simulated = refits(model, fitter, len(values), seeds.tolist(), verbose)
    failed = Counter(status for status in simulated.statuses if not status.converged)
    if failed:
        ends = ", ".join(f"{number:,} {status.name}" for status, number in failed.items())
        hint = ": try a larger max_iter" if Status.MAX_ITER in failed else ""
        msg = (
            f"{failed.total():,} of {len(seeds):,} refits did not converge ({ends}), and count "
            f"like all others{hint}"
        )
        warn_user(msg, ConvergenceWarning)
    return GoodnessOfFit(
        NAMES,
        observed,
        _pvalues(observed, simulated),
        type(model).__name__,
        len(values),
        simulated.statistics,
        failed.total(),
        fitter is not None,
    )


def _observed(fitted: Any, X: Any) -> tuple[Mixture, FloatArray]:
    """The model, and validated rows; ValueError for a fit, or rows, that cannot be tested."""
    if not isinstance(fitted, EMResult):
        return model_and_rows(fitted, X)
    if not fitted.converged:
        msg = f"fitted must be a fit that converged, got {fitted.status.name}: {fitted.message}"
        raise ValueError(msg)
    data, weights = fitted.data or (None, None)
    if weights is not None:
        msg = (
            "fitted must be a fit without weights, which simulated rows do not have: fit the rows "
            "without weights to test them"
        )
        raise ValueError(msg)
    model, rows = model_and_rows(fitted, X)
    n_missing = int(np.isnan(rows).any(axis=1).sum())
    if n_missing:
        msg = (
            f"fitted must be a fit without missing values, got {n_missing:,} rows that have some: "
            "fit the complete rows"
        )
        raise ValueError(msg)
    # A result without data knows how many they were.
    if data is None:
        is_same = len(rows) == fitted.n_observations
    else:
        is_same = np.array_equal(rows, np.asarray(data))
    if not is_same:
        msg = (
            f"X must be the {fitted.n_observations:,.10g} rows that were fitted, got {len(rows):,} "
            "others: fit these, or give result.model to test a law known beforehand on other data"
        )
        raise ValueError(msg)
    return model, rows


def _fitter(fitted: Any, settings: Any) -> BatchEMFitter | None:
    """How the fit is done again; None for a model, which is not."""
    if not isinstance(fitted, EMResult):
        if settings:
            msg = f"settings are of refits, and a model is not fitted again, got {[*settings]}"
            raise TypeError(msg)
        return None
    for name in _OF_THE_NULL:
        if name in settings:
            msg = (
                f"{name} cannot be set, as refits are of what was fitted, got {settings[name]!r}: "
                "give it to the fit"
            )
            raise TypeError(msg)
    fixed = {name: getattr(fitted.model, name) for name in fitted.held if name != "gamma"}
    bounded = dict(fitted.settings).get("bounded", bool(fitted.at_bound))
    held = {"fixed": fixed, "symmetric": fitted.symmetric, "bounded": bounded}
    return fitter_of_many("goodness_of_fit", held | settings)


def _pvalues(observed: FloatArray, simulated: Simulation) -> FloatArray:
    """Shares of statistics that are not smaller, nan included; the sample itself is one of them."""
    larger = (~(simulated.statistics < observed)).sum(axis=0)
    pvalues: FloatArray = (1.0 + larger) / (1.0 + len(simulated.statistics))
    return pvalues
