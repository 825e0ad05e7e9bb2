"""Sendings of broadcasts: how far each has come, so that a crash goes on where it stopped."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from keepers.model.errors import NotFoundError
from keepers.store.message_tables import broadcast_sends

SendStatus = Literal["scheduled", "queueing", "testing", "sending", "finished", "stopped"]


class BroadcastSend(Struct, frozen=True):
    """One sending. `position` is the last profile queued; `data` is the sender's memory, such as the arms of a test."""

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
    """Writes a sending back, in the transaction that queues its messages."""
    connection.execute(update(broadcast_sends).where(broadcast_sends.c.id == send.id).values(**_values(send)))


def get(connection: Connection, send_id: int) -> BroadcastSend:
    """One sending. Raises NotFoundError."""
    row = connection.execute(_columns.where(broadcast_sends.c.id == send_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no sending {send_id}.", send_id=send_id)
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
