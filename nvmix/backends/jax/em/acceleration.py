"""Extrapolation of EM in the statistics that the M-step inverts.

It does what `nvmix.fitting.engine.acceleration` explains, without branches, so that each lane of a
batch goes its own way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

from nvmix.backends.jax.em.e_step import all_finite, inverse_lower
from nvmix.backends.tolerances import CAUTIOUS, DAMPED, FIRST_STRIDE, MEMORY, STRIDES, UNDAMPED
from nvmix.backends.types import NormalParameters
from nvmix.foundation.statistics import SufficientStatistics


class Frame(NamedTuple):
    """Where statistics are compared: coordinates of X, their inverse, the scale of Y, weights."""

    origin: Any
    scale: Any
    inverse: Any
    s: Any
    metric: Any


class History(NamedTuple):
    """What is kept of the iterations so far.

    Attributes
    ----------
    used : (k,) array
        u, which made the model that the last statistics are of.
    image, residual : (k,) array
        g(u) and g(u) - u of the last iteration.
    images, residuals : (MEMORY, k) array
        Differences of these between consecutive iterations, the newest last.
    seen, damping, stride, cautious, extrapolated : () array
        Iterations so far, damping, the longest stride, iterations left to go by strides, and
        whether the last step was extrapolated.
    """

    used: Any
    image: Any
    residual: Any
    images: Any
    residuals: Any
    seen: Any
    damping: Any
    stride: Any
    cautious: Any
    extrapolated: Any


def frame_of(normal: NormalParameters, s: Any, covariance: Any) -> Frame:
    """The frame where mu = 0, Sigma = I and Y / s stands for Y, of that covariance."""
    mu, _, L = normal
    scale = L * jnp.sqrt(s)
    variances = jnp.diag(covariance) * jnp.stack([jnp.ones_like(s), s * s, 1.0 / (s * s)])
    known = (variances > 0.0) & (variances < jnp.inf)
    of_y = jnp.where(known, 1.0 / jnp.sqrt(jnp.where(known, variances, 1.0)), 1.0)
    metric = jnp.concatenate([of_y, jnp.ones(mu.size * (2 + mu.size), mu.dtype)])
    return Frame(mu, scale, inverse_lower(scale), s, metric)


def new_history(frame: Frame) -> History:
    """A history with nothing on it."""
    nothing = jnp.zeros_like(frame.metric)
    ring = jnp.zeros((MEMORY, nothing.size), nothing.dtype)
    damping, stride = (jnp.full_like(frame.s, x) for x in (UNDAMPED, FIRST_STRIDE))
    none, extrapolated = jnp.int32(0), jnp.array(False)
    return History(nothing, nothing, nothing, ring, ring, none, damping, stride, none, extrapolated)


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


def propose(history: History, image: Any, metric: Any, method: str) -> History:
    """The history with u -> image added, and with what is to be used next."""
    residual, seen = image - history.used, history.seen

    def added(ring: Any, difference: Any) -> Any:
        # Of the start only the image is known.
        return jnp.concatenate([ring[1:], jnp.where(seen > 1, difference, 0.0)[None]])

    history = history._replace(
        image=image,
        residual=residual,
        images=added(history.images, image - history.image),
        residuals=added(history.residuals, residual - history.residual),
        seen=seen + 1,
        damping=jnp.maximum(UNDAMPED, 0.1 * history.damping),
    )
    by_strides = (history.cautious > 0) | (method == "squarem")
    found, stride, exists = _squarem(history, metric)
    if method == "anderson":
        combined, possible = _anderson(history, metric)
        found = jnp.where(by_strides, found, combined)
        exists = jnp.where(by_strides, exists, possible)
    exists &= seen > 1
    return history._replace(
        used=jnp.where(exists, found, image),
        stride=jnp.where(exists & by_strides, stride, history.stride),
        cautious=history.cautious - (by_strides & (seen > 1)).astype(jnp.int32),
        extrapolated=exists,
    )


def reject(history: History) -> History:
    """The history after a proposal that lowered the likelihood, or has no model."""
    return history._replace(
        used=history.image,
        damping=jnp.maximum(100.0 * history.damping, DAMPED),
        stride=jnp.maximum(history.stride / STRIDES, FIRST_STRIDE),
        cautious=jnp.full_like(history.cautious, CAUTIOUS),
        extrapolated=jnp.array(False),
    )


def _anderson(history: History, metric: Any) -> tuple[Any, Any]:
    """g - sum of c_i (g_i+1 - g_i), which makes the linear model of g - u least."""
    differences = history.residuals * metric
    size = jnp.sqrt(jnp.sum(differences * differences, axis=1))
    filled = jnp.arange(MEMORY) > MEMORY - history.seen + 1
    proper = jnp.all((size > 0.0) & (size < jnp.inf) | ~filled)
    size = jnp.where(size > 0.0, size, 1.0)
    directions = differences / size[:, None]
    A = directions @ directions.T + history.damping * jnp.eye(MEMORY, dtype=size.dtype)
    L = jax.lax.linalg.cholesky(A)
    c = cho_solve((L, True), directions @ (history.residual * metric)) / size
    return history.image - c @ history.images, proper & all_finite(c)


def _squarem(history: History, metric: Any) -> tuple[Any, Any, Any]:
    """u0 + 2 t r + t^2 v of two plain steps r and r + v from u0, t = |r| / |v| or the longest."""
    v = history.residuals[-1]
    r = history.residual - v
    square, curvature = jnp.sum((r * metric) ** 2), jnp.sum((v * metric) ** 2)
    exists = ~history.extrapolated & (square > curvature) & (curvature > 0.0)
    t, longest = jnp.sqrt(square / curvature), history.stride
    stride = jnp.where(t > longest, STRIDES * longest, longest)
    t = jnp.minimum(t, longest)
    start = history.image - history.residual - r
    return start + 2.0 * t * r + t * t * v, stride, exists
