"""What the page of a class shows, and what names in backticks lead to."""

import enum
import importlib
import inspect
import re
from pathlib import Path
from types import FunctionType

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.ext.autosummary import AutoLink

import nvmix

_MODULES = (
    "nvmix",
    "nvmix.distributions",
    "nvmix.diagnostics",
    "nvmix.estimators",
    "nvmix.interop",
)


# What the members of a class are for that families, or laws of Y, inherit from.
_GROUPS = {
    "NormalMixture": "Start and fit",
    "MixtureLaw": "Parameters and density",
    "Univariate": "Parameters and density",
    "SubordinatorLaw": "Density, moments and draws",
    "DistributionFunctions": "Distribution function and quantiles",
    "Moments": "Moments",
    "Draws": "Draws",
    "Transforms": "Portfolios and other derived models",
    "Hidden": "Y given X",
    "Mixture": "Steps of EM",
    "Subordinator": "Parameters, expectations and fit",
    "InTextbooks": "Other parametrisations",
    "Convertible": "Other parametrisations",
    "Storable": "Files",
}


def _members(cls: type) -> list[str]:
    """Public members that nvmix documents, inherited ones too: values, properties, methods."""
    values = list(cls.__members__) if issubclass(cls, enum.Enum) else []
    described = {
        name: isinstance(value, property)
        for base in cls.__mro__
        if base.__module__.startswith("nvmix.")
        for name, value in vars(base).items()
        if isinstance(value, (property, classmethod, staticmethod, FunctionType))
        and not name.startswith("_")
        and inspect.getdoc(getattr(cls, name))
    }
    return values + sorted(described, key=lambda name: (not described[name], name))


def _grouped(cls: type) -> dict[str, list[str]]:
    """Members of a class: its own under no heading, then inherited ones by what they are for."""
    public = {getattr(nvmix, name) for name in nvmix.__all__}
    base = next((base for base in cls.__mro__[1:] if base in public), None)
    groups: dict[str, list[str]] = {"": []} | {heading: [] for heading in _GROUPS.values()}
    for name in _members(cls):
        home = next(parent for parent in cls.__mro__ if name in vars(parent))
        own = home is cls or (base is not None and not issubclass(base, home))
        groups["" if own else _GROUPS.get(home.__name__, "")].append(name)
    return {heading: names for heading, names in groups.items() if names}


def _page(docs: Path, cls: type) -> str:
    """The page that describes a family, or the laws of Y; empty for other classes."""
    page = re.sub(r"(?<=.)(?=[A-Z])", "_", cls.__name__).lower()
    page = "laws_of_y" if issubclass(cls, nvmix.distributions.Subordinator) else page
    return f"/families/{page}" if (docs / "families" / f"{page}.md").exists() else ""


def _list_members(app: Sphinx, config: Config) -> None:
    """Hand the members of each class, and its page, to the templates of autosummary."""
    classes = {
        f"{module}.{name}": value
        for module in _MODULES
        for name in importlib.import_module(module).__all__
        if inspect.isclass(value := getattr(importlib.import_module(module), name))
    }
    config.autosummary_context |= {
        "members_of": {name: _grouped(cls) for name, cls in classes.items()},
        "page_of": {name: _page(Path(app.srcdir), cls) for name, cls in classes.items()},
    }


class _Name(AutoLink):
    """A class of nvmix is found from every module, and other names as in Python."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Link, or emphasis for what is no name."""
        name = self.text.partition(".")[0]
        if name in nvmix.__all__ and name[0].isupper():
            self.text = f"{self.text} <nvmix.{self.text}>"
        return super().run()


def setup(app: Sphinx) -> dict[str, bool]:
    """List members before autosummary writes pages, and take the place of its role."""
    app.setup_extension("sphinx.ext.autosummary")
    app.add_role("autolink", _Name(), override=True)
    app.connect("config-inited", _list_members)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
