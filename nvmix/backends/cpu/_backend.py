"""The CPU backend: numba kernels behind the Backend protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nvmix._linalg import inverse_lower, row_blocks
from nvmix._statistics import SufficientStatistics
from nvmix.backends._protocol import Fixed, Gaussian, GIGParameters, GIGStatus
from nvmix.backends._tolerances import DOMINANT, NEGLIGIBLE, NO_SPREAD
from nvmix.backends.cpu import _loops
from nvmix.backends.cpu._minimize import fit_gamma_shape, fit_gig
from nvmix.backends.cpu._threads import over_groups, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nvmix._typing import FloatArray

# Order whose solve is in closed form.
_INVERSE_GAUSSIAN = -0.5
# Arguments at one order of a Bessel function from which a table pays whatever their spread.
_LEAST_TABULATED = 4096
_NO_START = (np.nan, np.nan, np.nan)


def canonical(x: FloatArray) -> FloatArray:
    """The one array type the loops are compiled for: float64, C-ordered, writeable."""
    return np.require(x, np.float64, ["C", "W"])


class CPUBackend:
    """Numba kernels on one core."""

    name = "cpu"

    def place(self, X: Any, device: Any = None) -> FloatArray:  # noqa: ARG002
        """Return X as the loops take it, without a copy where it already is."""
        return canonical(X)

    def log_bessel(self, v: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(log K, ratio), elementwise."""
        one_order = v.size >= _LEAST_TABULATED and not any(v.strides)
        order = float(v.flat[0]) if one_order else np.nan
        log_k, ratio, flat = np.empty(z.size), np.empty(z.size), canonical(z).ravel()
        orders = flat[:0] if one_order else canonical(v).ravel()

        def fill(rows: slice) -> None:
            if one_order:
                table = table_of("bessel", order, z.size)
                _loops.bessel_order_loop(order, flat[rows], table, log_k[rows], ratio[rows])
            else:
                _loops.bessel_pair_loop(orders[rows], flat[rows], log_k[rows], ratio[rows])

        over_groups(fill, (z.size, 1))
        return log_k.reshape(z.shape), ratio.reshape(z.shape)

    def log_bessel_derivatives(self, v: FloatArray, z: FloatArray) -> FloatArray:
        """(4, ...) derivatives by v, by v twice, by v and z, and by z twice, elementwise."""
        out = np.empty((v.size, 4))
        _loops.bessel_derivatives_loop(canonical(v).ravel(), canonical(z).ravel(), out)
        return np.moveaxis(out.reshape(*v.shape, 4), -1, 0)

    def gig_law(self, theta: GIGParameters) -> tuple[float, float, float, float]:
        """(lnZ, E log Y, E 1/Y, E Y) of one law."""
        return _loops.gig_moments_entry(*theta)

    def gig_moments(
        self, p: FloatArray, a: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(lnZ, E log Y, E 1/Y, E Y), elementwise."""
        out = np.empty((p.size, 4))
        flat = [canonical(x).ravel() for x in (p, a, b)]
        _loops.gig_moments_loop(flat[0], flat[1], flat[2], out)
        columns = [np.ascontiguousarray(column).reshape(p.shape) for column in out.T]
        return columns[0], columns[1], columns[2], columns[3]

    def gig_covariance(self, theta: GIGParameters) -> FloatArray:
        """(3, 3) covariance of (log Y, 1/Y, Y)."""
        ll, li, ly, ii, iy, yy = _loops.gig_covariance_entry(*map(float, theta))
        return np.array([[ll, li, ly], [li, ii, iy], [ly, iy, yy]])

    def gig_fit(
        self, eta: GIGParameters, fixed: Fixed, method: str, start: GIGParameters | None
    ) -> tuple[GIGParameters, GIGStatus]:
        """Solve eta -> theta; see `Backend.gig_fit`."""
        log_y, inv_y, y = map(float, eta)
        if fixed.b == 0.0:
            return _fit_gamma(log_y, y, method)
        if fixed.a == 0.0:
            (p, a, _), status = _fit_gamma(-log_y, inv_y, method)
            return (-p, 0.0, a), status
        if fixed.p == _INVERSE_GAUSSIAN:
            return _fit_inverse_gaussian(inv_y, y)
        fixed_p = np.nan if fixed.p is None else float(fixed.p)
        if method == "newton":
            p, a, b, code = _loops.gig_solve_entry(
                log_y, inv_y, y, fixed_p, _NO_START if start is None else start
            )
        else:
            p, a, b, code = _loops.gig_boundary_entry(log_y, inv_y, y, fixed_p)
            if code == GIGStatus.INTERIOR:
                return fit_gig((log_y, inv_y, y), fixed.p, method, start)
        return (p, a, b), GIGStatus(code)

    def gig_variates(self, theta: GIGParameters, n: int, rng: np.random.Generator) -> FloatArray:
        """(n,) independent variates; a = 0 or b = 0 draw the gamma limits."""
        p, a, b = map(float, theta)
        if b == 0.0:
            return rng.standard_gamma(p, n) * (2.0 / a)
        if a == 0.0:
            with np.errstate(divide="ignore"):
                return 0.5 * b / rng.standard_gamma(-p, n)
        out = np.empty(n)
        _loops.gig_variates_loop(p, a, b, out, rng)
        return out

    def log_prob(self, X: Any, block: Gaussian, theta: GIGParameters) -> FloatArray:
        """(n,) log-densities."""
        arguments = _model(block, theta)
        out = np.empty(len(X))

        def fill(rows: slice) -> None:
            table = table_of("moments", theta[0] - 0.5 * block.mu.size, len(X))
            _loops.log_prob_loop(X[rows], *arguments, table, out[rows])

        over_groups(fill, X.shape)
        return out

    def e_step(self, X: Any, block: Gaussian, theta: GIGParameters) -> SufficientStatistics:
        """Posterior expectations summed over the rows of X."""
        arguments = _model(block, theta)

        def sums(rows: slice) -> tuple[FloatArray, ...]:
            table = table_of("moments", theta[0] - 0.5 * block.mu.size, len(X))
            return _loops.e_step_loop(X[rows], *arguments, table)

        parts = over_groups(sums, X.shape)
        scalars, x, x_inv_y, scatter = (sum(part[1:], part[0]) for part in zip(*parts, strict=True))
        log_likelihood, log_y, inv_y, y = scalars.tolist()
        return SufficientStatistics(
            weight=float(len(X)),
            log_likelihood=log_likelihood,
            log_y=log_y,
            inv_y=inv_y,
            y=y,
            x=x,
            x_inv_y=x_inv_y,
            xx_inv_y=scatter,
            origin=block.mu,
            scale=block.L,
        )

    def rows_rule(self, X: FloatArray, block: Gaussian, theta: GIGParameters) -> bool:
        """Whether mu has met rows of X, which b no longer rounds off."""
        p, a, b = theta
        if b > NEGLIGIBLE * sum(map(np.sum, _distances(X, block))) / len(X):
            return False
        q = np.concatenate(list(_distances(X, block)))
        g = inverse_lower(block.L) @ block.gamma
        order, rate = np.full_like(q, p - 0.5 * block.mu.size), np.full_like(q, a + g @ g)
        inv_y = self.gig_moments(order, rate, b + q)[2]
        return not inv_y[q <= 4.0 * q.min()].sum() < DOMINANT * inv_y.sum() < np.inf


def _distances(X: FloatArray, block: Gaussian) -> Iterator[FloatArray]:
    """Squared Mahalanobis distances of the rows from mu, a block at a time."""
    inverse = inverse_lower(block.L)
    for x in row_blocks(X):
        yield np.square(inverse @ (x - block.mu[:, None])).sum(axis=0)


def _model(
    block: Gaussian, theta: GIGParameters
) -> tuple[FloatArray, FloatArray, FloatArray, GIGParameters]:
    """mu, L^-1, gamma and (p, a, b) as the row loops take them."""
    return np.array(block.mu), inverse_lower(block.L), np.array(block.gamma), theta


def _fit_inverse_gaussian(inv_y: float, y: float) -> tuple[GIGParameters, GIGStatus]:
    """Inverse Gaussian law with the given E 1/Y and E Y."""
    spread = y * inv_y - 1.0 if y > 0.0 and inv_y > 0.0 else np.nan
    if not NO_SPREAD < spread < np.inf:
        degenerate = abs(spread) <= NO_SPREAD
        status = GIGStatus.DEGENERATE if degenerate else GIGStatus.INFEASIBLE
        return (np.nan, np.nan, np.nan), status
    return (_INVERSE_GAUSSIAN, 1.0 / (y * spread), y / spread), GIGStatus.INTERIOR


def _fit_gamma(log_y: float, y: float, method: str) -> tuple[GIGParameters, GIGStatus]:
    """Gamma law with the given E log Y and E Y."""
    c = float(np.log(y)) - log_y if y > 0.0 else np.nan
    if not c > 0.0:
        status = GIGStatus.DEGENERATE if c == 0.0 else GIGStatus.INFEASIBLE
        return (np.nan, np.nan, 0.0), status
    if method == "newton":
        p, status = _loops.gamma_shape_entry(c), GIGStatus.INTERIOR
    else:
        p, status = fit_gamma_shape(c, method)
    return (p, 2.0 * p / y, 0.0), status
