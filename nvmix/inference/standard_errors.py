"""Standard errors of a fitted model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from nvmix.backends import GAUGES, get_backend
from nvmix.foundation.files.pickles import PublicPickle
from nvmix.foundation.tables import brief, html_table, text_table
from nvmix.foundation.threads import one_blas_thread
from nvmix.foundation.typing import Columns, FloatArray
from nvmix.foundation.validation import one_of, real
from nvmix.inference.information import (
    Frame,
    block_diagonal,
    frame_jacobian,
    frame_of,
    free_coordinates,
    information_in,
)
from nvmix.mixture.em_maps import Mixture
from nvmix.mixture.gauge import check_gauge
from nvmix.sources.frames import pandas

# Smaller information of a direction, relative to that of the complete data, is rounding: some 1e4
# times the unit roundoff, for sums over many rows.
_ROUNDING: Final = 1e-12
# What each gauge holds.
_CONSTANTS: Final = {
    "det_sigma": "|Sigma|", "a_eq_b": "a - b", "unit_mean": "E[Y]", "alpha_eq_beta": "alpha - beta",
    "none": "nothing",
}  # fmt: skip
_HEADER: Final = ("parameter", "estimate", "std. error")
# Vectors of which 0 is a hypothesis that z tests; Sigma and most laws of Y have no 0.
_TESTED: Final = ("mu[", "gamma[")


@dataclass(frozen=True, eq=False, repr=False)
class StandardErrors(PublicPickle, Mapping[str, Any]):
    r"""Standard errors of a fitted model: a mapping from the parameters' names to their errors.

    Errors have the shapes of their parameters: (d,) for ``"mu"`` and ``"gamma"``, (d, d) for
    ``"sigma"``, a number for those of the subordinator. What the fit or the gauge holds has error
    0, which is exact, in the mapping and nan in `to_frame`.

    A gauge is a convention for the scale of Y: Y times c, with Sigma and gamma divided by c, is the
    same law of X, so one constant is held, and errors of Sigma, of gamma and of the parameters of
    Y are those with it held.

    Parameters
    ----------
    names : tuple of str
        Names of the k elements: mu, gamma, the lower triangle of Sigma by rows, and the parameters
        of the subordinator, as in ``("mu[0]", "gamma[0]", "sigma[0,0]", "alpha", "beta")``.
    estimates : (k,) array
        Values of the elements.
    covariance : (k, k) array
        Their asymptotic covariance in the gauge.
    gauge : str
        Which constant is held: "det_sigma" holds \|Sigma\| fixed, "a_eq_b"
        holds a - b, "unit_mean" holds E[Y], and "alpha_eq_beta", of `StudentT`, alpha - beta;
        "none" is of `MultivariateNormal`.
    columns : tuple of str or None
        Names of the columns of the data; None if it has no names.

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian
    >>> true = NormalInverseGaussian.from_classical(
    ...     mu=[0.0], gamma=[0.4], sigma=[[1.0]], mu_ig=1.0, lam=0.5)
    >>> X = true.rvs(2000, seed=0)
    >>> errors = NormalInverseGaussian.default_init(X).fit(X).standard_errors(X)
    >>> errors["mu"].round(3)
    array([0.03])
    >>> low, high = errors.confidence_intervals(0.95)["gamma"][0]
    >>> bool(low < 0.4 < high)
    True
    """

    names: tuple[str, ...]
    estimates: FloatArray
    covariance: FloatArray
    gauge: str
    columns: Columns = None

    @property
    def labels(self) -> tuple[str, ...]:
        """`names` with those of columns in the place of their numbers, as in ``"mu[spx]"``."""
        return labels_of(self.names, self.columns)

    @property
    def constant(self) -> str:
        """What the gauge holds, in words such as "E[Y]"."""
        return _CONSTANTS[self.gauge]

    @property
    def note(self) -> str:
        """What the errors assume, for people."""
        how = "Standard errors by the observed information"
        if self.gauge == "none":
            return f"{how}."
        return (
            f"{how}, with {self.constant} held: the scale that Sigma and Y share is a convention, "
            "the gauge, which no data can tell."
        )

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the elements, (k,)."""
        errors: FloatArray = np.sqrt(np.diag(self.covariance))
        return errors

    def confidence_intervals(self, level: float = 0.95) -> dict[str, FloatArray]:
        """Wald intervals: estimate plus and minus a normal quantile times the standard error.

        Parameters
        ----------
        level : float
            Coverage, between 0 and 1.

        Returns
        -------
        dict from str to (..., 2) array
            Lower and upper ends, along the last axis, of each parameter.

        Raises
        ------
        TypeError, ValueError
            If level is not a number between 0 and 1.

        Examples
        --------
        >>> import nvmix
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> errors = nvmix.fit(X, "nig").standard_errors()
        >>> errors.confidence_intervals(0.9)["mu"].round(1)
        array([[1.3, 4.4],
               [1. , 3.9]])
        """
        ends = intervals(self.estimates, self.errors, level)
        return {name: self._shaped(name, ends) for name in self}

    def to_frame(self, level: float = 0.95) -> Any:
        """Table of the elements as a DataFrame.

        Parameters
        ----------
        level : float
            Coverage of the intervals, between 0 and 1.

        Returns
        -------
        pandas.DataFrame
            With an index of `labels` and the columns estimate, std_error, z, lower and upper. What
            is held has nan but for its estimate. z, the estimate by its error, tests mu = 0 and
            gamma = 0, and is nan for Sigma and the law of Y.

        Raises
        ------
        ImportError
            If pandas is not installed.
        TypeError, ValueError
            If level is not a number between 0 and 1.

        Examples
        --------
        >>> import nvmix
        >>> from nvmix.datasets import load_crude_oil
        >>> X, _ = load_crude_oil()
        >>> errors = nvmix.fit(X, "t").standard_errors()
        >>> print(errors.to_frame().loc[["mu[0]", "mu[1]"], ["estimate", "z"]].round(1))
               estimate    z
        mu[0]       0.7  1.8
        mu[1]       0.6  1.7
        """
        return frame_of_elements(self.labels, self.estimates, self.errors, level)

    def __getitem__(self, name: str) -> Any:
        """Standard error of a parameter."""
        if name not in self._parameters():
            raise KeyError(name)
        value = self._shaped(name, self.errors)
        return value if value.ndim else float(value)

    def __iter__(self) -> Iterator[str]:
        """Names of the parameters."""
        return iter(self._parameters())

    def __len__(self) -> int:
        """Number of parameters."""
        return len(self._parameters())

    # `Mapping` compares values, which are arrays here: compare by identity instead.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _parameters(self) -> list[str]:
        """Names of the parameters, each once and in order."""
        return list(dict.fromkeys(name.partition("[")[0] for name in self.names))

    def _shaped(self, name: str, values: FloatArray) -> FloatArray:
        """Those of (k, ...) values that belong to the elements of a parameter, in its shape."""
        elements = values[[element.partition("[")[0] == name for element in self.names]]
        if name in {"mu", "gamma"}:
            return elements
        if name != "sigma":
            return np.asarray(elements[0])
        d = sum(element.startswith("mu[") for element in self.names)
        rows, columns = np.tril_indices(d)
        full = np.empty((d, d, *elements.shape[1:]))
        full[rows, columns] = full[columns, rows] = elements
        return full

    def __repr__(self) -> str:
        """Errors by parameter in a line, abbreviated."""
        errors = ", ".join(f"{name}={brief(self[name])}" for name in self)
        return f"StandardErrors({errors}, with {self.constant} held)"

    def __str__(self) -> str:
        """Table of the elements."""
        return f"Standard errors with {self.constant} held\n{text_table(_HEADER, self._rows())}"

    def _repr_html_(self) -> str:
        """Table of the elements for notebooks."""
        return html_table(_HEADER, self._rows())

    def _rows(self) -> list[list[str]]:
        """Cells of the table, a row for each element."""
        elements = zip(self.labels, self.estimates, self.errors, strict=True)
        return [[label, f"{value:.6g}", f"{error:.3g}"] for label, value, error in elements]


