"""Standard errors of a fitted model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from nvmix.backends import GAUGES
from nvmix.foundation.tables import html_table, text_table
from nvmix.foundation.typing import FloatArray
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

# Information of a direction, as a share of that of the complete data, that is rounding.
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class StandardErrors(Mapping[str, Any]):
    r"""Standard errors of a fitted model: a mapping from the parameters' names to their errors.

    Errors have the shapes of the parameters: (d,) for ``"mu"`` and ``"gamma"``, (d, d) for
    ``"sigma"``, a number for those of the law of Y. They are 0 where a parameter is held.

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
        What is held of the scale shared by Sigma and Y: "det_sigma", \|Sigma\|, or "a_eq_b".

    Examples
    --------
    >>> from nvmix import NormalInverseGaussian
    >>> from nvmix.inference.standard_errors import standard_errors
    >>> true = NormalInverseGaussian.from_classical(
    ...     mu=[0.0], gamma=[0.4], sigma=[[1.0]], mu_ig=1.0, lam=0.5)
    >>> X = true.rvs(2000, seed=0)
    >>> errors = standard_errors(NormalInverseGaussian.default_init(X).fit(X).model, X)
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
        """
        level = real("level", level)
        if not 0.0 < level < 1.0:
            msg = f"level must be between 0 and 1, got {level}"
            raise ValueError(msg)
        reach = NormalDist().inv_cdf(0.5 + 0.5 * level) * self.errors
        ends = np.stack([self.estimates - reach, self.estimates + reach], axis=-1)
        return {name: self._shaped(name, ends) for name in self}

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

    # Of arrays, which `Mapping` would compare, only identity is sure.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _parameters(self) -> list[str]:
        """Names of the parameters, each once and in order."""
        return list(dict.fromkeys(name.partition("[")[0] for name in self.names))

    def _shaped(self, name: str, values: FloatArray) -> FloatArray:
        """Values of a parameter's elements in the shape of the parameter."""
        own = values[[element.partition("[")[0] == name for element in self.names]]
        if name in {"mu", "gamma"}:
            return own
        if name != "sigma":
            return np.asarray(own[0])
        d = sum(element.startswith("mu[") for element in self.names)
        rows, columns = np.tril_indices(d)
        full = np.empty((d, d, *own.shape[1:]))
        full[rows, columns] = full[columns, rows] = own
        return full

    def _rows(self) -> list[list[str]]:
        """Cells of the table."""
        ends = zip(self.estimates, self.errors, strict=True)
        return [[name, f"{value:.6g}", f"{error:.3g}"]
                for name, (value, error) in zip(self.names, ends, strict=True)]  # fmt: skip

    def __repr__(self) -> str:
        """Table of the elements."""
        held = "|Sigma|" if self.gauge == "det_sigma" else "a - b"
        table = text_table(("parameter", "estimate", "std. error"), self._rows())
        return f"StandardErrors with {held} held\n{table}"

    def _repr_html_(self) -> str:
        """Table of the elements for notebooks."""
        return html_table(("parameter", "estimate", "std. error"), self._rows())


