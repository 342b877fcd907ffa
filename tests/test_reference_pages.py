"""The reference of the site has a page for each public name, and each name stands there once."""

import importlib
import re
from pathlib import Path

import pytest

import nvmix

PAGES = Path(__file__).parents[1] / "docs" / "api"
MODULES = (
    "nvmix", "nvmix.backends", "nvmix.datasets", "nvmix.diagnostics", "nvmix.distributions",
    "nvmix.estimators", "nvmix.fitting", "nvmix.interop", "nvmix.risk", "nvmix.special",
    "nvmix.utils.plotting",
)  # fmt: skip
_MODULE = re.compile(r"^\.\. (?:currentmodule|automodule):: (\S+)$", re.MULTILINE)
_NAMES = re.compile(r"\.\. autosummary::\n(?:   :.*\n)*\n((?:   \S+\n)+)")


@pytest.fixture(scope="module")
def listed():
    """Full names of all that the tables of the reference list."""
    names = []
    for page in PAGES.glob("*.md"):
        text = page.read_text("utf-8")
        for table in _NAMES.finditer(text):
            module = _MODULE.findall(text[: table.start()])[-1]
            names += [f"{module}.{name}" for name in table[1].split()]
    return names


@pytest.mark.parametrize("module", MODULES)
def test_each_public_name_has_a_page(listed, module):
    public = set(importlib.import_module(module).__all__)
    if module == "nvmix":
        public -= {name.split(".")[1] for name in MODULES if "." in name}
    elif module in ("nvmix.distributions", "nvmix.fitting"):  # nearly all are names of nvmix, too
        public -= set(nvmix.__all__)
    missing = {f"{module}.{name}" for name in public} - set(listed)
    assert missing == set()


def test_no_name_has_two_pages_or_does_not_exist(listed):
    assert len(listed) == len(set(listed))
    for name in listed:
        module, _, attribute = name.rpartition(".")
        assert attribute in importlib.import_module(module).__all__, name


def test_each_page_is_in_the_contents():
    contents = (PAGES / "index.md").read_text("utf-8").split("```{toctree}")[1].split()
    assert {page.stem for page in PAGES.glob("*.md")} - {"index"} <= set(contents)
