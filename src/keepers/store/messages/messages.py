"""Messages: what is to be sent, what was sent, and what became of it. Never two for one visit of a step."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, case, func, select, update

from keepers.model.consent import FORGOTTEN
from keepers.model.errors import NotFoundError, problem
from keepers.model.message import UNFINISHED, UNSETTLED, MessageStatus
from keepers.store.bulk import chunks, insert_new, select_in, update_rows
from keepers.store.messages import message_history
from keepers.store.messages.message_history import HistoryRow
from keepers.store.privacy import removed_counts
from keepers.store.profiles import profiles
from keepers.store.schema.messages import messages

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class MessageRow(Struct, frozen=True):
    """A message as it is stored. `priority` 0 goes first; `data` is the context it is rendered with.

    `status` is `queued`, `held` (until `send_after`) or `skipped` when it is new. `counted_at` is when it took its
    place under the caps of its address. `id` is the store's.
    """

    key: str
    profile_id: int
    message: str
    channel: str
    topic: str
    recipient: str
    address_hash: str
    decided_at: datetime
    send_after: datetime
    status: MessageStatus = "queued"
    reason: str = ""
    is_transactional: bool = False
    priority: int = 3
    expires_at: datetime | None = None
    run_id: int | None = None
    broadcast: str | None = None
    journey: str = ""
    version: int = 0
    step: str = ""
    visit: int = 0
    template_version: int = 0
    locale: str = ""
    data: dict[str, Any] = {}
    hops: int = 0
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    handed_over_at: datetime | None = None
    sent_at: datetime | None = None
    attempts: int = 0
    message_id: str | None = None
    provider_id: str | None = None
    counted_at: datetime | None = None
    id: int = 0


_FIELDS = MessageRow.__struct_fields__
_DATA = _FIELDS.index("data")
_PLAIN = tuple(name for name in _FIELDS if name not in ("id", "data"))
_NEW = (*_PLAIN, "data")
_new = attrgetter(*_PLAIN)
columns = select(*(messages.c[name] for name in _FIELDS))
"""a message's columns, for those modules of the store that find messages in other ways"""


def key_of(*parts: str | int) -> str:
    """A message's key from what makes it the only one, as 24 letters and digits in lower case.

    Of a journey: (run, step, visit, channel, address hash); of a broadcast: (broadcast, version, profile, channel,
    address hash); by API: the caller's idempotency key. It reveals nothing and fits into an address.
    """
    text = "\0".join(map(str, parts))
    return b32encode(blake2b(text.encode(), digest_size=15).digest()).decode().lower()


def queue(connection: Connection, new: Sequence[MessageRow]) -> dict[str, int]:
    """Adds messages whose keys are not there yet; returns the ids of those that were added, by key."""
    rows = [(*_new(message), _written(message.data)) for message in new]
    return {key: id for id, key in insert_new(connection, messages, _NEW, rows, ("id", "key"))}


def get(connection: Connection, message_id: int) -> MessageRow:
    """One message. Raises NotFoundError."""
    row = connection.execute(columns.where(messages.c.id == message_id)).one_or_none()
    if row is None:
        raise NotFoundError(problem("There is no message {message_id}.", message_id=message_id), message_id=message_id)
    return message_of(row)


def get_many(connection: Connection, ids: Sequence[int]) -> dict[int, MessageRow]:
    """Messages by id; unknown ones are absent."""
    return {message.id: message for message in map(message_of, select_in(connection, columns, messages.c.id, ids))}


def by_keys(connection: Connection, keys: Sequence[str]) -> dict[str, MessageRow]:
    """Messages by key; unknown ones are absent."""
    return {row.key: message_of(row) for row in select_in(connection, columns, messages.c.key, keys)}


def by_message_ids(connection: Connection, ids: Sequence[str]) -> dict[str, MessageRow]:
    """Messages by their Message-ID."""
    return {row.message_id: message_of(row) for row in select_in(connection, columns, messages.c.message_id, ids)}


def by_provider_ids(connection: Connection, channel: str, ids: Sequence[str]) -> dict[str, MessageRow]:
    """Messages by the name a provider gave them."""
    query = columns.where(messages.c.channel == channel)
    return {row.provider_id: message_of(row) for row in select_in(connection, query, messages.c.provider_id, ids)}


def unsettled(connection: Connection) -> dict[str, int]:
    """How many messages wait, are dead letters, or uncertain, by status."""
    statuses = (*UNFINISHED, "failed", "uncertain")
    query = select(messages.c.status, func.count()).where(messages.c.status.in_(statuses)).group_by(messages.c.status)
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def profiles_at(connection: Connection, address_hash: str) -> list[int]:
    """The surviving profiles that messages to an address went to; erased ones are left out."""
    if not address_hash:
        return []
    query = select(messages.c.profile_id).where(messages.c.address_hash == address_hash).distinct()
    found: dict[int, None] = {}
    for profile_id in sorted(connection.execute(query).scalars()):
        with suppress(NotFoundError):
            found[profiles.survivor(connection, profile_id)] = None
    return list(found)


def of_profile(
    connection: Connection, profile_id: int, *, before: int | None = None, limit: int = 100
) -> list[MessageRow]:
    """A profile's messages, newest first; `before` is the id to go on from."""
    query = columns.where(messages.c.profile_id == profile_id)
    if before is not None:
        query = query.where(messages.c.id < before)
    return [message_of(row) for row in connection.execute(query.order_by(messages.c.id.desc()).limit(limit))]


