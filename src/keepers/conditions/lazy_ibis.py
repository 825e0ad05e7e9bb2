"""Ibis, loaded when something of it is first used: most commands read definitions, and few compile a condition.

`from keepers.conditions.lazy_ibis import ibis` stands for `import ibis`. What a module makes at its top must not use
it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis
else:

    class LazyLibrary:
        """Stands for a module. Python's own lock makes one thread load it while others wait."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            found = getattr(import_module(self._name), attribute)
            setattr(self, attribute, found)
            return found

    ibis = LazyLibrary("ibis")

__all__ = ["ibis"]
