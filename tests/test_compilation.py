"""The compilers of devices and loops, and what becomes of them where numba's internals moved."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

import nvmix
from nvmix.backends.cpu.compiler import numba_internals, shipped
from nvmix.backends.cpu.compiler.compilation import KERNELS, LATE_KERNELS, announce
from nvmix.backends.cpu.kernels import entry_points
from nvmix.cli import main
from nvmix.foundation.stopwatch import Stopwatch, add_preparation

# Bounds of what a first fit compiles for any x86-64: functions and LLVM instructions; numba 0.68
# has 124 and 13,066, and up to a quarter more for processors with wider vectors.
FUNCTIONS, INSTRUCTIONS = 125, 13_600
GENERIC = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}

# A tree of devices, which prints and raises with values: both go through environments.
PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
{before}
from nvmix.backends.cpu import jit
from nvmix.backends.cpu.compiler import compilation
from nvmix.backends.cpu.kernels.bessel.gamma import digamma
from nvmix.backends.cpu.kernels.gig.moments import gig_moments

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

@jit.entry
def by_slot(p):
    return gig_moments(p, 1.0, 2.0)

print(once(1.5).hex(), *map(float.hex, twice(1.5)))
{slot}
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
OF_LATE = MOVED.format(module="callconv", owner="CPUCallConv", name="return_status_propagate")
OF_LOOPS = MOVED.format(module="compiler", owner="Compiler", name="define_pipelines")
DEVICE, OUTLINED, LOOP = "_DeviceLibrary", "_OutlinedLibrary", "_PrivateLibrary"
PLAIN = "JITCodeLibrary"
SLOT = "print(*map(float.hex, by_slot(-0.3)), len(compilation.LATE_KERNELS) > 0)"
# What a first fit and its first variates compile.
FIRST = """
import json, re
from numba.core import event
names = []
class Listener(event.Listener):
    def on_start(self, event):
        names.append(event.data["dispatcher"].py_func.__qualname__)
    def on_end(self, event):
        pass
event.register("numba:compile", Listener())
import numpy as np
from nvmix import NormalInverseGaussian
from nvmix.backends.cpu.compiler.compilation import KERNELS
X = np.random.default_rng(0).standard_t(4, size=(5000, 3))
NormalInverseGaussian.default_init(X).fit(X).model.rvs(10, 1)
code = "".join(text for kernel in KERNELS for text in kernel.inspect_llvm().values())
print(json.dumps([names, len(re.findall("^  ", code, re.MULTILINE))]))
"""
# A process that finds all it needs in the cache, and then compiles something else.
WARM = """
import json, sys
import numpy as np, nvmix
nvmix.fit(np.random.default_rng(0).standard_t(4, size=(300, 2)))
slow = "numba.np.npyimpl", "numba.typed.typeddict", "scipy.linalg", "scipy.special"
print(json.dumps([name for name in slow if name in sys.modules]))
import numba
print(numba.njit(lambda x: (2.0 * x).sum())(np.ones(3)))
"""


def _lines(program, **environment):
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | environment, timeout=300,
    )  # fmt: skip
    return run.stdout.splitlines()


def test_numbas_internals_are_where_the_compilers_expect_them():
    moved = numba_internals.moved(numba_internals.DEVICES)
    assert not moved, (
        f"numba {numba.__version__} moved what compiler/linkage.py relies on; kernels "
        "compile by its own pipeline, in twice the time, until linkage.py and numba_internals.py "
        "follow: " + "; ".join(moved)
    )


def test_numbas_internals_are_where_late_kernels_expect_them():
    moved = numba_internals.moved(numba_internals.LATE)
    assert not moved, (
        f"numba {numba.__version__} moved what compiler/late.py relies on; each loop has "
        "its own copies of late kernels, until late.py follows: " + "; ".join(moved)
    )


def test_numbas_internals_are_where_loading_expects_them():
    moved = numba_internals.moved(numba_internals.LOADING)
    assert not moved, (
        f"numba {numba.__version__} moved what compiler/loading.py relies on; a process that finds "
        "its kernels compiled starts half as fast, until loading.py follows: " + "; ".join(moved)
    )


def test_code_of_the_cache_needs_no_compiler():
    """Nor the rest of SciPy, and kernels that are compiled afterwards find theirs."""
    nvmix.fit(np.random.default_rng(0).standard_t(4, size=(300, 2)))
    (loaded, compiled) = _lines(WARM)
    assert json.loads(loaded) == []
    assert float(compiled) == 6.0


@pytest.mark.exhaustive
def test_moved_internals_do_no_harm():
    ours = _lines(PROGRAM.format(before="", slot=SLOT) + COMPILERS)
    devices = _lines(PROGRAM.format(before=OF_DEVICES, slot=SLOT) + COMPILERS)
    loops = _lines(PROGRAM.format(before=OF_LOOPS, slot=SLOT) + COMPILERS)
    late = _lines(PROGRAM.format(before=OF_LATE, slot=SLOT) + COMPILERS)
    slot = next(i for i, line in enumerate(ours) if line.endswith("True"))
    assert late.pop(slot) == ours.pop(slot).replace("True", "False")
    assert devices.pop(slot) == loops.pop(slot)
    assert late == ours
    assert ours[-1].split() == [DEVICE, OUTLINED, LOOP, LOOP]
    assert devices[-1].split() == [PLAIN, PLAIN, LOOP, LOOP]
    assert loops[-1].split() == [PLAIN] * 4
    assert ours[:-1] == devices[:-1] == loops[:-1]
    assert ours[-2].startswith("('x is', -1.0")
    assert len(ours) == 9


def test_without_compilation_python_runs():
    program = PROGRAM.format(before="", slot="").replace("digamma(x)", "x")
    assert len(_lines(program, NUMBA_DISABLE_JIT="1")) == 8


def test_without_compilation_the_backend_says_what_it_cannot_do():
    program = """
