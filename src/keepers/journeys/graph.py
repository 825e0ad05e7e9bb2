"""A journey as a graph: where steps lead, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Literal, NamedTuple

from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import DateEntry, ScheduleEntry
from keepers.journeys.references import refs_in
from keepers.journeys.steps.actions.message import Message
from keepers.journeys.steps.actions.start import Start
from keepers.journeys.steps.actions.webhook import Webhook
from keepers.journeys.steps.flow.delay import Delay
from keepers.journeys.steps.flow.experiment import Experiment
from keepers.journeys.steps.flow.wait import WaitUntil
from keepers.journeys.steps.step import Step
from keepers.model.errors import nearest
from keepers.model.fields import END

__all__ = ["GraphFinding", "check", "reached", "successors"]


class GraphFinding(NamedTuple):
    """Something wrong with a journey. An error keeps it from being published."""

    field: str
    level: Literal["error", "warning"]
    sentence: str


def check(
    journey: Journey,
    messages: Collection[str] | None = None,
    journeys: Collection[str] | None = None,
    pools: Collection[str] | None = None,
) -> list[GraphFinding]:
    """What is wrong with a journey, by its fields. Names are looked up in the collections that are given."""
    places = {step: f"steps[{n}]" for n, step in enumerate(journey.steps)}
    astray = list(_targets(journey, places))
    found = [*astray, *_names(journey, places, messages, journeys, pools), *_refs(journey, places)]
    if astray:
        return found  # where its ways lead is not yet known
    return [*found, *_loops(journey, places), *_unreached(journey, places), *_stuck(journey, places), *_once(journey)]


def _targets(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    for step, ports in journey.routes.items():
        for target in dict.fromkeys(ports.values()):
            if target is not None and target not in journey.steps:
                hint = nearest(target, [*journey.steps, "end"])
                yield GraphFinding(places[step], "error", f"there is no step “{target}” to go to.{hint}")


def _names(
    journey: Journey,
    places: Mapping[str, str],
    messages: Collection[str] | None,
    journeys: Collection[str] | None,
    pools: Collection[str] | None,
) -> Iterator[GraphFinding]:
    for step in journey.steps.values():
        at = places[step.id]
        if isinstance(step, Message):
            yield from _known(step.message, messages, "message", f"{at}.message")
            if step.coupon is not None:
                yield from _known(step.coupon, pools, "pool of coupons", f"{at}.coupon")
        if isinstance(step, Start):
            yield from _known(step.start, journeys, "journey", f"{at}.start")


def _known(name: str, known: Collection[str] | None, kind: str, field: str) -> Iterator[GraphFinding]:
    if known is not None and name not in known:
        yield GraphFinding(field, "error", f"there is no {kind} “{name}”.{nearest(name, known)}")


def _refs(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    """`run.<step>.…` is the answer of a webhook."""
    used = [(_place_of(journey, places, question), path) for question, paths in journey.refs.items() for path in paths]
    used += [(places[s.id], path) for s in journey.steps.values() for path in refs_in(s.values())]
    for place, path in used:
        head, _, rest = path.partition(".")
        step = rest.partition(".")[0]
        if head == "trigger" and rest:
            continue
        if head != "run" or not rest:
            yield GraphFinding(place, "error", f"“{path}” is no value of a run; it begins with “trigger.” or “run.”")
        elif rest not in ("entered_at", "step_entered_at") and not isinstance(journey.steps.get(step), Webhook):
            hint = nearest(step, [s.id for s in journey.steps.values() if isinstance(s, Webhook)])
            yield GraphFinding(place, "error", f"“{path}” needs a webhook step “{step}”, and there is none.{hint}")


def _place_of(journey: Journey, places: Mapping[str, str], question: str) -> str:
    head = question.partition(".")[0]
    named = {"entry": "enter", "exit": "exits"}
    return named.get(head) or places.get(head, head)


def _loops(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    """Ways round that lead through no wait: walked depth first over all steps but the waits."""
    following = successors(journey.routes)
    open_steps = {s.id for s in journey.steps.values() if not _is_wait(s)}
    done: set[str] = set()
    for start in journey.steps:
        path: list[str] = []
        queue: list[tuple[str, bool]] = [(start, True)]
        while queue:
            step, is_entered = queue.pop()
            if not is_entered:
                done.add(path.pop())
            elif step in path:
                ring = " → ".join([*path[path.index(step) :], step])
                yield GraphFinding(
                    places[step], "error", f"a loop without a wait: {ring}. Put a delay, wait or window into it."
                )
            elif step in open_steps and step not in done:
                path.append(step)
                queue.append((step, False))
                queue += [(target, True) for target in following[step]]


def _is_wait(step: Step) -> bool:
    return step.waits and not (isinstance(step, Delay) and step.shortest == timedelta(0))


def _unreached(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    found = reached(journey.routes, [journey.first])
    for step in journey.steps:
        if step not in found:
            yield GraphFinding(places[step], "warning", f"nothing leads to the step “{step}”")


def _stuck(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    """Steps from which the run never ends by itself, in a journey that nothing else ends."""
    if journey.exits or (journey.goal is not None and journey.goal.exit):
        return
    for step in journey.steps.values():
        if isinstance(step, WaitUntil) and step.timeout is None:
            yield GraphFinding(
                places[step.id], "warning", "without a timeout, a goal or an exit this may wait for ever"
            )
    ends = {step for step, ports in journey.routes.items() if not ports or None in ports.values()}
    for there in reached(journey.routes, [journey.first]):
        if not ends & set(reached(journey.routes, [there])):
            yield GraphFinding(places[there], "warning", f"from the step “{there}” on the journey never ends")
            return


def _once(journey: Journey) -> Iterator[GraphFinding]:
    if journey.reentry != "never":
        return
    for n, entry in enumerate(journey.entries):
        if isinstance(entry, ScheduleEntry) or (isinstance(entry, DateEntry) and entry.yearly):
            yield GraphFinding(
                f"enter[{n}]", "warning", "it recurs, and “reentry: never” lets a customer in only once; "
                "write “reentry: after_exit”"
            )  # fmt: skip


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
