"""Reading ahead: what it holds, and how it ends when a pass, a fit or the process does."""

import operator
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from conftest import chunks_of, make

from nvmix import NormalInverseGaussian
from nvmix.sources.chunked import ChunkedSource
from nvmix.sources.factory import source_of, starting_rows
from nvmix.sources.prefetch import readers


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian, 3).rvs(5000, seed=2)


class TestReading:
    def test_goes_on_while_a_chunk_is_worked_on(self):
        read = [threading.Event() for _ in range(3)]

        def chunks():
            for event in read:
                event.set()
                yield np.ones((2, 1))

        def work(chunk):
            last = chunk.number == len(read) - 1
            return [last or read[chunk.number + 1].wait(timeout=30.0)]

        source = ChunkedSource(chunks, None, None, "raise", None, "chunks")
        assert source.reduce(work, operator.add) == [True] * 3

    @pytest.mark.parametrize("fresh", [True, False])
    def test_holds_few_chunks_at_once(self, fresh):
        """Of 40 that are read, those that are worked on, ready and being read."""
        buffer = np.empty((1 << 14, 8))

        def chunks():
            for i in range(40):
                rows = np.empty_like(buffer) if fresh else buffer
                rows[:] = i
                yield rows

        source = ChunkedSource(chunks, None, None, "raise", None, "chunks")
        tracemalloc.start()
        source.reduce(lambda chunk: float(chunk.values.sum()), operator.add)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 2 * buffer.nbytes < most < 5 * buffer.nbytes

    def test_a_start_holds_few_rows_at_once(self):
        rows = np.random.default_rng(0).standard_normal((1 << 14, 16))
        tracemalloc.start()
        starting_rows(lambda: (rows for _ in range(100)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 5 * 8 * 16 * 131_072

    def test_ends_with_the_pass_that_an_error_ends(self, X):
        def failing(chunk):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            source_of(chunks_of(X)).reduce(failing, operator.add)
        assert not readers


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupts_at_any_moment_leave_no_lock_behind():
    """200 of them, in fits that last some ten milliseconds each."""
    code = """
import faulthandler, random, signal
from nvmix import BatchEMFitter, NormalInverseGaussian

start = NormalInverseGaussian.from_classical(
    mu=[0.0], gamma=[0.1], sigma=[[1.0]], mu_ig=1.0, lam=1.0)
X = start.rvs(3000, seed=0)
fitter = BatchEMFitter(tol=0.0, acceleration="none", max_iter=10)
fitter.run(start, lambda: [X])
random.seed(0)
signal.signal(signal.SIGALRM, signal.default_int_handler)
interrupts = 0
while interrupts < 200:
    faulthandler.dump_traceback_later(30.0, exit=True)
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 0.02))
        fitter.run(start, lambda: (X[i : i + 50] for i in range(0, 3000, 50)))
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    except KeyboardInterrupt:
        interrupts += 1
faulthandler.dump_traceback_later(30.0, exit=True)
fitter.run(start, lambda: [X])
print("done")
"""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (run.stdout, run.stderr) == ("done\n", "")


def test_a_process_ends_well_amid_a_pass(tmp_path):
    """A thread that is still in a library of C++ when the interpreter ends would abort it."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    X = np.random.default_rng(0).standard_normal((300_000, 3))
    table = pytest.importorskip("pyarrow").table(dict(zip("abc", X.T, strict=True)))
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=100_000)
    code = """
import sys
from nvmix import IncrementalEMFitter, NormalInverseGaussian
from nvmix.sources.factory import source_of
start = NormalInverseGaussian.from_classical(
    mu=[0.0] * 3, gamma=[0.0] * 3, sigma=[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], mu_ig=1.0, lam=1.0)
for max_steps in range(1, 9):
    IncrementalEMFitter(max_steps=max_steps).fit(start, sys.argv[1], key=0)
batches = source_of(sys.argv[1]).chunks()
next(batches)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "x.parquet")]
    for _ in range(2):
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_does_not_wait_for_what_is_being_read(tmp_path):
    code = """
import os, signal, threading
import numpy as np
from nvmix import NormalInverseGaussian
from nvmix.sources import prefetch

signal.signal(signal.SIGINT, signal.default_int_handler)
X = np.random.default_rng(0).standard_normal((100, 1))


def chunks():
    yield X
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()


try:
    NormalInverseGaussian.default_init(X).fit(chunks)
finally:
    # For the end of the process, which waits a while.
    prefetch._PATIENCE = 0.1
"""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "KeyboardInterrupt" in run.stderr
