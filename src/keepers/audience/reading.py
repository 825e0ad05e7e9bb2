"""Definitions from plain data: derived events, segments, lifecycles, rhythm. Mistakes name their field."""

from __future__ import annotations

import re
from typing import Any, cast
from zoneinfo import ZoneInfo

from keepers.audience.definitions import DerivedEvent, Lifecycle, Rhythm, Segment, Source, Stage, Unless
from keepers.audience.operands import text_of
from keepers.audience.parse import Parser
from keepers.model.definitions import Kind, Text
from keepers.model.errors import DefinitionError, UserError, nearest
from keepers.model.moments import parse_duration

_ID = re.compile(r"^[a-z][a-z0-9_-]{0,63}$")
MAX_SOURCES = 400
_SOURCE_KEYS = ("from", "where", "unless", "value", "times", "within")
_STAGE_TEXTS = ("needs", "signals", "touchpoints", "metrics")


def parse_derived(data: Any, zone: ZoneInfo | None = None, at: str = "") -> DerivedEvent:
    """One entry of `events:`. One source may be written at the top, several stand under `any`."""
    fields = _mapping(data, ("id", "name", "description", "per", "any", *_SOURCE_KEYS), at)
    several = fields.get("any")
    if several is not None and (not isinstance(several, list) or not several or "from" in fields):
        raise DefinitionError("write either “from” or a list of sources under “any”", field=_join(at, "any"))
    entries = several if several is not None else [{k: fields[k] for k in _SOURCE_KEYS if k in fields}]
    sources: list[Source] = []
    for n, entry in enumerate(entries):
        sources += _sources(entry, zone, _join(at, f"any[{n}]") if several is not None else at)
    if len(sources) > MAX_SOURCES:
        raise DefinitionError(f"made of more than {MAX_SOURCES} events", field=_join(at, "any" if several else "from"))
    if fields.get("per", "day") != "day":
        raise DefinitionError("only “per: day” is known", field=_join(at, "per"))
    return DerivedEvent(
        id=text_of(fields.get("id", ""), _join(at, "id")),
        sources=tuple(sources),
        per_day="per" in fields,
        name=_text(fields.get("name", ""), _join(at, "name")),
        description=_text(fields.get("description", ""), _join(at, "description")),
    )


def _sources(data: Any, zone: ZoneInfo | None, at: str) -> list[Source]:
    fields = _mapping(data, _SOURCE_KEYS, at)
    names = fields.get("from")
    value = fields.get("value")
    value = {"of": value} if isinstance(value, str) else value
    if value is not None:
        value = _mapping(value, ("of", "currency"), _join(at, "value"))
    times = fields.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 100:
        raise DefinitionError("expected a whole number from 1 to 100", field=_join(at, "times"))
    within = _duration(fields["within"], _join(at, "within")) if "within" in fields else None
    return [
        Source(
            event=text_of(name, _join(at, "from")),
            where=Parser(zone).where(fields.get("where"), _join(at, "where"), fixed="what counts as an event"),
            unless=_unless(fields["unless"], _join(at, "unless")) if "unless" in fields else None,
            value=text_of(value["of"], _join(at, "value.of")) if value and "of" in value else None,
            currency=text_of(value["currency"], _join(at, "value.currency")) if value and "currency" in value else None,
            times=times,
            within=within,
        )
        for name in (names if isinstance(names, list) and names else [names])
    ]


def _unless(data: Any, at: str) -> Unless:
    fields = _mapping(data, ("did", "same"), at)
    names = fields.get("did")
    events = tuple(text_of(n, _join(at, "did")) for n in (names if isinstance(names, list) else [names]))
    if len(events) > MAX_SOURCES:
        raise DefinitionError(f"more than {MAX_SOURCES} events", field=_join(at, "did"))
    return Unless(events, text_of(fields.get("same", ""), _join(at, "same")))


