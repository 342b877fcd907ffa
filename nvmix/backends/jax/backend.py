"""The JAX backend: jitted functions behind the Backend protocol, in float64."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nvmix.backends import get_backend
from nvmix.backends.jax import functions
from nvmix.backends.jax.bessel import bessel
from nvmix.backends.jax.em import e_step, loop, m_step
from nvmix.backends.jax.em.rows import Rows
from nvmix.backends.jax.gig import density, moments, solve
from nvmix.backends.jax.placed import Placed, place
from nvmix.backends.jax.precision import doubles, for_the_caller
from nvmix.backends.types import (
    MOST_ITERATIONS,
    RUNNING,
    EMOptions,
    FitTrace,
    Fixed,
    GIGParameters,
    GIGStatus,
    NormalParameters,
)
from nvmix.foundation.arrays import traced
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import BoolArray, FloatArray

# Least room for the histories of a fit: smaller max_iter compile nothing new. Most at first: a
# program with more is compiled when it is needed, so that max_iter costs no memory.
_CAPACITY = 256
_MOST_CAPACITY = 1 << 14

_moments = jax.jit(moments.gig_moments)
_covariances = jax.jit(jax.vmap(moments.gig_covariance))
_log_density = jax.jit(density.gig_log_density)
_bessel_pair = jax.jit(bessel.log_bessel)
_bessel_derivatives = jax.jit(bessel.log_bessel_derivatives)
_log_prob = jax.jit(e_step.log_prob)


@partial(jax.jit, static_argnames=("method",))
def _gig_fit(
    eta: Any, start: Any, subordinator: solve.SubordinatorKind, method: str
) -> tuple[Any, Any]:
    """(theta, status) of eta -> theta; one program for all values of a fixed p."""
    theta, _, status = solve.fit_subordinator(eta, start, subordinator, method)
    return theta, status


@partial(jax.jit, static_argnames=("blocks",))
def _e_step(
    rows: Rows, normal: NormalParameters, theta: Any, *, blocks: int
) -> SufficientStatistics:
    """Posterior expectations summed over rows."""
    return e_step.e_step(rows, normal, theta, moments.log_norm(*theta), blocks)


_run = jax.jit(loop.run)
_constrained = jax.jit(m_step.constrained)
_trace_at_end = jax.jit(loop.trace_at_end)


class JAXBackend:
    """JAX functions, run on the device of the data."""

    name = "jax"

    def place(
        self,
        X: Any,
        device: Any = None,
        weights: Any = None,
        *,
        missing: bool = False,  # noqa: ARG002
    ) -> Placed:
        """Put rows on a device or a sharding, the default or where they are; see `place`."""
        return place(X, device, weights)

    @doubles
    def log_bessel(self, v: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(log K, ratio), elementwise."""
        log_k, ratio = map(np.asarray, _bessel_pair(v, z))
        return log_k, ratio

    @doubles
    def log_bessel_derivatives(self, v: FloatArray, z: FloatArray) -> FloatArray:
        """(4, ...) derivatives by v, by v twice, by v and z, and by z twice, elementwise."""
        return np.asarray(_bessel_derivatives(v, z))

    def gig_law(self, theta: GIGParameters) -> tuple[float, float, float, float]:
        """(lnZ, E log Y, E 1/Y, E Y) of one law."""
        log_z, log_y, inv_y, y = map(float, self.gig_moments(*np.array(theta)))
        return log_z, log_y, inv_y, y

    @doubles
    def gig_moments(
        self, p: FloatArray, a: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(lnZ, E log Y, E 1/Y, E Y), elementwise."""
        log_z, log_y, inv_y, y = map(np.asarray, _moments(p, a, b))
        return log_z, log_y, inv_y, y

    @doubles
    def gig_covariances(self, p: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        """(n, 3, 3) covariances of (log Y, 1/Y, Y)."""
        return np.asarray(_covariances(p, a, b))

    @doubles
    def gig_log_density(self, y: FloatArray, theta: GIGParameters) -> FloatArray:
        """Log-densities of one law at y > 0."""
        return np.asarray(_log_density(y, np.array(theta)))

    def gig_log_tails(self, y: FloatArray, theta: GIGParameters) -> tuple[FloatArray, BoolArray]:
        """Log-probabilities of the smaller tails at y, and which are upper, by the CPU backend."""
        return get_backend("cpu").gig_log_tails(y, theta)

    def gig_quantiles(
        self, log_lower: FloatArray, log_upper: FloatArray, theta: GIGParameters
    ) -> FloatArray:
        """Points with these log-probabilities below and above, by the CPU backend."""
        return get_backend("cpu").gig_quantiles(log_lower, log_upper, theta)

    def gig_entropy(self, theta: GIGParameters) -> float:
        """Entropy of one law, by the CPU backend."""
        return get_backend("cpu").gig_entropy(theta)

    def gig_log_moment(self, theta: GIGParameters, k: float) -> float:
        """log E[Y^k] of one law, by the CPU backend."""
        return get_backend("cpu").gig_log_moment(theta, k)

    @doubles
    def gig_fit(
        self, eta: GIGParameters, fixed: Fixed, method: str, start: GIGParameters | None
    ) -> tuple[GIGParameters, GIGStatus]:
        """Solve eta -> theta; see `Backend.gig_fit`."""
        first = (np.nan, np.nan, np.nan) if start is None else start
        kind = solve.subordinator_of(fixed)
        needed = _needed(method, kind)
        theta, status = jax.device_get(_gig_fit(np.array(eta), np.array(first), kind, needed))
        p, a, b = map(float, theta)
        return (p, a, b), GIGStatus(int(status))

    def gig_variates(self, theta: GIGParameters, n: int, rng: np.random.Generator) -> FloatArray:
        """(n,) independent variates, by the CPU backend: a seed gives the same bits on both."""
        return get_backend("cpu").gig_variates(theta, n, rng)

    @doubles
    def log_prob(self, X: Placed, normal: NormalParameters, theta: GIGParameters) -> FloatArray:
        """(n,) log-densities."""
        values = _log_prob(X.rows.values, normal, np.array(theta))
        return np.asarray(values)[: X.n]

    @doubles
    def tails(
        self,
        x: FloatArray,
        normal: NormalParameters,
        theta: GIGParameters,
        *,
        upper: bool,
        log: bool,
    ) -> FloatArray:
        """Tails of a mixture of one column, or their logs."""
        return np.asarray(functions.tails(x, normal, theta, upper=upper, log=log))

    @doubles
    def quantiles(
        self, q: FloatArray, normal: NormalParameters, theta: GIGParameters, *, upper: bool
    ) -> FloatArray:
        """Quantiles of a mixture of one column."""
        return np.asarray(functions.quantiles(q, normal, theta, upper=upper))

    def sequential_tails(
        self, w: FloatArray, g: FloatArray, theta: GIGParameters
    ) -> tuple[FloatArray, BoolArray]:
        """Tails of each column given those before it, by the CPU backend."""
        return get_backend("cpu").sequential_tails(w, g, theta)

    @doubles
    def e_step(
        self, X: Placed, normal: NormalParameters, theta: GIGParameters
    ) -> SufficientStatistics:
        """Posterior expectations summed over the rows of X."""
        return jax.device_get(_e_step(X.rows, normal, np.array(theta), blocks=X.blocks))

    @for_the_caller
    def fit(
        self, X: Placed, normal: NormalParameters, theta: GIGParameters, options: EMOptions
    ) -> FitTrace:
        """Run the loop on the device of the data; results are JAX arrays under a JAX trace."""
        held = m_step.held_of(options.constraints)
        floats = normal, jnp.stack(theta), held
        normal, theta, held = jax.tree.map(lambda x: jnp.asarray(x, float), floats)
        rows, normal, theta, held = _constant((X.rows, normal, theta, held))
        holds_more = options.constraints.names or options.constraints.least_p > -np.inf
        is_traced = traced(rows.values, theta, *normal)
        if holds_more and is_traced:
            # Outside a trace the fitter has done this.
            normal, theta = _constrained(normal, theta, held)
        most = min(options.max_iter, MOST_ITERATIONS)
        capacity = max(_CAPACITY, 1 << (most - 1).bit_length())
        loop_options = loop.LoopOptions(
            held=held,
            by_likelihood=options.criterion == "likelihood",
            ends_unconfirmed=options.ends_unconfirmed,
            max_iter=most,
            tol=options.tol,
            left=options.left,
            method=_needed(options.method, held.subordinator),
            rule=options.rule,
            acceleration=options.acceleration,
            blocks=X.blocks,
            capacity=capacity if is_traced else min(capacity, _MOST_CAPACITY),
        )
        last = _run(rows, normal, theta, loop_options)
        if traced(last.status):
            return _trace_at_end(rows, last)
        while last.status == RUNNING:
            loop_options = replace(loop_options, capacity=2 * loop_options.capacity)
            last = _run(rows, normal, theta, loop_options, _with_room(last, loop_options.capacity))
        # Outside a trace the fitter judges the end.
        return jax.device_get(loop.trace_of(last))


def _with_room(state: loop.State, capacity: int) -> loop.State:
    """The state of a loop with room for so many iterations."""
    more, histories = capacity - state.changes.size, (state.log_likelihoods, state.changes)
    values, changes = (jnp.pad(x, (0, more), constant_values=jnp.nan) for x in histories)
    return state._replace(log_likelihoods=values, changes=changes)


@jax.custom_jvp
def _constant(inputs: Any) -> Any:
    """The inputs; differentiation by them raises a TypeError."""
    return inputs


@_constant.defjvp
def _constant_jvp(primals: Any, tangents: Any) -> Any:  # noqa: ARG001
    """Raise an error with advice, in the place of JAX's about loops of unknown length."""
    msg = (
        "a fit cannot be differentiated: differentiate one EM step, "
        "type(model).from_expectation(model.e_step(X)), at the fitted model"
    )
    raise TypeError(msg)


def _needed(method: str, family: solve.SubordinatorKind) -> str:
    """The method, or "newton" for closed forms, which need none: one program serves all methods."""
    return "newton" if family.closed_form else method
