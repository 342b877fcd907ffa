"""Time E-steps and fits on JAX's device beside reading the rows twice; see README.md."""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.datasets import simulated
from figures import median, model_of

import nvmix
from nvmix.backends import get_backend
from nvmix.backends.jax.em import e_step as e_steps
from nvmix.backends.jax.gig import moments
from nvmix.backends.jax.gig.series import _TERMS, _WIDTH

if TYPE_CHECKING:
    from nvmix.backends.jax.placed import Placed

JAX = get_backend("jax")
ITERATIONS = 10
# By the compiler's names.
COUNTS = ("flops", "transcendentals", "bytes accessed")


def seconds(call: Any, *arguments: Any) -> float:
    """Median time of a call, until the device is done."""
    return median(lambda: jax.block_until_ready(call(*arguments)))


def two_reads(X: Any) -> float:
    """Seconds to read the rows twice: two times the faster of two sums that read them once."""
    sums = (jnp.sum, lambda X: X @ jnp.ones(X.shape[1]))
    return 2.0 * min(seconds(jax.jit(f), X) for f in sums)


def print_times(placed: Placed, model: nvmix.NormalMixture) -> None:
    """Print the table of times."""
    X, law = placed.rows.values, model.subordinator.gig
    settings = {"e_step_backend": "jax", "m_step_backend": "jax"}
    fit = partial(model.fit, X, max_iter=ITERATIONS, tol=0.0, **settings)
    reads = two_reads(X)
    times = {
        f"rows read twice, at {2.0 * X.nbytes / reads / 1e9:,.0f} GB/s": reads,
        "E-step": seconds(JAX.e_step, placed, model.normal, law),
        f"fit of {ITERATIONS} iterations, one of them": seconds(fit) / ITERATIONS,
    }
    print("| | time | per row | ratio |\n| --- | ---: | ---: | ---: |")
    for name, t in times.items():
        print(f"| {name} | {t * 1e3:.3g} ms | {t / len(X) * 1e9:.3g} ns | {t / reads:.3g} |")


def by_compiler(placed: Placed, model: nvmix.NormalMixture) -> list[float]:
    """COUNTS per row of an E-step of all rows at once, as on a GPU; a loop counts for one turn."""

    def e_step(rows: Any, normal: Any, theta: Any) -> Any:
        return e_steps.e_step(rows, normal, theta, moments.log_norm(*theta), 1)

    law = np.array(model.subordinator.gig)
    found = jax.jit(e_step).lower(placed.rows, model.normal, law).compile().cost_analysis() or {}
    return [found.get(name, np.nan) / len(placed.rows.values) for name in COUNTS]


def turns(placed: Placed, model: nvmix.NormalMixture) -> int:
    """Turns of the loop over intervals of log s, for all rows at once."""
    w = e_steps.whitened(placed.rows.values, model.normal)
    t = jnp.log(model.subordinator.gig[2] + jnp.sum(w * w, axis=1))
    return int((t.max() - t.min()) // _WIDTH) + 1


def print_counts(placed: Placed, model: nvmix.NormalMixture) -> None:
    """Print the table of operations and bytes per row."""
    d, T = model.d, turns(placed, model)
    # Clenshaw's recurrence takes three operations a term of each of three series.
    series = 9 * _TERMS + 3
    flops, functions, traffic = by_compiler(placed, model)
    total = 4 * d**2 + 10 * d + series * T + 50
    table = (
        ("whitening and scatter", "4 d^2", 4 * d**2, ""),
        ("centring, squares, sums by column", "10 d", 10 * d, ""),
        (f"three series of {_TERMS} terms", f"{series} T", series * T, ""),
        ("moments from them, sums", "50", 50, ""),
        ("**operations**", f"4 d^2 + 10 d + {series} T + 50", total, f"{flops:,.0f}"),
        ("**logarithms, exponentials, roots**", "8", 8, f"{functions:.1f}"),
        ("bytes of rows read twice", "16 d", 16 * d, ""),
        ("**bytes, of (n, d) arrays by hand**", "96 d", 96 * d, f"{traffic:,.0f}"),
    )
    print(f"\nAn E-step's row, d = {d}, T = {T}; the compiler has T = 1.\n")
    print("| | formula | by hand | compiler |\n| --- | --- | ---: | ---: |")
    for name, formula, by_hand, compiler in table:
        print(f"| {name} | {formula} | {by_hand:,} | {compiler} |")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=10)
    n, d = vars(parser.parse_args()).values()
    # Ten iterations do not converge.
    warnings.simplefilter("ignore", nvmix.ConvergenceWarning)
    model, placed = model_of(d), JAX.place(simulated(n, d))
    device, padded = jax.devices()[0].device_kind, len(placed.rows.values)
    print(f"{device}, JAX {jax.__version__}; {n:,} x {d} float64, padded to {padded:,} rows.\n")
    with jax.enable_x64(True):  # noqa: FBT003
        print_times(placed, model)
        print_counts(placed, model)


if __name__ == "__main__":
    main()
