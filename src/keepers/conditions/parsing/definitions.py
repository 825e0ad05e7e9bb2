"""Definitions from plain data: derived events, segments, lifecycles. Errors name their field."""

from __future__ import annotations

from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

from keepers.conditions.definitions import DerivedEvent, Lifecycle, Segment, Source, Stage, Unless
from keepers.conditions.message_events import by_people
from keepers.conditions.parsing.conditions import Parser
from keepers.conditions.parsing.operands import text_of
from keepers.model.errors import DefinitionError, problem
from keepers.model.fields import Kind, duration, join, mapping, one_of, parse_id, text, texts
from keepers.model.identity import Accepted

MAX_SOURCES = 400
_SOURCE_KEYS = ("from", "where", "unless", "value", "times", "within")
_STAGE_TEXTS = ("needs", "signals", "touchpoints", "metrics")


def parse_derived(data: Any, zone: ZoneInfo | None = None, at: str = "") -> DerivedEvent:
    """One entry of `events:`. A single source may stand at the top, several under `any`."""
    fields = mapping(data, ("id", "name", "description", "per", "any", *_SOURCE_KEYS), at)
    several = fields.get("any")
    if several is not None and (not isinstance(several, list) or not several or "from" in fields):
        raise DefinitionError(problem("write either “from” or a list of sources under “any”"), field=join(at, "any"))
    entries = several if several is not None else [{k: fields[k] for k in _SOURCE_KEYS if k in fields}]
    sources: list[Source] = []
    for n, entry in enumerate(entries):
        sources += _sources(entry, zone, join(at, f"any[{n}]") if several is not None else at)
    if len(sources) > MAX_SOURCES:
        raise DefinitionError(
            problem("made of more than {max_sources} events", max_sources=MAX_SOURCES),
            field=join(at, "any" if several else "from"),
        )
    if fields.get("per", "day") != "day":
        raise DefinitionError(problem("only “per: day” is known"), field=join(at, "per"))
    return DerivedEvent(
        id=text_of(fields.get("id", ""), join(at, "id")),
        sources=tuple(sources),
        per_day="per" in fields,
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
    )


def _sources(data: Any, zone: ZoneInfo | None, at: str) -> list[Source]:
    fields = mapping(data, _SOURCE_KEYS, at)
    names = fields.get("from")
    value = fields.get("value")
    value = {"of": value} if isinstance(value, str) else value
    if value is not None:
        value = mapping(value, ("of", "currency"), join(at, "value"))
    times = fields.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 100:
        raise DefinitionError(problem("expected a whole number from 1 to 100"), field=join(at, "times"))
    within = duration(fields["within"], join(at, "within")) if "within" in fields else None
    events = [text_of(name, join(at, "from")) for name in (names if isinstance(names, list) and names else [names])]
    where = Parser(zone).where(fields.get("where"), join(at, "where"), fixed="what counts as an event")
    return [
        Source(
            event=event,
            where=by_people(event, where),
            unless=_unless(fields["unless"], join(at, "unless")) if "unless" in fields else None,
            value=text_of(value["of"], join(at, "value.of")) if value and "of" in value else None,
            currency=text_of(value["currency"], join(at, "value.currency")) if value and "currency" in value else None,
            times=times,
            within=within,
        )
        for event in events
    ]


def _unless(data: Any, at: str) -> Unless:
    fields = mapping(data, ("did", "same"), at)
    names = fields.get("did")
    events = tuple(text_of(n, join(at, "did")) for n in (names if isinstance(names, list) else [names]))
    if len(events) > MAX_SOURCES:
        raise DefinitionError(problem("more than {max_sources} events", max_sources=MAX_SOURCES), field=join(at, "did"))
    return Unless(events, text_of(fields.get("same", ""), join(at, "same")))


def parse_segment(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Segment:
    fields = mapping(data, ("id", "name", "description", "of", "trust", "who"), at)
    if "who" not in fields:
        raise DefinitionError(problem("a segment needs “who”: a condition"), field=at)
    return Segment(
        id=parse_id(fields.get("id"), join(at, "id")),
        who=Parser(zone).condition(fields["who"], join(at, "who")),
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
        of=_kind(fields.get("of"), join(at, "of")),
        trust=cast(Accepted, one_of(fields.get("trust", "any"), get_args(Accepted), join(at, "trust"))),
    )


def parse_lifecycle(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Lifecycle:
    fields = mapping(data, ("id", "name", "description", "of", "phases_of", "stages", "source"), at)
    stages = fields.get("stages")
    if not isinstance(stages, list) or not stages:
        raise DefinitionError(problem("a lifecycle needs “stages”: an ordered list"), field=join(at, "stages"))
    if len(stages) > 60:
        raise DefinitionError(problem("more than 60 stages"), field=join(at, "stages"))
    parsed = tuple(_stage(s, zone, join(at, f"stages[{n}]")) for n, s in enumerate(stages))
    seen: set[str] = set()
    for n, stage in enumerate(parsed):
        if stage.id in seen:
            raise DefinitionError(
                problem("two stages are called “{id}”", id=stage.id), field=join(at, f"stages[{n}].id")
            )
        seen.add(stage.id)
    return Lifecycle(
        id=parse_id(fields.get("id"), join(at, "id")),
        stages=parsed,
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
        of=_kind(fields.get("of"), join(at, "of")),
        phases_of=parse_id(fields["phases_of"], join(at, "phases_of")) if "phases_of" in fields else None,
    )


def _stage(data: Any, zone: ZoneInfo | None, at: str) -> Stage:
    fields = mapping(data, ("id", "name", "description", "when", *_STAGE_TEXTS), at)
    if "when" not in fields:
        raise DefinitionError(problem("a stage needs “when”: a condition, or “anyone”"), field=at)
    lists = {key: texts(fields.get(key, []), join(at, key)) for key in _STAGE_TEXTS}
    return Stage(
        id=parse_id(fields.get("id"), join(at, "id")),
        when=Parser(zone).condition(fields["when"], join(at, "when")),
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
        **lists,
    )


def _kind(data: Any, at: str) -> Kind:
    if data in (None, "person", "people"):
        return "person"
    if data in ("account", "accounts"):
        return "account"
    raise DefinitionError(problem("“{data}” is neither people nor accounts", data=data), field=at)
