"""Fits that are interrupted: what they leave behind, and what goes on from it."""

import contextlib
import dataclasses
import functools
import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import warnings
import zipfile

import numpy as np
import pytest
from conftest import ENVIRONMENT, exhaustive, make

import nvmix
from nvmix import (
    Checkpoint,
    CheckpointError,
    EWMAUpdate,
    IdentityUpdate,
    IncrementalEMFitter,
    NormalInverseGaussian,
    ReadError,
    RobbinsMonroUpdate,
    Status,
)
from nvmix.fitting.checkpoints.contents import identity_of
from nvmix.fitting.checkpoints.file import read_checkpoint
from nvmix.fitting.em import BatchEMFitter

START = make(NormalInverseGaussian)
LONG = {"tol": 1e-9, "criterion": "parameters", "max_iter": 40}


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian).rvs(2000, seed=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


def resumed(path):
    return Checkpoint(path, resume=True)


def fit(start, X, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nvmix.ConvergenceWarning)
        return start.fit(X, **{**LONG, **keywords})


def same_bits(one, other):
    assert one.status is other.status
    for name in ("log_likelihoods", "param_changes", "n_passes", "log_likelihood"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for left, right in zip(one.model.normal, other.model.normal, strict=True):
        np.testing.assert_array_equal(left, right)
    assert one.model.subordinator == other.model.subordinator


def fails_in_pass(X, number, parts=4):
    """Chunks of X that cannot be read in a pass of that number."""
    passes = 0

    def chunks():
        nonlocal passes
        passes += 1
        for i, part in enumerate(np.array_split(X, parts)):
            if passes == number and i == parts - 1:
                message = "the disk is gone"
                raise OSError(message)
            yield part

    return chunks


def whole(X, parts=4):
    return lambda: np.array_split(X, parts)


KINDS = (
    {},
    {"acceleration": "squarem"},
    {"acceleration": "none"},
    {"eta_update": EWMAUpdate(0.7)},
    {"algorithm": "mcecm"},
    {"symmetric": True},
    {"criterion": "likelihood", "tol": 1e-12},
)


class TestResume:
    @pytest.mark.parametrize("keywords", KINDS, ids=str)
    def test_comes_to_the_same_bits(self, keywords, X, path):
        self.check(START, X, path, **keywords)

    def test_comes_to_the_same_bits_in_each_family(self, X, path, family):
        self.check(make(family), X, path)

    def check(self, start, X, path, **keywords):
        expected = fit(start, whole(X), **keywords)
        with pytest.raises(ReadError, match="chunk 3"):
            fit(start, fails_in_pass(X, 9), checkpoint=path, **keywords)
        found = fit(start, whole(X), checkpoint=resumed(path), **keywords)
        same_bits(found, expected)

    def test_goes_on_under_a_larger_max_iter(self, X, path):
        start = make(NormalInverseGaussian)
        expected = fit(start, whole(X))
        for most in (3, 7):
            part = fit(start, whole(X), max_iter=most, checkpoint=resumed(path))
            assert part.n_iter == most
        same_bits(fit(start, whole(X), checkpoint=resumed(path)), expected)

    def test_ends_at_once_beyond_max_iter(self, X, path):
        start = make(NormalInverseGaussian)
        with pytest.raises(ReadError):
            fit(start, fails_in_pass(X, 9), checkpoint=path)
        part = fit(start, whole(X), max_iter=5, checkpoint=resumed(path))
        assert (part.n_iter, part.status) == (7, Status.MAX_ITER)
        same_bits(fit(start, whole(X), checkpoint=resumed(path)), fit(start, whole(X)))

    def test_goes_on_elsewhere(self, X, path, monkeypatch):
        """The path is where the process was, and may be a link."""
        monkeypatch.chdir(path.parent)
        fitter = BatchEMFitter(checkpoint=resumed("fit.checkpoint"), max_iter=3)
        (path.parent / "deeper").mkdir()
        monkeypatch.chdir(path.parent / "deeper")
        assert fitter.run(START, X).n_iter == 3
        (path.parent / "link").symlink_to(path)
        assert fit(START, X, tol=1e-4, checkpoint=resumed(path.parent / "link")).n_iter > 3
        assert (path.parent / "link").is_symlink()
        with np.load(path) as file:
            assert len(file["changes"]) > 3

    def test_of_a_fit_that_arrived_is_that_fit(self, X, path):
        start = make(NormalInverseGaussian)
        first = fit(start, whole(X), checkpoint=path)
        reads = []

        def chunks():
            reads.append(1)
            return np.array_split(X, 4)

        again = fit(start, chunks, checkpoint=resumed(path))
        same_bits(again, first)
        assert again.n_observations == len(X)
        assert len(reads) == 1

    def test_without_a_file_begins(self, X, path):
        start = make(NormalInverseGaussian)
        same_bits(fit(start, X, checkpoint=resumed(path)), fit(start, whole(X, 1)))

    def test_in_memory(self, X, path):
        start = make(NormalInverseGaussian)
        expected = fit(start, X, checkpoint=path.with_suffix(".whole"))
        fit(start, X, max_iter=5, checkpoint=path)
        same_bits(fit(start, X, checkpoint=resumed(path)), expected)


SCRIPT = """
import os, signal, sys, warnings
import numpy as np
from nvmix import Checkpoint, NormalInverseGaussian

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts behind it ignores it
X = np.load("x.npy")
number, resume = int(sys.argv[1]), sys.argv[2] == "resume"
passes = 0


def chunks():
    global passes
    passes += 1
    for i, part in enumerate(np.array_split(X, 4)):
        if passes == 8 and i == 2 and number:
            os.kill(os.getpid(), number)
        yield part


start = NormalInverseGaussian.from_classical(
    mu=[0.0, 0.0], gamma=[0.0, 0.0], sigma=np.eye(2), mu_ig=1.0, lam=1.0)
path, every = f"{sys.argv[3]}.checkpoint", int(sys.argv[4])
result = start.fit(
    chunks, tol=1e-9, max_iter=40, checkpoint=Checkpoint(path, every=every, resume=resume))
print([x.hex() for x in result.log_likelihoods], [x.hex() for x in result.model.mu], passes)
"""


def run(number, how, name, every=1000, *, cwd):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, (number, how, name, every))],
        capture_output=True, text=True, check=False, timeout=200, cwd=cwd, env=ENVIRONMENT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(X, tmp_path_factory):
    """What a process prints that is not interrupted."""
    folder = tmp_path_factory.mktemp("alone")
    np.save(folder / "x.npy", X)
    return run(0, "new", "other", cwd=folder).stdout.rsplit(maxsplit=1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_leaves_a_good_checkpoint_and_raises(number, X, alone, tmp_path):
    """One process is interrupted, another goes on from there."""
    np.save(tmp_path / "x.npy", X)
    interrupted = run(int(number), "new", "one", cwd=tmp_path)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in interrupted.stderr
        assert interrupted.returncode in (1, -signal.SIGINT, 130)
    else:
        assert interrupted.returncode == 128 + signal.SIGTERM
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.checkpoint", "x.npy"]
    *found, passes = run(0, "resume", "one", cwd=tmp_path).stdout.rsplit(maxsplit=1)
    *expected, of_all = alone
    assert found == expected
    # Seven were done; one checks that the rows are the same.
    assert int(of_all) - int(passes) == 7 - 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_kill_loses_the_iterations_since_the_last_write(X, alone, tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert run(int(signal.SIGKILL), "new", "one", 2, cwd=tmp_path).returncode == -signal.SIGKILL
    *found, passes = run(0, "resume", "one", cwd=tmp_path).stdout.rsplit(maxsplit=1)
    *expected, of_all = alone
    assert found == expected
    # Of seven that were done six were written; one checks that the rows are the same.
    assert int(of_all) - int(passes) == 6 - 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_an_interrupt_that_is_swallowed_is_raised_again(number, error, X, path):
    """As by callbacks of compiled code, in which Python prints what is raised."""
    steps = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def swallows(previous, batch, step):
        steps.append(step)
        if step == 3:
            with contextlib.suppress(error):
                os.kill(os.getpid(), number)
        return batch

    for most in (40, 4):
        with pytest.raises(error):
            fit(START, X, checkpoint=path, eta_update=swallows, max_iter=most)
        assert steps == [0, 1, 2, 3]
        with np.load(path) as file:
            assert len(file["changes"]) == 4
        steps.clear()
        path.unlink()
    signal.signal(signal.SIGINT, before)


def test_signals_are_left_as_they_were(X, path):
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.getsignal(number) for number in numbers]
    fit(make(NormalInverseGaussian), X, checkpoint=path)
    assert [signal.getsignal(number) for number in numbers] == before


def test_there_is_a_whole_file_at_any_time(X, path):
    start = make(NormalInverseGaussian)
    kept = path.with_suffix(".kept")

    def chunks():
        if path.exists():
            kept.write_bytes(path.read_bytes())
        return np.array_split(X, 4)

    fit(start, chunks, checkpoint=Checkpoint(path, every=3))
    with np.load(kept) as file:
        assert len(file["log_likelihoods"]) % 3 == 0
    same_bits(fit(start, whole(X), checkpoint=resumed(kept)), fit(start, whole(X)))


def test_minutes_make_a_write_due(X, path):
    seen = []

    def chunks():
        seen.append(path.exists())
        return np.array_split(X, 2)

    fit(make(NormalInverseGaussian), chunks, checkpoint=Checkpoint(path, minutes=0.0))
    assert seen[:3] == [False, True, True]


def test_a_write_that_fails_leaves_the_file_before(X, path, monkeypatch):
    start = make(NormalInverseGaussian)
    fit(start, X, max_iter=5, checkpoint=path)
    before = path.read_bytes()

    def full(descriptor):
        message = "no space left on device"
        raise OSError(message)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(RuntimeWarning, match="could not be written: no space"):
            found = start.fit(X, **LONG, checkpoint=Checkpoint(path, every=1, resume=True))
    assert found.converged
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_comes_through_a_write_that_fails(X, path, monkeypatch):
    def full(descriptor):
        message = "no space left on device"
        raise OSError(message)

    passes = 0

    def chunks():
        nonlocal passes
        passes += 1
        if passes == 4:
            raise KeyboardInterrupt
        return np.array_split(X, 2)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="no space"), pytest.raises(KeyboardInterrupt):
        fit(START, chunks, checkpoint=path)
    passes = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyboardInterrupt):
            START.fit(chunks, **LONG, checkpoint=path)
    assert list(path.parent.iterdir()) == []


