"""Compiled code on disk: whatever becomes of its files, functions run, and say why they compile."""

import errno
import pickle
import runpy
import shutil
import warnings
from hashlib import sha256
from pathlib import Path

import numba
import pytest
from numba.core.serialize import dumps

from nvmix.backends.cpu.compiler.cache_files import CheckedFiles

PROGRAM = """
from nvmix.backends.cpu import jit

@jit.entry
def twice(x):
    return 2.0 * x
"""
NO_WARNING = []


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A file with a compiled function, whose cache is beside it."""
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path / "program.py"


def new(program):
    """The function of a file, as a new process has it."""
    return runpy.run_path(str(program))["twice"]


def call(twice):
    """Texts of the warnings of a call, and whether the code came from the cache."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert twice(1.5) == 3.0
    return [str(warning.message) for warning in caught], bool(twice.stats.cache_hits)


def compiled(program):
    """Index and machine code of the function."""
    assert call(new(program)) == (NO_WARNING, False)
    assert call(new(program)) == (NO_WARNING, True)
    folder = program.parent / "__pycache__"
    return next(folder.glob("*.nbi")), next(folder.glob("*.nbc"))


def with_checksum(obj):
    content = dumps(obj)
    return content + sha256(content).digest()


DAMAGES = {
    "empty": lambda _: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "almost complete": lambda content: content[:-1],
    "garbage": lambda _: bytes(range(256)) * 40,
    "one bit": lambda content: content[:-50] + bytes([content[-50] ^ 4]) + content[-49:],
}


def check_is_mended(program, damaged):
    """One process says that a file is damaged, and the next finds it well."""
    told, found = call(new(program))
    assert not found
    assert len(told) == 1
    assert str(damaged) in told[0]
    assert call(new(program)) == (NO_WARNING, True)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("number", [0, 1], ids=["index", "code"])
def test_a_damaged_file_is_compiled_anew(program, number, damage):
    path = compiled(program)[number]
    path.write_bytes(damage(path.read_bytes()))
    check_is_mended(program, path)


def test_an_index_of_something_else_is_of_another_version(program):
    index, _ = compiled(program)
    index.write_bytes(pickle.dumps(["thesis", 1]))
    assert call(new(program)) == (NO_WARNING, False)
    assert call(new(program)) == (NO_WARNING, True)


def test_code_that_cannot_be_loaded_is_compiled_anew(program):
    index, code = compiled(program)
    code.write_bytes(with_checksum((pickle.loads(code.read_bytes())[0], "thesis")))
    check_is_mended(program, index)


def test_code_of_another_key_is_not_run(program):
    """As two processes that save at once may leave it."""
    _, code = compiled(program)
    code.write_bytes(with_checksum(("of integers", pickle.loads(code.read_bytes())[1])))
    assert call(new(program)) == (NO_WARNING, False)
    assert call(new(program)) == (NO_WARNING, True)


def test_code_that_has_gone_is_compiled_anew(program):
    _, code = compiled(program)
    code.unlink()
    assert call(new(program)) == (NO_WARNING, False)
    assert call(new(program)) == (NO_WARNING, True)


def test_cached_code_is_not_for_other_kernels(program):
    """It has been saved without what numba could link: who tries is told."""
    compiled(program)
    twice = new(program)
    assert call(twice) == (NO_WARNING, True)
    with pytest.raises(RuntimeError, match="unfit for linking"):
        numba.njit(lambda x: 1.0 + twice(x))(1.5)


def test_a_full_disk_stops_nothing(program, monkeypatch):
    def full(files, path):
        raise OSError(errno.ENOSPC, "No space left on device", path)

    with monkeypatch.context() as patch:
        patch.setattr(CheckedFiles, "_open_for_write", full)
        told, found = call(new(program))
        assert not found
        assert len(told) == 1
        assert str(program.parent) in told[0]
        assert "No space left on device" in told[0]
        assert call(new(program)) == (NO_WARNING, False)
    compiled(program)


def test_a_folder_that_vanishes_stops_nothing(program):
    folder = compiled(program)[0].parent
    again, once_more = new(program), new(program)
    shutil.rmtree(folder)
    assert call(again) == (NO_WARNING, False)
    assert Path(folder).is_dir()
    shutil.rmtree(folder)
    folder.touch()
    told, _ = call(once_more)
    assert len(told) == 2
    assert all(str(folder) in text for text in told)
