"""Print the figures that nvmix holds itself to, as ratios in one process where that can be.

python asv_benchmarks/figures.py takes two minutes. Medians, on every thread there is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np  # before the benchmarks, which hold BLAS to one thread
from benchmarks.datasets import normal_block, simulated
from benchmarks.imports import FIRST_FIT

import nvmix
from nvmix.backends import get_backend
from nvmix.backends.cpu.kernels import entry_points
from nvmix.backends.cpu.kernels.em.m_step import subordinator_of
from nvmix.backends.types import Fixed

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = ((5_000, 3), (1_000_000, 3), (1_000_000, 10), (100_000, 50), (20_000, 400))
ROWS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
CPU = get_backend("cpu")


def median(call: Callable[[], object], seconds: float = 1.0) -> float:
    """Median time of a call repeated for so long, after one that is not counted."""
    call()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def model_of(d: int) -> nvmix.NormalInverseGaussian:
    """The model whose E-steps are measured."""
    return nvmix.NormalInverseGaussian.from_classical(**normal_block(d), mu_ig=1.0, lam=1.5)


def against_products() -> None:
    """E-steps and log-densities beside NumPy's two matrix products on the same rows."""
    print("\n| rows | columns | two products | E-step | ratio | log-density / E-step |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for n, d in SHAPES:
        model, rng = model_of(d), np.random.default_rng(0)
        X, w = simulated(n, d), rng.random((n, 1))
        L, law = np.linalg.inv(model.L_sigma), model.subordinator.gig

        def products(X=X, w=w, m=model.mu, L=L) -> object:
            z = (X - m) @ L.T
            return np.square(z).sum(axis=1), X.T @ (w * X)

        e_step = median(lambda X=X, m=model, law=law: CPU.e_step(X, m.normal, law))
        log_prob = median(lambda X=X, m=model, law=law: CPU.log_prob(X, m.normal, law))
        numpy = median(products)
        print(
            f"| {n:,} | {d} | {numpy * 1e3:.2f} ms | {e_step * 1e3:.2f} ms "
            f"| {e_step / numpy:.2f} | {log_prob / e_step:.2f} |"
        )


def peak() -> int:
    """Largest resident memory since `reset_peak`, in bytes (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    raise OSError


def reset_peak() -> int:
    """Forget the largest resident memory; return the present one."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def growth() -> None:
    """Time a row and memory beyond the data of E-steps of more and more rows."""
    print("\n| rows x 3 | E-step a row | memory beyond the data |\n| ---: | ---: | ---: |")
    model = model_of(3)
    pattern = simulated(1_000_000, 3)
    for n in ROWS:
        X = np.resize(pattern, (n, 3))
        before = reset_peak()
        seconds = median(lambda X=X: CPU.e_step(X, model.normal, model.subordinator.gig))
        print(f"| {n:,} | {seconds / n * 1e9:.1f} ns | {(peak() - before) / 2**20:.1f} MiB |")


def seed_fit() -> None:
    """The tutorial's fit: its time, and the share of its E-steps."""
    X = simulated(5_000, 3)
    start = nvmix.NormalInverseGaussian.default_init(X)
    fitter = nvmix.BatchEMFitter(max_iter=150, tol=1e-4)
    result = fitter.fit(start, X)
    whole = median(lambda: fitter.fit(start, X))
    normal, law = result.model.normal, result.model.subordinator.gig
    steps = result.n_iter * median(lambda: CPU.e_step(X, normal, law))
    print(
        f"\nFit of 5,000 x 3, {result.n_iter} iterations: {whole * 1e3:.1f} ms, "
        f"{whole / steps:.2f} times its E-steps"
    )


def gig_solves(n: int = 10_000) -> None:
    """Times of GIG eta -> theta over spreads E[Y] E[1/Y] - 1 from 1e-10 to 1e8."""
    rng = np.random.default_rng(0)
    m = np.sqrt(1.0 + 10.0 ** rng.uniform(-10.0, 8.0, n))
    log_y = rng.uniform(-1.0, 1.0, n) * np.log(m)
    family, start = subordinator_of(Fixed(), -np.inf), (np.nan,) * 3
    times, interior = np.empty(n), np.empty(n, bool)
    for i in range(n):
        begin = time.perf_counter()
        status = entry_points.fit_subordinator_entry(log_y[i], m[i], m[i], family, start)[3]
        times[i], interior[i] = time.perf_counter() - begin, status == 0
    for name, part in (("all", times[1:]), ("interior", times[1:][interior[1:]])):
        middle, high = np.quantile(part, [0.5, 0.99]) * 1e6
        print(f"GIG solves, {name} {part.size}: median {middle:.1f} us, p99 {high:.0f} us")


def processes() -> None:
    """Import and first fit of new processes, without and with cached kernels."""
    inherited = {k: x for k, x in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    with TemporaryDirectory() as cache:
        for state in ("cold", "warm", "warm"):
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", FIRST_FIT],
                cwd=Path(__file__).parent,
                env=inherited | {"NUMBA_CACHE_DIR": cache},
                check=True,
                capture_output=True,
            )
            print(f"First fit of a new process, {state} cache: {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    against_products()
    growth()
    seed_fit()
    gig_solves()
    processes()
