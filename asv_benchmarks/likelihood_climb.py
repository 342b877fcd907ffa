"""The exact log-likelihood of a normal variance-mean mixture with its gradient, and climbs of it.

Nothing here uses an EM loop or a model class: only NumPy, SciPy and the moments of the generalized
inverse Gaussian law, which tests hold to tables by mpmath.
A point is (mu, gamma, L, (p, a, b)); a family says which of gamma, p, a and b are free.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from nvmix.backends import get_backend

Array = NDArray[np.float64]
Law = tuple[float, float, float]

# Least whitened square, so that an infinite density is merely huge.
TINY = 1e-280
# Bounds of log a and log b where E[log Y] = 0, and of how far a climb goes before it starts anew.
LARGEST_LAW, LONGEST_STRIDE = 16.0, 12.0
# gamma' Sigma^-1 (x - mu) above which a log-density has lost half of its digits to rounding.
COLLAPSED = 3e8
# A climb ends at a Sigma whose factor has shrunk so much relative to the data's covariance.
SINGULAR = 1e-9


class Point(NamedTuple):
    mu: Array
    gamma: Array
    L: Array
    law: Law


class Form(NamedTuple):
    """What a family leaves free: p ("free", or minus or plus alpha), a, b and gamma."""

    order: str
    has_a: bool
    has_b: bool
    skewed: bool

    @classmethod
    def of(cls, family: str) -> "Form":
        name, skewed = family.removesuffix("_sym"), not family.endswith("_sym")
        order = {"skewt": "minus", "vg": "plus", "gh": "free"}.get(name, "fixed")
        return cls(order, name != "skewt", name != "vg", skewed)


def gig_moments(p: Array, a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """(lnZ, E log Y, E 1/Y, E Y) of GIG(p, a, b) elementwise, a = 0 or b = 0 included."""
    return get_backend().gig_moments(p, a, b)


def log_likelihood(X: Array, point: Point) -> float:
    """Log-likelihood of rows X (n, d)."""
    return _evaluate(X, point)[0]


def _evaluate(X: Array, point: Point) -> tuple[float, Array, Array, Array, Array]:
    """Log-likelihood, and its derivatives by mu, gamma and L in the frame of L, and by the law.

    The third is L' times the derivative by Sigma times 2 L, whose lower triangle counts.
    """
    (n, d), (mu, gamma, L, (p, a, b)) = X.shape, point
    R = solve_triangular(L, (X - mu).T, lower=True).T
    g = solve_triangular(L, gamma, lower=True)
    if np.abs(R @ g).max() > COLLAPSED:
        return np.nan, R[0], g, R[:d], g
    q = np.maximum(b + np.einsum("ij,ij->i", R, R), TINY)
    # The law of Y given each row, and of Y itself.
    order, shape = np.full(n + 1, p - 0.5 * d), np.full(n + 1, a + float(g @ g))
    order[n], shape[n] = p, a
    moments = gig_moments(order, shape, np.append(q, b))
    log_z, log_y, inverse, mean = (moment[:n] for moment in moments)
    prior = [float(moment[n]) for moment in moments]
    value = float((R @ g + log_z).sum()) - n * (
        0.5 * d * np.log(2.0 * np.pi) + np.log(np.diag(L)).sum() + prior[0]
    )
    if not g.any():
        mean = np.where(np.isfinite(mean), mean, 0.0)
    of_mu = inverse @ R - n * g
    of_gamma = R.sum(axis=0) - mean.sum() * g
    cross = np.outer(R.sum(axis=0), g)
    S = (R.T * inverse) @ R - cross - cross.T + mean.sum() * np.outer(g, g)
    law = np.array(
        [
            log_y.sum() - n * prior[1],
            -0.5 * (mean.sum() - n * prior[3]) if a > 0.0 else 0.0,
            -0.5 * (inverse.sum() - n * prior[2]) if b > 0.0 else 0.0,
        ]
    )
    return value, of_mu, of_gamma, S - n * np.eye(d), law


class Chart:
    """Coordinates about a point: moves of mu and gamma in the frame of L, log-diagonal and lower
    triangle of the factor in that frame, and p or log alpha, log a and log b."""

    def __init__(self, X: Array, start: Point, form: Form, *, hold: bool = False) -> None:
        self.form, self.start, self.X, self.hold = form, start, X, hold
        self.d = X.shape[1]
        self.low = np.tril_indices(self.d, -1)
        p, a, b = start.law
        law = {"free": [p], "fixed": []}.get(form.order, [np.log(abs(p))])
        law += [np.log(a)] if form.has_a else []
        law += [np.log(b)] if form.has_b else []
        free = self.d * (2 if form.skewed else 1) + self.d + len(self.low[0])
        self.x0 = np.append(np.zeros(free), law)
        self.n_law = len(law)

    def bounds(self) -> list[tuple[float, float]]:
        law: list[tuple[float, float]] = []
        if self.form.order == "free":
            law.append((-200.0, 200.0))
        elif self.form.order == "minus":
            law.append((-12.0, LARGEST_LAW))
        elif self.form.order == "plus":
            # From alpha = d / 2 down the density is infinite at mu. With one or two columns the
            # likelihood then has no maximum in mu between the rows.
            least = 0.5 * self.d + 1e-3 if self.d < 3 else 1e-2
            law.append((float(np.log(least)), LARGEST_LAW))
        law += [(-60.0, LARGEST_LAW)] * self.form.has_a
        # The same for p of the generalized hyperbolic, as b tends to 0.
        law += [(-25.0 if self.form.order == "free" else -60.0, LARGEST_LAW)] * self.form.has_b
        return [(-LONGEST_STRIDE, LONGEST_STRIDE)] * (len(self.x0) - len(law)) + law

    def point(self, x: Array) -> tuple[Point, Array]:
        """The point at coordinates x, and its factor in the frame of the start."""
        d, start = self.d, self.start
        moves, rest = x[: len(x) - self.n_law], list(x[len(x) - self.n_law :])
        T = np.zeros((d, d))
        k = 2 * d if self.form.skewed else d
        T[np.diag_indices(d)] = np.exp(moves[k : k + d])
        T[self.low] = moves[k + d :]
        gamma = start.gamma + start.L @ moves[d:k] if self.form.skewed else np.zeros(d)
        p, a, b = start.law
        if self.form.order != "fixed":
            first = rest.pop(0)
            p = {"free": first, "minus": -np.exp(first), "plus": np.exp(first)}[self.form.order]
        a = float(np.exp(rest.pop(0))) if self.form.has_a else 0.0
        b = float(np.exp(rest.pop(0))) if self.form.has_b else 0.0
        return Point(start.mu + start.L @ moves[:d], gamma, start.L @ T, (float(p), a, b)), T

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Minus the log-likelihood, and its gradient."""
        point, T = self.point(x)
        with np.errstate(all="ignore"):
            value, of_mu, of_gamma, of_scale, of_law = _evaluate(self.X, point)
        if not np.isfinite(value + of_mu.sum() + of_gamma.sum() + of_scale.sum() + of_law.sum()):
            return 1e300, np.zeros_like(x)
        of_T = np.linalg.solve(T.T, of_scale)
        p, a, b = point.law
        law = {"free": [of_law[0]], "fixed": []}.get(self.form.order, [of_law[0] * p])
        law += [of_law[1] * a] if self.form.has_a else []
        law += [of_law[2] * b] if self.form.has_b else []
        parts = [np.zeros(self.d) if self.hold else np.linalg.solve(T.T, of_mu)]
        if self.form.skewed:
            parts.append(np.linalg.solve(T.T, of_gamma))
        parts += [np.diag(of_T) * np.diag(T), of_T[self.low], np.array(law)]
        return -value, -np.concatenate(parts)


