"""Explanations: what happened to a customer and what was decided, by which rule, in order of time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from keepers.conditions.wording import describe
from keepers.i18n.reasons import reason_text
from keepers.i18n.timeline import joined, line
from keepers.journeys.parse import parse_journey
from keepers.model.channels import ANSWERED
from keepers.model.consent import ALL_TOPICS, Topic
from keepers.model.errors import UserError
from keepers.model.fields import text_in
from keepers.model.moments import format_instant
from keepers.model.reasons import Reason
from keepers.reports.why_lines import Waiting, WhyLine
from keepers.store import definitions
from keepers.store.journeys import entry_rejections, journey_states, run_history, runs
from keepers.store.messages import engagement_requests, message_history, messages
from keepers.store.profiles import consents, suppressions

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from keepers.journeys.definition import Journey
    from keepers.store.journeys.run_history import RunHistoryRow
    from keepers.store.journeys.runs import RunRow
    from keepers.store.messages.messages import MessageRow

MOST_MESSAGES = 500


class Why(Struct, frozen=True):
    """Everything about one customer, oldest first."""

    profile_id: int
    waiting: tuple[Waiting, ...]
    lines: tuple[WhyLine, ...]


class SentenceNames(Struct, frozen=True):
    """Names for sentences: topics by id, and the zone in which older versions of journeys are read."""

    topics: Mapping[str, Topic] = field(default_factory=dict)
    zone: ZoneInfo | None = None
    locale: str = "en"


def why(
    connection: Connection,
    profile_id: int,
    names: SentenceNames,
    addresses: Collection[str] = (),
    journey: str | None = None,
    message: str | None = None,
) -> Why:
    """What happened to one customer and why; about one journey or message template alone where one is named.

    `addresses` are the hashes of the customer's addresses, by which they may be suppressed.
    """
    locale = names.locale
    own_runs = [
        run
        for run in runs.of_profiles(connection, [profile_id], only_active=False).get(profile_id, [])
        if journey in (None, run.journey)
    ]
    listed = [
        row
        for row in messages.of_profile(connection, profile_id, limit=MOST_MESSAGES)
        if journey in (None, row.journey) and message in (None, row.message)
    ]
    entries: list[WhyLine] = []
    if message is None:
        entries += _of_runs(connection, own_runs, locale)
        entries += _refusals(connection, profile_id, journey, locale)
    entries += of_messages(connection, listed, locale)
    entries += _consents(connection, profile_id, {row.topic for row in listed} if message or journey else None, names)
    entries += _suppressions(connection, {*addresses, *(row.address_hash for row in listed)} - {""}, locale)
    active = [run for run in own_runs if run.status == "active"]
    waiting = _waiting(connection, active, names) if message is None else ()
    return Why(profile_id, tuple(waiting), tuple(sorted(entries, key=lambda one: one.at)))


def never_came(journey: str, locale: str = "en") -> str:
    """The sentence about a customer who has met no entry trigger of a journey."""
    return joined(line("never_came", locale, journey=journey))


def of_messages(connection: Connection, rows: Sequence[MessageRow], locale: str = "en") -> list[WhyLine]:
    """What was decided about messages, and what became of them."""
    changes = message_history.of_messages(connection, [row.id for row in rows])
    seen = engagement_requests.of_messages(connection, [row.id for row in rows])
    entries = []
    for row in rows:
        entries += list(_decision(row, bool(changes.get(row.id)), locale))
        for change in changes.get(row.id, []):
            says = line(f"message.{change.status}", locale, message=row.message)
            detail = f"({change.detail})" if change.detail else ""
            because = " ".join(part for part in (reason_text(change.reason, locale), detail) if part)
            entries.append(_about(row, change.at, change.status, joined(says, because), change.reason))
        for request in seen.get(row.id, []):
            kind = "clicked" if request.is_click else "opened"
            machine = line("machine", locale, why=request.rule) if request.is_machine else ""
            says = joined(line(f"message.{kind}", locale, message=row.message), request.url, machine)
            entries.append(
                _about(row, request.at, kind, says, data={"url": request.url, "machine": bool(request.is_machine)})
            )
    return entries


def _decision(row: MessageRow, has_history: bool, locale: str) -> Iterator[WhyLine]:
    """The first decision; the present status where nothing has happened since."""
    kind = "called" if row.channel in ANSWERED else "decided"
    is_skipped = row.status == "skipped" and not has_history
    if not is_skipped:
        yield _about(
            row, row.decided_at, "decided", joined(line(kind, locale, message=row.message, channel=row.channel))
        )
    if not has_history and row.status in ("held", "skipped"):
        until = line("until", locale, until=format_instant(row.send_after)) if row.status == "held" else ""
        says = joined(
            line(f"message.{row.status}", locale, message=row.message), reason_text(row.reason, locale), until
        )
        yield _about(row, row.decided_at, row.status, says, row.reason)


def _about(
    row: MessageRow, at: datetime, code: str, says: str, because: str = "", data: dict[str, Any] | None = None
) -> WhyLine:
    details = {"template": row.message, "channel": row.channel, "topic": row.topic, **(data or {})}
    return WhyLine(at, "message", code, says, because, row.journey, row.step, row.run_id, row.id, details)


def _of_runs(connection: Connection, own: Sequence[RunRow], locale: str) -> list[WhyLine]:
    by_id = {run.id: run for run in own}
    entries = []
    for run_id, rows in run_history.of_runs(connection, list(by_id)).items():
        entries += [_of_trail(by_id[run_id], row, locale) for row in rows]
    return entries


def _of_trail(run: RunRow, row: RunHistoryRow, locale: str) -> WhyLine:
    parts: dict[str, object] = {"journey": run.journey, "step": row.step, "why": reason_text(row.reason, locale)}
    because = reason_text(row.reason, locale) if row.reason else ""
    kind = row.what
    match row.what:
        case "entered":
            parts["what"] = row.data.get("event") or run.trigger.get("event") or "?"
        case "passed" if row.data.get("port", "next") != "next":
            kind, parts["port"] = "passed_by", row.data["port"]
        case "waits" if row.data.get("until"):
            kind, parts["until"] = "waits_until", row.data["until"]
        case "ended" | "refused":
            because = ""
        case _:
            pass
    says = joined(line(kind, locale, **parts), because)
    return WhyLine(row.at, "run", row.what, says, row.reason, run.journey, row.step, run.id, None, row.data)


def _refusals(connection: Connection, profile_id: int, journey: str | None, locale: str) -> Iterator[WhyLine]:
    for one in entry_rejections.of_profile(connection, profile_id):
        if journey in (None, one.journey):
            says = line("not_entered", locale, journey=one.journey, why=reason_text(one.reason, locale))
            times = line("times", locale, number=one.times) if one.times > 1 else ""
            data = {"times": one.times, "seq": one.seq}
            yield WhyLine(one.at, "entry", "refused", joined(says, times), one.reason, one.journey, data=data)


def _consents(
    connection: Connection, profile_id: int, about: set[str] | None, names: SentenceNames
) -> Iterator[WhyLine]:
    for statement in consents.history(connection, profile_id):
        if about is not None and statement.topic not in (*about, ALL_TOPICS):
            continue
        topic = names.topics.get(statement.topic)
        name = line("all_topics", names.locale) if statement.topic == ALL_TOPICS else statement.topic
        if topic is not None:
            name = text_in(topic.name, names.locale) or topic.id
        says = line(
            f"consent.{statement.state}", names.locale, topic=name, channel=statement.channel, source=statement.source
        )
        data = {
            "channel": statement.channel,
            "topic": statement.topic,
            "source": statement.source,
            "wording": statement.wording,
        }
        yield WhyLine(statement.at, "consent", statement.state, joined(says), data=data)


def _suppressions(connection: Connection, hashes: Collection[str], locale: str) -> Iterator[WhyLine]:
    for one in suppressions.find(connection, sorted(hashes)).values():
        code = str(Reason("suppressed", one.reason))
        says = joined(line("suppressed", locale, channel=one.channel, why=reason_text(code, locale)), one.detail)
        data = {"channel": one.channel, "source": one.source}
        yield WhyLine(one.at, "suppression", one.reason, says, code, data=data)


def _waiting(connection: Connection, active: Sequence[RunRow], names: SentenceNames) -> list[Waiting]:
    paused = journey_states.paused(connection)
    histories = run_history.of_runs(connection, [run.id for run in active])
    known: dict[tuple[str, int], Journey | None] = {}
    found = []
    for run in active:
        key = (run.journey, run.version)
        if key not in known:
            known[key] = journey_of(connection, run.journey, run.version, names.zone)
        found.append(_one_waiting(run, known[key], histories.get(run.id, []), run.journey in paused, names.locale))
    return found


def _one_waiting(
    run: RunRow, journey: Journey | None, rows: Sequence[RunHistoryRow], is_paused: bool, locale: str
) -> Waiting:
    visit = run.visits.get(run.step or "", 0)
    last = next((r for r in reversed(rows) if (r.what, r.step, r.visit) == ("waits", run.step, visit)), None)
    until_text = last.data.get("until") if last is not None else None
    until = datetime.fromisoformat(until_text).replace(tzinfo=None) if until_text else None
    condition = journey.conditions.get(f"{run.step}.until") if journey is not None else None
    waits_for = describe(condition, locale) if condition is not None else ""
    queries = (
        [describe(journey.conditions[question.question], locale) for question in journey.exit_questions]
        if journey is not None
        else []
    )
    says = joined(
        line("now_waits", locale, step=run.step or "", journey=run.journey),
        line("for", locale, what=waits_for) if waits_for else "",
        line("until", locale, until=until_text) if until_text else "",
        *(line("leaves_when", locale, what=one) for one in queries),
        line("paused", locale, journey=run.journey) if is_paused else "",
    )
    return Waiting(
        run.id, run.journey, run.version, run.step or "", run.since, until, waits_for, tuple(queries), is_paused, says
    )


def journey_of(connection: Connection, name: str, version: int, zone: ZoneInfo | None) -> Journey | None:
    """A journey as it was in a version; None for one that can no longer be read."""
    for row in definitions.versions(connection, "journey", name):
        if row.version == version:
            try:
                return msgspec.structs.replace(parse_journey(msgspec.json.decode(row.body), zone), version=version)
            except UserError:
                return None
    return None
