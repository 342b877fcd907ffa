"""Extrapolation of the EM iteration u <- g(u), u the statistics that the M-step inverts.

g(u), the image of u, are the statistics of the E-step at the model that the M-step makes of u.
`nvmix.backends.cpu.kernels.em.acceleration` has the references. Here there are no branches, so that
each fit of a batch under `vmap` does its own steps.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

from nvmix.backends.jax.em.e_step import all_finite
from nvmix.backends.jax.em.m_step import Held, is_trusted
from nvmix.backends.jax.em.rows import inverse_lower
from nvmix.backends.tolerances import (
    CAUTIOUS,
    DAMPED,
    FIRST_STRIDE,
    FORGETTING,
    MEMORY,
    STRIDES,
    UNDAMPED,
    UNKNOWN_RATE,
)
from nvmix.backends.types import NormalParameters
from nvmix.foundation.statistics import SufficientStatistics


class Frame(NamedTuple):
    """Coordinates of extrapolation: scale^-1 (x - origin) and Y / s; inverse is scale^-1.

    metric (k,) are the factors that give each statistic its weight in norms.
    """

    origin: Any
    scale: Any
    inverse: Any
    s: Any
    metric: Any


class History(NamedTuple):
    """Residuals g(u) - u and images g(u), (k,), of the iterations so far.

    used is u, the last proposal. residual and image are the last ones; residuals and images,
    (MEMORY, k), are the differences between consecutive ones, the newest last. damping is the ridge
    of Anderson's least squares, longest the longest stride of SQUAREM, and cautious the number of
    iterations of Anderson's method that still go by SQUAREM. rate is that of `_slowest_rate`.
    """

    used: Any
    image: Any
    residual: Any
    images: Any
    residuals: Any
    n_images: Any
    damping: Any
    longest: Any
    cautious: Any
    extrapolated: Any
    rate: Any


def frame_of(normal: NormalParameters, s: Any, variances: Any, held: Held) -> Frame:
    """The frame with mu as origin and scale sqrt(s) L, and Y / s in the place of Y.

    variances are those of (log Y, 1/Y, Y), whose metric is the inverse standard deviation, or 0 if
    the M-step ignores them. That of a statistic without a variance, or of all without variances,
    is 1.
    """
    mu, _, L = normal
    scale, metric = L * jnp.sqrt(s), jnp.ones(3 + mu.size * (2 + mu.size), mu.dtype)
    if variances is not None:
        variances *= jnp.stack([jnp.ones_like(s), s * s, 1.0 / (s * s)])
        exists = (variances > 0.0) & (variances < jnp.inf)
        of_y = jnp.where(exists, 1.0 / jnp.sqrt(jnp.where(exists, variances, 1.0)), 1.0)
        metric = metric.at[:3].set(of_y.at[2].multiply(0.0 if held.ignores_y else 1.0))
    return Frame(mu, scale, inverse_lower(scale), s, metric)


def new_history(frame: Frame) -> History:
    """An empty history."""
    u = jnp.zeros_like(frame.metric)
    rows = jnp.zeros((MEMORY, u.size), u.dtype)
    damping, longest = (jnp.full_like(frame.s, x) for x in (UNDAMPED, FIRST_STRIDE))
    zero, extrapolated = jnp.int32(0), jnp.array(False)
    one = jnp.ones_like(frame.s)
    return History(u, u, u, rows, rows, zero, damping, longest, zero, extrapolated, one)


def means_of(eta: SufficientStatistics, frame: Frame) -> Any:
    """(k,) means of the statistics in the frame."""
    A, c = frame.inverse @ eta.scale, frame.inverse @ (eta.origin - frame.origin)
    n, s = eta.weight, frame.s
    inv_y, x_inv_y = eta.inv_y / n, A @ (eta.x_inv_y / n)
    cross = jnp.outer(x_inv_y, c)
    scatter = A @ (eta.xx_inv_y / n) @ A.T + cross + cross.T + inv_y * jnp.outer(c, c)
    scalars = jnp.stack([eta.log_y / n - jnp.log(s), inv_y * s, eta.y / n / s])
    vectors = (A @ (eta.x / n) + c, (x_inv_y + inv_y * c) * s, scatter.ravel() * s)
    return jnp.concatenate([scalars, *vectors])


def statistics_of(means: Any, frame: Frame) -> SufficientStatistics:
    """Statistics of weight 1 with those means."""
    d, s = frame.origin.size, frame.s
    log_y, inv_y, y = means[:3]
    x, x_inv_y, scatter = jnp.split(means[3:], [d, 2 * d])
    return SufficientStatistics(
        weight=jnp.ones_like(s),
        log_likelihood=jnp.zeros_like(s),
        log_y=log_y + jnp.log(s),
        inv_y=inv_y / s,
        y=y * s,
        x=x,
        x_inv_y=x_inv_y / s,
        xx_inv_y=scatter.reshape(d, d) / s,
        origin=frame.origin,
        scale=frame.scale,
    )


def propose(history: History, image: Any, frame: Frame, held: Held, method: str) -> History:
    """The history with an image, g(u) of the u used last, and with the next u.

    The order of things is: store the residual g(u) - u and, from the third image on, its difference
    from the one before; let damping decay by a factor of 10; combine; and keep the combination only
    if it is trusted. The first image has no u, for no M-step led to the start, so that a
    combination, which needs two residuals, is possible from the third image on. Where there is none
    that is trusted (`is_trusted`) the next u is the image: a plain step. An infinite statistic,
    which the M-step does not use, has no residual.
    """
    residual, n = _difference(image, history.used), history.n_images

    def with_newest(rows: Any, difference: Any) -> Any:
        return jnp.concatenate([rows[1:], jnp.where(n > 1, difference, 0.0)[None]])

    history = history._replace(
        used=image,
        image=image,
        residual=residual,
        images=with_newest(history.images, _difference(image, history.image)),
        residuals=with_newest(history.residuals, residual - history.residual),
        n_images=n + 1,
        damping=jnp.maximum(UNDAMPED, 0.1 * history.damping),
    )
    history = history._replace(rate=_slowest_rate(history, frame.metric))
    if method == "none":
        return history
    history, combined, exists = _combined(history, frame.metric, method)
    trusted = is_trusted(statistics_of(combined, frame), statistics_of(image, frame), held)
    return history._replace(
        used=jnp.where(exists & trusted, combined, image),
        extrapolated=exists & trusted,
        cautious=jnp.where(exists & ~trusted, CAUTIOUS, history.cautious),
    )


def _difference(x: Any, y: Any) -> Any:
    """x - y, 0 where that is not finite."""
    difference = x - y
    return jnp.where(jnp.isfinite(difference), difference, 0.0)


def _combined(history: History, metric: Any, method: str) -> tuple[History, Any, Any]:
    """The history after a combination, that combination of its images, and whether it exists.

    SQUAREM makes a stride after every second plain step. Anderson's method combines up to `MEMORY`
    differences in every iteration, but for `CAUTIOUS` ones after a rejection, which go by SQUAREM.
    """
    enough = history.n_images > 2
    by_strides = (history.cautious > 0) | (method == "squarem")
    combined, longest, exists = _squarem(history, metric)
    if method == "anderson":
        by_anderson, possible = _anderson(history, metric)
        combined = jnp.where(by_strides, combined, by_anderson)
        exists = jnp.where(by_strides, exists, possible)
    exists &= enough
    history = history._replace(
        longest=jnp.where(exists & by_strides, longest, history.longest),
        cautious=history.cautious - (by_strides & enough).astype(jnp.int32),
    )
    return history, combined, exists


def reject(history: History) -> History:
    """The history after a proposal that lowered the likelihood, or of which there is no model.

    Plain EM goes on from the last image. Anderson's least squares gets a larger ridge, SQUAREM a
    shorter longest stride, and the next `CAUTIOUS` iterations go by SQUAREM.
    """
    return history._replace(
        used=history.image,
        damping=jnp.maximum(100.0 * history.damping, DAMPED),
        longest=jnp.maximum(history.longest / STRIDES, FIRST_STRIDE),
        cautious=jnp.full_like(history.cautious, CAUTIOUS),
        extrapolated=jnp.array(False),
    )


def _slowest_rate(history: History, metric: Any) -> Any:
    """Estimate of the smallest share of its distance from the maximum that a step of EM covers.

    From where the distance is e, along an eigenvector of EM's map, the residual is a share of e. So
    the differences of residuals and of proposals have ratios between the smallest and the largest
    share, and near the smallest where steps go along the ridge of the likelihood. `UNKNOWN_RATE`
    without any.
    """
    residuals, steps = history.residuals, history.images - history.residuals
    squares = (jnp.sum((rows * metric) ** 2, axis=1) for rows in (residuals, steps))
    square, of_steps = squares
    ratios = square / of_steps
    known = _filled(history) & (ratios < 1.0)
    rate = jnp.sqrt(jnp.min(jnp.where(known, ratios, 1.0)))
    before = jnp.where(history.n_images > 3, FORGETTING * history.rate, 1.0)
    return jnp.where(history.n_images > 2, jnp.minimum(before, rate), UNKNOWN_RATE)


def _filled(history: History) -> Any:
    """(MEMORY,) whether the differences have been stored."""
    return jnp.arange(MEMORY) > MEMORY - history.n_images + 1


def _anderson(history: History, metric: Any) -> tuple[Any, Any]:
    """g - sum of c_i (g_i+1 - g_i), with the c that make the linearised residual least.

    Also whether these exist. The differences are scaled to unit length before the ridge is added,
    so that damping means the same whatever their size.
    """
    differences = history.residuals * metric
    size = jnp.sqrt(jnp.sum(differences * differences, axis=1))
    proper = jnp.all((size > 0.0) & (size < jnp.inf) | ~_filled(history))
    size = jnp.where(size > 0.0, size, 1.0)
    directions = differences / size[:, None]
    A = directions @ directions.T + history.damping * jnp.eye(MEMORY, dtype=size.dtype)
    L = jax.lax.linalg.cholesky(A)
    c = cho_solve((L, True), directions @ (history.residual * metric)) / size
    return history.image - c @ history.images, proper & all_finite(c)


def _squarem(history: History, metric: Any) -> tuple[Any, Any, Any]:
    """u + 2 t r + t^2 v of two plain steps r and r + v from u, t = |r| / |v| or the longest stride.

    Also the longest stride from then on, which grows when it is used, and whether a stride exists.
    """
    v = history.residuals[-1]
    r = history.residual - v
    square, curvature = jnp.sum((r * metric) ** 2), jnp.sum((v * metric) ** 2)
    # A stride needs two plain steps: never two strides in a row.
    exists = ~history.extrapolated & (square > curvature) & (curvature > 0.0)
    t, longest = jnp.sqrt(square / curvature), history.longest
    next_longest = jnp.where(t > longest, STRIDES * longest, longest)
    t = jnp.minimum(t, longest)
    start = history.image - history.residual - r
    return start + 2.0 * t * r + t * t * v, next_longest, exists