def intervals(estimates: FloatArray, errors: FloatArray, level: float) -> FloatArray:
    """Wald intervals (k, 2) of k estimates; level is validated."""
    level = real("level", level)
    if not 0.0 < level < 1.0:
        msg = f"level must be between 0 and 1, got {level}"
        raise ValueError(msg)
    reach = NormalDist().inv_cdf(0.5 + 0.5 * level) * errors
    return np.stack([estimates - reach, estimates + reach], axis=-1)


def z_values(labels: tuple[str, ...], estimates: FloatArray, errors: FloatArray) -> FloatArray:
    """Estimates of mu and gamma by their standard errors, (k,); nan where held, and of others."""
    z: FloatArray = np.full(estimates.shape, np.nan)
    tested = np.array([label.startswith(_TESTED) for label in labels])
    np.divide(estimates, errors, out=z, where=tested & (errors > 0.0))
    return z


def frame_of_elements(
    labels: tuple[str, ...], estimates: FloatArray, errors: FloatArray, level: float
) -> Any:
    """DataFrame of k elements with errors and Wald intervals, nan where the error is 0 or nan."""
    z, errors = z_values(labels, estimates, errors), np.where(errors > 0.0, errors, np.nan)
    lower, upper = intervals(estimates, errors, level).T
    table = {"estimate": estimates, "std_error": errors, "z": z, "lower": lower, "upper": upper}
    return pandas().DataFrame(table, index=list(labels))