def gauged(point: Point) -> Point:
    """The same law of X with E[log Y] = 0."""
    p, a, b = point.law
    log_y = float(gig_moments(*(np.array([x]) for x in point.law))[1][0])
    if not np.isfinite(log_y):
        return point
    c = np.exp(-log_y)
    return Point(point.mu, point.gamma / c, point.L / np.sqrt(c), (p, a / c, b * c))


class Climbed(NamedTuple):
    """Where a climb ended, its log-likelihood, and the largest entry of the gradient per row."""

    point: Point
    value: float
    slope: float


def climb(X: Array, start: Point, family: str, rounds: int = 4, *, hold: bool = False) -> Climbed:
    """Climb by L-BFGS-B, anew from where it stopped as long as that gains; hold keeps mu."""
    form = Form.of(family)
    point, value, slope = gauged(start), log_likelihood(X, start), np.inf
    for _ in range(rounds):
        chart = Chart(X, point, form, hold=hold)
        low, high = np.array(chart.bounds()).T
        end = minimize(
            chart,
            np.clip(chart.x0, low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": 300, "maxfun": 400, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 25},
        )
        if not np.isfinite(end.fun) or (-end.fun <= value and slope < np.inf):
            break
        gain, value = -end.fun - value, float(-end.fun)
        point, slope = gauged(chart.point(end.x)[0]), float(np.abs(end.jac).max()) / len(X)
        if gain < 1e-9 * len(X) or tightness(point) < SINGULAR:
            break
    return Climbed(point, value, slope)


def tightness(point: Point) -> float:
    """Least standard deviation of X | Y = exp(E log Y) in any direction, for whitened data."""
    return float(np.linalg.svd(gauged(point).L, compute_uv=False)[-1])
