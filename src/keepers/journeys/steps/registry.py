"""Every journey step by its head. A new step is one new file in flow/ or actions/."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from keepers.journeys.steps import actions, flow
from keepers.journeys.steps.step import Step
from keepers.model.plug_ins import classes_of

ORDER = (
    "message", "delay", "wait", "window", "branch", "split", "experiment",
    "update", "emit", "webhook", "start", "jump", "exit",
)  # fmt: skip
"""the order of a palette; others come after, by name"""

_found: dict[str, type[Step]] = {}
STEPS: Mapping[str, type[Step]] = MappingProxyType(_found)
"""head → the step"""


def discover() -> None:
    """Reads the two folders again and fills `STEPS`."""
    kinds = {kind.head: kind for folder in (actions, flow) for kind in classes_of(folder, Step)}  # type: ignore[type-abstract]
    _found.clear()
    for head in sorted(kinds, key=lambda head: (ORDER.index(head) if head in ORDER else len(ORDER), head)):
        _found[head] = kinds[head]


discover()
