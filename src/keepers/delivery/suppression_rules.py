"""Effects of bounces and complaints: addresses are suppressed, consent ends, a stream's circuit breaker opens."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from keepers.contact.breakers import WINDOW, StreamCounts, check_stream, stream_of
from keepers.contact.rules import Breakers
from keepers.model.consent import ALL_TOPICS, Consent
from keepers.model.fields import span
from keepers.model.message import OURS, Fault
from keepers.store.bulk import select_in
from keepers.store.messages import sending_switches
from keepers.store.messages.messages import MessageRow, event_properties
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.messages import message_history, messages

_LOOKED_THROUGH = 200_000
"""newest messages that are searched for those of the stream, so that a rare stream costs no full scan"""
COMPLAINED = "complained"
HARD, SOFT = "hard", "soft"


class Bounce(NamedTuple):
    """A message that bounced; its history has it already."""

    message: MessageRow
    is_hard: bool
    at: datetime
    source: str
    detail: str = ""
    fault: Fault = "recipient"


def bounced(connection: Connection, breakers: Breakers, bounces: Sequence[Bounce], now: datetime) -> None:
    """Suppresses addresses whose own fault it is: at once by a hard bounce, or by repeated soft ones within their
    span."""
    hard = [b for b in bounces if b.is_hard]
    stops = [
        Suppression(b.message.channel, b.message.address_hash, "hard_bounce", b.at, b.source, b.detail) for b in hard
    ]
    soft = {(b.message.channel, b.message.address_hash): b for b in bounces if not b.is_hard and b.fault == "recipient"}
    repeated = breakers.soft_bounces
    numbers = _soft_bounces(connection, [hashed for _, hashed in soft], now - span(repeated.within))
    stops += [
        Suppression(channel, hashed, "soft_bounces", b.at, b.source, f"{numbers[hashed]} within {repeated.within}")
        for (channel, hashed), b in soft.items()
        if numbers.get(hashed, 0) >= repeated.count
    ]
    suppressions.add(connection, stops)
    check_breakers(connection, breakers, (b.message for b in bounces if b.is_hard or b.fault in OURS), now)


def complained(
    connection: Connection, breakers: Breakers, complaints: Sequence[tuple[MessageRow, datetime, str]], now: datetime
) -> None:
    """Suppresses and unsubscribes on that channel those who complained, given as (message, when, who reports)."""
    suppressions.add(
        connection, [Suppression(m.channel, m.address_hash, "complaint", at, source) for m, at, source in complaints]
    )
    check_breakers(connection, breakers, (m for m, _, _ in complaints), now)
    consents.record(
        connection,
        [
            Consent(
                m.profile_id,
                m.channel,
                ALL_TOPICS,
                "unsubscribed",
                at,
                f"complaint, {source}",
                address_hash=m.address_hash,
                holds_for="person",
            )
            for m, at, source in complaints
        ],
        now,
        properties={m.profile_id: event_properties(m) for m, _, _ in complaints},
    )


def check_breakers(connection: Connection, breakers: Breakers, about: Iterable[MessageRow], now: datetime) -> None:
    """Opens the breakers of the streams of these messages where the shares are too high."""
    _check(connection, breakers, {(m.channel, m.is_transactional) for m in about}, now)


def _check(connection: Connection, breakers: Breakers, streams: Collection[tuple[str, bool]], now: datetime) -> None:
    known = sending_switches.everything(connection)
    for channel, is_transactional in sorted(streams):
        stream = stream_of(channel, is_transactional)
        breaker = sending_switches.breaker(known, stream)
        if breaker is not None and breaker.on:
            continue
        # Sends before somebody released the stream are not counted again.
        warning = sending_switches.warning(known, stream)
        ended = [breaker] if breaker is not None else []
        ended += [warning] if warning is not None and warning.is_released else []
        since = max((one.at for one in ended), default=None)
        action, reason = check_stream(breakers, _lately(connection, channel, is_transactional, since))
        if action == "stop":
            sending_switches.set_breaker(connection, stream, True, reason, now)
        elif action == "warn":
            sending_switches.set_warning(connection, stream, True, reason, now)
        elif warning is not None and warning.on:
            sending_switches.set_warning(connection, stream, False, reason, now)


def clear_warnings(connection: Connection, breakers: Breakers, now: datetime) -> None:
    """Clears the warnings of streams that have recovered since."""
    known = sending_switches.everything(connection)
    _check(connection, breakers, sending_switches.warned_streams(known), now)


def _lately(connection: Connection, channel: str, is_transactional: bool, since: datetime | None) -> StreamCounts:
    """What became of the stream's last sends."""
    last = connection.execute(select(func.max(messages.c.id))).scalar_one() or 0
    query = (
        select(messages.c.id, messages.c.status, messages.c.reason)
        .where(
            messages.c.id > last - _LOOKED_THROUGH,
            messages.c.channel == channel,
            messages.c.is_transactional.is_(is_transactional),
            messages.c.handed_over_at.is_not(None),
        )
        .order_by(messages.c.id.desc())
        .limit(WINDOW)
    )
    if since is not None:
        query = query.where(messages.c.handed_over_at > since)
    rows = connection.execute(query).all()
    hard = sum(1 for row in rows if row.status == "bounced" and row.reason == HARD)
    refused = sum(1 for row in rows if row.status in ("bounced", "failed") and row.reason in OURS)
    spam = select(message_history.c.message_id).where(message_history.c.status == COMPLAINED)
    complained_about = select_in(connection, spam, message_history.c.message_id, [row.id for row in rows])
    return StreamCounts(len(rows), hard, len({row.message_id for row in complained_about}), refused)


def _soft_bounces(connection: Connection, hashes: Sequence[str], since: datetime) -> dict[str, int]:
    query = (
        select(messages.c.address_hash, func.count(messages.c.id.distinct()))
        .join(message_history, message_history.c.message_id == messages.c.id)
        .where(message_history.c.status == "bounced", message_history.c.reason == SOFT, message_history.c.at > since)
        .group_by(messages.c.address_hash)
    )
    return {row[0]: row[1] for row in select_in(connection, query, messages.c.address_hash, hashes)}
