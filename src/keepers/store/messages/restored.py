"""Messages of a store that was restored: what waited then may have been sent since, by the one that was lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from keepers.model.message import UNSETTLED
from keepers.store.bulk import update_rows
from keepers.store.messages import message_history
from keepers.store.messages.message_history import HistoryRow
from keepers.store.schema.messages import messages

RESTORED = "restored"
"""the reason of messages that are uncertain since"""


def mark_uncertain(connection: Connection, now: datetime, limit: int = 5000) -> int:
    """Makes up to `limit` messages that are not settled uncertain, so that none goes out by itself; how many.

    One that was never handed over counts as handed over `now`: whatever the lost workspace did was before that.
    """
    query = select(messages.c.id, messages.c.handed_over_at).where(messages.c.status.in_(UNSETTLED))
    found = connection.execute(query.order_by(messages.c.id).limit(limit)).all()
    rows = [("uncertain", RESTORED, None, row.handed_over_at or now, row.id) for row in found]
    update_rows(connection, messages, ("status", "reason", "claimed_by", "handed_over_at"), rows)
    message_history.append(connection, [HistoryRow(row.id, now, "uncertain", RESTORED) for row in found])
    return len(found)