from nvmix.backends import get_backend
try:
    get_backend("cpu")
except RuntimeError as error:
    print(error)
"""
    (line,) = _lines(program, NUMBA_DISABLE_JIT="1")
    assert line.startswith("NUMBA_DISABLE_JIT=1 ")


@pytest.mark.exhaustive
def test_a_first_fit_compiles_little(tmp_path):
    names, instructions = json.loads(_lines(FIRST, NUMBA_CACHE_DIR=str(tmp_path), **GENERIC)[-1])
    # Solvers, closed forms at tiny arguments and careful densities are not among them.
    assert not {"gig_solve", "small_moments", "small_covariance", "fill_beyond"} & {*names}
    # Time is about proportional to both.
    assert len(names) <= FUNCTIONS
    assert instructions <= INSTRUCTIONS


def test_an_interrupt_waits_for_a_late_kernel():
    compiled = entry_points.gig_moments_entry
    kernel = next(kernel for kernel in LATE_KERNELS.values() if kernel.compiled is compiled)
    kernel.compile()
    address, attempts = kernel._slot[0], []

    class Interrupted:
        overloads = compiled.overloads

        def compile(self, arguments):
            attempts.append(arguments)
            if len(attempts) == 1:
                raise KeyboardInterrupt

    kernel._slot[0], kernel.compiled = None, Interrupted()
    # Background jobs of a shell ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            kernel.compile()
        assert len(attempts) == 2
        assert kernel._slot[0] == address
    finally:
        signal.signal(signal.SIGINT, before)
        kernel._slot[0], kernel.compiled = address, compiled


def test_warm_up_compiles_all_that_fits_use():
    nvmix.warm_up()
    assert nvmix.warm_up() == []
    unused = {kernel.__name__ for kernel in KERNELS if not kernel.overloads}
    # These are of quasi-Newton solves alone, where they have not been compiled by another test.
    assert unused <= {"gig_boundary", "gig_objective_entry"}


@pytest.mark.parametrize(("seconds", "terminal"), [(8.0, True), (1.0, True), (8.0, False)])
def test_who_waits_is_told_on_a_terminal(seconds, terminal, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    announce(seconds)
    told = "nvmix: compiling for this machine, once; about 8 seconds\n"
    assert capsys.readouterr().err == (told if terminal and seconds > 2.0 else "")


def test_compilation_is_no_part_of_a_fits_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    watch = Stopwatch()
    now[0] = 103.0
    assert watch.seconds == 3.0
    begin, now[0] = now[0], 110.0
    add_preparation(begin)
    now[0] = 111.0
    assert watch.seconds == 4.0


def test_numbas_compilation_is_measured():
    watch = Stopwatch()
    begin = time.perf_counter()
    numba.njit(lambda x: x + 1.0)(1.0)
    passed = time.perf_counter() - begin
    assert watch.seconds < passed


def test_the_console_script_is_the_command_line():
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    module, function = tomllib.loads(text)["project"]["scripts"]["nvmix"].split(":")
    assert getattr(importlib.import_module(module), function) is main


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


def _doubled(x):
    return 2.0 * x


def test_shipped_kernels_are_those_that_were_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    monkeypatch.setattr(shipped, "has_level", lambda: True)
    shipped._hashes.cache_clear()
    context = cpu_target.target_context
    compiled = numba.njit(_doubled)
    compiled(1.0)
    (arguments,) = compiled.overloads
    files = shipped.ShippedCache(_doubled, "hash")
    assert files.load_overload(arguments, context) is None
    files.save_overload(arguments, compiled.overloads[arguments])
    assert files.load_overload(arguments, context) is None
    hashes = {path.name: shipped.sha256(path) for path in tmp_path.iterdir()}
    (tmp_path / shipped.HASHES).write_text(json.dumps(hashes))
    shipped._hashes.cache_clear()
    assert files.load_overload(arguments, context).signature.args == arguments
    assert shipped.ShippedCache(_doubled, "other").load_overload(arguments, context) is None
    (code,) = tmp_path.glob("*.nbc")
    code.write_bytes(code.read_bytes() + b"x")
    assert files.load_overload(arguments, context) is None
    shipped._hashes.cache_clear()


def test_shipped_kernels_are_not_for_a_processor_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
    assert not shipped.has_level.__wrapped__()
