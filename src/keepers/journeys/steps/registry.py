"""Every journey step by its head. A new step is one new file in flow/ or actions/."""

from __future__ import annotations

from importlib import import_module
from pkgutil import walk_packages

from keepers.journeys import steps as package
from keepers.journeys.steps.step import Step

ORDER = (
    "message", "delay", "wait", "window", "branch", "split", "experiment",
    "update", "emit", "webhook", "start", "jump", "exit",
)  # fmt: skip
"""how a palette lists them; any other comes after, by name"""


def _found() -> dict[str, type[Step]]:
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        if module.name != __name__:
            import_module(module.name)
    found = {kind.head: kind for kind in Step.__subclasses__()}
    heads = sorted(found, key=lambda head: (ORDER.index(head) if head in ORDER else len(ORDER), head))
    return {head: found[head] for head in heads}


STEPS: dict[str, type[Step]] = _found()
