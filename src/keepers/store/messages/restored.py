"""Messages of a store that was restored: what waited then may have been sent since, by the one that was lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from keepers.store.bulk import update_rows
from keepers.store.messages import message_history
from keepers.store.messages.message_history import HistoryRow
from keepers.store.schema.messages import messages

RESTORED = "restored"
"""the reason of messages that are uncertain since"""


def doubt(connection: Connection, now: datetime, limit: int = 5000) -> int:
    """Makes up to `limit` messages that are not settled uncertain, so that none goes out by itself; how many."""
    waits = messages.c.status.in_(["queued", "held", "claimed", "handed_over"])
    ids = list(connection.execute(select(messages.c.id).where(waits).order_by(messages.c.id).limit(limit)).scalars())
    update_rows(
        connection, messages, ("status", "reason", "claimed_by"), [("uncertain", RESTORED, None, id) for id in ids]
    )
    message_history.append(connection, [HistoryRow(id, now, "uncertain", RESTORED) for id in ids])
    return len(ids)
