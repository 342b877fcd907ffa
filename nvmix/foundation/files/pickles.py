"""Pickles that name the package and not its modules, which may move."""

import copyreg
import sys
from types import ModuleType
from typing import Any


def package() -> ModuleType:
    """The package, whose names last where its modules move."""
    return sys.modules[__name__.partition(".")[0]]


class PublicPickle:
    """Base of public classes, which pickle finds by their names in the package."""

    def _is_public(self) -> bool:
        """Whether the package has the class under its name."""
        return getattr(package(), type(self).__name__, None) is type(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: by the name in the package; of a class of your own by its module."""
        cls, state = type(self), self.__getstate__()
        if self._is_public():
            return package()._unpickled, (cls.__name__,), state  # noqa: SLF001
        return copyreg.__newobj__, (cls,), state  # type: ignore[attr-defined]
