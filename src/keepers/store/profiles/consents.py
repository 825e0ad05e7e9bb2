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
"""the newest statement by (channel, topic), `*` among the topics; of one instant the later said comes later"""
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
    """Adds statements and tells the log what they change; returns those that changed something.

    What changes is seen as traits (`subscribed.email`: to anything of the channel; `subscribed.email.news`) and as
    events `Subscribed` and `Unsubscribed`. An import tells no events and its traits are history: it enrols nobody.
    Asking for a second yes (`pending`) takes nothing from who has said it before. `properties`, by profile, are told
    with the events: of the message somebody left by, its key, journey, broadcast and so on
    (`messages.event_properties`).
    """
    before = current(connection, sorted({consent.profile_id for consent in stated}))
    after = {profile_id: dict(held) for profile_id, held in before.items()}
    kept, changed, happened = [], [], []
    for consent in stated:
        held = after.setdefault(consent.profile_id, {})
        was = standing(held, consent.channel, consent.topic)
        if consent.state == "pending" and was is not None and was.state == "subscribed":
            continue
        kept.append(consent)
        _hold(held, consent)
        becomes = standing(held, consent.channel, consent.topic)
        if becomes is consent and (was is None or was.state != consent.state):
            changed.append(consent)
            if consent.state != "pending" and not is_import:
                told = properties.get(consent.profile_id, {}) if properties is not None else {}
                happened.append(_happened(consent, told))
    insert_rows(connection, consents, _FIELDS, [msgspec.structs.astuple(consent) for consent in kept])
    learned = [
        SystemEvent(profile_id, "identify", _time(held, stated, now), traits, "identify", is_history=is_import)
        for profile_id, held in after.items()
        if (traits := _new_traits(before.get(profile_id, {}), held))
    ]
    log.say(connection, [*learned, *happened], now)
    return changed


def ask(connection: Connection, wish: Consent, topic: Topic, now: datetime) -> Consent:
    """Records that somebody wants a topic: as `pending` where it needs a second yes. Returns what then stands."""
    state = "pending" if topic.double_opt_in else "subscribed"
    record(connection, [msgspec.structs.replace(wish, state=state, basis=topic.basis)], now)
    held = current(connection, [wish.profile_id])[wish.profile_id]
    found = standing(held, wish.channel, wish.topic)
    assert found is not None  # it was said just now, if not before
    return found


def confirm(connection: Connection, profile_id: int, channel: str, topic: str, now: datetime, source: str) -> bool:
    """The second yes: what is pending becomes subscribed, in the words agreed to. False when nothing is pending."""
    held = current(connection, [profile_id]).get(profile_id, {})
    waiting = standing(held, channel, topic)
    if waiting is None or waiting.state != "pending":
        return False
    said = msgspec.structs.replace(waiting, topic=topic, state="subscribed", at=max(now, waiting.at), source=source)
    record(connection, [said], now)
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


def standing(held: Held, channel: str, topic: str) -> Consent | None:
    """The statement that counts for a topic: the newest of those on it and on all topics of the channel."""
    own, all_topics = held.get((channel, topic)), held.get((channel, ALL_TOPICS))
    if own is None or all_topics is None:
        return own or all_topics
    if all_topics.at == own.at:
        return next(said for said in reversed(held.values()) if said is own or said is all_topics)
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
    """Traits as conditions see them. Who only waits for the second yes has none yet."""
    traits: dict[str, bool] = {}
    for channel, topic in held:
        consent = standing(held, channel, topic)
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
    """When the traits changed: as said, unless something newer is known, over which only the present wins."""
    newest = max(consent.at for consent in held.values())
    return newest if any(consent.at == newest for consent in stated) and newest <= now else now


def _happened(consent: Consent, told: Mapping[str, Any]) -> SystemEvent:
    event = "Subscribed" if consent.state == "subscribed" else "Unsubscribed"
    properties = {**told, "channel": consent.channel, "topic": consent.topic, "source": consent.source}
    return SystemEvent(consent.profile_id, event, consent.at, properties)
