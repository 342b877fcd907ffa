"""What stands in several files of the package agrees: versions, requirements, Pythons, tools."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import nvmix

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]


def text_of(name):
    """A file that not every copy of the tests has beside it."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path.read_text("utf-8")


def parsed(name):
    yaml = pytest.importorskip("yaml", reason="PyYAML, which Dask needs, is not installed")
    return yaml.safe_load(text_of(name))


def test_the_version_is_the_packages_everywhere():
    assert SETTINGS["tool"]["hatch"]["version"]["path"] == "nvmix/__init__.py"
    assert str(parsed("CITATION.cff")["version"]) == nvmix.__version__
    assert parsed("conda/recipe.yaml")["context"]["version"] == nvmix.__version__


def test_the_recipe_requires_what_the_package_requires():
    recipe = parsed("conda/recipe.yaml")
    python, *packages = recipe["requirements"]["run"]
    assert python.replace("${{ python_min }}", recipe["context"]["python_min"]) == (
        f"python {PROJECT['requires-python']}"
    )
    assert set(map(Requirement, packages)) == set(map(Requirement, PROJECT["dependencies"]))
    (script,) = recipe["build"]["python"]["entry_points"]
    assert script == f"nvmix = {PROJECT['scripts']['nvmix']}"


def test_pre_commit_runs_the_versions_of_the_dependency_group():
    pins = dict(pin.split("==") for pin in SETTINGS["dependency-groups"]["lint"])
    repositories = parsed(".pre-commit-config.yaml")["repos"]
    revisions = {entry["repo"].rpartition("/")[2]: entry["rev"] for entry in repositories}
    for hook, tool in [
        ("ruff-pre-commit", "ruff"),
        ("mirrors-mypy", "mypy"),
        ("rumdl-pre-commit", "rumdl"),
        ("validate-pyproject", "validate-pyproject"),
    ]:
        assert revisions[hook] == f"v{pins[tool]}"


@pytest.mark.parametrize("workflow", ["tests", "release"])
def test_workflows_run_every_python_that_is_promised(workflow):
    start = "Programming Language :: Python :: "
    known = [c.removeprefix(start) for c in PROJECT["classifiers"] if c.startswith(start)]
    promised = [version for version in known if re.fullmatch(r"3\.\d+", version)]
    assert f">={promised[0]}" == PROJECT["requires-python"]
    jobs = parsed(f".github/workflows/{workflow}.yml")["jobs"]
    job = jobs["tests" if workflow == "tests" else "compiled"]
    assert job["strategy"]["matrix"]["python"] == promised


def test_the_readme_is_short_and_has_both_commands():
    text = text_of("README.md")
    assert len(text.splitlines()) <= 120
    # .ci/run takes the first of each from here.
    for command in ("nvmix fit", "pytest"):
        assert re.search(f"^python3 .*{command}", text, re.MULTILINE)
