"""Journeys from plain data. Mistakes name their field and the remedy."""

from __future__ import annotations

from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

from keepers.conditions import ast
from keepers.conditions.parsing.conditions import Parser
from keepers.contact.rules import PRIORITIES
from keepers.journeys.definition import Goal, Journey, Leaving, Reentry
from keepers.journeys.entry.definitions import ENTRIES, Entry, EventEntry
from keepers.journeys.graph import reachable_messages, resolved
from keepers.journeys.requests import CheckCondition
from keepers.journeys.steps.registry import STEPS
from keepers.journeys.steps.step import Step
from keepers.model.errors import DefinitionError, nearest, problem, shown
from keepers.model.fields import END, JUST_AFTER, duration, join, mapping, one_of, parse_id, text
from keepers.model.identity import Accepted
from keepers.model.structs import read

MAX_STEPS = 500
FIELDS = (
    "id", "name", "description", "enter", "if", "reentry", "max_age", "goal", "exits", "priority", "trust", "steps",
)  # fmt: skip
REENTRY = ("never", "after_exit")


def parse_journey(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Journey:
    """One entry of `journeys:`. Raises DefinitionError naming the field."""
    fields = mapping(data, FIELDS, at)
    steps = _steps(fields.get("steps"), join(at, "steps"))
    entries = _entries(fields.get("enter"), join(at, "enter"))
    goal = _goal(fields["goal"], join(at, "goal")) if fields.get("goal") is not None else None
    exits = _exits(fields.get("exits"), join(at, "exits"))
    routes = resolved(steps)
    conditions = _Conditions(zone)
    for n, entry in enumerate(entries):
        conditions.entry(f"entry.{n}", entry, f"{join(at, 'enter')}[{n}]")
    condition = None
    if fields.get("if") is not None:
        condition = conditions.add("if", fields["if"], join(at, "if"))
    if goal:
        conditions.add("goal", goal.when, join(at, "goal.when"))
    for n, leaving in enumerate(exits):
        conditions.add(f"exit.{n}", leaving.when, f"{join(at, 'exits')}[{n}].when")
    for n, step in enumerate(steps.values()):
        for name, written, field in step.conditions():
            conditions.add(f"{step.id}.{name}", written, f"{join(at, 'steps')}[{n}].{field}")
    refs = {name: tuple(sorted(ast.refs(c))) for name, c in conditions.found.items()}
    return Journey(
        id=parse_id(fields.get("id"), join(at, "id")),
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
        entries=entries,
        condition=condition,
        reentry=_reentry(fields.get("reentry", "never"), join(at, "reentry")),
        max_age=_duration(fields.get("max_age", "72h"), join(at, "max_age")),
        goal=goal,
        exits=exits,
        priority=one_of(fields["priority"], PRIORITIES, join(at, "priority")) if "priority" in fields else "",
        trust=cast(Accepted, one_of(fields["trust"], get_args(Accepted), join(at, "trust")))
        if "trust" in fields
        else None,
        steps=steps,
        routes=routes,
        conditions=conditions.found,
        refs={name: paths for name, paths in refs.items() if paths},
        bound=frozenset(name for name, paths in refs.items() if "run.step_entered_at" in paths),
        reachable=reachable_messages(steps, routes),
        exit_questions=tuple(
            CheckCondition(q) for q in (*(["goal"] if goal else []), *(f"exit.{n}" for n in range(len(exits))))
        ),
    )


def parse_step(data: Any, at: str = "") -> Step:
    """One step. Raises DefinitionError naming the field."""
    if not isinstance(data, dict):
        raise DefinitionError(
            problem("expected a step such as {{id: rest, delay: 3d}}, got {data}", data=shown(data)), field=at
        )
    heads = [key for key in data if key in STEPS]
    if len(heads) > 1:
        raise DefinitionError(
            problem("{names} are two steps; write them one after the other", names=" and ".join(map(str, heads))),
            field=at,
        )
    if not heads:
        others = [key for key in data if key not in ("id", "name", "next")]
        word = str(others[0]) if others else ""
        if not word:
            raise DefinitionError(
                problem("the step does nothing; give it one of {steps}", steps=", ".join(STEPS)), field=at
            )
        raise DefinitionError(problem("“{word}” is no kind of step.", near=nearest(word, STEPS), word=word), field=at)
    step = read(data, STEPS[heads[0]], at)
    if step.id == END:
        raise DefinitionError(problem("“end” is where a run ends; give the step another id"), field=join(at, "id"))
    return step


def _steps(data: Any, at: str) -> dict[str, Step]:
    if not isinstance(data, list) or not data:
        raise DefinitionError(problem("expected a list of steps, such as {{id: hello, message: welcome}}"), field=at)
    if len(data) > MAX_STEPS:
        raise DefinitionError(problem("more than {max_steps} steps in one journey", max_steps=MAX_STEPS), field=at)
    found: dict[str, Step] = {}
    for n, item in enumerate(data):
        step = parse_step(item, f"{at}[{n}]")
        if step.id in found:
            raise DefinitionError(problem("there is already a step “{id}”", id=step.id), field=f"{at}[{n}].id")
        found[step.id] = step
    return found


def _entries(data: Any, at: str) -> tuple[Entry, ...]:
    if not isinstance(data, list) or not data:
        raise DefinitionError(
            problem("expected a list of entries, such as {{event: Signed Up}} or {{api: true}}"), field=at
        )
    return tuple(_entry(item, f"{at}[{n}]") for n, item in enumerate(data))


def _entry(data: Any, at: str) -> Entry:
    # A schedule names the segment it is for, so it is looked for first.
    heads = [head for head in ("schedule", *ENTRIES) if isinstance(data, dict) and head in data]
    if not heads:
        word = str(next(iter(data), "")) if isinstance(data, dict) else str(data)
        raise DefinitionError(
            problem("“{word}” is no kind of entry into a journey.", near=nearest(word, ENTRIES), word=word), field=at
        )
    return read(data, ENTRIES[heads[0]], at)


def _goal(data: Any, at: str) -> Goal:
    return read(data, Goal, at)


def _exits(data: Any, at: str) -> tuple[Leaving, ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise DefinitionError(problem("expected a list such as [{{when: …, reason: bought}}]"), field=at)
    return tuple(read(item, Leaving, f"{at}[{n}]") for n, item in enumerate(data))


def _reentry(data: Any, at: str) -> str | Reentry:
    if isinstance(data, str):
        return one_of(data, REENTRY, at)
    found = read(data, Reentry, at)
    if (found.after is None) == (found.per is None):
        raise DefinitionError(
            problem("write never, after_exit, {{after: 30d}} or {{per: a property of the trigger}}"), field=at
        )
    if found.after is not None:
        _duration(found.after, join(at, "after"))
    return found


def _duration(data: Any, at: str) -> str:
    duration(data, at)
    return str(data)


class _Conditions:
    """Reads a journey's conditions by their names."""

    def __init__(self, zone: ZoneInfo | None) -> None:
        self.parser = Parser(zone, refs=True)
        self.found: dict[str, ast.Condition] = {}

    def add(self, name: str, written: Any, at: str) -> ast.Condition:
        self.found[name] = self.parser.condition(written, at)
        return self.found[name]

    def entry(self, name: str, entry: Entry, at: str) -> None:
        """An event's `where`, tested on the trigger itself: of what came at its very instant."""
        match entry:
            case EventEntry(event, where) if where:
                instant = [{"ref": "trigger.time"}, {"ref": "trigger.time", "offset": JUST_AFTER}]
                self.add(name, {"did": event, "where": where, "between": instant}, at)
            case _:
                pass