def weighted(previous, batch, step, w):
    return EWMAUpdate(w)(previous, batch, step)


class TestRefusals:
    def refused(self, X, path, match, **keywords):
        before = path.read_bytes()
        with pytest.raises(CheckpointError, match=match):
            fit(make(NormalInverseGaussian), X, checkpoint=resumed(path), **keywords)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
    def test_of_a_truncated_file(self, share, X, path):
        fit(make(NormalInverseGaussian), X, max_iter=5, checkpoint=path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        self.refused(X, path, "not a checkpoint of nvmix, or is damaged; it is left as it is")

    def test_of_a_file_with_a_flipped_bit(self, X, path):
        """Wherever it is, but for what zip files say of themselves, which no one reads."""
        fit(make(NormalInverseGaussian), X, max_iter=5, checkpoint=path)
        content = path.read_bytes()
        expected, refused = read_checkpoint(path), 0
        for place in range(0, len(content), 61):
            flipped = bytearray(content)
            flipped[place] ^= 4
            path.write_bytes(bytes(flipped))
            try:
                found = read_checkpoint(path)
            except CheckpointError:
                refused += 1
            else:
                for name, value in expected.items():
                    np.testing.assert_array_equal(found[name], value)
        assert refused > 0.6 * len(content) / 61

    def test_of_a_file_of_something_else(self, X, path):
        path.write_text("thesis, chapter 1")
        self.refused(X, path, "not a checkpoint")
        with path.open("wb") as file:
            np.savez(file, x=np.ones(3))
        self.refused(X, path, "not a checkpoint")
        with path.open("wb") as file:
            np.save(file, np.ones(3))
        self.refused(X, path, "not a checkpoint")

    def test_of_a_directory(self, X, path):
        path.mkdir()
        with pytest.raises(CheckpointError, match="no regular file"):
            fit(make(NormalInverseGaussian), X, checkpoint=resumed(path))

    def test_of_another_fit(self, X, path):
        fit(make(NormalInverseGaussian), X, max_iter=5, checkpoint=path)
        self.refused(X, path, "tol is 1e-09 there and 0.001 here", tol=1e-3)
        self.refused(X, path, "symmetric is False there", symmetric=True)
        with pytest.raises(CheckpointError, match="family is NormalInverseGaussian there"):
            fit(make(nvmix.VarianceGamma), X, checkpoint=resumed(path))

    def test_of_other_rows(self, X, path):
        fit(make(NormalInverseGaussian), X, max_iter=5, checkpoint=path)
        self.refused(X[1:], path, "other rows: weight is 2000 there and 1999 of")
        self.refused(whole(X[1:]), path, "other rows: weight is 2000 there and 1999 of")
        self.refused(X[:, ::-1], path, "other rows: log_likelihood is")

    def test_of_another_start(self, X, path):
        fit(START, X, max_iter=5, checkpoint=path)
        before = path.read_bytes()
        for other in (make(NormalInverseGaussian).rescaled(2.0), fit(START, X).model):
            with pytest.raises(CheckpointError, match="a fit from another start"):
                fit(other, X, checkpoint=resumed(path))
        assert path.read_bytes() == before
        rounded = dataclasses.replace(START, mu=START.mu + 1e-14)
        fit(rounded, X, checkpoint=resumed(path))

    def test_of_another_start_in_a_column_of_small_units(self, X, path):
        start = dataclasses.replace(START, mu=START.mu * [1e6, 1e-4], L_sigma=np.diag([1e6, 1e-4]))
        rows = X * [1e6, 1e-4]
        fit(start, rows, max_iter=3, checkpoint=path)
        other = dataclasses.replace(start, mu=start.mu + np.array([0.0, 1e-9]))
        with pytest.raises(CheckpointError, match="other rows: mu differs by 1e-05"):
            fit(other, rows, checkpoint=resumed(path))

    def test_of_a_file_that_lacks_something(self, X, path):
        fit(START, X, max_iter=5, checkpoint=path)
        with np.load(path) as file:
            parts = {name: file[name] for name in file.files if name != "last.theta"}
        head = json.loads(str(parts["head"]))
        head["arrays"].remove("last.theta")
        parts["head"] = np.array(json.dumps(head))
        with path.open("wb") as opened:
            np.savez(opened, **parts)
        self.refused(X, path, "checkpoint has no 'last.theta'")

    def test_of_settings_that_differ_in_a_digit(self, X, path):
        mu = np.array([0.1, 0.2])
        fit(make(NormalInverseGaussian), X, max_iter=5, checkpoint=path, fixed={"mu": mu})
        self.refused(X, path, "fixed is", fixed={"mu": mu + 1e-15})
        fit(
            make(NormalInverseGaussian),
            X,
            checkpoint=resumed(path),
            fixed={"mu": mu.tolist()},
        )

    def test_of_another_target(self, X, path):
        rules = [
            nvmix.Shrinkage(IdentityUpdate(), nvmix.eta0_isotropic(START, sigma2), 0.1)
            for sigma2 in (1.0, 1.0 + 1e-12)
        ]
        fit(START, X, max_iter=5, checkpoint=path, eta_update=rules[0])
        self.refused(X, path, "eta_update is", eta_update=rules[1])
        fit(START, X, checkpoint=resumed(path), eta_update=rules[0])

    def test_of_settings_that_are_the_same(self):
        same = identity_of(RobbinsMonroUpdate(10))
        assert same == identity_of(RobbinsMonroUpdate(10.0)) != identity_of(RobbinsMonroUpdate(9.0))
        rules = [functools.partial(weighted, w=w) for w in (0.1, 0.9, 0.1)]
        one, other, again = map(identity_of, rules)
        assert one == again != other

    def test_but_not_of_a_rule_of_ones_own(self, X, path):
        class Rule:
            def __call__(self, previous, batch, step):
                return batch

        expected = fit(START, whole(X), eta_update=Rule())
        fit(START, whole(X), max_iter=5, checkpoint=path, eta_update=Rule())
        found = fit(START, whole(X), checkpoint=resumed(path), eta_update=Rule())
        same_bits(found, expected)

    def test_of_a_file_that_is_there(self, X, path):
        path.write_text("precious")
        with pytest.raises(FileExistsError, match=r"resume=True\), or move it away"):
            fit(make(NormalInverseGaussian), X, checkpoint=path)
        assert path.read_text() == "precious"

    def test_of_a_directory_that_is_not(self, X, path):
        with pytest.raises(FileNotFoundError, match="in a directory that exists"):
            fit(make(NormalInverseGaussian), X, checkpoint=path / "deeper")

    def test_of_settings_that_have_none(self):
        with pytest.raises(ValueError, match="checkpoint needs n_init=1, got 3"):
            BatchEMFitter(checkpoint="x", n_init=3)

    @pytest.mark.parametrize(
        ("settings", "error", "match"),
        [
            ({"path": 3}, TypeError, "path must be a path, got 3"),
            ({"path": "x", "every": 0}, ValueError, "every must be at least 1, got 0"),
            ({"path": "x", "minutes": -1.0}, ValueError, "minutes must not be negative, got -1"),
            ({"path": "x", "resume": 1}, TypeError, "resume must be True or False, got 1"),
        ],
    )
    def test_of_bad_settings(self, settings, error, match):
        with pytest.raises(error, match=match):
            Checkpoint(**settings)


def breaks_at(step):
    """A rule that fails in a step."""

    class Rule:
        __qualname__ = "Rule"

        def __call__(self, previous, batch, number):
            if number == step:
                raise KeyboardInterrupt
            return RobbinsMonroUpdate(2.0, 0.6)(previous, batch, number)

    return Rule()


class TestIncremental:
    """Steps on batches of 150 of 2000 rows: 13 and a third of them to a pass."""

    def steps(self, X, rule=None, start=START, key=3, **keywords):
        rule = RobbinsMonroUpdate(2.0, 0.6) if rule is None else rule
        settings = {"batch_size": 150, "max_steps": 50, "averaging": True, **keywords}
        return IncrementalEMFitter(eta_update=rule, **settings).fit(start, X, key=key)

    @pytest.mark.parametrize("stop", [1, 13, 14, 40])
    @pytest.mark.parametrize("chunks", [None, 3, 40], ids=str)
    def test_comes_to_the_same_bits(self, chunks, stop, X, path):
        rows = X if chunks is None else whole(X, chunks)
        expected = self.steps(rows, breaks_at(-1))
        with pytest.raises(KeyboardInterrupt):
            self.steps(rows, breaks_at(stop), checkpoint=path)
        found = self.steps(rows, breaks_at(-1), checkpoint=resumed(path))
        same_bits(found, expected)
        assert found.n_iter == 50

    def test_comes_to_the_same_bits_in_each_family(self, X, path, family):
        start = make(family)
        expected = self.steps(X, start=start)
        part = self.steps(X, start=start, max_steps=20, checkpoint=path)
        assert part.n_iter == 20
        same_bits(self.steps(X, start=start, checkpoint=resumed(path)), expected)

    @pytest.mark.parametrize("verbose", [0, 1])
    def test_of_few_rows_and_of_a_verbose_fit(self, X, path, verbose):
        rows, settings = whole(X[:100], 3), {"verbose": verbose, "averaging": False}
        expected = self.steps(rows, breaks_at(-1), **settings)
        with pytest.raises(KeyboardInterrupt):
            self.steps(rows, breaks_at(22), checkpoint=path, **settings)
        found = self.steps(rows, breaks_at(-1), checkpoint=resumed(path), **settings)
        same_bits(found, expected)
        assert found.n_observations == 100.0
        assert len(found.log_likelihoods) == 10 * verbose

    def test_of_a_fit_that_is_over_is_that_fit(self, X, path):
        first = self.steps(whole(X), checkpoint=path, verbose=1)
        again = self.steps(whole(X), checkpoint=resumed(path), verbose=1)
        same_bits(again, first)
        assert again.n_observations == first.n_observations

    def test_a_chunk_that_cannot_be_read_costs_no_step(self, X, path):
        expected = self.steps(whole(X))
        with pytest.raises(ReadError, match="chunk 3"):
            self.steps(fails_in_pass(X, 3), checkpoint=Checkpoint(path, every=1000))
        same_bits(self.steps(whole(X), checkpoint=resumed(path)), expected)

    @pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937])
    def test_of_any_generator(self, kind, X, path):
        keys = [np.random.Generator(kind(5)) for _ in range(3)]
        expected = self.steps(X, key=keys[0])
        self.steps(X, key=keys[1], checkpoint=path, max_steps=30)
        found = self.steps(X, key=keys[2], checkpoint=resumed(path))
        same_bits(found, expected)
        assert keys[0].random() == keys[2].random()

    def test_without_a_key(self, X, path):
        self.steps(X, key=None, checkpoint=path, max_steps=30)
        other = path.with_suffix(".copy")
        other.write_bytes(path.read_bytes())
        found = [self.steps(X, key=None, checkpoint=resumed(p)) for p in (path, other)]
        same_bits(*found)

    def test_a_stream_goes_on_from_it(self, X, path):
        fitter = IncrementalEMFitter(checkpoint=path, max_steps=5)
        fitter.fit(START, X, key=0)
        again = IncrementalEMFitter(checkpoint=resumed(path), max_steps=5)
        again.fit(START, X, key=0)
        one, other = (f.partial_fit(X[:50]).model for f in (fitter, again))
        np.testing.assert_array_equal(one.L_sigma, other.L_sigma)
        assert again.n_steps == 6

    def test_writes_are_due_after_steps(self, X, path):
        seen = []

        class Rule:
            def __call__(self, previous, batch, number):
                seen.append(path.exists())
                return RobbinsMonroUpdate(2.0, 0.6)(previous, batch, number)

        self.steps(X, Rule(), checkpoint=Checkpoint(path, every=4), max_steps=6)
        assert seen == [False] * 4 + [True] * 2

    def test_an_interrupt_amid_a_write_comes_through(self, X, path, monkeypatch):
        """zipfile closes what was being written, and complains in the place of the interrupt."""
        calls, savez = [], np.savez

        def interrupted(file, **arrays):
            calls.append(1)
            if len(calls) > 1:
                return savez(file, **arrays)
            try:
                raise KeyboardInterrupt
            finally:
                message = "Can't close the ZIP file while there is an open writing handle on it."
                raise ValueError(message)

        expected = self.steps(X)
        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", interrupted)
            with pytest.raises(KeyboardInterrupt):
                self.steps(X, checkpoint=Checkpoint(path, every=5))
        same_bits(self.steps(X, checkpoint=resumed(path)), expected)

    def test_refusals(self, X, path):
        self.steps(X, checkpoint=path, max_steps=20)
        before = path.read_bytes()
        settings = {"checkpoint": resumed(path)}
        for keywords, match in (
            ({"key": 4}, "of another fit: key is"),
            ({"key": np.random.Generator(np.random.MT19937(3))}, "of another fit: key is"),
            ({"batch_size": 151}, "batch_size is 150 there and 151 here"),
            ({"averaging": False}, "averaging is True there"),
            ({"rule": RobbinsMonroUpdate(3.0, 0.6)}, "eta_update is"),
            ({"start": START.rescaled(2.0)}, "a fit from another start"),
        ):
            with pytest.raises(CheckpointError, match=match):
                self.steps(X, **settings, **keywords)
        for rows in (X + 1e-9, X[:-1]):
            with pytest.raises(CheckpointError, match=r"other rows, .* those of \d+ rows"):
                self.steps(rows, **settings)
        with pytest.raises(CheckpointError, match="rows are in memory there and in chunks here"):
            self.steps(whole(X), **settings)
        with pytest.raises(CheckpointError, match="tol is None there"):
            fit(START, X, checkpoint=resumed(path))
        with pytest.raises(FileExistsError, match=r"resume=True\), or move it away"):
            self.steps(X, checkpoint=path)
        assert path.read_bytes() == before
        path.write_bytes(before[: len(before) // 2])
        with pytest.raises(CheckpointError, match="is damaged"):
            self.steps(X, **settings)


def test_what_follows_newtons_method_is_not_in_the_checkpoint(path):
    """Weight by height of `women` in R: the likelihood rises towards a singular Sigma."""
    height = np.arange(58.0, 73.0)
    weight = [115, 117, 120, 123, 126, 129, 132, 135, 139, 142, 146, 150, 154, 159, 164]
    X = np.column_stack([height, weight]).astype(float)
    start = NormalInverseGaussian.default_init(X)
    kept = BatchEMFitter(max_iter=260, checkpoint=Checkpoint(path)).run(start, X)
    free = BatchEMFitter(max_iter=260).run(start, X)
    assert kept.n_iter == len(kept.log_likelihoods) <= 260
    assert np.diff(kept.log_likelihoods).min() >= -1e-10
    assert kept.log_likelihood == pytest.approx(free.log_likelihood, rel=1e-2)


def edited(content, change):
    """The bytes of a checkpoint with other arrays and another head, and right checksums."""
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    head = json.loads(str(arrays.pop("head")))
    change(head, arrays)
    head["arrays"] = list(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, head=np.array(json.dumps(head)), **arrays)
    return buffer.getvalue()


def with_array(name, array):
    def change(_, arrays):
        arrays[name] = array(arrays[name])

    return change


def with_number(name, value):
    def change(head, _):
        head["numbers"][name] = value

    return change


def array_as_number(name):
    def change(head, arrays):
        head["numbers"][name] = arrays.pop(name).tolist()

    return change


ARRAYS = {
    "wider": lambda x: np.concatenate([x, x], axis=-1),
    "deeper": lambda x: x[None],
    "empty": lambda x: x[..., :0],
    "text": lambda x: x.astype(str),
    "dates": lambda x: np.zeros(x.shape, "M8[s]"),
}
NUMBERS = ([1], True, -7, 10**30, 1e308, float("nan"), float("-inf"))


class TestEdits:
    """Whatever an editor has made of a checkpoint, its fit refuses it or runs."""

    def fit_of(self, kind, X):
        X = X[:100]
        if kind == "batch":
            return lambda setting: fit(START, X, max_iter=3, checkpoint=setting)
        if kind == "rule":
            rule = EWMAUpdate(0.7)
            return lambda setting: fit(START, X, max_iter=3, checkpoint=setting, eta_update=rule)
        rows = whole(X) if kind == "chunks" else X
        settings = {"max_steps": 4, "batch_size": 30, "averaging": True}
        return lambda setting: IncrementalEMFitter(checkpoint=setting, **settings).fit(
            START, rows, key=3
        )

    @pytest.mark.parametrize("kind", ["batch", exhaustive("rule"), "steps", exhaustive("chunks")])
    def test_of_any_kind(self, kind, X, path):
        go_on = self.fit_of(kind, X)
        go_on(Checkpoint(path))
        content, refused = path.read_bytes(), []
        found = read_checkpoint(path)
        names = [name for name in found if isinstance(found[name], np.ndarray)]
        numbers = [name for name in found if name not in (*names, "identity")]
        sure = [with_array(name, array) for name in names for array in ARRAYS.values()]
        sure += [array_as_number(name) for name in names if found[name].size]
        sure += [with_number(name, value) for name in numbers for value in (None, {}, "x")]
        open_ended = [with_number(name, value) for name in numbers for value in NUMBERS]
        for value in (np.nan, -1.0, 1e308):
            open_ended += [with_array(name, lambda x, v=value: 0.0 * x + v) for name in names]
        for change in (*sure, *open_ended):
            path.write_bytes(edited(content, change))
            try:
                go_on(resumed(path))
            except CheckpointError:
                refused.append(change)
        assert len(refused) > len(sure) + 0.1 * len(open_ended)
        assert refused[: len(sure)] == sure


class TestFilesOfOtherKinds:
    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
    @pytest.mark.parametrize("resume", [False, True])
    def test_a_pipe_is_refused_at_once(self, resume, X, path):
        os.mkfifo(path)
        with pytest.raises(CheckpointError, match="it is no regular file"):
            fit(START, X, checkpoint=Checkpoint(path, resume=resume))

    @pytest.mark.skipif(sys.platform == "win32", reason="devices of POSIX")
    def test_a_device_is_refused_at_once(self, X, path):
        path.symlink_to("/dev/zero")
        with pytest.raises(CheckpointError, match="it is no regular file"):
            fit(START, X, checkpoint=resumed(path))

    def test_a_file_that_unpacks_to_more_is_refused_at_once(self, X, path):
        with path.open("wb") as file:
            np.savez_compressed(file, head=np.zeros(1 << 24))
        assert path.stat().st_size < 1 << 18
        with pytest.raises(CheckpointError, match="not a checkpoint"):
            fit(START, X, checkpoint=resumed(path))

    def test_a_header_of_a_huge_array_is_refused(self, X, path):
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
        array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("head.npy", array)
        with pytest.raises(CheckpointError, match="not a checkpoint"):
            fit(START, X, checkpoint=resumed(path))

    @pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
    def test_a_write_follows_no_link(self, X, path, monkeypatch):
        thesis = path.with_name("thesis")
        thesis.write_text("chapter 1")
        monkeypatch.setattr("secrets.token_hex", lambda _: "0")
        path.with_name(f"{path.name}.0.part").symlink_to(thesis)
        with pytest.warns(RuntimeWarning, match="could not be written"):
            START.fit(X, tol=1e-2, checkpoint=path)
        assert thesis.read_text() == "chapter 1"

    def test_two_fits_that_write_one_checkpoint_do_not_tear_it(self, X, path):
        every = Checkpoint(path, every=1, resume=True)

        def job(rows):
            # One that begins after the other has written finds a checkpoint of other rows.
            with contextlib.suppress(CheckpointError):
                fit(START, rows, checkpoint=every)

        fits = [threading.Thread(target=job, args=(rows,)) for rows in (X[:200], X)]
        START.fit(X, tol=1.0, checkpoint=path)
        path.unlink()
        for thread in fits:
            thread.start()
        while any(thread.is_alive() for thread in fits):
            if path.exists():
                assert "status" in read_checkpoint(path)
        assert list(path.parent.iterdir()) == [path]
