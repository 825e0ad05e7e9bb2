"""Sendings of broadcasts: how far each has come, so that it continues after a crash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, literal_column, select, text, update

from keepers.model.consent import ALL_TOPICS, ConsentState
from keepers.model.errors import NotFoundError, problem
from keepers.model.message import UNFINISHED, SendStatus, Tally
from keepers.store.bulk import insert_new, select_in, update_rows
from keepers.store.database import Store
from keepers.store.privacy import removed_counts
from keepers.store.privacy.removed_counts import Counted
from keepers.store.schema.core import to_microseconds
from keepers.store.schema.messages import broadcast_sends, consents, engagement_requests, message_history
from keepers.store.schema.messages import messages as table

"""`testing`: the variants are out and the rest waits for the winner; `releasing`: the rest is being released"""
STOPPED = "stopped"
TESTED = "test"
"""why a message is held: it waits for the variant that does best"""
OUT = ("sent", "delivered")
CHUNK = 20_000


class BroadcastSend(Struct, frozen=True):
    """One sending. `position` is the last profile queued, or the last message released; `data` what is kept between
    ticks."""

    broadcast: str
    version: int
    status: SendStatus
    started_at: datetime
    finished_at: datetime | None = None
    position: int = 0
    data: dict[str, Any] = {}
    id: int = 0


_columns = select(*(broadcast_sends.c[name] for name in BroadcastSend.__struct_fields__))


def begin(connection: Connection, send: BroadcastSend) -> BroadcastSend:
    """Adds a sending; its id is given by the store."""
    result = connection.execute(insert(broadcast_sends).values(**_values(send)).returning(broadcast_sends.c.id))
    return msgspec.structs.replace(send, id=result.scalar_one())


def save(connection: Connection, send: BroadcastSend) -> None:
    """Writes a sending back, in the transaction that has locked it and queues its messages."""
    connection.execute(update(broadcast_sends).where(broadcast_sends.c.id == send.id).values(**_values(send)))


def get(connection: Connection, send_id: int) -> BroadcastSend:
    """One sending. Raises NotFoundError."""
    row = connection.execute(_columns.where(broadcast_sends.c.id == send_id)).one_or_none()
    if row is None:
        raise NotFoundError(problem("There is no sending {send_id}.", send_id=send_id), send_id=send_id)
    return _send(row)


def unfinished(connection: Connection) -> list[BroadcastSend]:
    """Those that are neither finished nor stopped, oldest first."""
    query = _columns.where(broadcast_sends.c.status.not_in(["finished", "stopped"]))
    return [_send(row) for row in connection.execute(query.order_by(broadcast_sends.c.id))]


def of_broadcast(connection: Connection, broadcast: str) -> list[BroadcastSend]:
    """All sendings of one broadcast, oldest first."""
    query = _columns.where(broadcast_sends.c.broadcast == broadcast).order_by(broadcast_sends.c.id)
    return [_send(row) for row in connection.execute(query)]


def _values(send: BroadcastSend) -> dict[str, Any]:
    fields = msgspec.structs.asdict(send)
    del fields["id"]
    fields["data"] = msgspec.json.encode(send.data).decode()
    return fields


def _send(row: Any) -> BroadcastSend:
    return BroadcastSend(**{**row._mapping, "data": msgspec.json.decode(row.data)})


def newest(connection: Connection) -> dict[str, BroadcastSend]:
    """The last sending of every broadcast that was ever sent, by broadcast."""
    return {row.broadcast: _send(row) for row in connection.execute(_columns.order_by(broadcast_sends.c.id))}


def replace(connection: Connection, old: BroadcastSend, new: BroadcastSend) -> bool:
    """Writes `new` if the sending is still equal to `old`; returns whether it was."""
    if lock(connection, old.id) != old:
        return False
    save(connection, new)
    return True


def lock(connection: Connection, send_id: int) -> BroadcastSend:
    """The sending, locked until the transaction ends. Raises NotFoundError."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(broadcast_sends.c.id).where(broadcast_sends.c.id == send_id).with_for_update())
    return get(connection, send_id)


