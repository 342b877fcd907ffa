"""What lets a process fork while its other threads work: the child must not find a lock taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, Protocol, Self, TypeVar, overload

V = TypeVar("V")


class Lock(Protocol):
    """A lock of any kind."""

    def acquire(self) -> Any:
        """Wait until it is free, and take it."""

    def release(self) -> None:
        """Free it."""


def hold_in_forks(lock: Lock) -> None:
    """Have every fork wait until the lock is free: then what it guards is complete in the child.

    Its own thread must be able to take it again. A thread that has it must wait for no lock that is
    held in forks and was registered after it.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )


class LazyProperty(Generic[V]):
    """A property that is computed at its first use and then an attribute of the instance.

    On Python 3.11 `functools.cached_property` holds one lock for all instances while it computes,
    which a child that is forked meanwhile would wait for. Without it two threads may compute the
    same value.
    """

    def __init__(self, function: Callable[[Any], V]) -> None:
        self.function = function
        self.name = function.__name__
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> V: ...
    def __get__(self, instance: object | None, owner: type) -> Self | V:
        """Compute the value, which then hides this property, or return the property of a class."""
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.function(instance)
        return value
