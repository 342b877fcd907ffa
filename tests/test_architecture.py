"""Contracts of the code itself: imports, cache stamp, sizes, laziness."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import warnings
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import nvmix
from nvmix.backends.cpu import jit
from nvmix.backends.cpu.compiler import cache as kernel_cache
from nvmix.backends.cpu.kernels.bessel.quadrature import means

ROOT = Path(nvmix.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
# A module may import from its own layer and from those before it.
LAYERS = (
    "foundation", "sources", "backends", "mixture", "inference", "fitting", "distributions",
    "tools",
)  # fmt: skip
KERNELS = ROOT / "backends" / "cpu" / "kernels"


def _name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in SOURCES}


def _layer(module):
    part = module.split(".")[1] if "." in module else "tools"
    return LAYERS.index(part) if part in LAYERS else len(LAYERS) - 1


@cache
def _nodes(path):
    return list(ast.walk(ast.parse(path.read_text())))


def _imports(path):
    """Modules of the package that a file imports, anywhere in it, for annotations too."""
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("nvmix"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nvmix"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


@cache
def _graph():
    """What each module imports."""
    return {module: set(_imports(path)) - {module} for module, path in MODULES.items()}


@pytest.mark.parametrize("module", MODULES)
def test_layers_only_look_down(module):
    for imported in _graph()[module]:
        assert _layer(imported) <= _layer(module), f"{module} imports {imported}"


def test_there_is_no_circle():
    remaining = {module: set(imported) for module, imported in _graph().items()}
    while leaves := [m for m, imported in remaining.items() if not imported & remaining.keys()]:
        for leaf in leaves:
            del remaining[leaf]
    assert not remaining, f"among {sorted(remaining)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_stand_at_the_top(path):
    """An import of the package inside a function would hide a circle."""
    for node in _nodes(path):
        if isinstance(node, ast.FunctionDef):
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not inner, f"{node.name} imports"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_hold_one_idea(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("folder", sorted({p.parent for p in SOURCES}), ids=str)
def test_folders_are_small_and_stand_in_the_tree(folder):
    assert len(list(folder.glob("*.py"))) <= 13
    contributing = ROOT.parent / "CONTRIBUTING.md"
    if not contributing.exists():
        pytest.skip("the tree is printed in CONTRIBUTING.md, which is not installed")
    tree = contributing.read_text().partition("```text\nnvmix/")[2].partition("```")[0]
    inside = [line.split()[0] for line in tree.splitlines() if line.strip()]
    assert folder == ROOT or f"{folder.name}/" in inside


def test_kernels_import_only_what_the_cache_hashes():
    hashed = {_name(path) for path in kernel_cache.hashed_files()}
    for path in KERNELS.rglob("*.py"):
        # Annotations do not matter to machine code.
        for module in _graph()[_name(path)] - {"nvmix.foundation.typing"}:
            assert module in hashed, f"{path.name} imports {module}"


def test_compiled_files_are_kernels():
    """What numba's decorators compile stands in the folder that the cache hashes."""
    for path in SOURCES:
        if "nvmix.backends.cpu.jit" in _graph()[_name(path)]:
            assert KERNELS in path.parents, path


def test_without_a_writable_cache_kernels_compile_all_the_same(monkeypatch):
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    with pytest.warns(RuntimeWarning, match="set NUMBA_CACHE_DIR"):
        compiled = jit.loop(_doubled)
    assert compiled(3.0) == 6.0


def _doubled(x):
    return 2.0 * x


def test_a_loop_shares_its_kernels_with_no_other(monkeypatch):
    """Of two loops' copies of a kernel, which may round differently, each runs its own."""
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        compiled = jit.entry(_two_means)
    compiled(1.0, 2.0)
    (program,) = compiled.inspect_llvm().values()
    assert "define private" in program
    assert "define linkonce_odr" not in program


def _two_means(x, y):
    return means(x, y)[0] + means(y, x)[0]


@pytest.mark.exhaustive
def test_what_compiles_and_what_loads_give_the_same_bits(tmp_path):
    code = (
        "import sys; from nvmix import NormalInverseGaussian as N; "
        "from nvmix.datasets import load_crude_oil; X, _ = load_crude_oil(); "
        "start = N.default_init(X); "
        "sys.argv[1] == 'all' and (start.rvs(9), start.log_prob(X)); "
        "print(*map(float.hex, start.fit(lambda: [X[:400], X[400:]], tol=1e-9).log_likelihoods))"
    )
    first, loads, others = (
        subprocess.run(
            [sys.executable, "-c", code, what], capture_output=True, text=True, check=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        ).stdout
        for what in ("one", "one", "all")
    )  # fmt: skip
    assert first == loads == others != ""


