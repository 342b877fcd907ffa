"""Throughput of one and of two workers of a Dask cluster on this machine, and costs of a pass.

python asv_benchmarks/cluster.py [rows] [columns] [chunks] takes a minute.
"""

from __future__ import annotations

import pickle
import sys
import time

import numpy as np
from dask import array
from distributed import Client, LocalCluster

from nvmix import NormalInverseGaussian
from nvmix.backends.e_step import EStep
from nvmix.sources.factory import source_of

ROUNDS = 15
REPEATS = 3


def model_of(d: int) -> NormalInverseGaussian:
    """The model whose E-steps are measured."""
    return NormalInverseGaussian.from_classical(
        mu=np.zeros(d), gamma=np.full(d, 0.2), sigma=0.5 * np.eye(d) + 0.5, mu_ig=1.0, lam=1.2
    )


def seconds_of_a_pass(workers: int, rows: int, d: int, chunks: int) -> float:
    """Median time of an E-step over rows that stay on so many workers of one thread."""
    model = model_of(d)
    settings = {"processes": True, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(n_workers=workers, **settings) as cluster, Client(cluster):
        generator = array.random.default_rng(0)
        X = generator.standard_normal((rows, d), chunks=(-(-rows // chunks), d)).persist()
        e_step = EStep(source_of(X, d))
        times = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            e_step.unchecked(model.normal, model.subordinator.gig)
            times.append(time.perf_counter() - begin)
    return float(np.median(times[2:]))


def main(rows: int, d: int, chunks: int) -> None:
    """Compare, interleaved."""
    model = model_of(d)
    parameters = model.normal, model.subordinator.gig
    statistics = model.e_step(np.zeros((2, d)))
    print(
        f"{rows:.3g} x {d} in {chunks} chunks; a pass ships {len(pickle.dumps(parameters))} bytes "
        f"to each worker and {len(pickle.dumps(statistics))} bytes up each edge of the tree"
    )
    found = np.array(
        [[seconds_of_a_pass(n, rows, d, chunks) for n in (1, 2)] for _ in range(REPEATS)]
    )
    empty = seconds_of_a_pass(2, 1000 * chunks, d, chunks)
    one, two = np.median(found, axis=0)
    print(f"one worker {rows / one:.3g} rows/s, two {rows / two:.3g} rows/s")
    print(f"speed-up {np.median(found[:, 0] / found[:, 1]):.2f}")
    print(f"a pass over next to no rows: {1e3 * empty:.0f} ms, {1e3 * empty / chunks:.2f} a chunk")


if __name__ == "__main__":
    given = [int(float(x)) for x in sys.argv[1:]]
    main(*(given + [10_000_000, 10, 16][len(given) :]))
