"""The CPU backend: numba kernels behind the Backend protocol."""

from typing import Any, TypeAlias

import numba
import numpy as np

from nvmix.backends.cpu.fit import Fit
from nvmix.backends.cpu.kernels import entry_points
from nvmix.backends.cpu.kernels.em.e_step import SCALARS, Model
from nvmix.backends.cpu.kernels.em.m_step import subordinator_of
from nvmix.backends.cpu.kernels.em.missing_values import Patterns
from nvmix.backends.cpu.partition import groups_of, pieces_of, table_of
from nvmix.backends.cpu.placed import Placed, canonical, placed
from nvmix.backends.cpu.quasi_newton import fit_gamma, fit_gig
from nvmix.backends.cpu.univariate import quantiles, sequential_tails, tails
from nvmix.backends.types import (
    ACCEPT,
    CARELESS,
    E_STEP,
    EMOptions,
    FitTrace,
    Fixed,
    GIGParameters,
    GIGStatus,
    NormalParameters,
)
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.pairwise_sum import add_each, pairwise_sum
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.threads import map_threads
from nvmix.foundation.typing import BoolArray, FloatArray

# Sums and scatter as `add_rows` makes them.
Sums: TypeAlias = tuple[FloatArray, FloatArray]

# Number of Bessel arguments at one order from which a table is faster, whatever their range.
_LEAST_TABULATED = 4096
# Places in the upper triangle of a (3, 3) matrix, by rows, of its elements.
_FROM_TRIANGLE = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
_NO_START = (np.nan, np.nan, np.nan)