def labels_of(names: tuple[str, ...], columns: Columns) -> tuple[str, ...]:
    """Names of elements such as "sigma[1,0]" with names of columns in the place of numbers."""
    if columns is None:
        return names

    def label(name: str) -> str:
        parameter, _, places = name.removesuffix("]").partition("[")
        found = ",".join(columns[int(place)] for place in places.split(",")) if places else ""
        return f"{parameter}[{found}]" if found else name

    return tuple(map(label, names))


@one_blas_thread()
def standard_errors(
    model: Mixture,
    X: FloatArray,
    weights: FloatArray | None = None,
    *,
    regularization: str = "none",
    held: Collection[str] = (),
) -> StandardErrors:
    """Asymptotic standard errors of a maximum-likelihood fit to X (n, d) with counts as weights.

    The scale that Sigma and Y share is not identified. So one constraint holds |Sigma| fixed, or
    a - b under regularization "a_eq_b", or E[Y] under "unit_mean". With Z a basis of the
    free directions that keep it so, the covariance is Z (Z' I Z)^-1 Z' (S. D. Silvey, Annals of
    Mathematical Statistics 30, 1959).
    Parameters that `held` names, that the family fixes, or that are at a limit have error 0.
    """
    one_of("regularization", regularization, GAUGES)
    check_gauge(model, regularization)
    if model.subordinator.is_constant:
        n = float(len(X) if weights is None else np.sum(weights))
        covariance = _normal_covariance(model.sigma(), n, mu_held="mu" in held)
        return StandardErrors(*elements_of(model), covariance, "none", model.columns)
    frame = frame_of(model)
    free = free_coordinates(model, held)
    gauge = regularization if regularization in {"a_eq_b", "unit_mean"} else "det_sigma"
    gauge = "alpha_eq_beta" if model.symmetric_only else gauge
    constraint = _constraint(frame, gauge)[free]
    information, complete = information_in(frame, X, weights, free)
    size = np.sqrt(np.abs(np.diag(complete)))
    roots = _inverse_root(information / np.outer(size, size), constraint / size)
    roots = _exact_zeros(roots, np.full_like(roots, np.abs(roots).max())) / size[:, None]
    jacobian = (_family_jacobian(model) @ frame_jacobian(frame))[:, free]
    roots = _exact_zeros(jacobian @ roots, np.abs(jacobian) @ np.abs(roots))
    names, estimates = elements_of(model)
    return StandardErrors(names, estimates, roots @ roots.T, gauge, model.columns)


def _normal_covariance(S: FloatArray, n: float, *, mu_held: bool) -> FloatArray:
    """Covariance of mu, gamma = 0 and the triangle of Sigma = S (d, d), of n normal rows.

    That of two elements of the sample covariance is (Sigma_ik Sigma_jl + Sigma_il Sigma_jk) / n.
    """
    i, j = np.tril_indices(len(S))
    products = S[np.ix_(i, i)] * S[np.ix_(j, j)] + S[np.ix_(i, j)] * S[np.ix_(j, i)]
    return block_diagonal(S * (0.0 if mu_held else 1.0 / n), np.zeros_like(S), products / n)


