"""What customers agreed to: statements are added and never changed; the newest on a topic, or on all topics, counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from keepers.model.consent import ALL_TOPICS, Consent, Topic, trait_of
from keepers.store.bulk import insert_rows, select_in
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.schema.messages import consents

Held = dict[tuple[str, str], Consent]
"""the newest statement by (channel, topic), `*` among the topics; those of one instant in the order they were made"""
_FIELDS = Consent.__struct_fields__
_columns = select(*(consents.c[name] for name in _FIELDS))


def record(
    connection: Connection,
    stated: Sequence[Consent],
    now: datetime,
    *,
    is_import: bool = False,
    properties: Mapping[int, Mapping[str, Any]] | None = None,
) -> list[Consent]:
    """Adds statements and appends what they change to the log; returns those that changed something.

    Changes are traits (`subscribed.email`: to anything of the channel; `subscribed.email.news`) and the events
    `Subscribed` and `Unsubscribed`. An import appends no events and its traits are history: it triggers no journey. A
    `pending` statement takes no effect on a topic that is subscribed already. `properties`, by profile, are added to
    the events: those of the message by which somebody unsubscribed (`messages.event_properties`).
    """
    before = current(connection, sorted({consent.profile_id for consent in stated}))
    after = {profile_id: dict(held) for profile_id, held in before.items()}
    kept, changed, happened = [], [], []
    for consent in stated:
        held = after.setdefault(consent.profile_id, {})
        was = effective(held, consent.channel, consent.topic)
        if consent.state == "pending" and was is not None and was.state == "subscribed":
            continue
        kept.append(consent)
        _hold(held, consent)
        becomes = effective(held, consent.channel, consent.topic)
        if becomes is consent and (was is None or was.state != consent.state):
            changed.append(consent)
            if consent.state != "pending" and not is_import:
                extra = properties.get(consent.profile_id, {}) if properties is not None else {}
                happened.append(_happened(consent, extra))
    insert_rows(connection, consents, _FIELDS, [msgspec.structs.astuple(consent) for consent in kept])
    learned = [
        SystemEvent(profile_id, "identify", _time(held, stated, now), traits, "identify", is_history=is_import)
        for profile_id, held in after.items()
        if (traits := _new_traits(before.get(profile_id, {}), held))
    ]
    log.append_events(connection, [*learned, *happened], now)
    return changed


def request(connection: Connection, requested: Consent, topic: Topic, now: datetime) -> Consent:
    """Records a request to subscribe: `pending` where the topic needs a confirmation. Returns the effective consent."""
    state = "pending" if topic.double_opt_in else "subscribed"
    record(connection, [msgspec.structs.replace(requested, state=state, basis=topic.basis)], now)
    held = current(connection, [requested.profile_id])[requested.profile_id]
    found = effective(held, requested.channel, requested.topic)
    assert found is not None  # recorded just now, if not before
    return found


def confirm(connection: Connection, profile_id: int, channel: str, topic: str, now: datetime, source: str) -> bool:
    """Confirms a pending consent, keeping its wording. False when nothing is pending."""
    held = current(connection, [profile_id]).get(profile_id, {})
    waiting = effective(held, channel, topic)
    if waiting is None or waiting.state != "pending":
        return False
    statement = msgspec.structs.replace(
        waiting, topic=topic, state="subscribed", at=max(now, waiting.at), source=source
    )
    record(connection, [statement], now)
    return True


def current(connection: Connection, profile_ids: Sequence[int]) -> dict[int, Held]:
    """The newest statements of each profile; profiles without any are absent."""
    found: dict[int, Held] = {}
    rows = select_in(connection, _columns.add_columns(consents.c.id), consents.c.profile_id, profile_ids)
    for row in sorted(rows, key=lambda row: row.id):
        _hold(found.setdefault(row.profile_id, {}), Consent(*row[:-1]))
    return found


def history(connection: Connection, profile_id: int) -> list[Consent]:
    """Every statement of a profile, as they came in."""
    query = _columns.where(consents.c.profile_id == profile_id).order_by(consents.c.id)
    return [Consent(*row) for row in connection.execute(query)]


def everything(connection: Connection, chunk: int = 5000) -> Iterator[Consent]:
    """All statements there are, as they came in, for an export; memory stays flat."""
    after = 0
    query = _columns.add_columns(consents.c.id).order_by(consents.c.id).limit(chunk)
    while rows := connection.execute(query.where(consents.c.id > after)).all():
        yield from (Consent(*row[:-1]) for row in rows)
        after = rows[-1].id


def effective(held: Held, channel: str, topic: str) -> Consent | None:
    """The statement that counts for a topic: the newest of those on it and on all topics of the channel."""
    own, all_topics = held.get((channel, topic)), held.get((channel, ALL_TOPICS))
    if own is None or all_topics is None:
        return own or all_topics
    if all_topics.at == own.at:
        return next(statement for statement in reversed(held.values()) if statement is own or statement is all_topics)
    return all_topics if all_topics.at > own.at else own


def agreed_at(stated: Iterable[Consent], now: datetime) -> Held:
    """The newest statements of one profile's, given in the order they came in, as they were at `now`."""
    held: Held = {}
    for consent in stated:
        if consent.at <= now:
            _hold(held, consent)
    return held


def _hold(held: Held, consent: Consent) -> None:
    known = held.get((consent.channel, consent.topic))
    if known is None or consent.at >= known.at:
        held.pop((consent.channel, consent.topic), None)
        held[consent.channel, consent.topic] = consent


def _new_traits(before: Held, after: Held) -> dict[str, bool]:
    known = _traits(before)
    return {trait: value for trait, value in _traits(after).items() if known.get(trait) is not value}


def _traits(held: Held) -> dict[str, bool]:
    """Traits as conditions see them. A pending consent has none yet."""
    traits: dict[str, bool] = {}
    for channel, topic in held:
        consent = effective(held, channel, topic)
        assert consent is not None
        if consent.state == "pending":
            continue
        is_subscribed = consent.state == "subscribed"
        if topic != ALL_TOPICS:
            traits[trait_of(channel, topic)] = is_subscribed
        whole = trait_of(channel, ALL_TOPICS)
        traits[whole] = traits.get(whole, False) or is_subscribed
    return traits


def _time(held: Held, stated: Iterable[Consent], now: datetime) -> datetime:
    """When the traits changed: at the statement, or `now` when a newer statement is known."""
    newest = max(consent.at for consent in held.values())
    return newest if any(consent.at == newest for consent in stated) and newest <= now else now


def _happened(consent: Consent, extra: Mapping[str, Any]) -> SystemEvent:
    event = "Subscribed" if consent.state == "subscribed" else "Unsubscribed"
    properties = {**extra, "channel": consent.channel, "topic": consent.topic, "source": consent.source}
    return SystemEvent(consent.profile_id, event, consent.at, properties)
