"""A journey as a graph: where steps lead, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keepers.journeys.steps.base import Step
from keepers.journeys.steps.experiment import Experiment

Routes = Mapping[str, Mapping[str, str | None]]


def successors(routes: Routes) -> dict[str, tuple[str, ...]]:
    """step → the steps it can lead to, each once, in the order of its ports."""
    return {step: tuple(dict.fromkeys(t for t in ports.values() if t is not None)) for step, ports in routes.items()}


def reached(routes: Routes, starts: Iterable[str | None]) -> dict[str, None]:
    """The steps that can be reached from some, themselves included, nearest first."""
    following = successors(routes)
    found = {step: None for step in starts if step is not None and step in following}
    for step in (queue := list(found)):
        for target in following[step]:
            if target in following and target not in found:
                found[target] = None
                queue.append(target)
    return found


def reachable_messages(steps: Mapping[str, Step], routes: Routes) -> dict[str, tuple[str, ...]]:
    """experiment → every message that one of its arms can lead to."""
    found = {}
    for step in steps.values():
        if isinstance(step, Experiment):
            arms = [target for port, target in routes[step.id].items() if port != "otherwise"]
            found[step.id] = tuple(dict.fromkeys(m for s in reached(routes, arms) for m in steps[s].messages()))
    return found
