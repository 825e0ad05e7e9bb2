"""What customers agreed to: statements are added and never changed; the newest on a topic, or on all topics, counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Row, literal_column, select

from keepers.contact.agreements import Agreements
from keepers.model.consent import ALL_TOPICS, Consent, HoldsFor, Topic, trait_of
from keepers.model.identity import Trust
from keepers.store.bulk import insert_rows, select_in
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.profiles.identities import with_user_id
from keepers.store.schema.messages import consents

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
    ids = sorted({consent.profile_id for consent in stated})
    known = with_user_id(connection, ids)
    earlier: dict[int, list[Consent]] = {who: [] for who in ids}
    for one in _own(connection, ids):
        earlier[one.profile_id].append(one)
    # Each customer's own: what somebody else of the same address says is an event of theirs.
    before, after = ({who: Agreements.of(own, known) for who, own in earlier.items()} for _ in range(2))
    kept, changed, happened = [], [], []
    for recorded in stated:
        # A profile with an address alone: the statement holds for the address, not for a customer linked to it later.
        is_visitors = recorded.holds_for == "person" and recorded.profile_id not in known and not is_import
        holds_for: HoldsFor = "address" if recorded.address_hash else "visitor"
        consent = msgspec.structs.replace(recorded, holds_for=holds_for) if is_visitors else recorded
        about = (consent.profile_id, consent.channel, consent.topic, consent.address_hash)
        was = after[consent.profile_id].effective(*about)
        if consent.state == "pending" and was is not None and was.state == "subscribed":
            continue
        kept.append(consent)
        after[consent.profile_id].add(consent)
        becomes = after[consent.profile_id].effective(*about)
        if becomes is consent and (was is None or was.state != consent.state):
            changed.append(consent)
            if consent.state != "pending" and not is_import:
                extra = properties.get(consent.profile_id, {}) if properties is not None else {}
                happened.append(_happened(consent, extra))
    insert_rows(connection, consents, _FIELDS, [msgspec.structs.astuple(consent) for consent in kept])
    hashes = {(consent.profile_id, consent.channel): consent.address_hash for consent in stated}
    learned = []
    for profile_id in ids:
        was_seen, is_seen = (_traits(each[profile_id], profile_id, hashes) for each in (before, after))
        traits = {trait: value for trait, value in is_seen.items() if was_seen.get(trait) is not value}
        if traits:
            time = _time(after[profile_id], profile_id, stated, now)
            learned.append(
                SystemEvent(
                    profile_id,
                    "identify",
                    time,
                    traits,
                    kind="identify",
                    is_history=is_import,
                    trust=_trust(kept, profile_id),
                )
            )
    log.append_events(connection, [*learned, *happened], now)
    return changed


def request(connection: Connection, requested: Consent, topic: Topic, now: datetime) -> Consent:
    """Records a request to subscribe: `pending` where the topic needs a confirmation. Returns the effective consent."""
    state = "pending" if topic.double_opt_in else "subscribed"
    record(connection, [msgspec.structs.replace(requested, state=state, basis=topic.basis)], now)
    found = load(connection, [requested.profile_id]).effective(
        requested.profile_id, requested.channel, requested.topic, requested.address_hash
    )
    assert found is not None  # recorded just now, if not before
    return found


def confirm(connection: Connection, profile_id: int, request: str, now: datetime, source: str) -> bool:
    """Confirms the one request of this id (see `model.consent.request_id`), if it waits, keeping its wording: it holds
    for its address. False for nothing."""
    waiting = load(connection, [profile_id]).waiting(profile_id, request)
    if waiting is None:
        return False
    confirmed = msgspec.structs.replace(waiting, state="subscribed", at=max(now, waiting.at), source=source)
    record(connection, [confirmed], now)
    return True


def load(connection: Connection, profile_ids: Sequence[int], hashes: Sequence[str] = ()) -> Agreements:
    """What these customers, and whoever reads at these addresses, agreed to."""
    rows = {row.id: row for row in _rows(connection, consents.c.profile_id, profile_ids)}
    rows |= {row.id: row for row in _rows(connection, consents.c.address_hash, sorted(set(hashes) - {""}))}
    statements = [Consent(*tuple(rows[number])[:-1]) for number in sorted(rows)]
    uncertain = sorted({one.profile_id for one in statements if one.holds_for == "visitor" or one.address_hash})
    return Agreements.of(statements, with_user_id(connection, uncertain))


def load_all(connection: Connection, people: Collection[int], canon: Mapping[int, int]) -> Agreements:
    """What some customers, and whoever reads at an address, agreed to, as it is after merges: profile → survivor."""
    kept = []
    for one in everything(connection):
        who = canon.get(one.profile_id, one.profile_id)
        if who in people or one.address_hash:
            kept.append(msgspec.structs.replace(one, profile_id=who))
    return Agreements.of(kept, with_user_id(connection, sorted({one.profile_id for one in kept})))


def _rows(connection: Connection, column: Column[Any], values: Sequence[Any]) -> Iterable[Row[Any]]:
    query = _columns.add_columns(consents.c.id)
    if column is consents.c.address_hash:
        query = query.where(consents.c.address_hash != literal_column("''"))  # as the partial index says
    return select_in(connection, query, column, values)


def _own(connection: Connection, ids: Sequence[int]) -> list[Consent]:
    """Every statement of these customers, in the order in which they were made."""
    return [
        Consent(*tuple(row)[:-1])
        for row in sorted(_rows(connection, consents.c.profile_id, ids), key=lambda row: row.id)
    ]


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


def _traits(agreed: Agreements, profile_id: int, hashes: Mapping[tuple[int, str], str]) -> dict[str, bool]:
    """Traits as conditions see them. A pending consent has none yet. `hashes`: (profile, channel) → address."""
    traits: dict[str, bool] = {}
    for channel, topic in sorted(agreed.pairs(profile_id)):
        consent = agreed.effective(profile_id, channel, topic, hashes.get((profile_id, channel), ""))
        if consent is None or consent.state == "pending":
            continue
        is_subscribed = consent.state == "subscribed"
        if topic != ALL_TOPICS:
            traits[trait_of(channel, topic)] = is_subscribed
        whole = trait_of(channel, ALL_TOPICS)
        traits[whole] = traits.get(whole, False) or is_subscribed
    return traits


def _time(agreed: Agreements, profile_id: int, stated: Iterable[Consent], now: datetime) -> datetime:
    """When the traits changed: at the statement, or `now` when a newer statement is known."""
    newest = agreed.newest(profile_id)
    assert newest is not None  # one was recorded just now
    return newest.at if any(consent.at == newest.at for consent in stated) and newest.at <= now else now


def _trust(stated: Iterable[Consent], profile_id: int) -> Trust:
    """What a visitor agrees to is public, also when somebody later says that the visitor is a customer."""
    return "public" if any(c.profile_id == profile_id and c.holds_for == "visitor" for c in stated) else "own"


def _happened(consent: Consent, extra: Mapping[str, Any]) -> SystemEvent:
    event = "Subscribed" if consent.state == "subscribed" else "Unsubscribed"
    properties = {**extra, "channel": consent.channel, "topic": consent.topic, "source": consent.source}
    trust: Trust = "public" if consent.holds_for == "visitor" else "own"
    return SystemEvent(consent.profile_id, event, consent.at, properties, trust=trust)