class CPUBackend:
    """Numba kernels; threads work on groups of rows."""

    name = "cpu"

    def __init__(self) -> None:
        if numba.config.DISABLE_JIT:
            msg = (
                "NUMBA_DISABLE_JIT=1 has kernels run as Python, which has none of their vector "
                "instructions: there are no fits, densities or Bessel functions on the CPU backend"
            )
            raise RuntimeError(msg)

    def place(
        self,
        X: Any,
        device: Any = None,  # noqa: ARG002
        weights: FloatArray | None = None,
        *,
        missing: bool = False,
    ) -> Placed:
        """Return rows as compiled functions take them, without a copy where they are already."""
        return placed(X, weights, missing)

    def log_bessel(self, v: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(log K, ratio), elementwise."""
        one_order = v.size >= _LEAST_TABULATED and not any(v.strides)
        order = float(v.flat[0]) if one_order else np.nan
        log_k, ratio, flat = np.empty(z.size), np.empty(z.size), canonical(z).ravel()
        orders = flat[:0] if one_order else canonical(v).ravel()

        def fill(rows: slice) -> None:
            if one_order:
                table = table_of("bessel", order, z.size)
                entry_points.bessel_order_loop(order, flat[rows], table, log_k[rows], ratio[rows])
            else:
                entry_points.bessel_pair_loop(orders[rows], flat[rows], log_k[rows], ratio[rows])

        map_threads(fill, groups_of((z.size, 1)))
        return log_k.reshape(z.shape), ratio.reshape(z.shape)

    def log_bessel_derivatives(self, v: FloatArray, z: FloatArray) -> FloatArray:
        """(4, ...) derivatives by v, by v twice, by v and z, and by z twice, elementwise."""
        out = np.empty((v.size, 4))
        entry_points.bessel_derivatives_loop(canonical(v).ravel(), canonical(z).ravel(), out)
        return np.moveaxis(out.reshape(*v.shape, 4), -1, 0)

    def gig_law(self, theta: GIGParameters) -> tuple[float, float, float, float]:
        """(lnZ, E log Y, E 1/Y, E Y) of one law."""
        return entry_points.gig_moments_entry(*theta)

    def gig_moments(
        self, p: FloatArray, a: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(lnZ, E log Y, E 1/Y, E Y), elementwise; of laws of one p and a, by a table."""
        out, b_flat = np.empty((p.size, 4)), canonical(b).ravel()
        one_order = p.size > 0 and not (any(p.strides) or any(a.strides))

        def fill(rows: slice) -> None:
            if one_order:
                order, rate = float(p.flat[0]), float(a.flat[0])
                table = table_of("moments", order, p.size)
                entry_points.gig_order_loop(order, rate, b_flat[rows], table, out[rows])
            else:
                p_flat, a_flat = (canonical(x).ravel() for x in (p, a))
                entry_points.gig_moments_loop(p_flat[rows], a_flat[rows], b_flat[rows], out[rows])

        map_threads(fill, groups_of((p.size, 1)))
        columns = [np.ascontiguousarray(column).reshape(p.shape) for column in out.T]
        return columns[0], columns[1], columns[2], columns[3]

    def gig_covariances(self, p: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        """(n, 3, 3) covariances of (log Y, 1/Y, Y)."""
        out = np.empty((p.size, 6))
        entry_points.gig_covariances_loop(p, a, b, out)
        return out[:, _FROM_TRIANGLE]

    def gig_log_density(self, y: FloatArray, theta: GIGParameters) -> FloatArray:
        """Log-densities of one law at y > 0."""
        out, (p, a, b) = np.empty(y.size), map(float, theta)
        entry_points.gig_log_density_loop(p, a, b, canonical(y).ravel(), out)
        return out.reshape(y.shape)

    def gig_log_tails(self, y: FloatArray, theta: GIGParameters) -> tuple[FloatArray, BoolArray]:
        """Log-probabilities of the smaller tails at y, and which are upper."""
        p, a, b = map(float, theta)
        out, upper = np.empty(y.size), np.empty(y.size)
        entry_points.gig_log_tails_loop(p, a, b, canonical(y).ravel(), out, upper)
        return out.reshape(y.shape), (upper > 0.0).reshape(y.shape)

    def gig_quantiles(
        self, log_lower: FloatArray, log_upper: FloatArray, theta: GIGParameters
    ) -> FloatArray:
        """Points with these log-probabilities below and above."""
        out, (p, a, b) = np.empty(log_lower.size), map(float, theta)
        lower, upper = (canonical(x).ravel() for x in (log_lower, log_upper))
        entry_points.gig_quantiles_loop(p, a, b, lower, upper, out)
        return out.reshape(log_lower.shape)

    def gig_entropy(self, theta: GIGParameters) -> float:
        """Entropy of one law."""
        p, a, b = map(float, theta)
        return entry_points.gig_entropy_entry(p, a, b)

    def gig_log_moment(self, theta: GIGParameters, k: float) -> float:
        """log E[Y^k] of one law with a, b > 0."""
        p, a, b = map(float, theta)
        return entry_points.gig_log_moment_entry(p, a, b, k)

    def gig_fit(
        self, eta: GIGParameters, fixed: Fixed, method: str, start: GIGParameters | None
    ) -> tuple[GIGParameters, GIGStatus]:
        """Solve eta -> theta; see `Backend.gig_fit`."""
        log_y, inv_y, y = map(float, eta)
        family = subordinator_of(fixed, -np.inf)
        closed_form = fixed.p == -0.5 or (fixed.p is not None and 0.0 in {fixed.a, fixed.b})
        if method == "newton" or closed_form:
            start = start or _NO_START
            p, a, b, code = entry_points.fit_subordinator_entry(log_y, inv_y, y, family, start)
            return (p, a, b), GIGStatus(code)
        if fixed.b == 0.0:
            return fit_gamma(log_y, y, method)
        if fixed.a == 0.0:
            (p, a, _), status = fit_gamma(-log_y, inv_y, method)
            return (-p, 0.0, a), status
        p, a, b, code = entry_points.gig_boundary_entry(log_y, inv_y, y, family.p)
        if code == GIGStatus.INTERIOR:
            return fit_gig((log_y, inv_y, y), fixed.p, method, start)
        return (p, a, b), GIGStatus(code)

    def gig_variates(self, theta: GIGParameters, n: int, rng: np.random.Generator) -> FloatArray:
        """(n,) independent variates; at a = 0 or b = 0 those of the gamma limits."""
        p, a, b = map(float, theta)
        if b == 0.0:
            return rng.standard_gamma(p, n) * (2.0 / a)
        if a == 0.0:
            with np.errstate(divide="ignore"):
                return 0.5 * b / rng.standard_gamma(-p, n)
        out = np.empty(n)
        entry_points.gig_variates_loop(p, a, b, out, rng)
        return out

    def log_prob(self, X: Placed, normal: NormalParameters, theta: GIGParameters) -> FloatArray:
        """(n,) log-densities."""
        mu, gamma, L = (canonical(x) for x in normal)
        inverse, log_norm = inverse_lower(L), self.gig_law(theta)[0]
        rows, out = X.X, np.empty(len(X.X))

        def fill(part: slice) -> None:
            table = _table(rows, theta[0])
            entry_points.log_prob_loop(
                rows[part], mu, inverse, gamma, theta, log_norm, table, out[part]
            )

        map_threads(fill, groups_of(rows.shape))
        return out

    def tails(
        self,
        x: FloatArray,
        normal: NormalParameters,
        theta: GIGParameters,
        *,
        upper: bool,
        log: bool,
    ) -> FloatArray:
        """Tails of a mixture of one column, or their logs; see `Backend.tails`."""
        return tails(x, normal, theta, upper=upper, log=log)

    def quantiles(
        self, q: FloatArray, normal: NormalParameters, theta: GIGParameters, *, upper: bool
    ) -> FloatArray:
        """Quantiles of a mixture of one column; see `Backend.quantiles`."""
        return quantiles(q, normal, theta, upper=upper)

    def sequential_tails(
        self, w: FloatArray, g: FloatArray, theta: GIGParameters
    ) -> tuple[FloatArray, BoolArray]:
        """Tails of each column given those before it; see `Backend.sequential_tails`."""
        return sequential_tails(w, g, theta)

    def e_step(
        self, X: Placed, normal: NormalParameters, theta: GIGParameters
    ) -> SufficientStatistics:
        """Posterior expectations summed over the rows of X."""
        model, d, log_norm = _model(normal, theta), normal.mu.size, self.gig_law(theta)[0]
        inverse = inverse_lower(normal.L)

        def of_piece(rows: slice) -> Sums:
            sums, scatter = np.zeros(SCALARS + 2 * d), np.zeros((d, d))
            arguments = X.weights_of(rows), model, inverse, log_norm, _table(X.X, theta[0])
            entry_points.e_step_loop(X.X[rows], *arguments, sums, scatter)
            return sums, scatter

        def of_rows(group: slice) -> Sums:
            return pairwise_sum(map(of_piece, pieces_of(group)), add_each)

        def of_patterns(group: Patterns) -> Sums:
            sums, scatter = np.zeros(SCALARS + 2 * d), np.zeros((d, d))
            tables = table_of("patterns", theta[0], len(X.X), d)
            entry_points.patterns_loop(group, model, log_norm, tables, sums, scatter)
            return sums, scatter

        parts = (
            map_threads(of_patterns, X.patterns) if X.patterns else map_threads(of_rows, X.groups)
        )
        sums, scatter = pairwise_sum(parts, add_each)
        weight, log_likelihood, log_y, inv_y, y = sums[:SCALARS].tolist()
        x, x_inv_y = sums[SCALARS : SCALARS + d], sums[SCALARS + d :]
        return SufficientStatistics(
            weight, log_likelihood, log_y, inv_y, y, x, x_inv_y, scatter, normal.mu, normal.L
        )

    def fit(
        self, X: Placed, normal: NormalParameters, theta: GIGParameters, options: EMOptions
    ) -> FitTrace:
        """Fit complete rows, of one group, by one call of compiled code."""
        # A table of an order that changes is of no use to later fits, and not stored.
        fixed_order = options.constraints.fixed.p is not None
        table = _table(X.X, theta[0] if fixed_order else np.nan)
        fit = Fit.new(normal, theta, options)
        status = fit.run(X.X, X.weights, table, E_STEP)
        while status == CARELESS:
            fit.take(self.e_step(X, *fit.candidate()))
            status = fit.run(X.X, X.weights, table, ACCEPT)
        return fit.trace(status)


def _table(X: FloatArray, p: float) -> FloatArray:
    """Table of posterior moments for rows X, at order p of the subordinator."""
    n, d = X.shape
    return table_of("moments", p - 0.5 * d, n)


def _model(normal: NormalParameters, theta: GIGParameters) -> Model:
    """A model as compiled functions take it."""
    mu, gamma, L = (canonical(x) for x in normal)
    return Model(mu, gamma, L, np.array(theta, np.float64))
