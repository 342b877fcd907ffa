"""Rows on the worker processes of a Dask cluster, one of which may die."""

import os
import signal
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import make

from nvmix import Checkpoint, IncrementalEMFitter, NormalInverseGaussian, ReadError, VarianceGamma
from nvmix.fitting.em import BatchEMFitter
from nvmix.sources.factory import source_of

distributed = pytest.importorskip("distributed", reason="distributed is not installed")
arrays = pytest.importorskip("dask.array", reason="dask is not installed")

pytestmark = [
    # What a cluster of processes warns of when it closes, or when a worker is killed.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Sending large graph:UserWarning"),
]


@pytest.fixture(scope="module")
def client():
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(processes=True, **settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian, 3).rvs(20_000, seed=2)


@pytest.fixture(scope="module")
def start(X):
    return NormalInverseGaussian.default_init(X)


@pytest.fixture(scope="module")
def expected(start, X):
    return start.fit(X, tol=1e-8)


def same_fit(found, expected, rtol=1e-10):
    assert found.status is expected.status
    assert (found.n_iter, found.n_observations) == (expected.n_iter, expected.n_observations)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=rtol)
    for one, other in zip(found.model.normal, expected.model.normal, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(
        found.model.subordinator.gig, expected.model.subordinator.gig, rtol=rtol
    )


@pytest.mark.parametrize("chunks", [(701, 2), (6000, 3), (20_000, 3)], ids=str)
def test_any_chunking_gives_the_answer_of_memory(chunks, client, X, start, expected):
    found = start.fit(arrays.from_array(X, chunks=chunks), tol=1e-8)
    same_fit(found, expected)
    rows = chunks[0]
    parts = start.fit(lambda: (X[i : i + rows] for i in range(0, len(X), rows)), tol=1e-8)
    np.testing.assert_array_equal(found.log_likelihoods, parts.log_likelihoods)


def test_frames_and_weights_give_the_answer_of_memory(client, X, start):
    frames = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    columns = ("left", "middle", "right")
    data = frames.from_pandas(pandas.DataFrame(X, columns=columns), npartitions=5)
    weights = np.random.default_rng(0).uniform(0.0, 2.0, len(X))
    found = start.fit(data, weights=weights)
    assert found.model.columns == columns
    omega = start.fit(X, weights=weights)
    assert found.n_observations == pytest.approx(omega.n_observations, rel=1e-12)
    assert found.log_likelihood == pytest.approx(omega.log_likelihood, rel=1e-10)
    np.testing.assert_allclose(found.model.mu, omega.model.mu, rtol=1e-10)


def test_a_start_and_statistics_are_those_of_memory(client, X):
    data = arrays.from_array(X, chunks=(3000, 3))
    start = VarianceGamma.default_init(data)
    np.testing.assert_array_equal(start.mu, VarianceGamma.default_init(X).mu)
    assert start.e_step(data).y == pytest.approx(start.e_step(X).y, rel=1e-14)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_worker_loses_nothing(client, X, start):
    """One of two workers is killed amid a fit: same bits, by what the other makes again."""
    data = arrays.from_array(X, chunks=(1000, 3)).persist()
    pids = client.run(os.getpid)
    steps = []

    def killing(previous, batch, step):
        steps.append(step)
        if step == 5 and victims:
            os.kill(victims.pop(), signal.SIGKILL)
        return batch

    fitter, victims = BatchEMFitter(tol=0.0, max_iter=20, eta_update=killing), []
    expected = fitter.run(start, data)
    victims.append(next(iter(pids.values())))
    found = fitter.run(start, data)
    assert not victims
    assert steps == 2 * list(range(20))
    np.testing.assert_array_equal(found.log_likelihoods, expected.log_likelihoods)
    np.testing.assert_array_equal(found.model.L_sigma, expected.model.L_sigma)
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != set(pids.values())


def test_a_fit_on_a_cluster_resumes(client, X, start, tmp_path):
    data, path = arrays.from_array(X, chunks=(4000, 3)), tmp_path / "fit.checkpoint"
    expected = BatchEMFitter(tol=1e-8).run(start, data)
    BatchEMFitter(tol=1e-8, max_iter=4, checkpoint=path).run(start, data)
    found = BatchEMFitter(tol=1e-8, checkpoint=Checkpoint(path, resume=True)).run(start, data)
    np.testing.assert_array_equal(found.log_likelihoods, expected.log_likelihoods)


def test_blocks_are_shared_out_to_tasks(client, X):
    """Also those that all workers have, and those that none has yet, and no more than fit."""
    source = source_of(arrays.from_array(X, chunks=(1000, 3)))
    client.replicate(source.blocks)

    def sizes(workers, holders):
        source._grouped_at = -np.inf
        source.client = SimpleNamespace(
            scheduler_info=lambda **_: {"workers": workers},
            who_has=lambda _: {block.key: holders for block in source.blocks},
        )
        return sorted(map(len, source._grouped()))

    two = {name: {"nthreads": 1, "memory_limit": 10**10} for name in ("a", "b")}
    wide = {"a": {"nthreads": 4, "memory_limit": 0}}
    narrow = {"a": {"nthreads": 1, "memory_limit": 8 * 10 * 24_000}}
    tiny = {"a": {"nthreads": 2, "memory_limit": 1000}}
    assert sizes(two, ("a", "b")) == [10, 10]
    assert sizes(two, ()) == sizes(two, ("c",)) == [1] * 20
    assert sizes(wide, ("a",)) == [5] * 4
    assert sizes(narrow, ("a",)) == [10] * 2
    assert sizes(tiny, ("a",)) == [1] * 20
    source.close()


class TestErrors:
    def test_nan_names_the_row(self, client, X, start):
        bad = X.copy()
        bad[12_345, 2] = np.nan
        with pytest.raises(ValueError, match=r"nan at row 12345, column 2 \(row 345 of chunk 12"):
            start.fit(arrays.from_array(bad, chunks=(1000, 3)))

    def test_a_block_that_cannot_be_read_is_named(self, client, X, start):
        def read(block, block_info=None):
            if block_info[0]["chunk-location"][0] == 3:
                message = "no such disk"
                raise OSError(message)
            return block

        data = arrays.from_array(X, chunks=(5000, 3)).map_blocks(read, dtype=float)
        with pytest.raises(ReadError, match=r"chunk 3 of X could not be read: .*no such disk"):
            start.fit(data)
        with pytest.raises(ReadError, match=r"chunk 3 of X could not be read"):
            IncrementalEMFitter().fit(start, data, key=0)

    def test_nothing_stays_on_the_workers(self, client, X, start):
        """Neither after a fit, nor while what has ended it is remembered."""
        data = arrays.from_array(X, chunks=(5000, 3))
        bad, collinear = X.copy(), X.copy()
        bad[1234, 1], collinear[:, 2] = np.nan, X[:, 0] + X[:, 1]

        def broken(previous, batch, step):
            raise KeyboardInterrupt

        def calls():
            yield lambda: start.fit(data)
            yield lambda: start.fit(arrays.from_array(bad, chunks=(5000, 3)))
            yield lambda: start.fit(arrays.from_array(collinear, chunks=(5000, 3)))
            yield lambda: start.fit(data, eta_update=broken)
            yield lambda: start.fit(data, weights=np.ones(3))
            yield lambda: start.e_step(data)
            yield lambda: NormalInverseGaussian.default_init(data)
            yield lambda: IncrementalEMFitter(eta_update=broken).fit(start, data, key=0)
            yield lambda: IncrementalEMFitter(max_steps=3).fit(start, data, key=0)

        remembered = []
        for call in calls():
            try:
                call()
            except (ValueError, KeyboardInterrupt) as error:
                remembered.append(error)
        assert len(remembered) == 5
        for _ in range(100):
            kept = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
            if kept == 0:
                break
            time.sleep(0.1)
        assert kept == 0

    def test_weights_of_other_rows_are_refused(self, client, X, start):
        with pytest.raises(ValueError, match=r"shape \(20000,\), got \(3,\)"):
            start.fit(arrays.from_array(X, chunks=(5000, 3)), weights=np.ones(3))

    def test_what_is_not_rows_is_refused(self, client, start):
        with pytest.raises(TypeError, match="Dask array or DataFrame of rows"):
            start.fit(arrays.zeros((3, 3, 3)))
        with pytest.raises(ValueError, match="3 columns, as the model has, got 2"):
            start.fit(arrays.zeros((30, 2)))
