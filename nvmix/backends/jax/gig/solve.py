"""GIG eta -> theta on JAX arrays: limits, closed forms, interior solves, implicit derivative.

eta = (E log Y, E 1/Y, E Y) is given. Interior solves are for T = Y / s, s = sqrt(E[Y] / E[1/Y]), so
that E[T] = E[1/T] = m (`newton`). D is E[Y] E[1/Y] - 1.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, polygamma

from nvmix.backends.jax.gig.moments import gig_covariance, gig_moments, limit_moments
from nvmix.backends.jax.gig.newton import newton
from nvmix.backends.jax.gig.quasi_newton import quasi_newton, quasi_newton_gamma_shape
from nvmix.backends.tolerances import AT_LIMIT, NO_VARIANCE
from nvmix.backends.types import Fixed, GIGStatus
from nvmix.foundation.arrays import traced

# Kinds of subordinator, by how eta -> theta is solved.
GIG, GAMMA, INVERSE_GAMMA, INVERSE_GAUSSIAN = "gig", "gamma", "inverse_gamma", "inverse_gaussian"
# Largest relative error of the moments of a law that is returned where a solve has failed.
_REPRODUCED: Final = 1e-9


@partial(jax.tree_util.register_dataclass, data_fields=["p"], meta_fields=["kind", "least_p"])
@dataclass(frozen=True)
class SubordinatorKind:
    """Kind of subordinator to solve for, its p where that is fixed, else None, and a bound of p.

    The value of p may be traced: programs differ by whether it is fixed, and not by where.
    """

    kind: str
    p: Any = None
    least_p: float = -math.inf

    @property
    def closed_form(self) -> bool:
        """Whether there is nothing to iterate."""
        one_is_free = self.kind in (GAMMA, INVERSE_GAMMA) and self.p is not None
        return self.kind == INVERSE_GAUSSIAN or one_is_free


def subordinator_of(fixed: Fixed, least_p: float = -math.inf) -> SubordinatorKind:
    """The subordinator with those coordinates fixed and p >= least_p."""
    p = fixed.p
    if fixed.b == 0.0:
        return SubordinatorKind(GAMMA, p, least_p)
    if fixed.a == 0.0:
        return SubordinatorKind(INVERSE_GAMMA, p, least_p)
    inverse_gaussian = not traced(p) and p == -0.5
    return SubordinatorKind(INVERSE_GAUSSIAN if inverse_gaussian else GIG, p, least_p)


def gamma_shape(c: Any) -> Any:
    """Alpha with log alpha - psi(alpha) = c > 0, by Newton's method in 1/alpha (Minka, 2002)."""
    start = (3.0 - c + jnp.sqrt((c - 3.0) ** 2 + 24.0 * c)) / (12.0 * c)
    settled = 5.0 * jnp.finfo(c.dtype).eps

    def body(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        alpha, _, i = state
        f = jnp.log(alpha) - digamma(alpha) - c
        inverse = 1.0 / alpha + f / (alpha**2 * (1.0 / alpha - polygamma(1, alpha)))
        return jnp.where(inverse > 0.0, 1.0 / inverse, 0.5 * alpha), alpha, i + 1

    def unsettled(state: tuple[Any, Any, Any]) -> Any:
        alpha, last, i = state
        return jnp.any(jnp.abs(alpha - last) > settled * alpha) & (i < 50)

    return jax.lax.while_loop(unsettled, body, (start, jnp.inf * start, 0))[0]


def _stacked(*values: Any) -> Any:
    """A vector of scalars."""
    return jnp.stack(jnp.broadcast_arrays(*values))


def _gamma(log_y: Any, y: Any, p: Any, least_p: float, method: str) -> tuple[Any, Any]:
    """(p, a, 0) of the gamma law with these E log Y and E Y, and a `GIGStatus`.

    p is the given one or, if that is None, solved for and at least least_p.
    """
    c = jnp.log(y) - log_y
    feasible = (y > 0.0) & (c > 0.0)
    c1, solved = jnp.where(feasible, c, 1.0), jnp.array(True)
    if p is None and method == "newton":
        p = gamma_shape(c1)
    elif p is None:
        p, solved = quasi_newton_gamma_shape(c1, method)
    p = jnp.maximum(p, least_p)
    inside = jnp.where(solved, GIGStatus.INTERIOR, GIGStatus.NOT_CONVERGED)
    outside = jnp.where(c == 0.0, GIGStatus.DEGENERATE, GIGStatus.INFEASIBLE)
    p = jnp.where(feasible, p, jnp.nan)
    return _stacked(p, 2.0 * p / y, 0.0 * y), jnp.where(feasible, inside, outside)


def _inverse_gaussian(inv_y: Any, y: Any) -> tuple[Any, Any]:
    """(-1/2, a, b) of the inverse Gaussian with these E 1/Y and E Y, and a `GIGStatus`."""
    D = jnp.where((y > 0.0) & (inv_y > 0.0), y * inv_y - 1.0, jnp.nan)
    outside = jnp.where(D >= -NO_VARIANCE, GIGStatus.DEGENERATE, GIGStatus.INFEASIBLE)
    theta = _stacked(-0.5, 1.0 / (y * D), y / D)
    inside = (D > NO_VARIANCE) & (jnp.inf > D) & (theta[1] > 0.0)
    status = jnp.where(inside, GIGStatus.INTERIOR, outside)
    return jnp.where(inside, theta, jnp.nan), status


def _gaps(eta: Any) -> Any:
    """log E Y - E log Y and log E 1/Y - E log 1/Y."""
    log_y, inv_y, y = eta
    return jnp.stack([jnp.log(y) - log_y, jnp.log(inv_y) + log_y])


def _limit(eta: Any, p: Any, shapes: Any, fixed: bool) -> tuple[Any, Any]:
    """The limit law that maximises eta . theta - A, and its `GIGStatus`; INTERIOR where none does.

    b = 0 is optimal where the gamma law fitted to E log Y and E Y has an E[1/Y] <= inv_y, which is
    D (p - 1) >= 1; and likewise a = 0. shapes (2,) are the orders of the gamma laws that fit E Y
    and E 1/Y. INFEASIBLE says that no law has these expectations, DEGENERATE that Y is constant to
    rounding.
    """
    _, inv_y, y = eta
    D = y * inv_y - 1.0
    least = D if fixed else jnp.min(_gaps(eta))
    feasible = (y > 0.0) & (inv_y > 0.0) & (D >= -NO_VARIANCE) & (jnp.inf > D)
    feasible &= least > -NO_VARIANCE
    varies = jnp.minimum(D, least) > NO_VARIANCE
    q, r = (p, -p) if fixed else shapes
    at_gamma = (q > 1.0) & (D * (q - 1.0) >= AT_LIMIT)
    at_inverse = (r > 1.0) & (D * (r - 1.0) >= AT_LIMIT)
    # The first condition that is true decides.
    conditions = (~feasible, ~varies, at_gamma, at_inverse)
    nothing = _stacked(jnp.nan, jnp.nan, jnp.nan + y)
    laws = (nothing, nothing, _stacked(q, 2.0 * q / y, 0.0), _stacked(-r, 0.0, 2.0 * r / inv_y))
    names = ("INFEASIBLE", "DEGENERATE", "GAMMA", "INVERSE_GAMMA")
    theta, status = nothing, jnp.array(int(GIGStatus.INTERIOR))
    for condition, law, name in zip(conditions[::-1], laws[::-1], names[::-1], strict=True):
        theta = jnp.where(condition, law, theta)
        status = jnp.where(condition, int(GIGStatus[name]), status)
    return theta, status


def _near_gamma(p: Any, m: Any) -> tuple[Any, Any, Any]:
    """(p, a, b) near the gamma law with E[T] = m and shape p, such that E[1/T] = m.

    To first order in b, E[1/T] is that of the gamma law less b Var[1/T] / 2; nan where that
    variance is infinite.
    """
    p = jnp.where(p > 2.0, p, jnp.nan)
    rate = p / m
    inverse = rate / (p - 1.0)
    return p, 2.0 * rate, 2.0 * (inverse - m) * (p - 2.0) / (inverse * inverse)


def _starts(m: Any, D: Any, p: Any, shapes: Any, fixed: bool) -> Any:
    """(k, 3) laws to start from: inverse Gaussian, its reciprocal, and near the gamma limits."""
    lam = m / D
    small = lam / (m * m)
    if fixed:
        a, b = jnp.where(p > 0.0, lam, small), jnp.where(p > 0.0, small, lam)
        return _stacked(p, a + jnp.abs(p) / m, b + jnp.abs(p) / m)[None]
    (q, r), (a, b1), (b, a1) = _near_gamma(shapes, m)
    laws = ((-0.5, small, lam), (0.5, lam, small), (q, a, b), (-r, a1, b1))
    return jnp.stack([_stacked(*law) for law in laws])


def _reproducing(
    last: Any, solved: Any, log_t: Any, m: Any, shapes: Any, fixed: bool
) -> tuple[Any, Any, Any]:
    """Law, moments with lnZ, and `GIGStatus`, where a solve for T has ended at the law `last`.

    Where it has not converged, the law is the first that has the moments to `_REPRODUCED`, of last
    and, at a free p, the inverse Gaussian, its reciprocal, gamma and inverse gamma. Rounding of the
    moments leaves p undetermined where m is nearly 1, and b where the gamma law nearly has them:
    any law that has them will do.
    """
    lam = m / (m * m - 1.0)
    p, q = shapes
    special = (
        (-0.5, lam / (m * m), lam),
        (0.5, lam, lam / (m * m)),
        (p, 2.0 * p / m, 0.0),
        (-q, 0.0, 2.0 * q / m),
    )
    laws = jnp.stack([last, *(_stacked(*law) for law in special)])
    moments = jnp.stack(gig_moments(*laws.T))
    _, log_mean, inverse, mean = moments
    errors = (jnp.zeros_like(mean) if fixed else jnp.abs(log_mean - log_t), inverse / m - 1.0)
    error = jnp.maximum(jnp.maximum(*errors), mean / m - 1.0)
    # A limit law may have a smaller E[1/T] (b = 0) or E[T] (a = 0): it is optimal all the same.
    error = jnp.maximum(error, jnp.where(laws[:, 1] > 0.0, 1.0 - mean / m, 0.0))
    error = jnp.maximum(error, jnp.where(laws[:, 2] > 0.0, 1.0 - inverse / m, 0.0))
    good = (error <= _REPRODUCED) & (jnp.arange(5) <= (0 if fixed else 4))
    best = jnp.where(solved, 0, jax.lax.argmax(good, 0, jnp.int32))
    law = laws[best]
    status = jnp.where(law[2] == 0.0, GIGStatus.GAMMA, GIGStatus.INTERIOR)
    status = jnp.where(law[1] == 0.0, GIGStatus.INVERSE_GAMMA, status)
    exists = solved | jnp.any(good)
    return law, moments[:, best], jnp.where(exists, status, GIGStatus.NOT_CONVERGED)


def _interior(
    eta: Any, p: Any, shapes: Any, start: Any, method: str, fixed: bool
) -> tuple[Any, Any, Any]:
    """`fit_subordinator` for expectations that no limit law is optimal for."""
    log_y, inv_y, y = eta
    s, m = jnp.sqrt(y) / jnp.sqrt(inv_y), jnp.sqrt(y * inv_y)
    D = y * inv_y - 1.0
    excess = D / (1.0 + m)
    log_t = jnp.zeros_like(m) if fixed else log_y - jnp.log(s)
    tau = jnp.stack([log_t, excess - log_t, excess + log_t])
    scale = jnp.stack([jnp.ones_like(s), s, 1.0 / s])
    start = start.at[0].set(p) if fixed else start
    starts = jnp.concatenate([_starts(m, D, p, shapes, fixed), (start * scale)[None]])
    if method == "newton":
        last, solved = newton(tau, starts, fixed)
        theta = last.theta
    else:
        theta, solved = quasi_newton(tau, starts, method, fixed)
    theta, moments, status = _reproducing(theta, solved, log_t, m, shapes, fixed)
    theta, log_s = theta / scale, jnp.log(s)
    # Moments of Y = s T from those of T.
    log_z, log_t, inv_t, t = moments
    moments = jnp.stack([log_z + theta[0] * log_s, log_t + log_s, inv_t / s, t * s])
    return theta.at[0].set(p) if fixed else theta, moments, status


def _gig(eta: Any, p: Any, start: Any, method: str, fixed: bool) -> tuple[Any, Any, Any]:
    """`fit_subordinator` where p, a and b are free, or a and b at a fixed p."""
    gaps = _gaps(eta)
    shapes = jnp.zeros_like(gaps) if fixed else gamma_shape(jnp.where(gaps > 0.0, gaps, 1.0))
    theta, status = _limit(eta, p, shapes, fixed)
    return jax.lax.cond(
        status == GIGStatus.INTERIOR,
        lambda: _interior(eta, p, shapes, start, method, fixed),
        lambda: (theta, jnp.stack(limit_moments(*theta)), status),
    )


def fit_subordinator(
    eta: Any, start: Any, family: SubordinatorKind, method: str
) -> tuple[Any, Any, Any]:
    """theta that maximises theta . eta - A, its moments with lnZ, and `GIGStatus`.

    See `Backend.gig_fit`. A start (p, a, b) of nan means that there is none. The objective is
    concave: where its maximum has p < least_p, that over p >= least_p has p = least_p.
    """
    log_y, inv_y, y = eta
    if family.kind == GAMMA:
        theta, status = _gamma(log_y, y, family.p, family.least_p, method)
        return theta, jnp.stack(limit_moments(*theta)), status
    if family.kind == INVERSE_GAMMA:
        alpha = None if family.p is None else -family.p
        theta, status = _gamma(-log_y, inv_y, alpha, -math.inf, method)
        theta = theta[jnp.array([0, 2, 1])] * jnp.array([-1.0, 1.0, 1.0], theta.dtype)
        return theta, jnp.stack(limit_moments(*theta)), status
    if family.kind == INVERSE_GAUSSIAN:
        theta, status = _inverse_gaussian(inv_y, y)
        return theta, jnp.stack(gig_moments(*theta)), status

    def at_order(p: Any) -> tuple[Any, Any, Any]:
        return _gig(eta, jnp.asarray(p, eta.dtype), start, method, fixed=True)

    if family.p is not None:
        return at_order(family.p)
    free = _gig(eta, jnp.asarray(jnp.nan, eta.dtype), start, method, fixed=False)
    if family.least_p == -math.inf:
        return free
    return jax.lax.cond(free[0][0] < family.least_p, lambda: at_order(family.least_p), lambda: free)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def gig_fit(eta: Any, start: Any, fixed: Fixed, method: str) -> tuple[Any, Any]:
    """(theta, status) of `fit_subordinator`, differentiable by eta."""
    theta, _, status = fit_subordinator(eta, start, subordinator_of(fixed), method)
    return theta, status


@gig_fit.defjvp
def _gig_fit_jvp(fixed: Fixed, method: str, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """d eta = Cov d(p, -b/2, -a/2), solved over the coordinates that are free and not 0."""
    eta, start = primals
    theta, status = gig_fit(eta, start, fixed, method)
    p, a, b = theta
    free = jnp.stack([jnp.full(jnp.shape(p), fixed.p is None), b != 0.0, a != 0.0])
    both = free[:, None] & free[None]
    c = jnp.where(both, gig_covariance(p, a, b), jnp.eye(3, dtype=eta.dtype))
    size = jnp.sqrt(jnp.diag(c))
    change = jnp.where(free, tangents[0], 0.0) / size
    step = jnp.linalg.solve(c / jnp.outer(size, size), change) / size
    tangent = jnp.stack([step[0], -2.0 * step[2], -2.0 * step[1]])
    return (theta, status), (tangent, jnp.zeros(status.shape, jax.dtypes.float0))