def parse_segment(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Segment:
    fields = _mapping(data, ("id", "name", "description", "of", "who"), at)
    if "who" not in fields:
        raise DefinitionError("a segment needs “who”: a condition", field=at)
    return Segment(
        id=parse_id(fields.get("id"), _join(at, "id")),
        who=Parser(zone).condition(fields["who"], _join(at, "who")),
        name=_text(fields.get("name", ""), _join(at, "name")),
        description=_text(fields.get("description", ""), _join(at, "description")),
        of=_kind(fields.get("of"), _join(at, "of")),
    )


def parse_lifecycle(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Lifecycle:
    fields = _mapping(data, ("id", "name", "description", "of", "phases_of", "stages", "source"), at)
    stages = fields.get("stages")
    if not isinstance(stages, list) or not stages:
        raise DefinitionError("a lifecycle needs “stages”: an ordered list", field=_join(at, "stages"))
    if len(stages) > 60:
        raise DefinitionError("more than 60 stages", field=_join(at, "stages"))
    parsed = tuple(_stage(s, zone, _join(at, f"stages[{n}]")) for n, s in enumerate(stages))
    seen: set[str] = set()
    for n, stage in enumerate(parsed):
        if stage.id in seen:
            raise DefinitionError(f"two stages are called “{stage.id}”", field=_join(at, f"stages[{n}].id"))
        seen.add(stage.id)
    return Lifecycle(
        id=parse_id(fields.get("id"), _join(at, "id")),
        stages=parsed,
        name=_text(fields.get("name", ""), _join(at, "name")),
        description=_text(fields.get("description", ""), _join(at, "description")),
        of=_kind(fields.get("of"), _join(at, "of")),
        phases_of=parse_id(fields["phases_of"], _join(at, "phases_of")) if "phases_of" in fields else None,
    )


def _stage(data: Any, zone: ZoneInfo | None, at: str) -> Stage:
    fields = _mapping(data, ("id", "name", "description", "when", *_STAGE_TEXTS), at)
    if "when" not in fields:
        raise DefinitionError("a stage needs “when”: a condition, or “anyone”", field=at)
    texts = {key: _texts(fields.get(key, []), _join(at, key)) for key in _STAGE_TEXTS}
    return Stage(
        id=parse_id(fields.get("id"), _join(at, "id")),
        when=Parser(zone).condition(fields["when"], _join(at, "when")),
        name=_text(fields.get("name", ""), _join(at, "name")),
        description=_text(fields.get("description", ""), _join(at, "description")),
        **texts,
    )


def parse_rhythm(data: Any, at: str = "rhythm") -> Rhythm:
    """`rhythm:` of the playbook; what is left out is fitted from history and frozen."""
    fields = _mapping(data, ("event", "typical_gap", "longest_gap", "least", "most"), at)
    known = {k: _duration(v, _join(at, k)) for k, v in fields.items() if k != "event"}
    rhythm = Rhythm(event=text_of(fields.get("event", "purchase"), _join(at, "event")), **known)
    if rhythm.least > rhythm.most:
        raise DefinitionError("“least” is longer than “most”", field=at)
    return rhythm


def parse_id(data: Any, at: str) -> str:
    """An id: lower-case Latin letters, digits, - and _, at most 64."""
    if not isinstance(data, str) or not _ID.match(data):
        raise DefinitionError(
            f"“{data}” cannot be an id; use lower-case letters, digits, - and _, starting with a letter",
            field=at,
        )
    return data


def _mapping(data: Any, allowed: tuple[str, ...], at: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DefinitionError(f"expected fields ({', '.join(allowed)})", field=at)
    for key in data:
        if key not in allowed:
            raise DefinitionError(f"“{key}” does not belong here.{nearest(str(key), allowed)}", field=at)
    return data


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _kind(data: Any, at: str) -> Kind:
    if data in (None, "person", "people"):
        return "person"
    if data in ("account", "accounts"):
        return "account"
    raise DefinitionError(f"“{data}” is neither people nor accounts", field=at)


def _duration(data: Any, at: str) -> Any:
    try:
        return parse_duration(data)
    except UserError as error:
        raise DefinitionError(error.message, field=at) from None


def _text(data: Any, at: str) -> Text:
    if isinstance(data, str):
        return data
    if isinstance(data, dict) and data and all(isinstance(k, str) and isinstance(v, str) for k, v in data.items()):
        return cast(Text, data)
    raise DefinitionError("expected a text, or one per locale as {en: …, ru: …}", field=at)


def _texts(data: Any, at: str) -> tuple[Text, ...]:
    if not isinstance(data, list):
        raise DefinitionError("expected a list of texts", field=at)
    return tuple(_text(item, f"{at}[{n}]") for n, item in enumerate(data))
