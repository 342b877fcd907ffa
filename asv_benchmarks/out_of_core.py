"""Fit a file that is larger than the memory it is given, beside merely reading it.

python asv_benchmarks/out_of_core.py [rows, 2e8 at most] [directory] writes rows x 5 doubles, drops
them from the page cache before each pass that is measured cold, and removes them. A child process
fits them, so that its memory is its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nvmix import NormalInverseGaussian
from nvmix.backends.e_step import EStep
from nvmix.sources.factory import source_of

COLUMNS = 5
PART = 2_000_000
BUFFER = 1 << 24
ROUNDS = 5


def true_model() -> NormalInverseGaussian:
    """The model whose rows fill the file."""
    return NormalInverseGaussian.from_classical(
        mu=np.zeros(COLUMNS),
        gamma=np.full(COLUMNS, 0.2),
        sigma=0.5 * np.eye(COLUMNS) + 0.5,
        mu_ig=1.0,
        lam=1.2,
    )


def write(path: Path, rows: int) -> None:
    """Fill a file with rows, a part at a time."""
    X = np.lib.format.open_memmap(path, mode="w+", dtype=float, shape=(rows, COLUMNS))
    part = true_model().rvs(PART, seed=0)
    for first in range(0, rows, PART):
        X[first : first + PART] = part[: rows - first]
    X.flush()


def drop(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path: Path) -> float:
    """Seconds to read a file into one buffer."""
    buffer, begin = memoryview(bytearray(BUFFER)), time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - begin


def peak_memory() -> float:
    """Peak resident memory of this process in MiB, without what its parent had (Linux)."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024.0


def measure(path: Path, rows: int) -> None:
    """Compare passes of reading and of E-steps, interleaved, and fit."""
    source = source_of(path)
    model = true_model()
    e_step = EStep(source)
    e_step.unchecked(model.normal, model.subordinator.gig)
    for kind in ("cold", "cached"):
        reading, working = [], []
        for _ in range(ROUNDS):
            if kind == "cold":
                drop(path)
            reading.append(read(path))
            if kind == "cold":
                drop(path)
            begin = time.perf_counter()
            e_step.unchecked(model.normal, model.subordinator.gig)
            working.append(time.perf_counter() - begin)
        ratio = np.median(np.array(working) / np.array(reading))
        size = 8e-9 * rows * COLUMNS
        print(
            f"{kind}: reading {size / np.median(reading):.2f} GB/s, E-step "
            f"{size / np.median(working):.2f} GB/s ({rows / np.median(working):.2g} rows/s), "
            f"ratio {ratio:.2f}",
            flush=True,
        )
    begin = time.perf_counter()
    result = NormalInverseGaussian.default_init(path).fit(path, verbose=1)
    seconds = time.perf_counter() - begin
    peak = peak_memory()
    print(
        f"fit of {rows:.3g} rows with its start: {seconds:.1f} s, {result.n_passes} passes, "
        f"peak resident memory {peak:.0f} MiB of a file of {path.stat().st_size / 2**20:.0f} MiB"
    )


def main() -> None:
    """Write, measure in a child, remove."""
    if sys.argv[1] == "--measure":
        measure(Path(sys.argv[2]), int(sys.argv[3]))
        return
    rows = int(float(sys.argv[1]))
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as directory:
        path = Path(directory) / "rows.npy"
        write(path, rows)
        command = [sys.executable, __file__, "--measure", str(path), str(rows)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or ["2e8"]
    main()
