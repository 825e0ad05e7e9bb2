"""Finding plug-ins: a new one is a new file in its package, and nothing lists it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Every module that is a file of the package itself, imported, by name; files of its sub-packages are not."""
    for found in iter_modules(package.__path__, f"{package.__name__}."):
        if not found.ispkg:
            yield import_module(found.name)


def classes_of(package: ModuleType, base: type[T]) -> Iterator[type[T]]:
    """Every subclass of `base` that a module of the package defines."""
    for module in modules_of(package):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__:
                yield value
