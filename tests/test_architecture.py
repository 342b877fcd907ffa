"""Contracts of the code itself: imports, cache stamp, sizes, laziness."""

import ast
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import nvmix
from nvmix.backends.cpu import jit
from nvmix.backends.cpu.kernels.bessel.quadrature import means

ROOT = Path(nvmix.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
# A module may import from its own layer and from those before it.
LAYERS = (
    ("foundation",),
    # Clusters work in one thread of the backend.
    ("sources", "backends"),
    ("mixture", "inference", "special", "datasets"),
    ("fitting",),
    ("distributions",),
    ("utils", "_warm_up", "many", "selection", "cli", "__main__", "__init__"),
)


def _layer(module):
    part = module.split(".")[1] if "." in module else "__init__"
    return next(i for i, names in enumerate(LAYERS) if part in names)


def _runtime_imports(tree):
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            skipped.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nvmix"):
            if node.module == "nvmix.backends.cpu":
                yield node.module
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("nvmix"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_layers_only_look_down(path):
    relative = path.relative_to(ROOT).with_suffix("")
    here = _layer("nvmix." + ".".join(relative.parts))
    for module in _runtime_imports(ast.parse(path.read_text())):
        assert _layer(module) <= here, f"{relative} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_hold_one_idea(path):
    assert len(path.read_text().splitlines()) <= 440


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


def test_the_cache_stamp_is_current():
    from nvmix.backends.cpu import linked_sources
    from nvmix.backends.cpu.kernels import entry_points

    current = linked_sources.linked_sources()
    assert current == entry_points.LINKED_SOURCES, (
        f"set LINKED_SOURCES in entry_points.py to {current!r}"
    )


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
