"""What the page of a class shows: public members that nvmix documents, inherited ones too."""

import enum
import importlib
import inspect
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from nvmix import Status

_MODULES = ("nvmix", "nvmix.distributions", "nvmix.diagnostics", "nvmix.estimators", "nvmix.interop")


def _members(cls: type) -> list[str]:
    """Names of the members of an enumeration, then of properties, then of methods."""
    values = list(cls.__members__) if issubclass(cls, enum.Enum) else []
    described = {
        member.name: member.kind
        for member in inspect.classify_class_attrs(cls)
        if not member.name.startswith("_")
        and member.defining_class.__module__.startswith("nvmix.")
        and member.kind in ("property", "method", "class method", "static method")
        and inspect.getdoc(member.object)
    }
    return values + sorted(described, key=lambda name: (described[name] != "property", name))


def _list_members(_app: Sphinx, config: Config) -> None:
    """Hand the members of each class to the templates of autosummary."""
    config.autosummary_context["members_of"] = {
        f"{module}.{name}": _members(value)
        for module in _MODULES
        for name in importlib.import_module(module).__all__
        if inspect.isclass(value := getattr(importlib.import_module(module), name))
    }


def _message(_app: Any, _what: str, _name: str, value: Any, _options: Any, doc: list[str]) -> None:
    """A status is described by its message."""
    if isinstance(value, Status):
        doc[:] = [value.message, ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen to autosummary and autodoc."""
    app.connect("config-inited", _list_members)
    app.connect("autodoc-process-docstring", _message)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
