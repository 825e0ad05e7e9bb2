"""A journey as a graph: where steps lead, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from keepers.i18n.findings import Sentence, sentence, with_nearest
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import DateEntry, ScheduleEntry
from keepers.journeys.references import refs_in
from keepers.journeys.steps.step import Step
from keepers.model.fields import END

__all__ = ["GraphFinding", "check", "reached", "successors"]


class GraphFinding(NamedTuple):
    """A mistake in a journey. An error keeps it from being applied."""

    field: str
    level: Literal["error", "warning"]
    sentence: Sentence


def check(
    journey: Journey,
    messages: Collection[str] | None = None,
    journeys: Collection[str] | None = None,
    pools: Collection[str] | None = None,
) -> list[GraphFinding]:
    """What is wrong with a journey, by its fields. Names are looked up in the collections that are given."""
    places = {step: f"steps[{n}]" for n, step in enumerate(journey.steps)}
    astray = list(_targets(journey, places))
    known = {"message": messages, "journey": journeys, "coupon": pools}
    found = [*astray, *_names(journey, places, known), *_refs(journey, places)]
    if astray:
        return found  # the routes are not complete
    return [*found, *_loops(journey, places), *_unreached(journey, places), *_stuck(journey, places), *_once(journey)]


def _targets(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    for step, ports in journey.routes.items():
        for target in dict.fromkeys(ports.values()):
            if target is not None and target not in journey.steps:
                remark = with_nearest(sentence("unknown_step", name=target), target, [*journey.steps, "end"])
                yield GraphFinding(places[step], "error", remark)


_UNKNOWN = {"message": "unknown_message", "journey": "unknown_journey", "coupon": "unknown_pool"}


def _names(
    journey: Journey, places: Mapping[str, str], known: Mapping[str, Collection[str] | None]
) -> Iterator[GraphFinding]:
    for step in journey.steps.values():
        for kind, name, field in step.references():
            yield from _known(name, known[kind], _UNKNOWN[kind], f"{places[step.id]}.{field}")


def _known(name: str, known: Collection[str] | None, code: str, field: str) -> Iterator[GraphFinding]:
    if known is not None and name not in known:
        yield GraphFinding(field, "error", with_nearest(sentence(code, name=name), name, known))


def _refs(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    """`run.<step>.…` is the answer that a step stores, such as a webhook's."""
    answering = [step.id for step in journey.steps.values() if step.has_answer]
    used = [(_place_of(journey, places, question), path) for question, paths in journey.refs.items() for path in paths]
    used += [(places[s.id], path) for s in journey.steps.values() for path in refs_in(s.values())]
    for place, path in used:
        head, _, rest = path.partition(".")
        step = rest.partition(".")[0]
        if head == "trigger" and rest:
            continue
        if head != "run" or not rest:
            yield GraphFinding(place, "error", sentence("not_run_value", path=path))
        elif rest not in ("entered_at", "step_entered_at") and step not in answering:
            remark = with_nearest(sentence("needs_answer", path=path, step=step), step, answering)
            yield GraphFinding(place, "error", remark)


def _place_of(journey: Journey, places: Mapping[str, str], question: str) -> str:
    head = question.partition(".")[0]
    named = {"entry": "enter", "exit": "exits"}
    return named.get(head) or places.get(head, head)


def _loops(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    """Loops without a wait: walked depth first over all steps but the waits."""
    following = successors(journey.routes)
    open_steps = {s.id for s in journey.steps.values() if not s.breaks_loop()}
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
                yield GraphFinding(places[step], "error", sentence("loop", ring=ring))
            elif step in open_steps and step not in done:
                path.append(step)
                queue.append((step, False))
                queue += [(target, True) for target in following[step]]


def _unreached(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    found = reached(journey.routes, [journey.first])
    for step in journey.steps:
        if step not in found:
            yield GraphFinding(places[step], "warning", sentence("unreached_step", step=step))


def _stuck(journey: Journey, places: Mapping[str, str]) -> Iterator[GraphFinding]:
    """Steps from which the run never ends by itself, in a journey without goal and exits."""
    if journey.exits or (journey.goal is not None and journey.goal.exit):
        return
    for step in journey.steps.values():
        if step.may_wait_forever():
            yield GraphFinding(places[step.id], "warning", sentence("endless_wait"))
    ends = {step for step, ports in journey.routes.items() if not ports or None in ports.values()}
    for there in reached(journey.routes, [journey.first]):
        if not ends & set(reached(journey.routes, [there])):
            yield GraphFinding(places[there], "warning", sentence("endless", step=there))
            return


def _once(journey: Journey) -> Iterator[GraphFinding]:
    if journey.reentry != "never":
        return
    for n, entry in enumerate(journey.entries):
        if isinstance(entry, ScheduleEntry) or (isinstance(entry, DateEntry) and entry.yearly):
            yield GraphFinding(f"enter[{n}]", "warning", sentence("recurs_once"))


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
    """experiment → every message that one of its arms can lead to; so of any step with exposing ports."""
    found = {}
    for step in steps.values():
        if ports := step.exposing_ports():
            ways = [routes[step.id][port] for port in ports]
            found[step.id] = tuple(dict.fromkeys(m for s in reached(routes, ways) for m in steps[s].messages()))
    return found