def _constraint(frame: Frame, gauge: str) -> FloatArray:
    """Gradient of what the gauge holds by all coordinates of the frame; of log |Sigma|."""
    d = len(frame.g)
    if gauge == "det_sigma":
        rows, columns = np.tril_indices(d)
        return np.concatenate([np.zeros(2 * d), rows == columns, np.zeros(3)])
    others = np.zeros(2 * d + d * (d + 1) // 2)
    if gauge == "unit_mean":
        log_y, inv_y, y = get_backend().gig_covariances(*map(np.atleast_1d, frame.theta))[0, 2]
        return np.concatenate([others, [log_y, -0.5 * y, -0.5 * inv_y]])
    if gauge == "alpha_eq_beta":
        return np.concatenate([others, [-1.0, 0.0, -0.5 * frame.s]])
    _, a, b = frame.theta
    if a == 0.0 or b == 0.0:
        msg = "regularization 'a_eq_b' has no meaning where a or b is 0; use 'det_sigma_one'"
        raise ValueError(msg)
    return np.concatenate([others, [0.0, 1.0 / frame.s, -frame.s]])


def _inverse_root(information: FloatArray, constraint: FloatArray) -> FloatArray:
    """R with R R' = Z (Z' I Z)^-1 Z', columns of Z a basis orthogonal to the constraint (k,)."""
    Z = np.linalg.qr(constraint[:, None], mode="complete")[0][:, 1:]
    values, vectors = np.linalg.eigh(Z.T @ information @ Z)
    if values.size and not values[0] > _ROUNDING:
        msg = (
            "the observed information is not positive definite: the fit is not at an interior "
            "maximum of the likelihood; fit again with a smaller tol, a smaller family, or "
            "parameters held"
        )
        raise ValueError(msg)
    root: FloatArray = Z @ (vectors / np.sqrt(values))
    return root


def _exact_zeros(rows: FloatArray, sizes: FloatArray) -> FloatArray:
    """Rows (k, m) with 0 for those of rounding, small beside the sizes (k, m) of their terms."""
    rounding = np.linalg.norm(rows, axis=1) <= _ROUNDING * np.linalg.norm(sizes, axis=1)
    return np.where(rounding[:, None], 0.0, rows)


def _family_jacobian(model: Mixture) -> FloatArray:
    """Jacobian of the family's parameters by (mu, gamma, triangle of Sigma, p, a, b)."""
    d, subordinator = model.d, model.subordinator
    p, a, b = map(float, subordinator.gig)
    derivatives = {
        "p": (1.0, 0.0, 0.0),
        "a": (0.0, 1.0, 0.0),
        "b": (0.0, 0.0, 1.0),
        "alpha": (float(np.sign(p)), 0.0, 0.0),
        # beta is a / 2 of a Gamma, whose b is 0, and b / 2 of an InverseGamma, whose a is 0.
        "beta": (0.0, 0.5, 0.5),
        "lam": (0.0, 0.0, 1.0),
    }
    if "mu_ig" in subordinator.parameters:
        mean = subordinator.parameters["mu_ig"]
        derivatives["mu_ig"] = (0.0, -0.5 * mean / a, 0.5 * mean / b)
    rows = np.array([derivatives[name] for name in subordinator.parameters])
    return block_diagonal(np.eye(2 * d + d * (d + 1) // 2), rows)


def elements_of(model: Mixture) -> tuple[tuple[str, ...], FloatArray]:
    """Names (k,) and values (k,) of the elements of all parameters."""
    d, others = model.d, model.subordinator.parameters
    triangle = np.tril_indices(d)
    names = [f"{vector}[{i}]" for vector in ("mu", "gamma") for i in range(d)]
    names += [f"sigma[{i},{j}]" for i, j in zip(*triangle, strict=True)]
    values = [model.mu, model.gamma, model.sigma()[triangle], np.array(list(others.values()))]
    return (*names, *others), np.concatenate(values)