def tally(connection: Connection, send: BroadcastSend) -> list[Tally]:
    """The messages of a sending by variant, status and reason."""
    named = (table.c.step, table.c.status, table.c.reason)
    query = select(*named, func.count()).where(_of(send)).group_by(*named)
    found = {(row[0], row[1], row[2]): int(row[3]) for row in connection.execute(query)}
    for row in removed_counts.read(connection, "message", broadcast=send.broadcast, send_id=send.id):
        key = (row.step, row.status, row.reason)
        found[key] = found.get(key, 0) + row.number
    return [Tally(step, status, reason, found[step, status, reason]) for step, status, reason in sorted(found)]


def is_waiting(connection: Connection, send: BroadcastSend, *, tested: bool = False) -> bool:
    """Whether any message of a sending is not handed over yet; with `tested`, any of a variant."""
    for status in UNFINISHED:
        query = select(table.c.id).where(_of(send), table.c.status == status)
        if tested:
            query = query.where(table.c.step != "")
        if connection.execute(query.limit(1)).first() is not None:
            return True
    return False


def queue(connection: Connection, names: Sequence[str], rows: list[tuple[Any, ...]], shared: Mapping[str, Any]) -> None:
    """Adds messages as tuples in the order of `names`, all with the `shared` values; those that are there stay.

    Instants in rows are stamps.
    """
    if connection.dialect.name != "sqlite":
        constant = tuple(shared.values())
        insert_new(connection, table, (*names, *shared), [(*row, *constant) for row in rows], ("id",))
        return
    # The index on addresses is written at random places: a larger cache writes a page once, not once per chunk.
    connection.exec_driver_sql("PRAGMA cache_size = -262144")
    listed = ", ".join(f'"{name}"' for name in (*names, *shared))
    marks = ", ".join(["?"] * len(names) + [_literal(connection, name, value) for name, value in shared.items()])
    statement = f"INSERT INTO messages ({listed}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    connection.exec_driver_sql(statement, rows)


def stamp(connection: Connection, at: datetime) -> datetime | int:
    """An instant in the form that `queue` takes: converted once for many rows."""
    return to_microseconds(at) if connection.dialect.name == "sqlite" else at


def _literal(connection: Connection, name: str, value: Any) -> str:
    """A value as SQL, the same for every row."""
    if isinstance(value, datetime):
        return str(to_microseconds(value))
    processor = table.c[name].type.literal_processor(connection.dialect)
    assert processor is not None
    return processor(value)


