"""What the page of a class shows, and what names in backticks lead to."""

import enum
import importlib
import inspect
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


def _list_members(_app: Sphinx, config: Config) -> None:
    """Hand the members of each class to the templates of autosummary."""
    config.autosummary_context["members_of"] = {
        f"{module}.{name}": _members(value)
        for module in _MODULES
        for name in importlib.import_module(module).__all__
        if inspect.isclass(value := getattr(importlib.import_module(module), name))
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