def standard_errors(
    model: Mixture,
    X: FloatArray,
    weights: FloatArray | None = None,
    *,
    regularization: str = "none",
    held: Collection[str] = (),
) -> StandardErrors:
    r"""Asymptotic standard errors of a fitted model from the observed information.

    The scale shared by Sigma and Y is not identified: its errors are those under a constraint. With
    Z a basis of the directions in which the constraint's value stays, held parameters left out, the
    covariance is :math:`Z (Z^\top I Z)^{-1} Z^\top`.

    Parameters
    ----------
    model : Mixture
        Maximum-likelihood fit to X.
    X : (n, d) array
        Validated observations.
    weights : (n,) array or None
        Weights of the rows, as counts; None is 1 each.
    regularization : {"none", "det_sigma_one", "det_sigma_x", "a_eq_b"}
        Gauge of the fit: a - b is held for "a_eq_b", \|Sigma\| for the others.
    held : collection of str
        Parameters that the fit held: "mu", "gamma", and "p" or "alpha" where the family has one.

    Returns
    -------
    StandardErrors
        Errors, covariance and confidence intervals of the classical parameters. A coordinate that
        the family fixes, or that ended at a limit a = 0 or b = 0, has error 0.

    Raises
    ------
    ValueError
        If the information is not positive definite or not finite, if held has an unknown name, or
        if the gauge is "a_eq_b" and a or b is 0.

    References
    ----------
    S. D. Silvey, The Lagrangian multiplier test, Annals of Mathematical Statistics 30 (1959),
    389-407: maximum likelihood under constraints.

    Examples
    --------
    >>> from nvmix import VarianceGamma
    >>> from nvmix.inference.standard_errors import standard_errors
    >>> true = VarianceGamma.from_classical(
    ...     mu=[0.0], gamma=[0.4], sigma=[[1.0]], alpha=3.0, beta=3.0)
    >>> X = true.rvs(2000, seed=0)
    >>> errors = standard_errors(true.fit(X, max_iter=1000).model, X)
    >>> bool((errors["sigma"] == 0.0).all()) and 0.3 < errors["alpha"] < 3.0
    True
    """
    one_of("regularization", regularization, GAUGES)
    check_gauge(model, regularization)
    frame = frame_of(model)
    free = free_coordinates(model, held)
    gauge = "a_eq_b" if regularization == "a_eq_b" else "det_sigma"
    constraint = _constraint(frame, gauge)[free]
    information, size = information_in(frame, X, weights, free)
    roots = _inverse_root(information / np.outer(size, size), constraint / size) / size[:, None]
    jacobian = _own_jacobian(model) @ frame_jacobian(frame)
    roots = jacobian[:, free] @ roots
    names, estimates = _elements(model)
    return StandardErrors(names, estimates, roots @ roots.T, gauge)


def _constraint(frame: Frame, gauge: str) -> FloatArray:
    """Gradient of log |Sigma|, or of a - b, by the coordinates of the frame."""
    d = len(frame.g)
    if gauge == "det_sigma":
        rows, columns = np.tril_indices(d)
        return np.concatenate([np.zeros(2 * d), rows == columns, np.zeros(3)])
    _, a, b = frame.theta
    if a == 0.0 or b == 0.0:
        msg = "regularization 'a_eq_b' has no meaning where a or b is 0; use 'det_sigma_one'"
        raise ValueError(msg)
    return np.concatenate([np.zeros(2 * d + d * (d + 1) // 2 + 1), [1.0 / frame.s, -frame.s]])


def _inverse_root(information: FloatArray, constraint: FloatArray) -> FloatArray:
    """R with R R' = Z (Z' I Z)^-1 Z', Z a basis of what is orthogonal to the constraint."""
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


def _own_jacobian(model: Mixture) -> FloatArray:
    """Derivatives of the family's parameters by mu, gamma, the triangle of Sigma, p, a and b."""
    d, law = model.d, model.subordinator
    p, a, b = map(float, law.gig)
    derivatives = {
        "p": (1.0, 0.0, 0.0),
        "a": (0.0, 1.0, 0.0),
        "b": (0.0, 0.0, 1.0),
        "alpha": (float(np.sign(p)), 0.0, 0.0),
        # Of the two, one is 0 and held.
        "beta": (0.0, 0.5, 0.5),
        "lam": (0.0, 0.0, 1.0),
    }
    if "mu_ig" in law.parameters:
        mean = law.parameters["mu_ig"]
        derivatives["mu_ig"] = (0.0, -0.5 * mean / a, 0.5 * mean / b)
    own = np.array([derivatives[name] for name in law.parameters])
    return block_diagonal(np.eye(2 * d + d * (d + 1) // 2), own)


def _elements(model: Mixture) -> tuple[tuple[str, ...], FloatArray]:
    """Names and values of the elements of the parameters."""
    d, law = model.d, model.subordinator.parameters
    triangle = np.tril_indices(d)
    names = [f"{vector}[{i}]" for vector in ("mu", "gamma") for i in range(d)]
    names += [f"sigma[{i},{j}]" for i, j in zip(*triangle, strict=True)]
    values = [model.mu, model.gamma, model.sigma()[triangle], np.array(list(law.values()))]
    return (*names, *law), np.concatenate(values)
