"""Work that threads share."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings

import pytest
import threadpoolctl
from numba.core.compiler_lock import global_compiler_lock

from nvmix import Gamma, get_num_threads, set_num_threads
from nvmix.backends import get_backend
from nvmix.foundation.threads import ThreadPool, map_threads, one_blas_thread
from nvmix.sources.prefetch import prefetch, readers


@pytest.fixture
def pool():
    pool = ThreadPool(3)
    yield pool
    pool.executor.shutdown()


def test_results_come_in_order_from_several_threads(pool):
    together = threading.Barrier(3, timeout=60)

    def square(i):
        together.wait()
        return i * i, threading.get_ident()

    results = pool.map(square, list(range(9)))
    assert [value for value, _ in results] == [i * i for i in range(9)]
    threads = {thread for _, thread in results}
    assert len(threads) == 3
    assert threading.get_ident() in threads


@pytest.mark.parametrize("fails", ["here", "elsewhere"])
def test_an_error_reaches_the_caller(pool, fails):
    together = threading.Barrier(3, timeout=60)

    def check(_):
        here = threading.current_thread() is threading.main_thread()
        together.wait()
        if here == (fails == "here"):
            raise IndexError(fails)

    with pytest.raises(IndexError, match=fails):
        pool.map(check, [0, 1, 2])
    assert pool.map(str, [0, 1, 2]) == ["0", "1", "2"]


def test_work_within_work_does_not_wait_for_itself(pool):
    def inner(i):
        return sum(pool.map(lambda j: i * j, [1, 2, 3, 4]))

    assert pool.map(inner, list(range(20))) == [10 * i for i in range(20)]


def test_the_caller_does_what_threads_that_cannot_be_started_would(monkeypatch):
    pool, start = ThreadPool(4), threading.Thread.start
    started = []

    def start_one(thread):
        if started:
            message = "can't start new thread"
            raise RuntimeError(message)
        started.append(thread)
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_one)
        for _ in range(20):
            assert pool.map(str, list(range(50))) == [str(i) for i in range(50)]
    assert pool.map(str, [0, 1, 2]) == ["0", "1", "2"]
    pool.executor.shutdown()


def test_chunks_are_read_by_the_caller_where_no_thread_can_be_started(monkeypatch):
    def start(function, arguments):
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr("_thread.start_new_thread", start)
    assert list(prefetch(x for x in range(9))) == list(range(9))
    assert not readers


# Fits of threads and of an executor that outlive the main thread, and of `atexit`.
AT_THE_END = """
import atexit, threading, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import nvmix

nvmix.set_num_threads(2)
X = np.random.default_rng(0).standard_t(4.0, (40_000, 1))
model = nvmix.NormalInverseGaussian.from_classical(
    mu=[0.0], gamma=[0.0], sigma=[[1.0]], mu_ig=1.0, lam=1.0)

def work():
    n, fits = len(model.log_prob(X)), nvmix.fit_many(X.reshape(8, -1, 1)[:, :200], tol=1.0)
    chunks = model.fit(lambda: np.array_split(X, 5), tol=1.0)
    # One write, for threads print at once.
    print(f"{n} {len(fits)} {chunks.converged};", end="")

def later():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    work()

work()
threading.Thread(target=later).start()
ThreadPoolExecutor(1).submit(lambda: (time.sleep(0.5), work()))
atexit.register(work)
"""


def test_fits_go_on_while_the_interpreter_ends():
    run = subprocess.run(
        [sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=True, timeout=200
    )
    assert run.stdout == "40000 8 True;" * 4
    assert run.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
class TestForks:
    """A process forks while another of its threads is in the middle of something."""

    def ends_in_child(self, work):
        child = multiprocessing.get_context("fork").Process(target=work)
        with warnings.catch_warnings():
            # Python 3.12 says that it may hang, and so does JAX where it is loaded.
            warnings.simplefilter("ignore")
            child.start()
        child.join(60)
        if child.exitcode is None:
            child.kill()
        return child.exitcode == 0

    def test_of_computing_a_law(self, monkeypatch):
        inside, go_on, law = threading.Event(), threading.Event(), get_backend().gig_law

        def slow(theta):
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                go_on.wait(100)
            return law(theta)

        monkeypatch.setattr(type(get_backend()), "gig_law", staticmethod(slow))
        thread = threading.Thread(target=Gamma(2.0, 1.0).mean)
        thread.start()
        inside.wait()
        try:
            assert self.ends_in_child(Gamma(3.0, 1.0).mean)
        finally:
            go_on.set()
            thread.join()

    def test_of_compiling(self):
        inside = threading.Event()

        def compile_for_long():
            with global_compiler_lock:
                inside.set()
                time.sleep(0.5)

        thread = threading.Thread(target=compile_for_long)
        thread.start()
        inside.wait()
        assert self.ends_in_child(global_compiler_lock.acquire)
        thread.join()

    def test_of_work_in_a_pool(self):
        before = get_num_threads()
        set_num_threads(3)
        try:
            assert map_threads(str, [1, 2, 3]) == ["1", "2", "3"]
            thread = threading.Thread(target=lambda: map_threads(time.sleep, [0.5] * 3))
            thread.start()
            assert self.ends_in_child(lambda: map_threads(str, [1, 2, 3]))
            thread.join()
        finally:
            set_num_threads(before)


def blas_threads():
    libraries = threadpoolctl.threadpool_info()
    return [library["num_threads"] for library in libraries if library["user_api"] == "blas"]


def test_blas_has_one_thread_until_the_last_caller_leaves():
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        before = blas_threads()
        first, second = one_blas_thread(), one_blas_thread()
        with first:
            second.__enter__()
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before


def test_blas_of_scipy_has_one_thread_in_the_first_caller_too():
    code = (
        "import threadpoolctl\n"
        "from nvmix.foundation.threads import one_blas_thread\n"
        "with one_blas_thread():\n"
        "    import scipy.linalg\n"
        "    pools = threadpoolctl.threadpool_info()\n"
        "    print({pool['num_threads'] for pool in pools if pool['user_api'] == 'blas'})"
    )
    variables = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "{1}"
