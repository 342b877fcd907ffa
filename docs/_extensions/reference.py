"""What the page of a class shows: public members that nvmix documents, inherited ones too."""

import enum
import importlib
import inspect
from types import FunctionType

from sphinx.application import Sphinx
from sphinx.config import Config

_MODULES = (
    "nvmix",
    "nvmix.distributions",
    "nvmix.diagnostics",
    "nvmix.estimators",
    "nvmix.interop",
)


def _members(cls: type) -> list[str]:
    """Names of the members of an enumeration, then of properties, then of methods."""
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


def setup(app: Sphinx) -> dict[str, bool]:
    """List before autosummary writes pages."""
    app.connect("config-inited", _list_members)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