def test_an_edit_of_any_kernel_recompiles(tmp_path):
    """The cache sees a kernel that nobody has listed, also where an argument's class is gone."""
    package = tmp_path / "nvmix"
    shutil.copytree(ROOT, package, ignore=shutil.ignore_patterns("__pycache__"))
    new = package / "backends/cpu/kernels/em/new_kernel.py"
    new.write_text(_NEW_KERNEL.format(value=2.0, name="Before"))
    entries = package / "backends/cpu/kernels/entry_points.py"
    entries.write_text(entries.read_text() + _NEW_ENTRY)

    def answer():
        code = (
            "from nvmix.backends.cpu.kernels.entry_points import Argument, new_entry;"
            "print(new_entry(Argument(1.0)))"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        )  # fmt: skip
        return float(run.stdout)

    assert answer() == 2.0
    new.write_text(_NEW_KERNEL.format(value=3.0, name="After"))
    assert answer() == 3.0


_NEW_KERNEL = """
from typing import NamedTuple

from nvmix.backends.cpu.jit import device

class {name}(NamedTuple):
    x: float

Argument = {name}

@device
def new_kernel(argument):
    return {value} * argument.x
"""
_NEW_ENTRY = """
from nvmix.backends.cpu.kernels.em.new_kernel import Argument, new_kernel

@entry
def new_entry(argument: Argument) -> float:
    return new_kernel(argument)
"""


def test_import_loads_numpy_only():
    heavy = ["numba", "jax", "scipy", "matplotlib", "pandas"]
    code = f"import sys, nvmix; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_fitting_on_cpu_loads_neither_jax_nor_scipy_stats():
    code = (
        "import sys; from nvmix import NormalInverseGaussian as N; "
        "from nvmix.datasets import load_crude_oil; X, _ = load_crude_oil(); "
        "N.default_init(X).fit(X); "
        "print([m for m in ('jax', 'scipy.stats', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_load():
    for name in nvmix.__all__:
        if name != "utils":
            assert getattr(nvmix, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        nvmix.no_such_name  # noqa: B018


def test_every_loop_is_compiled_for_one_signature():
    from nvmix.backends.cpu.kernels import entry_points
    from nvmix.datasets import load_crude_oil

    X, _ = load_crude_oil()
    model = nvmix.NormalInverseGaussian.default_init(X)
    frozen = X.copy()
    frozen.setflags(write=False)
    for data in (X, frozen, X.astype("f4"), X.T.copy().T, X[::2], X.tolist()):
        model.log_prob(data)
        model.e_step(data)
    assert len(entry_points.e_step_loop.signatures) == 1
    assert len(entry_points.log_prob_loop.signatures) == 1


def test_a_missing_jax_names_the_extra():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "from nvmix.backends import get_backend\n"
        "try:\n    get_backend('jax')\nexcept ImportError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "nvmix[jax]" in run.stdout


def test_an_unknown_backend_lists_those_there_are():
    from nvmix.backends import get_backend

    with pytest.raises(ValueError, match=r"'cpu', 'jax', got 'cuda'"):
        get_backend("cuda")


def test_the_lowest_versions_that_are_tested_are_those_that_are_promised():
    """What .ci/lowest.txt pins is what `>=` says in pyproject.toml, package by package."""
    here = Path(__file__).parents[1]
    if not (here / ".ci").exists():
        pytest.skip("CI is not here")
    settings = tomllib.loads((here / "pyproject.toml").read_text())
    project = settings["project"]
    groups = [
        [text for text in group if isinstance(text, str)]
        for group in settings["dependency-groups"].values()
    ]
    lists = (project["dependencies"], *project["optional-dependencies"].values(), *groups)
    lines = (here / ".ci" / "lowest.txt").read_text().splitlines()
    promised, tested = (
        {
            requirement.name: bound.version
            for requirement in map(Requirement, texts)
            for bound in requirement.specifier
            if bound.operator == operator
        }
        for operator, texts in (
            (">=", [text for texts in lists for text in texts]),
            ("==", [line for line in lines if not line.startswith("#")]),
        )
    )
    assert tested == promised
