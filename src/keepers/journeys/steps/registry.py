"""Every journey step by its head. A new step is one new file beside this one."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from keepers.journeys import steps as package
from keepers.journeys.steps.base import Step

ORDER = (
    "message", "delay", "wait", "window", "branch", "split", "experiment",
    "update", "emit", "webhook", "start", "jump", "exit",
)  # fmt: skip
"""how a palette lists them; any other comes after, by name"""


def _found() -> dict[str, type[Step]]:
    for module in iter_modules(package.__path__):
        if module.name != "registry":
            import_module(f"{package.__name__}.{module.name}")
    found = {kind.head: kind for kind in Step.__subclasses__()}
    heads = sorted(found, key=lambda head: (ORDER.index(head) if head in ORDER else len(ORDER), head))
    return {head: found[head] for head in heads}


STEPS: dict[str, type[Step]] = _found()
