"""Work that threads share."""

import threading

import pytest

from nvmix.foundation.threads import _Pool


@pytest.fixture
def pool():
    pool = _Pool()
    pool.resize(3)
    yield pool
    pool.executor.shutdown()


def test_results_come_in_order_from_several_threads(pool):
    together = threading.Barrier(3, timeout=10)

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
    together = threading.Barrier(3, timeout=10)

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
