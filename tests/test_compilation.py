"""The compilers of devices and loops, and what becomes of them where numba's internals moved."""

import os
import re
import subprocess
import sys

import numba
import pytest

from nvmix.backends.cpu import numba_internals

# A tree of devices, which prints and raises with values: both go through environments.
PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
{before}
from nvmix.backends.cpu import jit
from nvmix.backends.cpu.kernels.bessel.gamma import digamma

@jit.device
def inner(x):
    if x < 0.0:
        raise ValueError("x is", x)
    print("inner", x)
    return digamma(x)

@jit.reducing_device
def outer(x):
    return inner(x) + inner(x + 1.0)

@jit.entry
def once(x):
    return outer(x)

@jit.loop
def twice(x):
    return outer(x), outer(2.0 * x)

print(once(1.5).hex(), *map(float.hex, twice(1.5)))
try:
    once(-1.0)
except ValueError as error:
    print(error)
"""
COMPILERS = """
print(*(type(f.overloads[f.signatures[0]].library).__name__ for f in (inner, outer, once, twice)))
"""
# The parameter that numba does not have stands for any change of its internals.
MOVED = """
from numba.core.{module} import {owner}
def moved(self, *arguments, as_ever=True, plain={owner}.{name}):
    return plain(self, *arguments)
{owner}.{name} = moved
"""
OF_DEVICES = MOVED.format(module="cpu", owner="CPUContext", name="get_executable")
OF_LOOPS = MOVED.format(module="compiler", owner="Compiler", name="define_pipelines")
DEVICE, LOOP, PLAIN = "_DeviceLibrary", "_PrivateLibrary", "JITCodeLibrary"


def _lines(program, **environment):
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | environment, timeout=300,
    )  # fmt: skip
    return run.stdout.splitlines()


def test_numbas_internals_are_where_the_compilers_expect_them():
    moved = numba_internals.moved(numba_internals.DEVICES)
    assert not moved, (
        f"numba {numba.__version__} moved what nvmix/backends/cpu/linkage.py relies on; kernels "
        "compile by its own pipeline, in twice the time, until _linkage.py and numba_internals.py "
        "follow: " + "; ".join(moved)
    )


def test_moved_internals_do_no_harm():
    ours = _lines(PROGRAM.format(before="") + COMPILERS)
    devices = _lines(PROGRAM.format(before=OF_DEVICES) + COMPILERS)
    loops = _lines(PROGRAM.format(before=OF_LOOPS) + COMPILERS)
    assert ours[-1].split() == [DEVICE, DEVICE, LOOP, LOOP]
    assert devices[-1].split() == [PLAIN, PLAIN, LOOP, LOOP]
    assert loops[-1].split() == [PLAIN] * 4
    assert ours[:-1] == devices[:-1] == loops[:-1]
    assert ours[-2].startswith("('x is', -1.0")
    assert len(ours) == 9


def test_without_compilation_python_runs():
    plain = _lines(PROGRAM.format(before="").replace("digamma(x)", "x"), NUMBA_DISABLE_JIT="1")
    assert len(plain) == 8


@pytest.mark.parametrize(
    ("module", "name", "parameters", "mentions", "words"),
    [
        ("no_such_module", "f", "", "", "is gone"),
        ("subprocess", "Popen.no_such_method", "self", "", "is gone"),
        ("subprocess", "PIPE", "", "", "is gone"),
        ("subprocess", "Popen.poll", "self more", "", r"takes \(self\), not \(self more\)"),
        ("subprocess", "Popen.poll", "self", "_internal_poll x", "no more to do with x$"),
    ],
)
def test_what_moved_is_told(module, name, parameters, mentions, words):
    (told,) = numba_internals.moved(((module, name, parameters, mentions),))
    assert told.startswith(f"{module}.{name} ")
    assert re.search(words, told)