def reset_cache(connection: Connection) -> None:
    """Resets the cache size that `queue` raised; call it after the last chunk."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA cache_size = -65536")


def consent_states(connection: Connection, channel: str, topic: str, first: int, last: int) -> dict[int, ConsentState]:
    """The effective consent to a topic of the profiles `first` to `last`, those of `individual_consents` apart;
    profiles without any are absent."""
    place = func.row_number().over(
        partition_by=consents.c.profile_id, order_by=(consents.c.at.desc(), consents.c.id.desc())
    )
    ranked = (
        select(consents.c.profile_id, consents.c.state, place.label("place"))
        .where(
            consents.c.profile_id.between(first, last),
            consents.c.channel == channel,
            consents.c.topic.in_([topic, ALL_TOPICS]),
            consents.c.state != "pending",
        )
        .subquery()
    )
    query = select(ranked.c.profile_id, ranked.c.state).where(ranked.c.place == 1)
    return {row[0]: row[1] for row in connection.execute(query).all()}


def individual_consents(
    connection: Connection, channel: str, first: int, last: int, hashes: Sequence[str]
) -> tuple[set[int], set[str]]:
    """Those of the profiles `first` to `last`, and of the addresses, whose consent does not follow from the profiles'
    own newest statements alone: something was said that holds for an address or a visitor, or waits."""
    own = select(consents.c.profile_id).where(
        consents.c.profile_id.between(first, last),
        consents.c.channel == channel,
        (consents.c.holds_for != "person") | (consents.c.state == "pending"),
    )
    found = set(connection.execute(own.distinct()).scalars())
    at_address = select(consents.c.address_hash).where(consents.c.address_hash != literal_column("''"))
    hashed = {row.address_hash for row in select_in(connection, at_address, consents.c.address_hash, hashes)}
    return found, hashed


def addressed(connection: Connection, send: BroadcastSend, hashes: Sequence[str]) -> set[str]:
    """Those of these addresses that the sending has a message for."""
    query = select(table.c.address_hash, table.c.broadcast, table.c.visit, table.c.status)
    rows = select_in(connection, query, table.c.address_hash, hashes)
    mine = (send.broadcast, send.id)
    return {row.address_hash for row in rows if (row.broadcast, row.visit) == mine and row.status != "skipped"}


def held_back(connection: Connection, send: BroadcastSend, after: int, limit: int = CHUNK) -> list[tuple[int, str]]:
    """Messages past an id that wait for the winner, as (id, data as JSON)."""
    query = select(table.c.id, table.c.data).where(
        _of(send), table.c.status == "held", table.c.reason == TESTED, table.c.id > after
    )
    return [(row[0], row[1]) for row in connection.execute(query.order_by(table.c.id).limit(limit)).all()]


def release(connection: Connection, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Releases messages: tuples in the order of `names`, last the id."""
    update_rows(connection, table, names, rows)


def slots_taken(connection: Connection, send: BroadcastSend) -> dict[datetime, int]:
    """Send time → number of messages of a sending: restores the throttle after a restart."""
    query = select(table.c.send_after, func.count()).where(_of(send), table.c.status != "skipped")
    return {row[0]: row[1] for row in connection.execute(query.group_by(table.c.send_after))}


def skip_unsent(store: Store, send: BroadcastSend, now: datetime) -> int:
    """Skips a sending's unsent messages as `stopped`, in chunks, those claimed by a worker first; returns how many.

    Ends early when another process changes the sending.
    """
    return sum(_in_chunks(store, send, status, "skipped", STOPPED, "", now) for status in ("claimed", "queued", "held"))


def requeue(store: Store, send: BroadcastSend, now: datetime, *, is_spread: bool = False) -> int:
    """Requeues the messages that a stop skipped; their expiry moves by the length of the stop. Returns how many.

    With `is_spread`, for a throttled sending, send times move as well, so that the backlog does not go at once. Ends
    early when another process changes the sending.
    """
    return _in_chunks(store, send, "skipped", "queued", "", STOPPED, now, is_spread=is_spread)


def _in_chunks(
    store: Store,
    send: BroadcastSend,
    was: str,
    status: str,
    reason: str,
    was_for: str,
    now: datetime,
    *,
    is_spread: bool = False,
) -> int:
    """Moves messages from one status to another with their history, a chunk and a transaction at a time."""
    late = now - send.finished_at if status == "queued" and send.finished_at is not None else timedelta(0)
    done = 0
    while True:
        with store.begin() as connection:
            if lock(connection, send.id) != send:
                return done
            names = (table.c.id, table.c.step, table.c.send_after, table.c.expires_at)
            query = select(*names).where(_of(send), table.c.status == was).order_by(table.c.id).limit(CHUNK)
            if was_for:
                query = query.where(table.c.reason == was_for)
            if connection.dialect.name == "postgresql":
                query = query.with_for_update()
            found = connection.execute(query).all()
            if not found:
                return done
            rows = []
            for row in found:
                # Messages held for the winner of a test are held again.
                waits = status == "queued" and bool(send.data.get("rest")) and not row.step
                moved = row.send_after + late if is_spread and not waits else row.send_after
                end = row.expires_at + late if row.expires_at is not None else None
                new = ("held", TESTED) if waits else (status, reason)
                rows.append((*new, moved, end, None, None, row.id))
            changed = ("status", "reason", "send_after", "expires_at", "claimed_by", "counted_at")
            update_rows(connection, table, changed, rows)
            _record_sending(connection, send, (found[0].id, found[-1].id), status, reason, now)
        done += len(found)