def with_status(
    connection: Connection, status: MessageStatus, *, after: int = 0, limit: int = 100, journey: str | None = None
) -> list[MessageRow]:
    """Messages in one status past the id `after`, oldest first: `failed` are the dead letters."""
    query = columns.where(messages.c.status == status, messages.c.id > after)
    if journey is not None:
        query = query.where(messages.c.journey == journey)
    return [message_of(row) for row in connection.execute(query.order_by(messages.c.id).limit(limit))]


def set_status(connection: Connection, changes: Sequence[tuple[int, MessageStatus, str]]) -> None:
    """Sets the status of messages, given as (id, status, reason); the caller writes their history."""
    update_rows(connection, messages, ("status", "reason"), [(status, reason, id) for id, status, reason in changes])


def put_status(
    connection: Connection, changes: Sequence[tuple[int, MessageStatus, str]], now: datetime, detail: str = ""
) -> None:
    """Sets the status of messages, given as (id, status, reason), and records it in their history."""
    set_status(connection, changes)
    message_history.append(connection, [HistoryRow(id, now, status, reason, detail) for id, status, reason in changes])


def skip_unfinished(
    connection: Connection,
    reason: str,
    now: datetime,
    *,
    run_ids: Collection[int] = (),
    broadcast: str | None = None,
    profile_id: int | None = None,
) -> int:
    """Skips the messages of some runs, a broadcast or a profile that are not handed over yet; returns how many.

    Claimed ones are checked again before they are handed over. Those handed over keep the reason, and are skipped with
    it if they come back.
    """
    conditions: list[ColumnElement[bool]] = [messages.c.run_id.in_(chunk) for chunk in chunks(sorted(run_ids), 500)]
    if broadcast is not None:
        conditions.append(messages.c.broadcast == broadcast)
    if profile_id is not None:
        conditions.append(messages.c.profile_id == profile_id)
    skipped = 0
    for condition in conditions:
        if connection.dialect.name == "postgresql":
            # By id, as all transactions lock messages.
            connection.execute(select(messages.c.id).where(condition).order_by(messages.c.id).with_for_update())
        # One statement, so that none slips through that comes back between two.
        is_out = messages.c.status == "handed_over"
        result = connection.execute(
            update(messages)
            .where(condition, messages.c.status.in_(UNSETTLED))
            .values(
                status=case((is_out, messages.c.status), else_="skipped"),
                reason=reason,
                claimed_by=case((is_out, messages.c.claimed_by), else_=None),
                counted_at=case((is_out, messages.c.counted_at), else_=None),
            )
            .returning(messages.c.id, messages.c.status)
        )
        ids = [row.id for row in result if row.status == "skipped"]
        message_history.append(connection, [HistoryRow(id, now, "skipped", reason) for id in ids])
        skipped += len(ids)
    return skipped


def retry(connection: Connection, ids: Sequence[int], now: datetime) -> int:
    """Queues failed and uncertain messages again; returns how many.

    Of concurrent calls only one queues a message. An expiry that has passed is removed: the caller chose to send late.
    """
    # Where the address is kept no longer there is nobody to send it to.
    is_plain = ~messages.c.recipient.startswith(FORGOTTEN)
    query = columns.where(messages.c.status.in_(("failed", "uncertain")), is_plain).order_by(messages.c.id)
    if connection.dialect.name == "postgresql":
        # A call that waits here for another sees the message as the other left it.
        query = query.with_for_update()
    again = [message_of(row) for row in select_in(connection, query, messages.c.id, ids)]
    names = ("status", "reason", "send_after", "attempts", "claimed_by", "expires_at")
    rows = [
        ("queued", "retried", now, 0, None, None if m.expires_at is None or m.expires_at <= now else m.expires_at, m.id)
        for m in again
    ]
    update_rows(connection, messages, names, rows)
    message_history.append(connection, [HistoryRow(m.id, now, "queued", "retried") for m in again])
    return len(again)


class MessageCount(Struct, frozen=True):
    step: str
    message: str
    channel: str
    status: str
    reason: str
    number: int


def counts(
    connection: Connection, *, journey: str | None = None, broadcast: str | None = None, version: int | None = None
) -> list[MessageCount]:
    """How many messages of a journey, a broadcast or at all are in which status and why, by step and template."""
    named = (messages.c.step, messages.c.message, messages.c.channel, messages.c.status, messages.c.reason)
    query = select(*named, func.count()).group_by(*named)
    if journey is not None:
        query = query.where(messages.c.journey == journey)
    if broadcast is not None:
        query = query.where(messages.c.broadcast == broadcast)
    if version is not None:
        query = query.where(messages.c.version == version)
    found = {(row[0], row[1], row[2], row[3], row[4]): int(row[5]) for row in connection.execute(query)}
    for row in removed_counts.read(connection, "message", journey=journey, broadcast=broadcast, version=version):
        key = (row.step, row.message, row.channel, row.status, row.reason)
        found[key] = found.get(key, 0) + row.number
    return [MessageCount(*key, number) for key, number in sorted(found.items())]


def message_of(row: Any) -> MessageRow:
    """A row of `columns` as a message, read by position."""
    text = row[_DATA]
    # By position: by name it costs twice as much.
    fields = (*row[:_DATA], {} if text == "{}" else _decode(text), *row[_DATA + 1 :])
    return MessageRow(*fields)


def _written(data: dict[str, Any]) -> str:
    return _encode(data).decode() if data else "{}"


def event_properties(message: MessageRow) -> dict[str, Any]:
    """The properties of every event about a message; empty ones are left out."""
    properties = {
        "message": message.message,
        "message_key": message.key,
        "journey": message.journey,
        "step": message.step if message.broadcast is None else "",
        "broadcast": message.broadcast,
        "variant": message.step if message.broadcast is not None else "",
        "channel": message.channel,
        "topic": message.topic,
        "locale": message.locale,
    }
    return {name: value for name, value in properties.items() if value}
