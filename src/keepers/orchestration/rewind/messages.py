"""Messages and sendings as they were at a moment. What has left stays: it is a fact."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from keepers.model.moments import parse_instant
from keepers.orchestration.rewind.runs import UNSENT
from keepers.store.bulk import chunks, select_in
from keepers.store.messages import broadcast_sends, claims
from keepers.store.messages.broadcast_sends import BroadcastSend
from keepers.store.schema.messages import broadcast_sends as sends_table
from keepers.store.schema.messages import coupons, message_history, messages

SCHEDULED = frozenset({"begins", "of", "message", "rest"})
"""what a sending's data holds before it begins"""


def lock_messages(connection: Connection, to: datetime, run_ids: Sequence[int]) -> frozenset[int]:
    """Locks all messages that a rewind reads or writes until the transaction ends (PostgreSQL), and returns their ids:
    those of `run_ids`, decided on after `to`, of broadcasts begun later, and changed later. After `lock_runs`.

    Delivery passes over what is locked, and what it took before is read as taken: no message leaves between what is
    decided about it and its removal.
    """
    changed = select(message_history.c.message_id).where(message_history.c.at > to)
    begun = [send.id for send in _begun_later(connection, to)]
    query = select(messages.c.id).where(
        or_(
            messages.c.run_id.is_not(None) & (messages.c.decided_at > to),
            messages.c.broadcast.is_not(None) & messages.c.visit.in_(begun),
            messages.c.id.in_(changed),
        )
    )
    ids = set(connection.execute(query).scalars())
    ids.update(row.id for row in select_in(connection, select(messages.c.id), messages.c.run_id, run_ids))
    claims.lock_messages(connection, sorted(ids))
    return frozenset(ids)


def rewind_messages(connection: Connection, to: datetime, locked: Collection[int]) -> int:
    """Removes what journeys and broadcasts decided on after `to` and has not left; how many.

    `locked` are the messages that `lock_messages` returned. What waited at `to` and was skipped later, such as for
    being too old, waits again.
    """
    unsent = messages.c.status.in_(UNSENT)
    removed = _remove(connection, messages.c.run_id.is_not(None) & (messages.c.decided_at > to) & unsent)
    for send in _begun_later(connection, to):
        of_it = (messages.c.broadcast == send.broadcast) & (messages.c.visit == send.id)
        if connection.execute(select(messages.c.id).where(of_it, ~unsent).limit(1)).first() is None:
            removed += _remove(connection, of_it)
            data = {name: value for name, value in send.data.items() if name in SCHEDULED}
            broadcast_sends.save(
                connection,
                msgspec.structs.replace(send, status="scheduled", position=0, finished_at=None, data=data),
            )
    _requeue(connection, to, locked)
    return removed


def _remove(connection: Connection, condition: ColumnElement[bool]) -> int:
    found = connection.execute(select(messages.c.id, messages.c.key).where(condition).order_by(messages.c.id)).all()
    for some in chunks(found):
        ids, keys = [row.id for row in some], [row.key for row in some]
        connection.execute(delete(messages).where(messages.c.id.in_(ids)))
        connection.execute(
            update(coupons)
            .where(coupons.c.message_key.in_(keys))
            .values(profile_id=None, run_id=None, message_key=None, taken_at=None)
        )
        connection.execute(delete(message_history).where(message_history.c.message_id.in_(ids)))
    return len(found)


def _begun_later(connection: Connection, to: datetime) -> Sequence[BroadcastSend]:
    found = connection.execute(select(sends_table.c.id).order_by(sends_table.c.id)).scalars().all()
    sends = [broadcast_sends.lock(connection, id) for id in found]
    return [send for send in sends if "begun" in send.data and parse_instant(send.data["begun"]) > to]


def _requeue(connection: Connection, to: datetime, locked: Collection[int]) -> None:
    later = select(message_history.c.message_id).where(message_history.c.at > to)
    waiting = messages.c.status.in_(UNSENT) & messages.c.id.in_(later)
    found = connection.execute(select(messages.c.id).where(waiting).order_by(messages.c.id)).scalars()
    ids = [id for id in found if id in locked]
    for some in chunks(ids):
        connection.execute(
            update(messages).where(messages.c.id.in_(some)).values(status="queued", reason="", send_after=to)
        )
        connection.execute(
            delete(message_history).where(message_history.c.message_id.in_(some), message_history.c.at > to)
        )