def _record_sending(
    connection: Connection, send: BroadcastSend, between: tuple[int, int], status: str, reason: str, now: datetime
) -> None:
    """Adds the history of messages that were moved together."""
    listed = text(
        "INSERT INTO message_history (message_id, at, status, reason, detail)"
        " SELECT id, :at, status, reason, '' FROM messages"
        " WHERE broadcast = :broadcast AND visit = :send AND id BETWEEN :first AND :last"
        " AND status = :status AND reason = :reason"
    ).bindparams(
        bindparam("at", now, type_=message_history.c.at.type),
        broadcast=send.broadcast, send=send.id, first=between[0], last=between[1], status=status, reason=reason,
    )  # fmt: skip
    connection.execute(listed)


class Result(NamedTuple):
    """How a variant did: messages sent, and how many of them people opened or clicked."""

    variant: str
    sent: int
    opened: int
    clicked: int


def results(connection: Connection, send: BroadcastSend) -> dict[str, Result]:
    """The results of a sending by variant; requests by machines are not counted."""
    people = engagement_requests.c.is_machine.is_(False)
    numbers: dict[str, list[int]] = {}
    query = select(table.c.step, func.count()).where(_of(send), table.c.step != "", table.c.sent_at.is_not(None))
    for variant, sent in connection.execute(query.group_by(table.c.step)):
        numbers[variant] = [sent, 0, 0]
    for place, condition in ((1, None), (2, engagement_requests.c.url != "")):
        requests = (
            select(table.c.step, func.count(table.c.id.distinct()))
            .join(engagement_requests, engagement_requests.c.message_id == table.c.id)
            .where(_of(send), table.c.step != "", people)
        )
        if condition is not None:
            requests = requests.where(condition)
        for variant, number in connection.execute(requests.group_by(table.c.step)):
            numbers.setdefault(variant, [0, 0, 0])[place] = number
    counted: tuple[Counted, ...] = ("sent", "opened", "clicked")
    for place, what in enumerate(counted):
        for row in removed_counts.read(connection, what, broadcast=send.broadcast, send_id=send.id):
            numbers.setdefault(row.step, [0, 0, 0])[place] += row.number
    return {variant: Result(variant, *counted) for variant, counted in numbers.items()}


def arms(connection: Connection, send: BroadcastSend) -> Iterator[list[tuple[int, str]]]:
    """(profile, variant) of everyone who was sent a variant, in chunks."""
    query = select(table.c.id, table.c.profile_id, table.c.step)
    yield from _paged(connection, query.where(_of(send), table.c.step != "", table.c.sent_at.is_not(None)))


def not_opened(connection: Connection, send: BroadcastSend) -> Iterator[list[int]]:
    """Profiles who were sent a message of a sending that nobody opened or clicked, machines apart, chunk by chunk."""
    request = select(engagement_requests.c.id).where(
        engagement_requests.c.message_id == table.c.id, engagement_requests.c.is_machine.is_(False)
    )
    query = select(table.c.id, table.c.profile_id).where(_of(send), table.c.status.in_(OUT), ~request.exists())
    for rows in _paged(connection, query):
        yield [row[0] for row in rows]


def _paged(connection: Connection, query: Any) -> Iterator[list[Any]]:
    after = 0
    while rows := connection.execute(query.where(table.c.id > after).order_by(table.c.id).limit(CHUNK)).all():
        yield [tuple(row[1:]) for row in rows]
        after = rows[-1].id


def _of(send: BroadcastSend) -> ColumnElement[bool]:
    """Selects a sending's messages: column `visit` holds the sending's id."""
    return (table.c.broadcast == send.broadcast) & (table.c.visit == send.id)
