#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""Tasks of developers, each in an environment of its own: nox -s NAME, or nox -l for a list.

What follows -- goes to pytest or to asv: nox -s tests -- tests/test_em.py
"""

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.needs_version = ">=2025.2.9"

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
FAST = ROOT / ".ci" / "fast.txt"
EXTRAS = ".[test,plot,jax,sklearn]"


def group(name: str) -> list[str]:
    """Requirements of a dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite, on every Python that is here."""
    session.install(EXTRAS)
    options = session.posargs or ["-n", "2", "--dist", "loadfile"]
    session.run("python", "-m", "pytest", *options)


@nox.session(python=PYTHONS[0], default=False)
def lowest(session: nox.Session) -> None:
    """The fast part of the tests with the lowest versions that pyproject.toml allows."""
    session.install("-c", ".ci/lowest.txt", EXTRAS)
    session.run("python", "-m", "pytest", *(session.posargs or FAST.read_text("utf-8").split()))


@nox.session(name="no-jax", default=False)
def no_jax(session: nox.Session) -> None:
    """The fast part of the tests without JAX."""
    session.install(".[test,plot,sklearn]")
    session.run("python", "-m", "pytest", *(session.posargs or FAST.read_text("utf-8").split()))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, what sp-repo-review asks of a package, and links of the pages at the top."""
    session.install("-e", ".", *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("repo-review", "--show", "err", ".")
    session.run("rumdl", "check", *(path.name for path in ROOT.glob("*.md")))


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The site, in docs/_build/html."""
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session(default=False)
def doctest(session: nox.Session) -> None:
    """The examples of docstrings, of the pages of the site and of the README."""
    session.install("-e", ".[test,docs]")
    session.run("python", "-m", "pytest", "--doctest-modules", "nvmix")
    session.run("python", "-m", "pytest", "--doctest-glob=*.md", "README.md", "docs")


@nox.session(default=False)
def site(session: nox.Session) -> None:
    """A browser's view of the site that `docs` has built; needs Chromium."""
    session.install(".[test]", *group("site"))
    session.run("python", "-m", "pytest", "-m", "site", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Every benchmark, briefly: nox -s bench -- --bench fits."""
    session.install(".[test,plot,jax]", *group("bench"))
    session.chdir("asv_benchmarks")
    session.run("asv", "machine", "--yes")
    session.run("asv", "run", "--quick", "--python=same", "--show-stderr", *session.posargs)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Sdist and wheel, in dist/, checked, and the wheel in an environment without anything else."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.install(*group("build"))
    session.run("python", "-m", "build")
    files = [str(path) for path in (ROOT / "dist").iterdir()]
    session.run("twine", "check", "--strict", *files)
    session.install(*(path for path in files if path.endswith(".whl")))
    session.chdir(session.create_tmp())
    session.run("nvmix", "fit", "--family", "all")
    session.run("nvmix", "info")


if __name__ == "__main__":
    nox.main()
