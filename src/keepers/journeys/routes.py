"""Where the ports of steps lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keepers.journeys.steps.base import Step
from keepers.journeys.steps.experiment import Experiment
from keepers.journeys.written import END

Routes = Mapping[str, Mapping[str, str | None]]


def resolved(steps: Mapping[str, Step]) -> dict[str, dict[str, str | None]]:
    """step → port → step: what is not written leads to the following one, the last one's and `end` to None."""
    ids = list(steps)
    routes: dict[str, dict[str, str | None]] = {}
    for n, step in enumerate(steps.values()):
        following = ids[n + 1] if n + 1 < len(ids) else None
        routes[step.id] = {p: None if target == END else target or following for p, target in step.ports().items()}
    return routes


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
