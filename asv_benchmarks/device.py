"""Time E-steps and fits on JAX's device beside reading the rows twice; see README.md."""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.datasets import normal_block, simulated
from figures import median, model_of

import nvmix
from nvmix.backends import get_backend

if TYPE_CHECKING:
    from nvmix.backends.jax.placed import Placed

JAX = get_backend("jax")
CPU = get_backend("cpu")
ON_JAX = {"e_step_backend": "jax", "m_step_backend": "jax"}
ITERATIONS = 10
# Fits of a bootstrap, and rows and columns of each.
BOOTSTRAP = (1_000, 2_000, 3)


def seconds(call: Any, *arguments: Any) -> float:
    """Median time of a call, until the device is done."""
    return median(lambda: jax.block_until_ready(call(*arguments)))


def once(call: Any, *arguments: Any) -> tuple[float, Any]:
    """Time of one call until the device is done, and its result."""
    begin = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    return time.perf_counter() - begin, result


def start_of(family: str, d: int) -> nvmix.NormalMixture:
    """A model to start from, not that of the rows."""
    if family == "nig":
        return model_of(d)
    return nvmix.GeneralizedHyperbolic.from_classical(**normal_block(d), p=-0.8, a=1.2, b=1.1)


def two_reads(X: Any) -> float:
    """Seconds to read the rows twice: two times the faster of two sums that read them once."""
    sums = (jnp.sum, lambda X: X @ jnp.ones(X.shape[1]))
    return 2.0 * min(seconds(jax.jit(f), X) for f in sums)


def print_times(placed: Placed, X: Any, model: nvmix.NormalMixture, *, on_cpu: bool) -> None:
    """Print the times of an E-step, an iteration and a fit."""
    rows, law = placed.rows.values, model.subordinator.gig
    iterations = partial(model.fit, rows, max_iter=ITERATIONS, tol=0.0, **ON_JAX)
    whole = partial(model.fit, rows, **ON_JAX)
    first, fit = once(whole)
    reads = two_reads(rows)
    times = {
        f"rows read twice, at {2.0 * rows.nbytes / reads / 1e9:,.0f} GB/s": reads,
        "E-step": seconds(JAX.e_step, placed, model.normal, law),
        f"fit of {ITERATIONS} iterations, one of them": seconds(iterations) / ITERATIONS,
        f"default fit, {fit.status.name}, {fit.n_iter} iterations": seconds(whole),
        "the first such fit, with its compile": first,
    }
    if on_cpu:
        held = CPU.place(X)
        times["E-step on the CPU"] = seconds(CPU.e_step, held, model.normal, law)
    print("| | time | per row | ratio |\n| --- | ---: | ---: | ---: |")
    for name, t in times.items():
        print(f"| {name} | {t * 1e3:.3g} ms | {t / len(rows) * 1e9:.3g} ns | {t / reads:.3g} |")


def print_bootstrap(family: str, *, on_cpu: bool) -> None:
    """Print the time of many fits in one call, and of the same fits on the CPU."""
    fits, n, d = BOOTSTRAP
    X, model = simulated(n, d), start_of(family, d)
    picks = np.random.default_rng(0).integers(n, size=(fits, n))
    fitter = nvmix.BatchEMFitter(**ON_JAX)
    program = jax.jit(jax.vmap(lambda sample: fitter.fit(model, sample)))
    samples = jnp.asarray(X[picks])
    first, results = once(program, samples)
    t, _ = once(program, samples)
    n_iter = np.asarray(results.n_iter)
    print(
        f"\nA bootstrap of {fits:,} fits of {n:,} x {d}: {t * 1e3:,.0f} ms, {first:.1f} s with its"
    )
    print(f"compile; {n_iter.min()} to {n_iter.max()} iterations, {n_iter.mean():.1f} in the mean.")
    if on_cpu:
        serial, _ = once(lambda: [model.fit(X[pick]) for pick in picks])
        print(f"One after the other on the CPU: {serial * 1e3:,.0f} ms.")


def main() -> None:
    """Print the tables that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--family", choices=("nig", "gh"), default="nig")
    parser.add_argument("--bootstrap", action="store_true", help="many small fits in one call")
    parser.add_argument("--cpu", action="store_true", help="the CPU backend beside it")
    given = parser.parse_args()
    n, d = given.rows, given.columns
    # Ten iterations do not converge.
    warnings.simplefilter("ignore", nvmix.ConvergenceWarning)
    X, model = simulated(n, d), start_of(given.family, d)
    placed = JAX.place(X)
    device, padded = jax.devices()[0].device_kind, len(placed.rows.values)
    print(f"{device}, JAX {jax.__version__}, {given.family};", end=" ")
    print(f"{n:,} x {d} float64, padded to {padded:,} rows.\n")
    with jax.enable_x64(True):  # noqa: FBT003
        print_times(placed, X, model, on_cpu=given.cpu)
        if given.bootstrap:
            print_bootstrap(given.family, on_cpu=given.cpu)


if __name__ == "__main__":
    main()
