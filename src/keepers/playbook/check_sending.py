"""What is wrong with a playbook's journeys, messages and topics, and the conditions that stand in journeys."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Literal, NamedTuple

from keepers.conditions.schema import Schema
from keepers.i18n.findings import Sentence, sentence, with_nearest
from keepers.journeys import graph
from keepers.journeys.broadcast import written_audiences
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import DateEntry, EventEntry, ScheduleEntry, SegmentEntry, StageEntry
from keepers.model.channels import CHANNELS
from keepers.model.consent import CONFIRMATION
from keepers.model.fields import Kind
from keepers.playbook.load import Playbook
from keepers.playbook.references import Reference
from keepers.render.check import check_message


class Remark(NamedTuple):
    """About a field of a definition, such as `journey/welcome`."""

    key: str
    field: str
    level: Literal["error", "warning"]
    sentence: Sentence


def conditions(playbook: Playbook) -> Iterator[tuple[str, Kind, str, Any]]:
    """Every condition in journeys and broadcasts as it is written: (definition, whose, field, condition)."""
    for broadcast in playbook.broadcasts.values():
        key = f"broadcast/{broadcast.id}"
        for field, written in written_audiences(playbook.bodies[key]):
            yield key, "person", field, written
    for journey in playbook.journeys.values():
        key = f"journey/{journey.id}"
        body = playbook.bodies[key]
        if body.get("if") is not None:
            yield key, "person", "if", body["if"]
        if journey.goal is not None:
            yield key, "person", "goal.when", journey.goal.when
        for n, leaving in enumerate(journey.exits):
            yield key, "person", f"exits[{n}].when", leaving.when
        for n, step in enumerate(journey.steps.values()):
            for _, written, field in step.conditions():
                yield key, "person", f"steps[{n}].{field}", written


def entries(journey: Journey) -> Iterator[Reference]:
    """The references of a journey's entry triggers."""
    for n, entry in enumerate(journey.entries):
        at = f"enter[{n}]"
        match entry:
            case EventEntry(event):
                yield Reference("event", event, f"{at}.event", "person")
            case SegmentEntry(segment):
                yield Reference("segment", segment, f"{at}.segment", "person")
            case ScheduleEntry():
                yield Reference("segment", entry.segment, f"{at}.segment", "person")
            case StageEntry(stage):
                yield Reference("stage", stage, f"{at}.stage", "person")
            case DateEntry(date):
                yield Reference("trait", date, f"{at}.date", "person")
            case _:
                pass


def remarks(playbook: Playbook, schema: Schema | None) -> Iterator[Remark]:
    """All findings about journeys, messages and topics, without their conditions."""
    for journey in playbook.journeys.values():
        key = f"journey/{journey.id}"
        for found in graph.check(journey, playbook.messages, playbook.journeys, playbook.coupons):
            yield Remark(key, found.field, found.level, found.sentence)
        yield from _computed(key, journey, playbook.computed)
    yield from _broadcasts(playbook)
    yield from _messages(playbook, schema)
    yield from _confirmations(playbook)
    yield from _unsent(playbook)


def _computed(key: str, journey: Journey, computed: Collection[str]) -> Iterator[Remark]:
    """Dates that scores work out move with every event: conditions read them, no calendar holds them."""
    places = {f"enter[{n}].date": entry.date for n, entry in enumerate(journey.entries) if isinstance(entry, DateEntry)}
    for n, step in enumerate(journey.steps.values()):
        places |= {f"steps[{n}].{field}": trait for trait, field in step.traits()}
    for field, trait in places.items():
        if trait not in computed:
            continue
        code = "computed_entry" if field.startswith("enter") else "computed_wait"
        yield Remark(key, field, "error", sentence(code, trait=trait))


def _broadcasts(playbook: Playbook) -> Iterator[Remark]:
    """Messages and pools that broadcasts name; variants go out on one channel and topic, or nothing compares."""
    for broadcast in playbook.broadcasts.values():
        key = f"broadcast/{broadcast.id}"
        own = playbook.messages.get(broadcast.message)
        for field, name in broadcast.messages().items():
            found = playbook.messages.get(name)
            if found is None:
                finding = with_nearest(sentence("unknown_message", name=name), name, playbook.messages)
                yield Remark(key, field, "error", finding)
            elif own is not None and (found.channel, found.topic) != (own.channel, own.topic):
                yield Remark(key, field, "error", sentence("other_channel", name=name, own=own.id))
        for n, variant in enumerate(broadcast.test.variants if broadcast.test else ()):
            if variant.subject and own is not None and "subject" not in CHANNELS[own.channel].parts:
                field = f"test.variants[{n}].subject"
                yield Remark(key, field, "error", sentence("subject_not_email"))
        if broadcast.coupon and broadcast.coupon not in playbook.coupons:
            finding = sentence("unknown_pool", name=broadcast.coupon)
            yield Remark(key, "coupon", "error", with_nearest(finding, broadcast.coupon, playbook.coupons))


def _messages(playbook: Playbook, schema: Schema | None) -> Iterator[Remark]:
    traits = schema.traits if schema is not None and not schema.has_more_traits else None
    yielded: set[Remark] = set()
    for template in playbook.messages.values():
        key = f"message/{template.id}"
        for field, level, about in check_message(template, playbook.snippets, traits, topics=playbook.topics):
            remark = Remark(key, field, level, about)
            if field.startswith("snippet/"):
                # A finding in a snippet is reported once, however many messages use it.
                snippet, _, inside = field.partition(".")
                remark = Remark(snippet, inside, level, about)
            if remark not in yielded:
                yielded.add(remark)
                yield remark


def _confirmations(playbook: Playbook) -> Iterator[Remark]:
    """Topics with double opt-in, where the confirmation message is missing."""
    if CONFIRMATION in playbook.messages:
        return
    for topic in playbook.topics.values():
        if topic.double_opt_in and topic.kind == "marketing":
            finding = sentence("no_confirmation", message=CONFIRMATION)
            yield Remark(f"topic/{topic.id}", "double_opt_in", "warning", finding)


def _unsent(playbook: Playbook) -> Iterator[Remark]:
    """Messages no journey or broadcast sends: likely forgotten."""
    sent = _sent(playbook.journeys.values())
    sent |= {name for broadcast in playbook.broadcasts.values() for name in broadcast.messages().values()}
    for name in playbook.messages.keys() - sent - {CONFIRMATION}:
        yield Remark(f"message/{name}", "", "warning", sentence("unsent"))


def _sent(journeys: Collection[Journey]) -> set[str]:
    return {name for journey in journeys for step in journey.steps.values() for name in step.messages()}
